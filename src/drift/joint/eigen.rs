//! Symmetric matrices in, what their first eigenvectors leave out.

/// Enough for any matrix of this size; each sweep squares what is left beside the diagonal.
const SWEEPS: usize = 30;
/// The share of the variance that the components that are kept explain, at least.
const EXPLAINED: f64 = 0.7;

/// A square matrix, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Square {
    size: usize,
    values: Vec<f64>,
}

impl Square {
    pub(super) fn identity(size: usize) -> Self {
        let mut square = Self { size, values: vec![0.0; size * size] };
        (0..size).for_each(|at| square.set(at, at, 1.0));
        square
    }

    /// With ones on its diagonal.
    pub(super) fn of_pairs(size: usize, pairs: &[f64]) -> Self {
        let mut square = Self::identity(size);
        for ((row, column), value) in super::pairs(size).zip(pairs) {
            square.set(row, column, *value);
            square.set(column, row, *value);
        }
        square
    }

    pub(super) fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.size + column]
    }

    fn set(&mut self, row: usize, column: usize, value: f64) {
        self.values[row * self.size + column] = value;
    }

    fn off_diagonal(&self) -> f64 {
        super::pairs(self.size).map(|(row, column)| self.at(row, column).powi(2)).sum()
    }

    /// Turns the plane of two axes by the angle that takes their mixed term to 0 (Jacobi 1846, in the
    /// form of Golub and Van Loan, "Matrix Computations", 8.5).
    fn rotate(&mut self, vectors: &mut Self, p: usize, q: usize) {
        let mixed = self.at(p, q);
        if mixed == 0.0 {
            return;
        }
        let tau = (self.at(q, q) - self.at(p, p)) / (2.0 * mixed);
        let tangent = tau.signum() / (tau.abs() + tau.hypot(1.0));
        let cosine = 1.0 / tangent.hypot(1.0);
        let sine = tangent * cosine;
        let turn = |of: &mut Self, a: (usize, usize), b: (usize, usize)| {
            let (x, y) = (of.at(a.0, a.1), of.at(b.0, b.1));
            of.set(a.0, a.1, cosine * x - sine * y);
            of.set(b.0, b.1, sine * x + cosine * y);
        };
        for at in 0..self.size {
            turn(self, (at, p), (at, q));
        }
        for at in 0..self.size {
            turn(self, (p, at), (q, at));
            turn(vectors, (at, p), (at, q));
        }
    }

    /// Eigenvalues, greatest first, each with its vector.
    fn eigen(mut self) -> Vec<(f64, Vec<f64>)> {
        let mut vectors = Self::identity(self.size);
        for _ in 0..SWEEPS {
            if self.off_diagonal() < 1e-22 {
                break;
            }
            for (q, p) in super::pairs(self.size) {
                self.rotate(&mut vectors, p, q);
            }
        }
        let vector = |at: usize| (0..self.size).map(|row| vectors.at(row, at)).collect();
        let mut found: Vec<_> = (0..self.size).map(|at| (self.at(at, at), vector(at))).collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found
    }

    /// How many first eigenvectors are components: those that explain enough of the trace, as far as their
    /// eigenvalues are above what independent features give over so many rows (Marchenko and Pastur 1967).
    pub(super) fn components(&self, rows: f64) -> usize {
        let size = self.size as f64;
        let edge = (1.0 + (size / rows.max(1.0)).sqrt()).powi(2);
        let mut explained = 0.0;
        let is_one = |value: &f64| {
            let wanted = explained < EXPLAINED * size;
            explained += value;
            wanted && *value > edge
        };
        self.clone().eigen().into_iter().map(|(value, _)| value).take_while(is_one).count()
    }

    /// The projection on what so many first eigenvectors leave.
    pub(super) fn left_over(&self, components: usize) -> Self {
        let mut left = Self::identity(self.size);
        for (_, vector) in self.clone().eigen().into_iter().take(components) {
            for row in 0..self.size {
                for column in 0..self.size {
                    let less = left.at(row, column) - vector[row] * vector[column];
                    left.set(row, column, less);
                }
            }
        }
        left
    }

    /// The share of the variance of standardised features with such correlations that is in this, a
    /// projection.
    pub(super) fn share_of(&self, pairs: impl Iterator<Item = ((usize, usize), f64)>) -> f64 {
        let own: f64 = (0..self.size).map(|at| self.at(at, at)).sum();
        let mixed: f64 =
            pairs.map(|((row, column), value)| 2.0 * self.at(row, column) * value).sum();
        (own + mixed) / self.size as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvalues_agree_with_numpy() {
        // numpy.linalg.eigvalsh([[1, .6, .2], [.6, 1, -.3], [.2, -.3, 1]])
        let square = Square::of_pairs(3, &[0.6, 0.2, -0.3]);
        let found = square.clone().eigen();
        for ((value, vector), expected) in found.iter().zip([1.609_871, 1.154_459, 0.235_670]) {
            assert!((value - expected).abs() < 1e-5, "{value}");
            for row in 0..3 {
                let product: f64 =
                    (0..3).map(|column| square.at(row, column) * vector[column]).sum();
                assert!((product - value * vector[row]).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn what_is_left_is_a_projection_across_the_components() {
        let square = Square::of_pairs(3, &[0.6, 0.2, -0.3]);
        // Two components explain 92 %, one 54 %: one is left, if there were rows enough to see them.
        assert_eq!((square.components(10_000.0), square.components(60.0)), (2, 1));
        let left = square.left_over(2);
        let trace: f64 = (0..3).map(|at| left.at(at, at)).sum();
        assert!((trace - 1.0).abs() < 1e-9);
        for row in 0..3 {
            for column in 0..3 {
                let squared: f64 = (0..3).map(|at| left.at(row, at) * left.at(at, column)).sum();
                assert!((squared - left.at(row, column)).abs() < 1e-9);
            }
        }
    }
}
