//! Which of many features differ, when each was asked: p-values in, discoveries out.

/// Benjamini and Hochberg 1995: of the features called here, `rate` at most are expected to be
/// false; where nothing differs, `rate` bounds the chance of calling any.
pub(in crate::drift) fn discoveries(p_values: &[Option<f64>], rate: f64) -> Vec<bool> {
    let mut ascending: Vec<f64> = p_values.iter().flatten().copied().collect();
    ascending.sort_by(f64::total_cmp);
    let tests = ascending.len() as f64;
    let ranked = ascending.iter().enumerate().rev();
    let limit = ranked
        .map(|(below, p)| ((below + 1) as f64, *p))
        .find(|(rank, p)| *p <= rank / tests * rate)
        .map(|(_, p)| p);
    p_values.iter().map(|p| matches!((p, limit), (Some(p), Some(limit)) if *p <= limit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discoveries_follow_the_step_up_rule() {
        let p = [0.04, 0.001, 0.03, 0.9, 0.012].map(Some);
        assert_eq!(discoveries(&p, 0.05), [true, true, true, false, true]);
        assert_eq!(discoveries(&p, 0.01), [false, true, false, false, false]);
    }

    #[test]
    fn features_without_a_test_do_not_count() {
        assert_eq!(discoveries(&[None, Some(0.01)], 0.01), [false, true]);
        assert_eq!(discoveries(&[None], 0.01), [false]);
    }
}
