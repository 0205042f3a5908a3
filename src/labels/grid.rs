//! Scores in [0, 1] on a fixed grid, so that their counts can be merged, taken out again, and kept.
//!
//! Steps are equal on the logit scale, ln(p / (1 − p)), where they are [`WIDTH`] wide. So a score is
//! known to half a percent of p(1 − p): 0.0013 around a half, and ever finer towards 0 and 1, where
//! rare classes have their scores. A half is a boundary; a score of a half or more has a step of 0 or
//! more.

/// Of a step, on the logit scale.
pub const WIDTH: f64 = 0.005;
/// Scores nearer to 0 or 1 than about 1e-7 share the first and the last step.
const LAST: i16 = 3199;

/// The step that a score lies in. A score outside [0, 1] counts as the nearer end; NaN as 0.
pub fn step(score: f64) -> i16 {
    let logit = (score / (1.0 - score)).ln();
    let step = (logit / WIDTH).floor();
    if step.is_nan() {
        return if score >= 1.0 { LAST } else { -LAST - 1 };
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was clamped")]
    let step = step.clamp(f64::from(-LAST - 1), f64::from(LAST)) as i16;
    step
}

/// The score in the middle of a step, on the logit scale.
pub fn score(step: i16) -> f64 {
    1.0 / (1.0 + (-(f64::from(step) + 0.5) * WIDTH).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_known_to_a_quarter_percent_of_its_spread() {
        for n in 1..100_000 {
            let exact = f64::from(n) / 100_000.0;
            let known = score(step(exact));
            let bound = 0.5 * WIDTH * exact * (1.0 - exact) * 1.01;
            assert!((known - exact).abs() <= bound, "{exact} became {known}");
        }
    }

    #[test]
    fn the_ends_and_the_middle_have_their_steps() {
        assert_eq!([step(0.0), step(1.0), step(f64::NAN)], [-LAST - 1, LAST, -LAST - 1]);
        assert_eq!([step(-3.0), step(7.0)], [-LAST - 1, LAST]);
        assert_eq!([step(0.5), step(0.499_999)], [0, -1]);
    }
}
