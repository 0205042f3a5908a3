//! May traffic be sent here? Yes while the upstream accepts connections and nobody asked us to stop.

use crate::admin;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Readiness {
    draining: AtomicBool,
    upstream: ArcSwap<Upstream>,
}

enum Upstream {
    Reachable,
    Unreachable { since: Timestamp, reason: String },
}

impl Readiness {
    /// Not ready before the first probe has said so.
    pub(super) fn new(now: Timestamp) -> Self {
        let reason = "the upstream was not tried yet".to_owned();
        let upstream = ArcSwap::from_pointee(Upstream::Unreachable { since: now, reason });
        Self { draining: AtomicBool::new(false), upstream }
    }

    pub(super) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Takes the outcome of a probe; an outage keeps the moment it began.
    pub(super) fn probed(&self, outcome: Result<(), String>, now: Timestamp) {
        let next = match (outcome, &**self.upstream.load()) {
            (Ok(()), _) => Upstream::Reachable,
            (Err(reason), Upstream::Unreachable { since, .. }) => {
                Upstream::Unreachable { since: *since, reason }
            }
            (Err(reason), Upstream::Reachable) => Upstream::Unreachable { since: now, reason },
        };
        self.upstream.store(Arc::new(next));
    }

    pub(super) fn get(&self) -> admin::Readiness {
        if self.draining.load(Ordering::Acquire) {
            return admin::Readiness::Draining;
        }
        match &**self.upstream.load() {
            Upstream::Reachable => admin::Readiness::Ready,
            Upstream::Unreachable { since, reason } => {
                admin::Readiness::UpstreamUnreachable { since: *since, reason: reason.clone() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_keeps_its_beginning_and_ends_with_a_good_probe() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let readiness = Readiness::new(at(0));
        readiness.probed(Ok(()), at(1));
        assert_eq!(readiness.get(), admin::Readiness::Ready);
        readiness.probed(Err("refused".into()), at(2));
        readiness.probed(Err("timed out".into()), at(3));
        let expected =
            admin::Readiness::UpstreamUnreachable { since: at(2), reason: "timed out".into() };
        assert_eq!(readiness.get(), expected);
    }

    #[test]
    fn draining_wins_over_a_reachable_upstream() {
        let readiness = Readiness::new(Timestamp::UNIX_EPOCH);
        readiness.probed(Ok(()), Timestamp::UNIX_EPOCH);
        readiness.start_draining();
        assert_eq!(readiness.get(), admin::Readiness::Draining);
    }
}
