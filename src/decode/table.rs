//! Cells with their place in, columns out.
//!
//! A place is a path below a row: an index, a key, or several. Paths form a tree that outlives the
//! payload, so that traffic of one shape finds its columns and their names made already. What one
//! payload may take is bounded by [`Limits`].

use super::naming::Naming;
use super::problem::{Limits, Problem};
use super::rows::{Cell, Column, Rows};
use std::collections::HashMap;
use std::sync::Arc;

/// A column's place, or that of its parent.
pub(super) type NodeId = u32;

pub(super) const ROOT: NodeId = 0;

/// The payload cannot go on; [`Table::stopped`] says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// The row itself.
    Row,
    Index(usize),
    Name(Box<str>),
}

#[derive(Debug)]
struct Node {
    parent: NodeId,
    key: Key,
    /// The payload that last had a cell here.
    payload: u64,
    column: Column,
    items: Vec<NodeId>,
    fields: Vec<NodeId>,
    /// Finds a field once there are many; [`SEARCHED_FIELDS`] are compared one by one.
    by_name: HashMap<Box<str>, NodeId>,
}

const SEARCHED_FIELDS: usize = 16;

/// Memory kept for the next payload's columns.
const SPARE_BYTES: usize = 4 << 20;

/// Memory that a column of an abandoned payload may keep.
const ABANDONED_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Table {
    nodes: Vec<Node>,
    /// Nodes that have a column in this payload, as first met.
    order: Vec<NodeId>,
    payload: u64,
    row: usize,
    rows: usize,
    limits: Limits,
    stopped: Option<Problem>,
    spare: Vec<Column>,
    name: String,
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        let mut table = Self {
            nodes: Vec::new(),
            order: Vec::new(),
            payload: 0,
            row: 0,
            rows: 0,
            limits,
            stopped: None,
            spare: Vec::new(),
            name: String::new(),
        };
        table.begin();
        table
    }

    /// Starts a payload: no rows, no columns.
    pub(super) fn begin(&mut self) {
        self.payload += 1;
        for id in self.order.drain(..) {
            // Of a payload that was given up on; one that was finished has handed its cells over.
            let column = &mut self.nodes[id as usize].column;
            if column.capacity_bytes() > ABANDONED_BYTES {
                *column = Column::new(Arc::clone(column.name()));
            }
        }
        (self.row, self.rows, self.stopped) = (0, 0, None);
        if self.nodes.is_empty() || self.nodes.len() > self.limits.max_columns {
            self.nodes.clear();
            self.nodes.push(Node::new(ROOT, Key::Row));
        }
    }

    /// Takes back the memory of rows that were handed out.
    pub(super) fn recycle(&mut self, rows: &mut Rows) {
        let mut held: usize = self.spare.iter().map(Column::capacity_bytes).sum();
        for mut column in rows.drain() {
            held += column.capacity_bytes();
            if held <= SPARE_BYTES && self.spare.len() < self.limits.max_columns {
                column.clear();
                self.spare.push(column);
            }
        }
        // Taken from the end: so each column meets the memory of its predecessor.
        self.spare.reverse();
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Remembers why the payload cannot go on.
    pub(super) fn stop(&mut self, problem: Problem) -> Stopped {
        self.stopped.get_or_insert(problem);
        Stopped
    }

    pub(super) fn stopped(&self) -> Option<Problem> {
        self.stopped
    }

    pub(super) fn begin_row(&mut self, row: usize) -> Result<(), Stopped> {
        self.row = row;
        if row >= self.rows {
            self.rows = row + 1;
            self.check_size()?;
        }
        Ok(())
    }

    fn check_size(&mut self) -> Result<(), Stopped> {
        if self.rows > self.limits.max_rows {
            return Err(self.stop(Problem::TooManyRows));
        }
        if self.rows.saturating_mul(self.order.len()) > self.limits.max_cells {
            return Err(self.stop(Problem::TooManyCells));
        }
        Ok(())
    }

    /// Sees to it that the first `width` positions have columns, if there are rows at all.
    pub(super) fn widen(&mut self, width: usize) -> Result<(), Stopped> {
        if self.rows == 0 {
            return Ok(());
        }
        for index in 0..width {
            let id = self.item(ROOT, index)?;
            if !self.has_cells_below(id, index) {
                self.column(id)?;
            }
        }
        Ok(())
    }

    /// Whether a position's cells were lists or objects, and so stand in columns below it.
    fn has_cells_below(&self, id: NodeId, index: usize) -> bool {
        let node = &self.nodes[id as usize];
        let is_parent = !(node.items.is_empty() && node.fields.is_empty());
        is_parent && self.order.iter().any(|id| self.first_index(*id) == Some(index))
    }

    /// Puts a cell of the current row. Of several for one place, the first counts.
    pub(super) fn put(&mut self, id: NodeId, cell: Cell<'_>) -> Result<(), Stopped> {
        if let Some(column) = self.column_without_cell(id)? {
            column.push(cell);
        }
        Ok(())
    }

    /// As [`put`](Self::put) does, for the cells that most are.
    #[inline]
    pub(super) fn put_number(&mut self, id: NodeId, number: f64) -> Result<(), Stopped> {
        if let Some(column) = self.column_without_cell(id)? {
            column.push_number(number);
        }
        Ok(())
    }

    /// The column of a place, if the current row's cell is what comes next in it.
    #[inline]
    fn column_without_cell(&mut self, id: NodeId) -> Result<Option<&mut Column>, Stopped> {
        let row = self.row;
        let column = self.column(id)?;
        if column.len() < row {
            column.pad_to(row);
        }
        Ok((column.len() == row).then_some(column))
    }

    /// The column of a place, which so becomes one of this payload's.
    #[inline]
    pub(super) fn column(&mut self, id: NodeId) -> Result<&mut Column, Stopped> {
        if self.nodes[id as usize].payload != self.payload {
            self.open(id)?;
        }
        Ok(&mut self.nodes[id as usize].column)
    }

    #[cold]
    fn open(&mut self, id: NodeId) -> Result<(), Stopped> {
        if self.order.len() >= self.limits.max_columns {
            return Err(self.stop(Problem::TooManyColumns));
        }
        self.order.push(id);
        self.check_size()?;
        let spare = self.spare.pop();
        let node = &mut self.nodes[id as usize];
        node.payload = self.payload;
        node.column.clear();
        if let Some(mut spare) = spare {
            // The node's own column has the name that it had in the last payload, the spare its memory.
            spare.rename(node.column.name().clone());
            node.column = spare;
        }
        Ok(())
    }

    #[inline]
    pub(super) fn item(&mut self, parent: NodeId, index: usize) -> Result<NodeId, Stopped> {
        match self.nodes[parent as usize].items.get(index) {
            Some(id) => Ok(*id),
            None => self.add_items(parent, index),
        }
    }

    #[cold]
    fn add_items(&mut self, parent: NodeId, index: usize) -> Result<NodeId, Stopped> {
        let mut id = ROOT;
        for next in self.nodes[parent as usize].items.len()..=index {
            id = self.add(parent, Key::Index(next))?;
            self.nodes[parent as usize].items.push(id);
        }
        Ok(id)
    }

    /// The place below `parent` that `name` stands for; `expected` is where it stood in the last record.
    /// Returns it with its own position, one after which the next is expected.
    #[inline]
    pub(super) fn field(
        &mut self,
        parent: NodeId,
        name: &str,
        expected: usize,
    ) -> Result<(NodeId, usize), Stopped> {
        match self.nodes[parent as usize].fields.get(expected) {
            Some(id) if self.nodes[*id as usize].is_named(name) => Ok((*id, expected)),
            _ => self.find_field(parent, name),
        }
    }

    fn find_field(&mut self, parent: NodeId, name: &str) -> Result<(NodeId, usize), Stopped> {
        let node = &self.nodes[parent as usize];
        let known = if node.fields.len() <= SEARCHED_FIELDS {
            node.fields.iter().position(|id| self.nodes[*id as usize].is_named(name))
        } else {
            node.by_name.get(name).map(|position| *position as usize)
        };
        if let Some(position) = known {
            return Ok((node.fields[position], position));
        }
        let position = node.fields.len();
        let id = self.add(parent, Key::Name(name.into()))?;
        let node = &mut self.nodes[parent as usize];
        node.fields.push(id);
        node.by_name.insert(name.into(), NodeId::try_from(position).unwrap_or(NodeId::MAX));
        Ok((id, position))
    }

    fn add(&mut self, parent: NodeId, key: Key) -> Result<NodeId, Stopped> {
        // More than columns: the last payloads' places are still there, and inner places have no column.
        let room = self.nodes.len() <= self.limits.max_columns.saturating_mul(4);
        let Some(id) = NodeId::try_from(self.nodes.len()).ok().filter(|_| room) else {
            return Err(self.stop(Problem::TooManyColumns));
        };
        self.nodes.push(Node::new(parent, key));
        Ok(id)
    }

    /// Hands the columns over as rows, each named by its path.
    pub(super) fn finish(&mut self, naming: &Naming<'_>, rows: &mut Rows) {
        let width = self.width();
        for position in 0..self.order.len() {
            let id = self.order[position];
            self.name.clear();
            write_name(&self.nodes, id, width, naming, &mut self.name);
            let node = &mut self.nodes[id as usize];
            if **node.column.name() != *self.name {
                node.column.rename(self.name.as_str());
            }
            let kept = Column::new(Arc::clone(node.column.name()));
            let mut column = std::mem::replace(&mut node.column, kept);
            column.pad_to(self.rows);
            rows.push(column);
        }
        self.begin();
    }

    /// How many positions the widest row has.
    fn width(&self) -> usize {
        let index = |id: &NodeId| self.first_index(*id);
        self.order.iter().filter_map(index).max().map_or(0, |last| last + 1)
    }

    fn first_index(&self, mut id: NodeId) -> Option<usize> {
        loop {
            let node = &self.nodes[id as usize];
            match (&node.key, node.parent) {
                (Key::Index(index), ROOT) => return Some(*index),
                (Key::Row, _) | (Key::Name(_), ROOT) => return None,
                (_, parent) => id = parent,
            }
        }
    }
}

impl Node {
    fn new(parent: NodeId, key: Key) -> Self {
        Self {
            parent,
            key,
            payload: 0,
            column: Column::new(""),
            items: Vec::new(),
            fields: Vec::new(),
            by_name: HashMap::new(),
        }
    }

    #[inline]
    fn is_named(&self, name: &str) -> bool {
        matches!(&self.key, Key::Name(own) if **own == *name)
    }
}

/// `age`, `f3`, `prediction_1`, `scores_0`, `address.city`.
fn write_name(nodes: &[Node], id: NodeId, width: usize, naming: &Naming<'_>, name: &mut String) {
    let node = &nodes[id as usize];
    match (&node.key, node.parent) {
        (Key::Row, _) => naming.write_row(name),
        (Key::Index(index), ROOT) => naming.write_position(*index, width, name),
        (Key::Name(own), ROOT) => name.push_str(own),
        (Key::Index(index), parent) => {
            write_name(nodes, parent, width, naming, name);
            name.push('_');
            name.push_str(&index.to_string());
        }
        (Key::Name(own), parent) => {
            write_name(nodes, parent, width, naming, name);
            name.push('.');
            name.push_str(own);
        }
    }
}
