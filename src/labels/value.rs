//! Labels and predictions as values that can be compared, however they were spelt.

use crate::decode::Cell;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// Ground truth for the rows of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// A request's id, or `id#k` for its row `k`.
    pub id: String,
    pub label: LabelValue,
    /// When the truth was known; `None` stands for when it came.
    pub at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum LabelValue {
    One(Truth),
    /// One a row, in row order; `None` for rows whose truth is not known.
    Rows(Vec<Option<Truth>>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Truth {
    Number(f64),
    Bool(bool),
    Text(String),
}

impl Truth {
    pub fn as_cell(&self) -> Cell<'_> {
        match self {
            Self::Number(number) => Cell::Number(*number),
            Self::Bool(bool) => Cell::Bool(*bool),
            Self::Text(text) => Cell::Text(text),
        }
    }
}

/// A cell reduced to what comparing needs: 16 bytes, whatever the text.
///
/// `1`, `1.0`, `"1"` and `true` are the same value, and so are `0`, `"0"`, `-0.0`, `false` and `"False"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Number(f64),
    /// A hash of the text: two texts are taken for the same once in 2⁶⁴.
    Text {
        hash: u64,
    },
}

impl Value {
    /// `None` for nulls, and for numbers that are none.
    pub(super) fn of(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => None,
            Cell::Number(number) => number.is_finite().then_some(Self::Number(number)),
            Cell::Bool(bool) => Some(Self::of_bool(bool)),
            Cell::Text(text) => Some(Self::of_text(text.trim())),
        }
    }

    fn of_bool(bool: bool) -> Self {
        Self::Number(f64::from(u8::from(bool)))
    }

    fn of_text(text: &str) -> Self {
        match text {
            "true" | "True" | "TRUE" => return Self::of_bool(true),
            "false" | "False" | "FALSE" => return Self::of_bool(false),
            _ => {}
        }
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        let hash = || xxhash_rust::xxh3::xxh3_64(text.as_bytes());
        number.map_or_else(|| Self::Text { hash: hash() }, Self::Number)
    }

    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text { .. } => None,
        }
    }

    /// Whether it may be the number of a class: a whole number of at most three digits.
    pub(super) fn is_class_number(self) -> bool {
        self.number().is_some_and(|number| number.fract() == 0.0 && number.abs() < 1000.0)
    }

    /// The number of a class, as an index.
    pub(super) fn class_number(self) -> Option<usize> {
        let number = self.number().filter(|number| *number >= 0.0)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 999")]
        self.is_class_number().then_some(number as usize)
    }

    /// What identifies it among classes.
    fn key(self) -> (bool, u64) {
        match self {
            // Adding zero makes one zero of the two.
            Self::Number(number) => (true, (number + 0.0).to_bits()),
            Self::Text { hash } => (false, hash),
        }
    }
}

/// The classes seen so far, numbered and named, so that every window's counts can be small. Bounded:
/// over the bound, and for numbers that are no class, it is [`Classes::OTHER`].
#[derive(Debug, Default)]
pub(super) struct Classes {
    numbers: HashMap<(bool, u64), ClassId>,
    /// In the order of their numbers, from 1.
    values: Vec<Value>,
    /// Of values that are texts, by their hash.
    texts: HashMap<u64, Arc<str>>,
}

pub(super) type ClassId = u16;

impl Classes {
    pub(super) const OTHER: ClassId = 0;
    /// How many are told apart.
    const MAX: usize = 1000;
    /// Of a name that is kept.
    const MAX_NAME_CHARS: usize = 64;

    /// Remembers how a text is spelt, as its value does not tell.
    pub(super) fn learn(&mut self, cell: Cell<'_>) {
        if let Cell::Text(text) = cell
            && let Value::Text { hash } = Value::of_text(text.trim())
            && (self.texts.len() < Self::MAX || self.texts.contains_key(&hash))
        {
            let name = || text.trim().chars().take(Self::MAX_NAME_CHARS).collect::<String>().into();
            self.texts.entry(hash).or_insert_with(name);
        }
    }

    pub(super) fn number(&mut self, value: Value) -> ClassId {
        if value.number().is_some() && !value.is_class_number() {
            return Self::OTHER;
        }
        if let Some(id) = self.numbers.get(&value.key()) {
            return *id;
        }
        if self.numbers.len() == Self::MAX {
            return Self::OTHER;
        }
        let id = ClassId::try_from(self.numbers.len() + 1).unwrap_or(Self::OTHER);
        self.numbers.insert(value.key(), id);
        self.values.push(value);
        id
    }

    pub(super) fn name(&self, id: ClassId) -> Arc<str> {
        match usize::from(id).checked_sub(1).and_then(|index| self.values.get(index)) {
            Some(Value::Number(number)) => (number + 0.0).to_string().into(),
            Some(Value::Text { hash }) => match self.texts.get(hash) {
                Some(text) => Arc::clone(text),
                None => format!("{hash:016x}").into(),
            },
            None => "other".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_value_are_equal() {
        let one = Value::of(Cell::Number(1.0));
        for cell in [Cell::Text("1"), Cell::Text(" 1.0 "), Cell::Bool(true), Cell::Text("True")] {
            assert_eq!(Value::of(cell), one, "{cell:?}");
        }
        assert_eq!(Value::of(Cell::Number(-0.0)), Value::of(Cell::Bool(false)));
        assert_ne!(Value::of(Cell::Text("cat")), Value::of(Cell::Text("dog")));
        assert_eq!(Value::of(Cell::Null), None);
        assert_eq!(Value::of(Cell::Number(f64::NAN)), None);
    }

    #[test]
    fn classes_over_the_bound_share_one_number() {
        let mut classes = Classes::default();
        let number = |classes: &mut Classes, n: usize| {
            classes.number(Value::of(Cell::Text(&format!("c{n}"))).unwrap())
        };
        let first = number(&mut classes, 0);
        (0..Classes::MAX).for_each(|n| assert_ne!(number(&mut classes, n), Classes::OTHER));
        assert_eq!(number(&mut classes, Classes::MAX), Classes::OTHER);
        assert_eq!(number(&mut classes, 0), first);
    }
}
