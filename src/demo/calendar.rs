//! The simulated year. In: real time since the start. Out: the simulated date, and which day to ask
//! about next.
//!
//! The summers of [`FITTED_YEARS`] are dealt out in two halves, day by day: one is what the model was
//! fitted on and what its baseline holds, the other is the summer that it meets. So a live summer is
//! new to the model, its accuracy is that of days it never saw, and two samples are compared.
//!
//! A simulated day lasts [`DAY`], far too short for one measured day to make a distribution: so each
//! request draws a day of the season that the simulated date is in, in a shuffled order that visits
//! every day of the season once before it visits one twice. A window of a few seconds then holds a
//! fair share of the whole season and is comparable with a baseline of whole summers, as a month of
//! thirty rows, each hotter than the last, would not be.
//!
//! Rows that repeat a day are no independent draws, which a test of 1,500 rows takes them for. It does
//! little harm here, as the baseline's 153 rows are what limits such a test: `tests.rs` shows how
//! often it errs.

use super::Day;
use jiff::ToSpan;
use jiff::civil::{Date, date};
use std::time::Duration;

/// Years whose summers are fitted on or met; other seasons come from all four.
const FITTED_YEARS: std::ops::RangeInclusive<i16> = 2012..=2013;

/// How long a simulated day lasts: summer is over after 23 s, the year after 55 s.
pub(super) const DAY: Duration = Duration::from_millis(150);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Season {
    /// May to September of the years the model was fitted on, its own days left out.
    Summer,
    Autumn,
    Winter,
    Spring,
}

impl Season {
    const ALL: [Self; 4] = [Self::Summer, Self::Autumn, Self::Winter, Self::Spring];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Summer => "summer",
            Self::Autumn => "autumn",
            Self::Winter => "winter",
            Self::Spring => "spring",
        }
    }

    fn of(date: Date) -> Self {
        match date.month() {
            5..=9 => Self::Summer,
            10 | 11 => Self::Autumn,
            12 | 1 | 2 => Self::Winter,
            _ => Self::Spring,
        }
    }

    /// Whether a measured day may stand for this season.
    pub fn holds(self, date: Date) -> bool {
        Self::of(date) == self
            && (self != Self::Summer || FITTED_YEARS.contains(&date.year()) && !is_even(date))
    }
}

/// Whether the model was fitted on this day: every second one of two summers, as in `fit.py`.
pub(super) fn is_fitted(date: Date) -> bool {
    Season::of(date) == Season::Summer && FITTED_YEARS.contains(&date.year()) && is_even(date)
}

fn is_even(date: Date) -> bool {
    date.day_of_year() % 2 == 0
}

/// Where the simulated year stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub date: Date,
    pub season: Season,
}

/// Which days stand for which season, each season in its own shuffled order.
#[derive(Debug)]
pub struct Calendar {
    decks: [Deck; 4],
    random: fastrand::Rng,
}

impl Calendar {
    const FIRST: Date = date(2013, 5, 1);

    pub fn new(days: &[Day], seed: u64) -> Self {
        let decks = Season::ALL.map(|season| {
            let days = days.iter().filter(|day| season.holds(day.date)).cloned().collect();
            Deck { days, next: 0 }
        });
        Self { decks, random: fastrand::Rng::with_seed(seed) }
    }

    /// The simulated date after `elapsed` real time; the years run on.
    pub fn at(elapsed: Duration) -> Moment {
        let days = i32::try_from(elapsed.as_millis() / DAY.as_millis()).unwrap_or(i32::MAX);
        let date = Self::FIRST.saturating_add(days.days());
        Moment { date, season: Season::of(date) }
    }

    /// A day of `season` to ask about; `None` only if the data has none.
    pub fn draw(&mut self, season: Season) -> Option<&Day> {
        let random = &mut self.random;
        self.decks.get_mut(season as usize)?.draw(random)
    }
}

#[derive(Debug)]
struct Deck {
    days: Vec<Day>,
    next: usize,
}

impl Deck {
    fn draw(&mut self, random: &mut fastrand::Rng) -> Option<&Day> {
        if self.next == 0 {
            random.shuffle(&mut self.days);
        }
        let drawn = self.next;
        self.next = (drawn + 1) % self.days.len().max(1);
        self.days.get(drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::days;
    use std::collections::HashSet;

    #[test]
    fn winter_comes_within_a_minute_and_summer_comes_back() {
        let season = |seconds| Calendar::at(Duration::from_secs(seconds)).season;
        assert_eq!(season(0), Season::Summer);
        assert_eq!(season(22), Season::Summer);
        assert_eq!(season(23), Season::Autumn);
        assert_eq!(season(40), Season::Winter);
        assert_eq!(season(50), Season::Spring);
        assert_eq!(season(56), Season::Summer);
    }

    #[test]
    fn every_day_of_a_season_is_drawn_once_before_one_is_drawn_twice() {
        let mut calendar = Calendar::new(&days().unwrap(), 7);
        let drawn: HashSet<_> =
            (0..153).map(|_| calendar.draw(Season::Summer).unwrap().date).collect();
        assert_eq!(drawn.len(), 153);
        assert!(drawn.into_iter().all(|date| Season::Summer.holds(date)));
    }

    #[test]
    fn no_day_that_the_model_was_fitted_on_is_asked_about() {
        let days = days().unwrap();
        let fitted: Vec<_> = days.iter().filter(|day| is_fitted(day.date)).collect();
        assert_eq!(fitted.len(), 153);
        for day in fitted {
            assert!(Season::ALL.iter().all(|season| !season.holds(day.date)), "{}", day.date);
        }
    }
}
