//! One feature's detector: what a batch of rows counted in; whether, how and since when they have
//! changed, out.

use super::tilt::Tilt;
use super::{Change, WarningState};
use jiff::Timestamp;

/// Rows that are so much likelier without the change than with it end a warning.
const RECOVERY: f64 = 100.0;

/// For every tilt the statistic of Shiryaev and Roberts, which sums over all moments at which the change
/// may have begun, and that of Page (1954), which says at which it did. The first begins with a share of
/// time, so that its mean without a change is at most the time that has passed.
#[derive(Debug, Clone)]
pub(super) struct Detector {
    tilts: Vec<Tilt>,
    /// By tilt: logarithms.
    evidence: Vec<f64>,
    beginnings: Vec<Beginning>,
    warned: Option<Warned>,
}

#[derive(Debug, Clone, Copy)]
struct Beginning {
    sum: f64,
    since: Timestamp,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Warned {
    tilt: usize,
    /// Evidence that it is over: a logarithm.
    over: f64,
    pub(super) since: Timestamp,
    pub(super) at: Timestamp,
}

/// One look at the rows that came since the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a> {
    /// Rows in each cell.
    pub(super) cells: &'a [f64],
    /// Rows that count as one.
    pub(super) design_effect: f64,
    /// Time that passed: its unit is that of the average run length.
    pub(super) time: f64,
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
}

impl Detector {
    pub(super) fn new(tilts: Vec<Tilt>) -> Self {
        let beginning = Beginning { sum: 0.0, since: Timestamp::UNIX_EPOCH };
        let (evidence, beginnings) =
            (vec![f64::NEG_INFINITY; tilts.len()], vec![beginning; tilts.len()]);
        Self { tilts, evidence, beginnings, warned: None }
    }

    /// A threshold of run length warns of nothing that often, on average (Shin, Ramdas and Rinaldo,
    /// theorem 2.4: the statistic less the time that has passed is at most a martingale); `threshold`
    /// is its logarithm.
    pub(super) fn observe(&mut self, batch: &Batch<'_>, threshold: f64) {
        let begins = batch.time.ln();
        let states = self.evidence.iter_mut().zip(&mut self.beginnings);
        for (index, (tilt, (evidence, beginning))) in self.tilts.iter().zip(states).enumerate() {
            let ratio = batch.cells.iter().zip(&tilt.of_cell).map(|(rows, ratio)| rows * ratio);
            let ratio = ratio.sum::<f64>() / batch.design_effect;
            *evidence = log_sum(*evidence, begins) + ratio;
            beginning.observe(ratio, batch.begin);
            if let Some(warned) = self.warned.as_mut().filter(|warned| warned.tilt == index) {
                warned.over = (warned.over - ratio).max(0.0);
            }
        }
        self.decide(batch.end, threshold);
    }

    /// Evidence that was enough is spent: what comes after it must be had anew. Enough of it that a
    /// change is over ends a warning, unless there is as much of another.
    fn decide(&mut self, now: Timestamp, threshold: f64) {
        let is_over = self.warned.is_none_or(|warned| warned.over >= RECOVERY.ln());
        if self.statistic() >= threshold {
            if is_over {
                self.warned = self.likeliest().map(|tilt| {
                    let since = self.beginnings[tilt].since;
                    Warned { tilt, over: 0.0, since, at: now }
                });
            }
            self.evidence.fill(f64::NEG_INFINITY);
        } else if is_over {
            self.warned = None;
        }
    }

    /// The mean over all that is tested; a logarithm, minus infinity before the first row.
    pub(super) fn statistic(&self) -> f64 {
        let each = self.evidence.iter().zip(&self.tilts);
        each.fold(f64::NEG_INFINITY, |sum, (evidence, tilt)| log_sum(sum, evidence + tilt.prior))
    }

    fn likeliest(&self) -> Option<usize> {
        let of = |tilt: usize| self.evidence[tilt] + self.tilts[tilt].prior;
        (0..self.tilts.len()).max_by(|a, b| of(*a).total_cmp(&of(*b)))
    }

    pub(super) fn state(&self) -> WarningState {
        if self.warned.is_some() { WarningState::Warned } else { WarningState::Quiet }
    }

    pub(super) fn warned(&self) -> Option<(Warned, Change, Option<usize>)> {
        let warned = self.warned?;
        let tilt = self.tilts.get(warned.tilt)?;
        Some((warned, tilt.change, tilt.level))
    }
}

impl Beginning {
    fn observe(&mut self, ratio: f64, begin: Timestamp) {
        if self.sum <= 0.0 {
            *self = Self { sum: 0.0, since: begin };
        }
        self.sum += ratio;
    }
}

/// ln(exp(a) + exp(b)).
fn log_sum(a: f64, b: f64) -> f64 {
    let (less, more) = if a < b { (a, b) } else { (b, a) };
    if less == f64::NEG_INFINITY { more } else { more + (less - more).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_logarithms_hold_at_both_ends() {
        assert!((log_sum(2.0_f64.ln(), 3.0_f64.ln()) - 5.0_f64.ln()).abs() < 1e-12);
        assert!((log_sum(f64::NEG_INFINITY, 1.0) - 1.0).abs() < 1e-12);
        assert!((log_sum(5000.0, -5000.0) - 5000.0).abs() < 1e-12);
        assert!(log_sum(f64::NEG_INFINITY, f64::NEG_INFINITY) < f64::MIN);
    }
}
