//! What the container allows against what would be used, and the clock against those of peers.

use super::Finding;
use crate::config::Config;
use crate::limits::Limits;
use jiff::{SignedDuration, Timestamp};

const MIB: u64 = 1 << 20;
/// Listeners, archive, telemetry, the admin address.
const OWN_FILES: u64 = 64;

pub(super) fn check_limits(config: &Config, findings: &mut Vec<Finding>) {
    let limits = Limits::of_this_process();
    findings.push(processors(&limits, config.threads.get(), config.capture.cpu_budget));
    findings.push(memory(config));
    let connections = config.client.max_connections.get() as u64;
    findings.push(open_files(limits.open_files, connections));
}

fn processors(limits: &Limits, threads: usize, cpu_budget: f64) -> Finding {
    const CHECK: &str = "cpu";
    let limit = match limits.cpus {
        Some(cpus) => format!("the limit is {cpus:.2} cores"),
        None => format!("no limit; {} cores", limits.cores()),
    };
    let seen = format!("{limit}: {threads} serving threads, {cpu_budget} cores for analysis");
    if threads > limits.threads().get() {
        let advice = "more threads than cores wait for one another: leave threads at auto";
        return Finding::warn(CHECK, seen, advice);
    }
    Finding::ok(CHECK, seen)
}

fn memory(config: &Config) -> Finding {
    const CHECK: &str = "memory";
    let plan = &config.memory;
    let planned = plan.planned_bytes.div_ceil(MIB);
    let Some(limit) = plan.limit_bytes else {
        let seen = format!("no limit; up to {planned} MiB would be used");
        return Finding::ok(CHECK, seen);
    };
    let mut largest: Vec<_> = plan.parts.iter().collect();
    largest.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    let named: Vec<_> = largest
        .iter()
        .take(3)
        .map(|part| format!("{} {} MiB", part.name, part.bytes.div_ceil(MIB)))
        .collect();
    let seen = format!(
        "the limit is {} MiB, up to {planned} MiB are planned ({}, …)",
        limit / MIB,
        named.join(", ")
    );
    if plan.planned_bytes > limit {
        let advice = "the container may be killed under load: raise its memory limit, or lower what \
                      is named in the warnings of config";
        return Finding::warn(CHECK, seen, advice);
    }
    Finding::ok(CHECK, seen)
}

/// An exchange under way has a connection on either side.
fn open_files(limit: Option<u64>, connections: u64) -> Finding {
    const CHECK: &str = "open files";
    let needed = 2 * connections + OWN_FILES;
    let Some(limit) = limit else { return Finding::ok(CHECK, "no limit") };
    let seen = format!("the limit is {limit}; {connections} clients at a time may need {needed}");
    if limit < needed {
        let advice = "raise it (ulimit -n, LimitNOFILE), or lower client.max_connections; beyond it \
                      connections are not accepted";
        return Finding::warn(CHECK, seen, advice);
    }
    Finding::ok(CHECK, seen)
}

/// How far the clocks of peers are from this one. HTTP tells whole seconds.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Who, and how much later it is there.
    heard: Vec<(&'static str, SignedDuration)>,
}

impl Clock {
    const MOST_SECONDS: i64 = 5;

    pub(super) fn heard(&mut self, peer: &'static str, date: Option<Timestamp>) {
        if let Some(date) = date
            && !self.heard.iter().any(|(known, _)| *known == peer)
        {
            self.heard.push((peer, date.duration_since(Timestamp::now())));
        }
    }

    pub(super) fn finding(&self, now: Timestamp) -> Finding {
        const CHECK: &str = "clock";
        const ADVICE: &str = "set the clocks by NTP: windows, spans and certificates go by them";
        let shown = now.strftime("%Y-%m-%d %H:%M:%S UTC");
        if now < BUILT {
            return Finding::fail(
                CHECK,
                format!("it is {shown} here, before this was written"),
                ADVICE,
            );
        }
        let apart = |offset: &SignedDuration| offset.as_secs().abs();
        let farthest = self.heard.iter().max_by_key(|(_, offset)| apart(offset));
        match farthest {
            None => Finding::ok(CHECK, format!("{shown}; no peer told its time")),
            Some((peer, offset)) if apart(offset) > Self::MOST_SECONDS => {
                let direction = if offset.is_negative() { "behind" } else { "ahead" };
                let seen = format!("{shown}; that of {peer} is {} s {direction}", apart(offset));
                Finding::warn(CHECK, seen, ADVICE)
            }
            Some((peer, _)) => Finding::ok(CHECK, format!("{shown}; that of {peer} agrees")),
        }
    }
}

/// 2026-11-01: no clock that is right shows less.
const BUILT: Timestamp = Timestamp::constant(1_793_491_200, 0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State;

    #[test]
    fn limits_are_weighed_against_what_is_set() {
        let of = |cpus| Limits { cpus: Some(cpus), ..Limits::default() };
        assert_eq!(processors(&of(0.5), 1, 0.1).state, State::Ok);
        assert_eq!(processors(&of(0.5), 2, 0.1).state, State::Warn);
        assert_eq!(open_files(Some(1024), 10_000).state, State::Warn);
        assert_eq!(open_files(Some(1_048_576), 10_000).state, State::Ok);
        assert_eq!(open_files(None, 10_000).state, State::Ok);
    }

    #[test]
    fn a_peer_whose_clock_is_far_off_is_named() {
        let now = Timestamp::now();
        let mut clock = Clock::default();
        assert_eq!(clock.finding(now).state, State::Ok);
        clock.heard("the collector", Some(now));
        assert_eq!(clock.finding(now).state, State::Ok);
        clock.heard("the model", Some(now - SignedDuration::from_secs(90)));
        let finding = clock.finding(now);
        assert_eq!(finding.state, State::Warn);
        assert!(finding.seen.contains("the model is 90 s behind"), "{finding:?}");
        assert_eq!(clock.finding(Timestamp::UNIX_EPOCH).state, State::Fail);
    }
}
