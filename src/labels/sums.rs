//! Sums that rows can be taken out of again.

/// A sum that keeps what rounding would lose (Neumaier 1974), so that the order of additions does not
/// show and a value that is taken out again leaves nothing behind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    total: f64,
    lost: f64,
}

impl Sum {
    pub(super) fn add(&mut self, value: f64) {
        let total = self.total + value;
        self.lost += if self.total.abs() >= value.abs() {
            (self.total - total) + value
        } else {
            (value - total) + self.total
        };
        self.total = total;
    }

    pub(super) fn value(self) -> f64 {
        self.total + self.lost
    }
}

/// What the mean of a quantity and its standard error are made of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mean {
    rows: f64,
    sum: Sum,
    squares: Sum,
}

impl Mean {
    /// `sign` is 1 for a row that comes, −1 for one that is taken out.
    pub(super) fn add(&mut self, value: f64, sign: f64) {
        self.rows += sign;
        self.sum.add(sign * value);
        self.squares.add(sign * value * value);
    }

    pub(super) fn rows(self) -> f64 {
        self.rows
    }

    /// NaN without rows.
    pub(super) fn value(self) -> f64 {
        self.sum.value() / self.rows
    }

    /// Of one row, unbiased; 0 for fewer than two, and NaN where squares are more than a float can hold.
    pub(super) fn variance(self) -> f64 {
        if self.rows < 2.0 {
            return 0.0;
        }
        let about_mean = self.squares.value() - self.sum.value().powi(2) / self.rows;
        let about_mean = if about_mean < 0.0 { 0.0 } else { about_mean };
        about_mean / (self.rows - 1.0)
    }
}

/// A count as what it is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count that was kept as a float"
)]
pub(super) fn whole(count: f64) -> u64 {
    count.max(0.0) as u64
}
