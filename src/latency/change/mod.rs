//! Has the share of errors, or the latency, changed? For the service what drift is for the model.
//!
//! In: the totals of a moment, about once a second. Out: for each of three signals whether it is as
//! usual, since when not, and from what to what. The usual is the last hour of traffic, learnt from it;
//! the first five minutes say nothing. A signal that is away from it for an hour makes the new usual.
//! The promise: with independent noise, one false alarm in thirty days of traffic, of all together.

mod page_hinkley;

use super::{Phase, Snapshot};
use crate::distribution::Distribution;
use jiff::{SignedDuration, Timestamp};
use page_hinkley::{Direction, Found, PageHinkley, Sum, median};
use schemars::JsonSchema;
use serde::Serialize;

/// What is taken as one number: so long, and so many requests, at least.
const INTERVAL: SignedDuration = SignedDuration::from_secs(10);
const MIN_REQUESTS: u64 = 20;
/// Thirty days, of three signals in two directions.
const RUN_LENGTH: f64 = 30.0 * 86_400.0 / 10.0 * 6.0;
/// An hour of traffic that is away from the usual is the new usual.
const NEW_USUAL: usize = 360;
/// Changes that are smaller are no news: of the share of errors, and of latency as a ratio.
const MIN_SHARE: f64 = 0.005;
const MIN_RATIO: f64 = 1.2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Of faults and of answers with 5xx, among all requests.
    ErrorRatio,
    /// Seconds, of whole exchanges.
    LatencyP50,
    LatencyP95,
}

impl Signal {
    pub const ALL: [Self; 3] = [Self::ErrorRatio, Self::LatencyP50, Self::LatencyP95];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ErrorRatio => "error_ratio",
            Self::LatencyP50 => "latency_p50",
            Self::LatencyP95 => "latency_p95",
        }
    }

    fn is_news(self, before: f64, now: f64) -> bool {
        match self {
            Self::ErrorRatio => (now - before).abs() >= MIN_SHARE,
            Self::LatencyP50 | Self::LatencyP95 => {
                now >= before * MIN_RATIO || now * MIN_RATIO <= before
            }
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// Too little traffic yet to know what is usual.
    #[default]
    Learning,
    Usual,
    Risen,
    Fallen,
}

impl Course {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Usual => "usual",
            Self::Risen => "risen",
            Self::Fallen => "fallen",
        }
    }

    pub const fn has_changed(self) -> bool {
        matches!(self, Self::Risen | Self::Fallen)
    }
}

/// How one signal fares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Operation {
    pub signal: Signal,
    pub course: Course,
    /// When the change most likely began; null without one.
    pub since: Option<Timestamp>,
    /// The median of the usual; null before the first number.
    pub usual: Option<f64>,
    /// The median since the change; null without one.
    pub now: Option<f64>,
}

/// A signal that has changed, is as usual again, or makes the new usual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperationChange {
    pub before: Course,
    pub operation: Operation,
}

/// Looks at the totals of a process for changes.
#[derive(Debug)]
pub struct Changes {
    watched: [Watched; 3],
    opened: Option<Opened>,
}

/// The totals with which an interval began.
#[derive(Debug)]
struct Opened {
    at: Timestamp,
    requests: u64,
    errors: u64,
    times: Distribution,
}

#[derive(Debug)]
struct Watched {
    signal: Signal,
    test: PageHinkley,
    away: Option<Away>,
    /// When each of the newest intervals began, oldest first.
    began: Vec<Timestamp>,
}

/// Since a change: what is seen is no part of the usual.
#[derive(Debug)]
struct Away {
    direction: Direction,
    since: Timestamp,
    numbers: Vec<f64>,
    back: Sum,
}

impl Default for Changes {
    fn default() -> Self {
        Self { watched: Signal::ALL.map(Watched::new), opened: None }
    }
}

impl Changes {
    /// Says what has changed; numbers are made of whole intervals, so most calls say nothing.
    pub fn observe(&mut self, now: Timestamp, totals: &Snapshot) -> Vec<OperationChange> {
        let Some(opened) = &self.opened else {
            self.opened = Some(Opened::of(now, totals));
            return Vec::new();
        };
        let length = now.duration_since(opened.at);
        if length < SignedDuration::ZERO {
            // The clock was set back.
            self.opened = Some(Opened::of(now, totals));
            return Vec::new();
        }
        let requests = requests(totals, false).saturating_sub(opened.requests);
        if length < INTERVAL || requests < MIN_REQUESTS {
            return Vec::new();
        }
        let next = Opened::of(now, totals);
        let errors = next.errors.saturating_sub(opened.errors);
        let times = next.times.since(&opened.times);
        let numbers =
            [Some(errors as f64 / requests as f64), times.quantile(0.5), times.quantile(0.95)];
        let began = opened.at;
        self.opened = Some(next);
        let watched = self.watched.iter_mut().zip(numbers);
        watched.filter_map(|(watched, number)| watched.observe(number?, began)).collect()
    }

    pub fn operations(&self) -> Vec<Operation> {
        self.watched.iter().map(Watched::operation).collect()
    }
}

fn requests(totals: &Snapshot, errors_only: bool) -> u64 {
    let series = totals.requests.iter();
    let series = series.filter(|series| !errors_only || series.outcome.is_error());
    series.map(|series| series.duration.count()).sum()
}

impl Opened {
    fn of(at: Timestamp, totals: &Snapshot) -> Self {
        let mut times = Distribution::of_seconds();
        let phases = totals.phases.iter().filter(|times| times.phase == Phase::Total);
        phases.for_each(|phase| times.merge(&phase.all));
        Self { at, requests: requests(totals, false), errors: requests(totals, true), times }
    }
}

impl Watched {
    fn new(signal: Signal) -> Self {
        Self { signal, test: PageHinkley::new(RUN_LENGTH), away: None, began: Vec::new() }
    }

    fn observe(&mut self, number: f64, began: Timestamp) -> Option<OperationChange> {
        let before = self.course();
        if self.away.is_some() {
            self.observe_away(number);
        } else {
            self.observe_usual(number, began);
        }
        let operation = self.operation();
        let is_news = before != operation.course && before != Course::Learning;
        is_news.then_some(OperationChange { before, operation })
    }

    fn observe_usual(&mut self, number: f64, began: Timestamp) {
        self.began.push(began);
        let Found::Change { direction, numbers } = self.test.observe(number) else {
            let spare = self.began.len().saturating_sub(NEW_USUAL);
            self.began.drain(..spare);
            return;
        };
        let since = self.began[self.began.len().saturating_sub(numbers).min(self.began.len() - 1)];
        let changed = self.test.withdraw(numbers);
        let now = median(changed.iter().copied()).unwrap_or(number);
        if self.test.median().is_some_and(|usual| self.signal.is_news(usual, now)) {
            self.away = Some(Away { direction, since, numbers: changed, back: Sum::default() });
        } else {
            for number in changed {
                self.test.recall(number);
            }
        }
    }

    fn observe_away(&mut self, number: f64) {
        let Some(away) = &mut self.away else { return };
        let score = self.test.score(number);
        away.back.add_usual(if away.direction == Direction::Up { score } else { -score });
        away.numbers.push(number);
        if self.test.is_over(&away.back) {
            self.away = None;
        } else if away.numbers.len() >= NEW_USUAL {
            self.test.replace(&away.numbers);
            self.away = None;
        }
    }

    fn course(&self) -> Course {
        match &self.away {
            Some(Away { direction: Direction::Up, .. }) => Course::Risen,
            Some(Away { direction: Direction::Down, .. }) => Course::Fallen,
            None if self.test.is_warm() => Course::Usual,
            None => Course::Learning,
        }
    }

    fn operation(&self) -> Operation {
        let away = self.away.as_ref();
        Operation {
            signal: self.signal,
            course: self.course(),
            since: away.map(|away| away.since),
            usual: self.test.median(),
            now: away.and_then(|away| median(away.numbers.iter().copied())),
        }
    }
}

#[cfg(test)]
mod tests;
