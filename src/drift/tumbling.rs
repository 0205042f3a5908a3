//! When windows end: tumbling, aligned to the clock in UTC. Time comes in; nothing here reads a clock.

use jiff::Timestamp;
use std::time::Duration;

/// One window that ends, and how much of its traffic was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowSpan {
    /// Index into `Settings::windows`; 0 is the finest.
    pub level: usize,
    /// `None` where rows carry no time.
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    /// In [0, 1].
    pub coverage: f64,
}

/// Why windows cannot go on where they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotResumed {
    #[error("its windows are of other lengths")]
    Lengths,
    #[error("a window of it begins at {0}, which is yet to come: was the clock set back?")]
    Future(Timestamp),
}

/// Windows of several lengths, each starting at a whole multiple of its length since 1970 in UTC.
#[derive(Debug, Clone)]
pub struct Tumbling {
    /// Finest first.
    open: Vec<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    length_ns: i128,
    /// Since 1970.
    start_ns: i128,
}

impl Tumbling {
    /// `lengths` ascending. The windows that hold `now` are open.
    pub fn new(lengths: &[Duration], now: Timestamp) -> Self {
        let open = lengths.iter().map(|length| {
            let length_ns = i128::try_from(length.as_nanos()).unwrap_or(i128::MAX).max(1);
            Open { length_ns, start_ns: Open::start_of(now, length_ns) }
        });
        Self { open: open.collect() }
    }

    /// `now`, or the nearest microsecond that lies in the finest open window: that is where rows are
    /// counted between its end and the moment that closes it.
    pub fn within_open(&self, now: Timestamp) -> Timestamp {
        let Some(open) = self.open.first() else { return now };
        let last = open.start_ns.saturating_add(open.length_ns - 1) / 1000;
        let first = open.start_ns.div_euclid(1000) + i128::from(open.start_ns.rem_euclid(1000) > 0);
        let at = now.as_nanosecond().div_euclid(1000).clamp(first, last.max(first));
        i64::try_from(at).ok().and_then(|at| Timestamp::from_microsecond(at).ok()).unwrap_or(now)
    }

    /// Whether both have windows of the same lengths.
    pub fn has_lengths_of(&self, other: &Self) -> bool {
        let lengths = |tumbling: &Self| tumbling.open.iter().map(|open| open.length_ns).collect();
        let (mine, its): (Vec<_>, Vec<_>) = (lengths(self), lengths(other));
        mine == its
    }

    /// When each open window began, finest first.
    pub fn starts(&self) -> impl Iterator<Item = Timestamp> {
        self.open.iter().map(|open| Timestamp::from_nanosecond(open.start_ns).unwrap_or_default())
    }

    /// From the start of each open window to its end.
    pub fn span(&self, level: usize) -> Option<(Timestamp, Timestamp)> {
        self.open.get(level)?.span()
    }

    /// Goes on with windows that began then, as they were when a process before this one ended. Refused
    /// where one is of another length, or begins later than the one that is open.
    pub fn resume(&mut self, starts: &[Timestamp]) -> Result<(), NotResumed> {
        if starts.len() != self.open.len() {
            return Err(NotResumed::Lengths);
        }
        for (open, start) in self.open.iter().zip(starts) {
            let start_ns = start.as_nanosecond();
            if start_ns.rem_euclid(open.length_ns) != 0 {
                return Err(NotResumed::Lengths);
            }
            if start_ns > open.start_ns {
                return Err(NotResumed::Future(*start));
            }
        }
        for (open, start) in self.open.iter_mut().zip(starts) {
            open.start_ns = start.as_nanosecond();
        }
        Ok(())
    }

    /// The windows that have ended by `now`, finest first, as (level, start, end); each is given once.
    /// After a pause longer than a window only the one that was open is given: those that
    /// followed it saw no call and so hold no rows.
    pub fn due(&mut self, now: Timestamp) -> Vec<(usize, Timestamp, Timestamp)> {
        let mut due = Vec::new();
        for (level, open) in self.open.iter_mut().enumerate() {
            let start_ns = Open::start_of(now, open.length_ns);
            if start_ns > open.start_ns {
                due.extend(open.span().map(|(start, end)| (level, start, end)));
                open.start_ns = start_ns;
            }
        }
        due
    }
}

impl Open {
    fn start_of(now: Timestamp, length_ns: i128) -> i128 {
        let now = now.as_nanosecond();
        now - now.rem_euclid(length_ns)
    }

    /// `None` at the ends of time.
    fn span(self) -> Option<(Timestamp, Timestamp)> {
        let end_ns = self.start_ns.saturating_add(self.length_ns);
        let start = Timestamp::from_nanosecond(self.start_ns).ok()?;
        Some((start, Timestamp::from_nanosecond(end_ns).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn tumbling() -> Tumbling {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Tumbling::new(&[minutes(5), minutes(60)], at("2026-01-01T10:52:10Z"))
    }

    #[test]
    fn windows_end_on_the_clock_and_the_finest_comes_first() {
        let mut tumbling = tumbling();
        assert_eq!(tumbling.due(at("2026-01-01T10:54:59Z")), []);
        let first = tumbling.due(at("2026-01-01T10:55:00Z"));
        assert_eq!(first, [(0, at("2026-01-01T10:50:00Z"), at("2026-01-01T10:55:00Z"))]);
        let both = tumbling.due(at("2026-01-01T11:00:01Z"));
        assert_eq!(
            both,
            [
                (0, at("2026-01-01T10:55:00Z"), at("2026-01-01T11:00:00Z")),
                (1, at("2026-01-01T10:00:00Z"), at("2026-01-01T11:00:00Z")),
            ]
        );
    }

    #[test]
    fn what_is_counted_lies_in_the_window_that_is_open() {
        let mut tumbling = tumbling();
        for (now, counted) in [
            ("2026-01-01T10:52:10.123456789Z", "2026-01-01T10:52:10.123456Z"),
            ("2026-01-01T10:55:00.2Z", "2026-01-01T10:54:59.999999Z"),
            ("2026-01-01T10:49:59Z", "2026-01-01T10:50:00Z"),
        ] {
            assert_eq!(tumbling.within_open(at(now)), at(counted));
        }
        let _ = tumbling.due(at("2026-01-01T10:55:00.3Z"));
        assert_eq!(
            tumbling.within_open(at("2026-01-01T10:55:00.4Z")),
            at("2026-01-01T10:55:00.4Z")
        );
    }

    #[test]
    fn a_long_pause_closes_only_the_window_that_was_open() {
        let mut tumbling = tumbling();
        let due = tumbling.due(at("2026-01-02T03:00:00Z"));
        assert_eq!(due.iter().map(|(level, ..)| *level).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(due[0].2, at("2026-01-01T10:55:00Z"));
        assert_eq!(tumbling.due(at("2026-01-02T03:04:59Z")), []);
    }

    #[test]
    fn a_clock_that_steps_back_closes_nothing() {
        let mut tumbling = tumbling();
        assert_eq!(tumbling.due(at("2026-01-01T09:00:00Z")), []);
    }

    #[test]
    fn windows_that_go_on_close_when_they_would_have() {
        let starts = [at("2026-01-01T10:45:00Z"), at("2026-01-01T10:00:00Z")];
        let mut tumbling = tumbling();
        assert_eq!(tumbling.resume(&starts), Ok(()));
        assert_eq!(tumbling.starts().collect::<Vec<_>>(), starts);
        let due = tumbling.due(at("2026-01-01T10:52:10Z"));
        assert_eq!(due, [(0, starts[0], at("2026-01-01T10:50:00Z"))]);
    }

    #[test]
    fn windows_of_other_lengths_or_of_the_future_do_not_go_on() {
        let hour = at("2026-01-01T10:00:00Z");
        assert_eq!(tumbling().resume(&[hour]), Err(NotResumed::Lengths));
        let unaligned = [at("2026-01-01T10:46:00Z"), hour];
        assert_eq!(tumbling().resume(&unaligned), Err(NotResumed::Lengths));
        let later = at("2026-01-01T10:55:00Z");
        assert_eq!(tumbling().resume(&[later, hour]), Err(NotResumed::Future(later)));
    }
}
