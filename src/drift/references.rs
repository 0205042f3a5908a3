//! Earlier windows as references beside the baseline: what they are called, and what is said of them.
//!
//! A load that comes and goes with the hour differs from a baseline of all hours; it does not differ
//! from the same hour of the day before. The comparison is the one with the baseline: the earlier
//! window's counts take the place of the reference's, on the baseline's bins and levels.

use super::report::Distances;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An earlier window that each window is compared with, beside the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Earlier {
    /// The last one with rows before it, of the same length.
    Previous,
    /// The one of the same length that began 24 hours before.
    SameHourYesterday,
    /// The one of the same length that began seven days before.
    SameHourLastWeek,
}

impl Earlier {
    pub const ALL: [Self; 3] = [Self::Previous, Self::SameHourYesterday, Self::SameHourLastWeek];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Previous => "previous",
            Self::SameHourYesterday => "same_hour_yesterday",
            Self::SameHourLastWeek => "same_hour_last_week",
        }
    }

    /// How long before; `None` for whichever came last.
    pub const fn before(self) -> Option<SignedDuration> {
        match self {
            Self::Previous => None,
            Self::SameHourYesterday => Some(SignedDuration::from_hours(24)),
            Self::SameHourLastWeek => Some(SignedDuration::from_hours(24 * 7)),
        }
    }
}

impl std::str::FromStr for Earlier {
    type Err = NotEarlier;

    fn from_str(text: &str) -> Result<Self, NotEarlier> {
        Self::ALL.into_iter().find(|earlier| earlier.as_str() == text).ok_or(NotEarlier)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write previous, same_hour_yesterday or same_hour_last_week")]
pub struct NotEarlier;

/// Of one feature, in the order that was asked for; one that is not kept is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct References(pub Vec<ReferenceReport>);

/// A feature of a window against the same feature of an earlier one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReferenceReport {
    pub reference: Earlier,
    /// Length of the earlier window. It is the hour's where no window as short as the one that is
    /// judged was kept.
    pub window: Arc<str>,
    /// `None` where rows carry no time.
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub rows: u64,
    pub distances: Distances,
    /// As in the report beside which it stands, of this window alone.
    pub p_value: Option<f64>,
    /// Not chance, at `drift.false_discovery_rate` over all features of the window.
    pub significant: bool,
    /// Significant, and of a size worth acting on.
    pub detected: bool,
}

/// How much of the past is held for comparison.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeldReferences {
    pub windows: u64,
    pub bytes: u64,
    pub max_bytes: u64,
    /// Windows that were let go before their time, since `max_bytes` were taken.
    pub forgotten: u64,
}
