//! Values in, segments out: which of a bounded number each row is in.

use super::{RecordedSegment, SegmentKey};
use crate::decode::{Cell, Rows};
use crate::sketch::Levels;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Which segment; stays the same for as long as the keys do.
pub type SegmentId = u16;

const OTHER: &str = "(other)";
const NULL: &str = "(null)";
/// Beyond it a float does not hold every whole number.
const WHOLE: f64 = 9_007_199_254_740_992.0;

#[derive(Debug)]
pub(super) struct Registry {
    keys: Vec<Values>,
    /// By id: `country=FR`.
    names: Vec<Arc<str>>,
    max_values: usize,
}

/// The values that one key was seen to have.
#[derive(Debug)]
struct Values {
    key: SegmentKey,
    ids: HashMap<Arc<str>, SegmentId>,
    other: SegmentId,
}

/// The segments that each row of a payload is in, one a key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assigned {
    pub(super) by_key: SmallVec<[Rowwise; 2]>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rowwise {
    All(SegmentId),
    /// Of each row of the inputs.
    Each(Vec<SegmentId>),
}

impl Assigned {
    /// The segments of one row, a key after the other. None for a row that there is no input for.
    pub fn of_row(&self, row: usize) -> impl Iterator<Item = SegmentId> {
        self.by_key.iter().filter_map(move |rowwise| match rowwise {
            Rowwise::All(id) => Some(*id),
            Rowwise::Each(ids) => ids.get(row).copied(),
        })
    }
}

impl Assigned {
    /// Gives each segment its rows of both. Outputs that are not as many as the inputs are given where
    /// all rows are in one segment.
    pub(super) fn each(
        &self,
        inputs: &Rows,
        outputs: &Rows,
        mut give: impl FnMut(SegmentId, &Rows, &Rows),
    ) {
        for rowwise in &self.by_key {
            let ids = match rowwise {
                Rowwise::All(id) => {
                    give(*id, inputs, outputs);
                    continue;
                }
                Rowwise::Each(ids) => ids,
            };
            let mut distinct = ids.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let place = |id| distinct.binary_search(id).unwrap_or_default();
            let part_of: Vec<usize> = ids.iter().map(place).collect();
            let is_even = outputs.len() == ids.len();
            let parts = inputs.scatter(&part_of, distinct.len());
            let outputs = is_even.then(|| outputs.scatter(&part_of, distinct.len()));
            let none = Rows::new();
            for (place, (id, inputs)) in distinct.iter().zip(&parts).enumerate() {
                give(*id, inputs, outputs.as_ref().map_or(&none, |outputs| &outputs[place]));
            }
        }
    }
}

impl Registry {
    pub(super) fn new(keys: &[SegmentKey], max_values: usize) -> Self {
        let mut names = Vec::new();
        let values = |key: &SegmentKey| {
            let other = next_id(&names);
            names.push(name(key, OTHER));
            Values { key: key.clone(), ids: HashMap::new(), other }
        };
        let keys = keys.iter().map(values).collect();
        Self { keys, names, max_values }
    }

    pub(super) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    pub(super) fn is_other(&self, id: SegmentId) -> bool {
        self.keys.iter().any(|values| values.other == id)
    }

    /// Whether a header tells it.
    pub(super) fn is_of_header(&self, id: SegmentId) -> bool {
        let name = &self.names[usize::from(id)];
        let begins = |key: &SegmentKey| name.starts_with(&format!("{key}="));
        let of_header = |key: &SegmentKey| matches!(key, SegmentKey::Header(_));
        self.keys.iter().any(|values| of_header(&values.key) && begins(&values.key))
    }

    pub(super) fn id_of(&self, name: &str) -> Option<SegmentId> {
        self.names.iter().position(|known| **known == *name).and_then(|id| id.try_into().ok())
    }

    /// Room is kept for values that a baseline has recorded, as far as there is any.
    pub(super) fn expect(&mut self, recorded: &[RecordedSegment]) {
        for segment in recorded {
            self.expect_value(segment.key(), segment.value());
        }
    }

    pub(super) fn expect_value(&mut self, key: &SegmentKey, value: &str) {
        if let Some(key) = self.keys.iter().position(|values| values.key == *key) {
            self.id(key, value);
        }
    }

    /// The segment of that name, which another registry of the same keys has.
    pub(super) fn adopt(&mut self, name: &str) -> Option<SegmentId> {
        if let Some(id) = self.id_of(name) {
            return Some(id);
        }
        let of = |values: &Values| {
            Some(name.strip_prefix(&values.key.to_string())?.strip_prefix('=')?.to_owned())
        };
        let (key, value) =
            self.keys.iter().enumerate().find_map(|(key, values)| Some((key, of(values)?)))?;
        let id = self.id(key, &value);
        (!self.is_other(id)).then_some(id)
    }

    pub(super) fn assign<'h>(
        &mut self,
        inputs: &Rows,
        header: impl Fn(&str) -> Option<&'h str>,
    ) -> Assigned {
        let mut by_key = SmallVec::new();
        for key in 0..self.keys.len() {
            by_key.push(match &self.keys[key].key {
                SegmentKey::Header(name) => {
                    let value = header(name).unwrap_or(NULL);
                    Rowwise::All(self.id(key, value))
                }
                SegmentKey::Feature(name) => match inputs.column(name) {
                    Some(column) => self.of_cells(key, column.cells()),
                    None => Rowwise::All(self.id(key, NULL)),
                },
            });
        }
        Assigned { by_key }
    }

    fn of_cells<'c>(&mut self, key: usize, cells: impl Iterator<Item = Cell<'c>>) -> Rowwise {
        let mut last: Option<(Cell<'c>, SegmentId)> = None;
        let mut ids = Vec::new();
        for cell in cells {
            let id = match last {
                Some((known, id)) if known == cell => id,
                _ => match value_of(cell) {
                    Some(value) => self.id(key, &value),
                    None => self.keys[key].other,
                },
            };
            last = Some((cell, id));
            ids.push(id);
        }
        match ids.first() {
            Some(first) if ids.iter().all(|id| id == first) => Rowwise::All(*first),
            _ => Rowwise::Each(ids),
        }
    }

    /// A new value gets a segment of its own while there is room.
    fn id(&mut self, key: usize, value: &str) -> SegmentId {
        let values = &mut self.keys[key];
        let value = Levels::bounded(value);
        if let Some(id) = values.ids.get(&*value) {
            return *id;
        }
        if values.ids.len() >= self.max_values || self.names.len() >= usize::from(SegmentId::MAX) {
            return values.other;
        }
        let id = next_id(&self.names);
        self.names.push(name(&values.key, &value));
        values.ids.insert(value.into(), id);
        id
    }
}

fn next_id(names: &[Arc<str>]) -> SegmentId {
    SegmentId::try_from(names.len()).unwrap_or(SegmentId::MAX)
}

pub(super) fn name(key: &SegmentKey, value: &str) -> Arc<str> {
    format!("{key}={value}").into()
}

/// `None` for a number with a fraction, which names no part of the traffic.
pub(super) fn value_of(cell: Cell<'_>) -> Option<Cow<'_, str>> {
    match cell {
        Cell::Null => Some(NULL.into()),
        Cell::Text(text) => Some(text.into()),
        Cell::Bool(true) => Some("true".into()),
        Cell::Bool(false) => Some("false".into()),
        Cell::Number(number) if number.is_nan() => Some(NULL.into()),
        // Adding zero makes one zero of the two.
        Cell::Number(number) if number.fract() == 0.0 && number.abs() <= WHOLE => {
            Some((number + 0.0).to_string().into())
        }
        Cell::Number(_) => None,
    }
}
