//! Keeps an analysis thread within its share of a core, by keeping fewer exchanges.

use crate::capture::SampleRate;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Lower bound of the shed rate: verdicts go on, on one exchange in a thousand.
const LEAST: f64 = 0.001;
/// Sampling rises again only well below the budget, or it would swing.
const CALM: f64 = 0.8;
const RISE: f64 = 1.25;

pub struct CpuBudget {
    rate: Arc<SampleRate>,
    measured_at: Instant,
    used: Duration,
}

impl CpuBudget {
    pub fn new(rate: Arc<SampleRate>) -> Self {
        Self { rate, measured_at: Instant::now(), used: Duration::ZERO }
    }

    /// To be called from the thread that is measured. `configured` is the highest rate there may be,
    /// in [0, 1]; `budget` is in cores.
    pub fn adjust(&mut self, configured: f64, budget: f64) {
        let now = Instant::now();
        let used = thread_cpu_time();
        let elapsed = now.duration_since(self.measured_at).as_secs_f64();
        let cores = used.saturating_sub(self.used).as_secs_f64() / elapsed.max(1e-3);
        (self.measured_at, self.used) = (now, used);
        self.rate.set(next_rate(self.rate.get(), configured, cores, budget));
    }
}

fn next_rate(rate: f64, configured: f64, cores: f64, budget: f64) -> f64 {
    if cores > budget {
        return (rate * budget / cores).max(LEAST).min(configured);
    }
    // From 0 it has to rise too, where the configuration has just been changed from that.
    let rate = if cores < CALM * budget { (rate * RISE).max(LEAST) } else { rate };
    rate.min(configured)
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_beyond_the_budget_lowers_the_rate_in_proportion() {
        assert!((next_rate(1.0, 1.0, 0.4, 0.2) - 0.5).abs() < 1e-12);
        assert!((next_rate(0.0011, 1.0, 2.0, 0.2) - LEAST).abs() < 1e-12);
    }

    #[test]
    fn a_calm_thread_returns_to_the_configured_rate_and_no_further() {
        let mut rate = 0.01;
        for _ in 0..40 {
            rate = next_rate(rate, 0.5, 0.01, 0.2);
        }
        assert!((rate - 0.5).abs() < 1e-12);
    }

    #[test]
    fn near_the_budget_the_rate_stays() {
        assert!((next_rate(0.3, 1.0, 0.19, 0.2) - 0.3).abs() < 1e-12);
    }

    #[test]
    fn a_rate_over_a_new_configuration_falls_to_it_and_from_zero_it_rises() {
        assert!((next_rate(1.0, 0.25, 0.19, 0.2) - 0.25).abs() < 1e-12);
        assert!((next_rate(0.0, 1.0, 0.01, 0.2) - LEAST).abs() < 1e-12);
    }

    #[test]
    fn a_rate_configured_as_zero_stays_zero() {
        assert!(next_rate(0.0, 0.0, 0.5, 0.2).abs() < 1e-12);
    }
}
