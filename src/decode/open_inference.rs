//! Open Inference (KServe V2) tensors in, columns out.
//!
//! A tensor's first dimension counts rows. `[n]` and `[n, 1]` are one column named by the tensor;
//! `[n, k, …]` are `k·…` columns `name_0…`, in row-major order. A request of a single tensor has
//! positional columns instead, which a signature or the configuration can name. `data` may be flat or
//! nested; `parameters` do not matter, but for tensors that stand as bytes behind the JSON: those are
//! the binary tensor extension, in which `binary_data_size` of each says how many are its own.

use super::members::{KeySeed, LengthOf, ShapeSeed, StringSeed};
use super::problem::{Problem, Side};
use super::raw::{self, Number};
use super::rows::{Cell, Column};
use super::shape::stopped;
use super::table::{ROOT, Stopped, Table};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;
use std::fmt;

#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) datatype: String,
    pub(super) shape: Vec<usize>,
    /// All cells in row-major order.
    pub(super) data: Column,
    /// Bytes behind the document that hold the cells instead.
    binary_size: Option<usize>,
}

impl Tensor {
    fn new() -> Self {
        Self {
            name: String::new(),
            datatype: String::new(),
            shape: Vec::new(),
            data: Column::new(""),
            binary_size: None,
        }
    }

    fn clear(&mut self) {
        self.name.clear();
        self.datatype.clear();
        self.shape.clear();
        self.data.clear();
        self.binary_size = None;
    }
}

/// The tensors of one payload, in memory that serves the next.
#[derive(Debug, Default)]
pub(super) struct Tensors {
    all: Vec<Tensor>,
    len: usize,
    /// Bytes follow the document, to which tensors may refer.
    bytes_follow: bool,
}

/// The bytes of each tensor that has none of its cells in the document, in their order.
pub(super) type Raws<'b> = SmallVec<[&'b [u8]; 8]>;

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

    pub(super) fn expect_bytes(&mut self, follow: bool) {
        self.bytes_follow = follow;
    }

    pub(super) fn next(&mut self) -> &mut Tensor {
        if self.len == self.all.len() {
            self.all.push(Tensor::new());
        }
        self.len += 1;
        let tensor = &mut self.all[self.len - 1];
        tensor.clear();
        tensor
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Says which tensors have their cells in raw contents: those that have no others.
    pub(super) fn adopt(&mut self, raws: &[&[u8]]) {
        let without = self.all[..self.len].iter_mut().filter(|tensor| tensor.data.is_empty());
        without.zip(raws).for_each(|(tensor, raw)| tensor.binary_size = Some(raw.len()));
    }

    /// Parts what follows the document into the bytes of each tensor; they have to use it up.
    pub(super) fn part<'b>(&self, mut bytes: &'b [u8]) -> Result<Raws<'b>, Problem> {
        let mut raws = Raws::new();
        for size in self.all[..self.len].iter().filter_map(|tensor| tensor.binary_size) {
            let (raw, rest) = bytes.split_at_checked(size).ok_or(Problem::WrongShape)?;
            raws.push(raw);
            bytes = rest;
        }
        if bytes.is_empty() { Ok(raws) } else { Err(Problem::WrongShape) }
    }

    /// Puts every tensor's cells into the table. `one_name` says that a lone column's name is given.
    pub(super) fn place(
        &mut self,
        table: &mut Table,
        side: Side,
        one_name: bool,
        raws: &[&[u8]],
    ) -> Result<(), Stopped> {
        let alone = self.len == 1 && side == Side::Request;
        let mut raws = raws.iter();
        for tensor in &mut self.all[..self.len] {
            let raw = tensor.binary_size.and_then(|_| raws.next().copied());
            tensor.place(table, alone, one_name, raw)?;
        }
        if raws.next().is_some() { Err(table.stop(Problem::WrongShape)) } else { Ok(()) }
    }
}

impl Tensor {
    fn place(
        &mut self,
        table: &mut Table,
        alone: bool,
        one_name: bool,
        raw: Option<&[u8]>,
    ) -> Result<(), Stopped> {
        let rows = self.shape.first().copied().unwrap_or(1);
        let inner = self.shape.iter().skip(1);
        let width = inner.copied().try_fold(1, usize::checked_mul).unwrap_or(usize::MAX);
        let elements = rows.checked_mul(width);
        let numbers = match (raw, elements) {
            (Some(raw), Some(elements)) => self.open_raw(table, raw, elements)?,
            _ => None,
        };
        let held = numbers.map_or(self.data.len(), |(number, raw)| raw.len() / number.size());
        if elements != Some(held) {
            return Err(table.stop(Problem::WrongShape));
        }
        if held == 0 {
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
            return match numbers {
                Some(numbers) => spread_raw(table, node, width, numbers),
                None => self.spread(table, node, width),
            };
        }
        let column = table.column(node)?;
        if column.is_empty() {
            match numbers {
                Some((number, raw)) => number.read(raw, 0, 1, column),
                None => column.swap_cells(&mut self.data),
            }
        }
        Ok(())
    }

    /// Numbers stay where they are until their columns are found; all else is read into `data`.
    fn open_raw<'b>(
        &mut self,
        table: &mut Table,
        raw: &'b [u8],
        elements: usize,
    ) -> Result<Option<(Number, &'b [u8])>, Stopped> {
        if elements > table.limits().max_cells {
            return Err(table.stop(Problem::TooManyCells));
        }
        let number = Number::named(&self.datatype);
        let fits =
            number.is_none_or(|number| elements.checked_mul(number.size()) == Some(raw.len()));
        if !fits {
            return Err(table.stop(Problem::WrongShape));
        }
        match number {
            Some(Number::Bool) => Number::Bool.read(raw, 0, 1, &mut self.data),
            Some(number) => return Ok(Some((number, raw))),
            None if self.datatype == "BYTES" => {
                let read = raw::read_texts(raw, elements, &mut self.data);
                read.map_err(|problem| table.stop(problem))?;
            }
            None => return Err(table.stop(Problem::WrongShape)),
        }
        Ok(None)
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

fn spread_raw(
    table: &mut Table,
    node: u32,
    width: usize,
    (number, raw): (Number, &[u8]),
) -> Result<(), Stopped> {
    for index in 0..width {
        let id = table.item(node, index)?;
        let column = table.column(id)?;
        if column.is_empty() {
            number.read(raw, index, width, column);
        }
    }
    Ok(())
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
        let bytes_follow = self.tensors.bytes_follow;
        loop {
            let tensor = self.tensors.next();
            match seq.next_element_seed(TensorSeed { table: self.table, tensor, bytes_follow })? {
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
    bytes_follow: bool,
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
        let Self { table, tensor, bytes_follow } = self;
        let (mut has_shape, mut has_data) = (false, false);
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
                Some(4) => {
                    tensor.binary_size = map.next_value_seed(LengthOf(["binary_data_size"]))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let has_bytes = tensor.binary_size.is_some();
        match (has_data, has_bytes) {
            (true, true) if bytes_follow => {
                return Err(stopped(table.stop(Problem::WrongShape)));
            }
            (false, true) if !bytes_follow => return Err(stopped(table.stop(Problem::Binary))),
            _ => {}
        }
        let is_tensor = has_shape && (has_data || has_bytes);
        Ok(if is_tensor { Listed::Tensors } else { Listed::SomethingElse })
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
