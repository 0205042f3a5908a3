//! What became of telemetry over all exporters that there were, one after the other.
//!
//! A reload replaces exporters while what the ones before hold is still being delivered. Each
//! generation counts for itself, so that its end settles its own queue and no other's; who collects
//! metrics sees the sum, in which nothing falls and nothing is twice.

use super::counters::{Counters, ExporterName};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Default)]
pub struct Generations(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    /// Of all that have ended.
    ended: Counters,
    at_work: Vec<Arc<Counters>>,
}

impl Generations {
    /// For exporters that begin to work now.
    pub fn begin(&self, counters: Arc<Counters>) {
        self.counted(|counted| counted.at_work.push(counters));
    }

    /// For exporters that will count no more.
    pub fn end(&self, counters: &Arc<Counters>) {
        self.counted(|counted| {
            counted.at_work.retain(|other| !Arc::ptr_eq(other, counters));
            counted.ended = sum([&counted.ended, &**counters]);
            // Whether they fared well is of no interest any more.
            counted.ended.forget_errors();
        });
    }

    pub fn total(&self) -> Counters {
        self.counted(|counted| {
            let at_work = counted.at_work.iter().map(|counters| &**counters);
            sum(std::iter::once(&counted.ended).chain(at_work))
        })
    }

    fn counted<T>(&self, with: impl FnOnce(&mut Counted) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Tells of every exporter that one of them tells of.
fn sum<'a>(all: impl IntoIterator<Item = &'a Counters> + Clone) -> Counters {
    let parts = all.clone();
    let is_listed =
        |name: &ExporterName| parts.clone().into_iter().any(|part| part.listed().contains(name));
    let sum = Counters::listing(ExporterName::ALL.into_iter().filter(is_listed));
    all.into_iter().for_each(|part| sum.add(part));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{Loss, Signal};
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn a_generation_that_ends_takes_nothing_from_the_sum_and_nothing_from_the_next() {
        let generations = Generations::default();
        let begun = |names: &[ExporterName]| {
            let counters = Arc::new(Counters::listing(names.iter().copied()));
            generations.begin(Arc::clone(&counters));
            counters
        };
        let first = begun(&[ExporterName::Otlp]);
        first.otlp(Signal::Traces).sent.fetch_add(5, Relaxed);
        first.otlp(Signal::Traces).lose(Loss::Refused, 2);
        let second = begun(&ExporterName::ALL);
        second.otlp(Signal::Traces).queued.fetch_add(3, Relaxed);
        generations.end(&first);
        second.otlp(Signal::Traces).sent.fetch_add(1, Relaxed);
        let total = generations.total();
        let traces = total.otlp(Signal::Traces);
        let counted = (traces.sent.load(Relaxed), traces.lost(Loss::Refused));
        assert_eq!((counted, traces.queued.load(Relaxed)), ((6, 2), 3));
        assert_eq!(total.iter().count(), 6);
    }
}
