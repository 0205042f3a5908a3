//! Windows of one length begin at whole multiples of it since 1970: where the one of a time begins and ends.

use jiff::Timestamp;
use std::time::Duration;

/// Of the window that a time lies in.
pub(super) fn start(at: Timestamp, length: Duration) -> Timestamp {
    let length = nanos(length).max(1);
    let start = at.as_nanosecond().div_euclid(length) * length;
    Timestamp::from_nanosecond(start).unwrap_or(Timestamp::MIN)
}

/// Of the window that starts then.
pub(super) fn end(start: Timestamp, length: Duration) -> Timestamp {
    let end = start.as_nanosecond().saturating_add(nanos(length));
    Timestamp::from_nanosecond(end).unwrap_or(Timestamp::MAX)
}

fn nanos(length: Duration) -> i128 {
    i128::try_from(length.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_in_its_window_before_1970_too() {
        let length = Duration::from_secs(60);
        for second in [-61, -60, -1, 0, 1, 59, 60] {
            let at = Timestamp::from_second(second).unwrap();
            let start = start(at, length);
            assert!(start <= at && at < end(start, length), "{second}");
            assert_eq!(start.as_second() % 60, 0);
        }
    }

    #[test]
    fn the_ends_of_time_have_a_window() {
        for length in [Duration::ZERO, Duration::from_secs(60), Duration::MAX] {
            for at in [Timestamp::MIN, Timestamp::MAX] {
                let start = start(at, length);
                assert!(start <= at && start <= end(start, length), "{at} {length:?}");
            }
        }
    }
}
