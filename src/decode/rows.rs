//! What every dialect decodes into: named columns of equal length.

use super::problem::{Limits, Problem};
use std::sync::Arc;

/// One cell of a column. Booleans stay booleans, so that a sketch can tell them from 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Null,
    Number(f64),
    Bool(bool),
    Text(&'a str),
}

/// Named columns of equal length: the rows of one payload.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    columns: Vec<Column>,
    len: usize,
}

impl Rows {
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| &*column.name == name)
    }

    /// Adds a column. A column shorter than the others is filled with nulls, as the others are.
    pub fn push(&mut self, column: Column) {
        self.len = self.len.max(column.len());
        self.columns.push(column);
        let len = self.len;
        self.columns.iter_mut().for_each(|column| column.pad_to(len));
    }

    /// Adds rows below, in the columns of their names; those that either lacks are filled with nulls.
    pub(super) fn append(&mut self, more: &Self, limits: &Limits) -> Result<(), Problem> {
        if more.columns.is_empty() {
            return Ok(());
        }
        let len = self.len + more.len;
        if len > limits.max_rows {
            return Err(Problem::TooManyRows);
        }
        let is_at =
            |(at, name): (usize, &str)| self.columns.get(at).is_some_and(|c| *c.name == *name);
        let named = more.columns.iter().map(|column| &*column.name).enumerate();
        let added = named.filter(|named| !is_at(*named) && self.column(named.1).is_none());
        let width = self.columns.len() + added.count();
        if width > limits.max_columns {
            return Err(Problem::TooManyColumns);
        }
        if width.saturating_mul(len) > limits.max_cells {
            return Err(Problem::TooManyCells);
        }
        for (position, column) in more.columns.iter().enumerate() {
            let at = self.position(&column.name, position);
            self.columns[at].pad_to(self.len);
            self.columns[at].extend(column);
        }
        self.columns.iter_mut().for_each(|column| column.pad_to(len));
        self.len = len;
        Ok(())
    }

    /// Where a column stands, which it likely does at `likely`; one that is new comes last.
    fn position(&mut self, name: &Arc<str>, likely: usize) -> usize {
        if self.columns.get(likely).is_some_and(|column| column.name == *name) {
            return likely;
        }
        let known = self.columns.iter().position(|column| column.name == *name);
        known.unwrap_or_else(|| {
            self.columns.push(Column::new(Arc::clone(name)));
            self.columns.len() - 1
        })
    }

    /// Copies row `i` to part `part_of[i]`, of `parts`.
    pub fn scatter(&self, part_of: &[usize], parts: usize) -> Vec<Self> {
        let mut scattered = vec![Self::new(); parts];
        for column in &self.columns {
            let mut pieces: Vec<_> =
                (0..parts).map(|_| Column::new(column.name().clone())).collect();
            for (cell, part) in column.cells().zip(part_of) {
                pieces[*part].push(cell);
            }
            for (piece, rows) in pieces.into_iter().zip(&mut scattered) {
                rows.push(piece);
            }
        }
        scattered
    }

    pub fn clear(&mut self) {
        self.columns.clear();
        self.len = 0;
    }

    /// Empties the rows, and hands out their columns so that the memory can serve again.
    pub fn drain(&mut self) -> impl Iterator<Item = Column> {
        self.len = 0;
        self.columns.drain(..)
    }
}

/// One feature's cells. Numbers and texts lie densely; a tag a cell says which comes next.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    name: Arc<str>,
    /// None at all while every cell is a number.
    tags: Vec<Tag>,
    numbers: Vec<f64>,
    text: String,
    /// Where each text ends in `text`.
    text_ends: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Null,
    Number,
    False,
    True,
    Text,
}

impl Column {
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            tags: Vec::new(),
            numbers: Vec::new(),
            text: String::new(),
            text_ends: Vec::new(),
        }
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn rename(&mut self, name: impl Into<Arc<str>>) {
        self.name = name.into();
    }

    pub fn len(&self) -> usize {
        if self.tags.is_empty() { self.numbers.len() } else { self.tags.len() }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn push(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Number(number) => self.push_number(number),
            Cell::Null => self.push_tag(Tag::Null),
            Cell::Bool(true) => self.push_tag(Tag::True),
            Cell::Bool(false) => self.push_tag(Tag::False),
            Cell::Text(text) => {
                self.push_tag(Tag::Text);
                self.text.push_str(text);
                self.text_ends.push(self.text.len());
            }
        }
    }

    #[inline]
    pub fn push_number(&mut self, number: f64) {
        if !self.tags.is_empty() {
            self.tags.push(Tag::Number);
        }
        self.numbers.push(number);
    }

    fn push_tag(&mut self, tag: Tag) {
        self.tagged().push(tag);
    }

    /// The tags, of which there is now one for each cell.
    fn tagged(&mut self) -> &mut Vec<Tag> {
        if self.tags.is_empty() {
            self.tags.resize(self.numbers.len(), Tag::Number);
        }
        &mut self.tags
    }

    /// All cells as numbers, if every cell is one: the shape tensors have.
    pub fn as_numbers(&self) -> Option<&[f64]> {
        self.tags.is_empty().then_some(&self.numbers)
    }

    pub fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        let mut numbers = self.numbers.iter().copied();
        let mut ends = self.text_ends.iter().copied();
        let mut text_start = 0;
        (0..self.len()).map(move |row| match self.tags.get(row).unwrap_or(&Tag::Number) {
            Tag::Null => Cell::Null,
            Tag::False => Cell::Bool(false),
            Tag::True => Cell::Bool(true),
            Tag::Number => numbers.next().map_or(Cell::Null, Cell::Number),
            Tag::Text => ends.next().map_or(Cell::Null, |end| {
                let text = &self.text[text_start..end];
                text_start = end;
                Cell::Text(text)
            }),
        })
    }

    pub(super) fn extend_numbers(&mut self, numbers: impl Iterator<Item = f64>) {
        let before = self.numbers.len();
        self.numbers.extend(numbers);
        let added = self.numbers.len() - before;
        if !self.tags.is_empty() {
            self.tags.resize(self.tags.len() + added, Tag::Number);
        }
    }

    /// Adds the cells of another.
    fn extend(&mut self, other: &Self) {
        match other.as_numbers() {
            Some(numbers) => self.extend_numbers(numbers.iter().copied()),
            None => other.cells().for_each(|cell| self.push(cell)),
        }
    }

    /// Exchanges the cells of two columns; each keeps its name.
    pub(super) fn swap_cells(&mut self, other: &mut Self) {
        std::mem::swap(self, other);
        std::mem::swap(&mut self.name, &mut other.name);
    }

    /// Makes booleans of numbers: 0 is false.
    pub(super) fn numbers_to_booleans(&mut self) {
        self.tagged();
        let mut numbers = self.numbers.drain(..);
        for tag in self.tags.iter_mut().filter(|tag| **tag == Tag::Number) {
            let truth = numbers.next().is_some_and(|number| number != 0.0);
            *tag = if truth { Tag::True } else { Tag::False };
        }
    }

    /// Replaces texts; those for which there is nothing to replace them with stay.
    pub(super) fn map_texts<'c>(&mut self, to: impl Fn(&str) -> Option<Cell<'c>>) {
        let mut mapped = Self::new(Arc::clone(&self.name));
        for cell in self.cells() {
            let replaced = if let Cell::Text(text) = cell { to(text) } else { None };
            mapped.push(replaced.unwrap_or(cell));
        }
        *self = mapped;
    }

    /// Fills up with nulls; a column that is longer stays as it is.
    pub(super) fn pad_to(&mut self, len: usize) {
        if len > self.len() {
            self.tagged().resize(len, Tag::Null);
        }
    }

    /// Removes every cell, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.tags.clear();
        self.numbers.clear();
        self.text.clear();
        self.text_ends.clear();
    }

    /// Bytes of memory held, filled or not.
    pub(super) fn capacity_bytes(&self) -> usize {
        self.tags.capacity()
            + self.text.capacity()
            + (self.numbers.capacity() + self.text_ends.capacity()) * size_of::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_in_order() {
        let cells =
            [Cell::Number(1.5), Cell::Text("a"), Cell::Null, Cell::Bool(true), Cell::Text("")];
        let mut column = Column::new("x");
        for cell in cells {
            column.push(cell);
        }
        assert_eq!(column.cells().collect::<Vec<_>>(), cells);
        assert_eq!(column.as_numbers(), None);
    }

    #[test]
    fn scattered_rows_keep_their_order_and_their_cells() {
        let mut column = Column::new("x");
        for cell in [Cell::Number(1.0), Cell::Text("a"), Cell::Null, Cell::Number(2.0)] {
            column.push(cell);
        }
        let mut rows = Rows::new();
        rows.push(column);
        let parts = rows.scatter(&[1, 0, 1, 1], 2);
        let cells = |part: usize| parts[part].columns()[0].cells().collect::<Vec<_>>();
        assert_eq!(cells(0), [Cell::Text("a")]);
        assert_eq!(cells(1), [Cell::Number(1.0), Cell::Null, Cell::Number(2.0)]);
    }

    #[test]
    fn appended_rows_find_their_columns_by_name() {
        let rows = |columns: &[(&str, &[f64])]| {
            let mut rows = Rows::new();
            for (name, numbers) in columns {
                let mut column = Column::new(*name);
                column.extend_numbers(numbers.iter().copied());
                rows.push(column);
            }
            rows
        };
        let mut all = rows(&[("a", &[1.0]), ("b", &[2.0])]);
        let more = rows(&[("b", &[3.0, 4.0]), ("c", &[5.0, 6.0])]);
        let limits = Limits { max_rows: 3, max_columns: 3, max_cells: 9, ..Limits::default() };
        for (tight, problem) in [
            (Limits { max_rows: 2, ..limits }, Problem::TooManyRows),
            (Limits { max_columns: 2, ..limits }, Problem::TooManyColumns),
            (Limits { max_cells: 8, ..limits }, Problem::TooManyCells),
        ] {
            assert_eq!(all.append(&more, &tight), Err(problem));
            assert_eq!(all, rows(&[("a", &[1.0]), ("b", &[2.0])]));
        }
        all.append(&more, &limits).unwrap();
        let (one, null) = (Cell::Number(1.0), Cell::Null);
        let expected = [
            ("a", [one, null, null]),
            ("b", [Cell::Number(2.0), Cell::Number(3.0), Cell::Number(4.0)]),
            ("c", [null, Cell::Number(5.0), Cell::Number(6.0)]),
        ];
        assert_eq!((all.len(), all.columns().len()), (3, 3));
        for (name, cells) in expected {
            assert_eq!(all.column(name).unwrap().cells().collect::<Vec<_>>(), cells, "{name}");
        }
    }

    #[test]
    fn a_short_column_is_filled_with_nulls() {
        let mut long = Column::new("long");
        long.extend_numbers([0.0, 1.0, 2.0].into_iter());
        let mut rows = Rows::new();
        rows.push(Column::new("short"));
        rows.push(long);
        assert_eq!(rows.len(), 3);
        let short = rows.column("short").unwrap();
        assert_eq!(short.cells().collect::<Vec<_>>(), [Cell::Null; 3]);
    }
}
