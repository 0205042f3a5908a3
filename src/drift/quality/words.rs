//! What a check found, as people say it.

use super::{Check, Checked, UnitChange};
use crate::drift::words::{number, percent};
use std::fmt;

/// `null in 9 % of rows, where the baseline has 0.1 %`.
impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = percent(self.ratio.into());
        let before = percent(self.baseline_ratio.into());
        match self.check {
            Check::Null => write!(f, "null in {share} of rows, where the baseline has {before}"),
            Check::TypeError => {
                write!(f, "of another type in {share} of rows, where the baseline has {before}")
            }
            Check::OutOfBounds => write!(f, "outside the baseline's range in {share} of rows"),
            Check::NewCategory => write!(
                f,
                "of a level that the baseline never saw in {share} of rows, where {before} are usual"
            ),
            Check::MissingFeature => {
                write!(f, "left out of {share} of rows, where the baseline lacks it in {before}")
            }
            Check::ExtraFeature => {
                write!(f, "{share} of rows have features that the baseline lacks")
            }
            Check::Constant => {
                write!(f, "one value throughout, which {before} of the baseline's rows have")
            }
            Check::Frozen => write!(f, "one value for {share} of the window's requests on end"),
            Check::UnitChange => match &self.unit_change {
                Some(change) => change.fmt(f),
                None => write!(f, "in another unit"),
            },
        }
    }
}

/// `the baseline's values × 1.8 + 32, as in °C → °F`.
impl fmt::Display for UnitChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { factor, offset, looks_like, .. } = *self;
        f.write_str("the baseline's values")?;
        if (factor - 1.0).abs() > 1e-12 {
            write!(f, " × {}", number(factor))?;
        }
        if offset != 0.0 {
            let sign = if offset < 0.0 { '−' } else { '+' };
            write!(f, " {sign} {}", number(offset.abs()))?;
        }
        looks_like.map_or(Ok(()), |units| write!(f, ", as in {units}"))
    }
}
