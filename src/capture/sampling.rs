//! The share of exchanges that are kept: read by taps, set by configuration and the CPU budget.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The share of exchanges that are kept, in [0, 1]. Analysis lowers it when it falls behind; each
/// exchange carries the rate it was kept at, so that estimates can be weighted.
#[derive(Debug)]
pub struct SampleRate(AtomicU64);

impl SampleRate {
    /// A rate outside [0, 1] is taken as the nearer of the two; not a number is 0.
    pub fn new(rate: f64) -> Self {
        Self(AtomicU64::new(clamped(rate).to_bits()))
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    pub fn set(&self, rate: f64) {
        self.0.store(clamped(rate).to_bits(), Relaxed);
    }

    /// Draws: the rate if this exchange is to be kept.
    pub fn draw(&self) -> Option<f64> {
        let rate = self.get();
        (rate >= 1.0 || fastrand::f64() < rate).then_some(rate)
    }
}

fn clamped(rate: f64) -> f64 {
    if rate.is_nan() { 0.0 } else { rate.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_zero_keeps_nothing_and_of_one_everything() {
        assert!((0..1000).all(|_| SampleRate::new(0.0).draw().is_none()));
        assert!((0..1000).all(|_| SampleRate::new(7.0).draw() == Some(1.0)));
        assert_eq!(SampleRate::new(f64::NAN).draw(), None);
    }
}
