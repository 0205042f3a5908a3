//! Scores of rows in; their sums and sums of products out, which add up over windows.

use super::{pairs, pairs_of};
use crate::sketch::{FrameError, Packer, Unpacker};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moments {
    pub(super) rows: u64,
    sums: Vec<f64>,
    squares: Vec<f64>,
    /// In the order of [`pairs`].
    products: Vec<f64>,
}

impl Moments {
    pub(super) fn new(coordinates: usize) -> Self {
        let zeros = |count| vec![0.0; count];
        let products = zeros(pairs_of(coordinates));
        Self { rows: 0, sums: zeros(coordinates), squares: zeros(coordinates), products }
    }

    /// `scores` has so many rows of each coordinate, one after another.
    pub(super) fn add(&mut self, scores: &[f64], rows: usize) {
        if rows == 0 {
            return;
        }
        self.rows += rows as u64;
        let of = |coordinate: usize| &scores[coordinate * rows..][..rows];
        for coordinate in 0..self.sums.len() {
            self.sums[coordinate] += of(coordinate).iter().sum::<f64>();
            self.squares[coordinate] += dot(of(coordinate), of(coordinate));
        }
        for ((second, first), product) in pairs(self.sums.len()).zip(&mut self.products) {
            *product += dot(of(second), of(first));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        for (own, others) in [
            (&mut self.sums, &other.sums),
            (&mut self.squares, &other.squares),
            (&mut self.products, &other.products),
        ] {
            own.iter_mut().zip(others).for_each(|(own, other)| *own += other);
        }
    }

    pub(super) fn save(&self, packer: &mut Packer) {
        let Self { rows, sums, squares, products } = self;
        packer.word(*rows);
        for float in sums.iter().chain(squares).chain(products) {
            packer.float(*float);
        }
    }

    /// Of as many coordinates.
    pub(super) fn restore(&mut self, saved: &mut Unpacker<'_>) -> Result<(), FrameError> {
        let Self { rows, sums, squares, products } = self;
        *rows = saved.count()?;
        for float in sums.iter_mut().chain(squares).chain(products) {
            *float = saved.float()?;
            if !float.is_finite() {
                return Err(FrameError::Content);
            }
        }
        Ok(())
    }

    /// Pair by pair; 0 with a coordinate that does not vary.
    pub(super) fn correlations(&self) -> Vec<f64> {
        let rows = self.rows.max(1) as f64;
        let mean = |at: usize| self.sums[at] / rows;
        let sigma = |at: usize| (self.squares[at] / rows - mean(at).powi(2)).max(0.0).sqrt();
        let sigmas: Vec<f64> = (0..self.sums.len()).map(sigma).collect();
        let correlation = |((second, first), product): ((usize, usize), &f64)| {
            let scale = sigmas[second] * sigmas[first];
            let together = product / rows - mean(second) * mean(first);
            if scale > 1e-9 { (together / scale).clamp(-1.0, 1.0) } else { 0.0 }
        };
        pairs(self.sums.len()).zip(&self.products).map(correlation).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn windows_add_up_to_the_whole(
            rows in prop::collection::vec(prop::array::uniform3(-3.0..3.0_f64), 2..60), at in 0_usize..60,
        ) {
            let at = at.min(rows.len());
            let scores = |rows: &[[f64; 3]]| -> Vec<f64> {
                (0..3).flat_map(|c| rows.iter().map(move |row| row[c])).collect()
            };
            let mut whole = Moments::new(3);
            whole.add(&scores(&rows), rows.len());
            let (left, right) = rows.split_at(at);
            let mut merged = Moments::new(3);
            merged.add(&scores(left), left.len());
            let mut other = Moments::new(3);
            other.add(&scores(right), right.len());
            merged.merge(&other);
            prop_assert_eq!(merged.rows, whole.rows);
            for (a, b) in merged.correlations().iter().zip(whole.correlations()) {
                prop_assert!((a - b).abs() < 1e-9);
            }
        }
    }
}
