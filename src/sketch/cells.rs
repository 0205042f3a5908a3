//! Values in any order, in; their distribution in a bounded number of cells with exact counts, out.
//!
//! Used before edges exist. While there are few distinct values each has a cell of its own; beyond
//! that, neighbours join where together they hold under 0.2 % of the values, so frequent values keep
//! their cell. A value never leaves its cell: counts and sums between cells stay exact.

/// Values from `low` to `high`, both included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    pub low: f64,
    pub high: f64,
    pub rows: u64,
    pub sum: f64,
}

impl Cell {
    fn point(value: f64) -> Self {
        Self { low: value, high: value, rows: 1, sum: value }
    }

    pub fn is_point(&self) -> bool {
        self.low.to_bits() == self.high.to_bits()
    }

    fn join(&mut self, other: &Self) {
        self.high = self.high.max(other.high);
        self.rows += other.rows;
        self.sum += other.sum;
    }
}

#[derive(Debug, Clone, Default)]
pub struct Cells {
    /// Disjoint.
    ascending: Vec<Cell>,
    pending: Vec<f64>,
    rows: u64,
}

impl Cells {
    const MAX_CELLS: usize = 2048;
    const MAX_PENDING: usize = 1024;

    /// `value` is finite.
    pub fn observe(&mut self, value: f64) {
        // -0.0 is 0.0: sorting would tell them apart.
        self.pending.push(value + 0.0);
        if self.pending.len() >= Self::MAX_PENDING {
            self.settle();
        }
    }

    /// Every cell, ascending.
    pub fn finish(mut self) -> Vec<Cell> {
        self.settle();
        self.ascending
    }

    fn settle(&mut self) {
        self.pending.sort_unstable_by(f64::total_cmp);
        self.rows += self.pending.len() as u64;
        let old = std::mem::take(&mut self.ascending);
        let mut merged: Vec<Cell> = Vec::with_capacity(old.len() + self.pending.len());
        let mut old = old.into_iter().peekable();
        for value in self.pending.drain(..) {
            while let Some(cell) = old.next_if(|cell| cell.low <= value) {
                merged.push(cell);
            }
            match merged.last_mut() {
                Some(cell) if value <= cell.high => {
                    cell.rows += 1;
                    cell.sum += value;
                }
                _ => merged.push(Cell::point(value)),
            }
        }
        merged.extend(old);
        self.ascending = merged;
        if self.ascending.len() > Self::MAX_CELLS {
            self.compress();
        }
    }

    /// Leaves at most half of the cells allowed: two neighbours together always exceed the cap.
    fn compress(&mut self) {
        let cap = 4 * self.rows / Self::MAX_CELLS as u64;
        let mut kept: Vec<Cell> = Vec::with_capacity(Self::MAX_CELLS);
        for cell in &self.ascending {
            match kept.last_mut() {
                Some(last) if last.rows + cell.rows <= cap => last.join(cell),
                _ => kept.push(*cell),
            }
        }
        self.ascending = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(values: impl IntoIterator<Item = f64>) -> Vec<Cell> {
        let mut cells = Cells::default();
        values.into_iter().for_each(|value| cells.observe(value));
        cells.finish()
    }

    #[test]
    fn few_distinct_values_are_kept_exactly() {
        let cells = cells((0..10_000).map(|n| f64::from(n % 7)));
        assert_eq!(cells.len(), 7);
        assert!(cells.iter().all(|cell| cell.is_point() && cell.rows >= 1428));
    }

    #[test]
    fn sorted_input_stays_bounded_and_evenly_resolved() {
        let cells = cells((0..200_000).map(f64::from));
        assert!(cells.len() <= Cells::MAX_CELLS + Cells::MAX_PENDING);
        assert_eq!(cells.iter().map(|cell| cell.rows).sum::<u64>(), 200_000);
        assert!(cells.iter().all(|cell| cell.rows <= 400), "0.2 % of the values at most");
    }

    #[test]
    fn counts_between_cells_are_exact() {
        let mut random = fastrand::Rng::with_seed(7);
        let values: Vec<f64> = (0..50_000).map(|_| random.f64() * random.f64()).collect();
        for cell in cells(values.iter().copied()) {
            let within = values.iter().filter(|v| (cell.low..=cell.high).contains(*v)).count();
            assert_eq!(cell.rows, within as u64);
        }
    }
}
