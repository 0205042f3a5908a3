//! Open Inference (KServe V2) tensors in, columns out.
//!
//! A tensor's first dimension counts rows. `[n]` and `[n, 1]` are one column named by the tensor;
//! `[n, k, …]` are `k·…` columns `name_0…`, in row-major order. A request of a single tensor has
//! positional columns instead, which a signature or the configuration can name. `data` may be flat or
//! nested; `parameters` do not matter, but for tensors that stand as bytes behind the JSON.

use super::members::{HasMember, KeySeed, ShapeSeed, StringSeed};
use super::problem::{Problem, Side};
use super::rows::{Cell, Column};
use super::shape::stopped;
use super::table::{ROOT, Stopped, Table};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

#[derive(Debug)]
struct Tensor {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    /// All cells in row-major order.
    data: Column,
}

impl Tensor {
    fn new() -> Self {
        Self {
            name: String::new(),
            datatype: String::new(),
            shape: Vec::new(),
            data: Column::new(""),
        }
    }

    fn clear(&mut self) {
        self.name.clear();
        self.datatype.clear();
        self.shape.clear();
        self.data.clear();
    }
}

/// The tensors of one payload, in memory that serves the next.
#[derive(Debug, Default)]
pub(super) struct Tensors {
    all: Vec<Tensor>,
    len: usize,
}

/// Memory that tensors may hold between payloads.
const KEPT_BYTES: usize = 4 << 20;

impl Tensors {
    pub(super) fn clear(&mut self) {
        self.len = 0;
        let held: usize = self.all.iter().map(|tensor| tensor.data.capacity_bytes()).sum();
        if held > KEPT_BYTES {
            self.all.clear();
        }
    }

    fn next(&mut self) -> &mut Tensor {
        if self.len == self.all.len() {
            self.all.push(Tensor::new());
        }
        self.len += 1;
        let tensor = &mut self.all[self.len - 1];
        tensor.clear();
        tensor
    }

    /// Puts every tensor's cells into the table. `one_name` says that a lone column's name is given.
    pub(super) fn place(
        &mut self,
        table: &mut Table,
        side: Side,
        one_name: bool,
    ) -> Result<(), Stopped> {
        let alone = self.len == 1 && side == Side::Request;
        for tensor in &mut self.all[..self.len] {
            tensor.place(table, alone, one_name)?;
        }
        Ok(())
    }
}

impl Tensor {
    fn place(&mut self, table: &mut Table, alone: bool, one_name: bool) -> Result<(), Stopped> {
        let rows = self.shape.first().copied().unwrap_or(1);
        let inner = self.shape.iter().skip(1);
        let width = inner.copied().try_fold(1, usize::checked_mul).unwrap_or(usize::MAX);
        if rows.checked_mul(width) != Some(self.data.len()) {
            return Err(table.stop(Problem::WrongShape));
        }
        if self.data.is_empty() {
            return Ok(());
        }
        if width > table.limits().max_columns {
            return Err(table.stop(Problem::TooManyColumns));
        }
        table.begin_row(rows - 1)?;
        if self.datatype == "BOOL" {
            self.data.numbers_to_booleans();
        }
        let positional = alone && (width > 1 || one_name);
        let node = if positional { ROOT } else { table.field(ROOT, &self.name, 0)?.0 };
        if width > 1 {
            return self.spread(table, node, width);
        }
        let column = table.column(node)?;
        if column.is_empty() {
            column.swap_cells(&mut self.data);
        }
        Ok(())
    }

    fn spread(&self, table: &mut Table, node: u32, width: usize) -> Result<(), Stopped> {
        let Some(numbers) = self.data.as_numbers() else {
            for (position, cell) in self.data.cells().enumerate() {
                table.begin_row(position / width)?;
                let id = table.item(node, position % width)?;
                table.put(id, cell)?;
            }
            return Ok(());
        };
        for index in 0..width {
            let id = table.item(node, index)?;
            let column = table.column(id)?;
            if column.is_empty() {
                column.extend_numbers(numbers[index..].iter().step_by(width).copied());
            }
        }
        Ok(())
    }
}

/// What an array in the place of tensors turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    Tensors,
    SomethingElse,
}

/// The array of tensors that `inputs` or `outputs` holds.
pub(super) struct TensorsSeed<'t> {
    pub(super) table: &'t mut Table,
    pub(super) tensors: &'t mut Tensors,
}

impl<'de> DeserializeSeed<'de> for TensorsSeed<'_> {
    type Value = Listed;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Listed, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TensorsSeed<'_> {
    type Value = Listed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of tensors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Listed, A::Error> {
        let mut listed = Listed::Tensors;
        loop {
            let tensor = self.tensors.next();
            match seq.next_element_seed(TensorSeed { table: self.table, tensor })? {
                None => break,
                Some(Listed::Tensors) => {}
                Some(Listed::SomethingElse) => listed = Listed::SomethingElse,
            }
        }
        self.tensors.len -= 1;
        Ok(listed)
    }
}

struct TensorSeed<'t> {
    table: &'t mut Table,
    tensor: &'t mut Tensor,
}

impl<'de> DeserializeSeed<'de> for TensorSeed<'_> {
    type Value = Listed;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Listed, D::Error> {
        deserializer.deserialize_any(self)
    }
}

const TENSOR_KEYS: [&str; 5] = ["name", "shape", "datatype", "data", "parameters"];

impl<'de> Visitor<'de> for TensorSeed<'_> {
    type Value = Listed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
        let Self { table, tensor } = self;
        let (mut has_shape, mut has_data, mut has_bytes) = (false, false, false);
        while let Some(key) = map.next_key_seed(KeySeed(&TENSOR_KEYS))? {
            match key {
                Some(0) => map.next_value_seed(StringSeed(&mut tensor.name))?,
                Some(1) => {
                    has_shape = true;
                    tensor.shape.clear();
                    map.next_value_seed(ShapeSeed(&mut tensor.shape))?;
                }
                Some(2) => map.next_value_seed(StringSeed(&mut tensor.datatype))?,
                Some(3) => {
                    has_data = true;
                    tensor.data.clear();
                    map.next_value_seed(FlatSeed { table, data: &mut tensor.data })?;
                }
                Some(4) => has_bytes = map.next_value_seed(HasMember(["binary_data_size"]))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if has_bytes && !has_data {
            return Err(stopped(table.stop(Problem::Binary)));
        }
        Ok(if has_shape && has_data { Listed::Tensors } else { Listed::SomethingElse })
    }
}

/// `data`: values, or arrays of them to any depth, one after another.
struct FlatSeed<'t> {
    table: &'t mut Table,
    data: &'t mut Column,
}

impl FlatSeed<'_> {
    #[inline]
    fn check_size<E: Error>(&mut self) -> Result<(), E> {
        if self.data.len() >= self.table.limits().max_cells {
            return Err(stopped(self.table.stop(Problem::TooManyCells)));
        }
        Ok(())
    }

    fn push<E: Error>(mut self, cell: Cell<'_>) -> Result<(), E> {
        self.check_size()?;
        self.data.push(cell);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for FlatSeed<'_> {
    type Value = ();

    #[expect(clippy::inline_always, reason = "a part of the loop over elements, as `number` is")]
    #[inline(always)]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FlatSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tensor's data")
    }

    #[inline]
    fn visit_f64<E: Error>(mut self, value: f64) -> Result<(), E> {
        self.check_size()?;
        self.data.push_number(value);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.push(Cell::Bool(value))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.push(Cell::Null)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.push(Cell::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { table, data } = self;
        while seq.next_element_seed(FlatSeed { table, data })?.is_some() {}
        Ok(())
    }
}
