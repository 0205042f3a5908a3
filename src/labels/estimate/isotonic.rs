//! The ascending function nearest to weighted means, by pooling adjacent violators.
//!
//! Barlow, Bartholomew, Bremner and Brunk 1972, *Statistical Inference under Order Restrictions*, §1.2.

/// Neighbouring points that have one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Block {
    /// The first and the last of its points.
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) weight: f64,
    pub(super) value: f64,
}

/// Blocks of ascending value, of points `(index, weight, mean)` whose indices ascend. Points without
/// weight are left out.
pub(super) fn fit(points: impl IntoIterator<Item = (usize, f64, f64)>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (index, weight, value) in points {
        if weight <= 0.0 {
            continue;
        }
        let mut block = Block { first: index, last: index, weight, value };
        while let Some(before) = blocks.pop_if(|before| before.value >= block.value) {
            let weight = before.weight + block.weight;
            let value = (before.weight * before.value + block.weight * block.value) / weight;
            block = Block { first: before.first, last: block.last, weight, value };
        }
        blocks.push(block);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sklearn 1.9: `IsotonicRegression().fit_transform(range(8), [.1, .4, .3, .2, .6, .6, .9, .8],
    /// sample_weight=[1, 2, 1, 3, 5, 2, 4, 1])`
    #[test]
    fn blocks_are_those_of_scikit_learn() {
        let values = [0.1, 0.4, 0.3, 0.2, 0.6, 0.6, 0.9, 0.8];
        let weights = [1.0, 2.0, 1.0, 3.0, 5.0, 2.0, 4.0, 1.0];
        let points = values.iter().zip(weights).enumerate().map(|(i, (v, w))| (i, w, *v));
        let blocks = fit(points);
        let found: Vec<_> = blocks.iter().map(|b| (b.first, b.last, b.weight)).collect();
        assert_eq!(found, [(0, 0, 1.0), (1, 3, 6.0), (4, 5, 7.0), (6, 7, 5.0)]);
        let expected = [0.1, 0.283_333_333_333_333_3, 0.6, 0.88];
        for (block, expected) in blocks.iter().zip(expected) {
            assert!((block.value - expected).abs() < 1e-12, "{block:?}");
        }
    }

    #[test]
    fn points_without_weight_are_no_points() {
        assert_eq!(fit([(0, 0.0, 0.7), (3, 0.0, f64::NAN)]), []);
    }
}
