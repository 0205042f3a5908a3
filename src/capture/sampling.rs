//! The share of exchanges that are kept: read by taps, set by configuration and the CPU budget.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// In [0, 1]; one relaxed load an exchange.
#[derive(Debug)]
pub struct SampleRate(AtomicU64);

impl SampleRate {
    /// What lies outside [0, 1] is brought to its nearer end.
    pub fn new(rate: f64) -> Self {
        Self(AtomicU64::new(rate.clamp(0.0, 1.0).to_bits()))
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    pub fn set(&self, rate: f64) {
        self.0.store(rate.clamp(0.0, 1.0).to_bits(), Relaxed);
    }
}
