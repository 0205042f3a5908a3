//! How well one ranking agrees with another: normalized discounted cumulative gain.

use std::cmp::Ordering;

/// Järvelin and Kekäläinen, ACM Trans. Inf. Syst. 20, 2002, with the gain linear and the discount log₂:
/// `sklearn.metrics.ndcg_score`. In [0, 1]; 1 where `scores` order as `relevance` does. What ties in
/// `scores` is taken in all orders on average (as scikit-learn does). `None` for fewer than two
/// values, where none is relevant, and where their sum is beyond what a number holds.
pub fn ndcg(relevance: &[f64], scores: &[f64]) -> Option<f64> {
    if relevance.len() != scores.len() || relevance.len() < 2 {
        return None;
    }
    let mut ideal = relevance.to_vec();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best: f64 = ideal.iter().enumerate().map(|(place, gain)| gain * discount(place)).sum();
    (best > 0.0 && best.is_finite()).then(|| (gained(relevance, scores) / best).clamp(0.0, 1.0))
}

fn discount(place: usize) -> f64 {
    1.0 / (place as f64 + 2.0).log2()
}

fn gained(relevance: &[f64], scores: &[f64]) -> f64 {
    let mut order: Vec<(f64, f64)> =
        scores.iter().copied().zip(relevance.iter().copied()).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut place, mut sum) = (0, 0.0);
    for ties in order.chunk_by(|a, b| a.0.partial_cmp(&b.0) == Some(Ordering::Equal)) {
        let gain = ties.iter().map(|(_, gain)| gain).sum::<f64>() / ties.len() as f64;
        sum += gain * (place..place + ties.len()).map(discount).sum::<f64>();
        place += ties.len();
    }
    sum
}
