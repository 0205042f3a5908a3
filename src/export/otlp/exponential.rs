//! HDR buckets as an exponential histogram of OpenTelemetry. A value goes where the middle of its
//! HDR bucket lies, so a bound is off by what that histogram allows: under 1 %.

use crate::distribution::Distribution;
use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;

/// As many buckets as SDKs keep; some stores refuse more.
const MAX_BUCKETS: i64 = 160;

/// Finer than this, the buckets would be narrower than those of the HDR histogram (2^(1/64) is 1.1 %)
/// and show gaps that are not in the data.
const FINEST_SCALE: i32 = 6;
const COARSEST_SCALE: i32 = -10;

/// Count, sum, extremes and buckets; the caller adds attributes and times.
pub(super) fn point(values: &Distribution) -> ExponentialHistogramDataPoint {
    let zero_count = values.buckets().filter(|(value, _)| *value <= 0.0).map(|(_, n)| n).sum();
    let (scale, positive) = positive_buckets(values);
    ExponentialHistogramDataPoint {
        count: values.count(),
        sum: Some(values.sum()),
        min: values.min(),
        max: values.max(),
        scale,
        zero_count,
        positive: Some(positive),
        ..Default::default()
    }
}

fn positive_buckets(values: &Distribution) -> (i32, Buckets) {
    let positive = || values.buckets().filter(|(value, _)| *value > 0.0);
    let (Some((first, _)), Some((last, _))) = (positive().next(), positive().last()) else {
        return (0, Buckets::default());
    };
    let scale = (COARSEST_SCALE..=FINEST_SCALE)
        .rev()
        .find(|&scale| index(last, scale) - index(first, scale) < MAX_BUCKETS)
        .unwrap_or(COARSEST_SCALE);
    let offset = index(first, scale);
    let mut bucket_counts = Vec::new();
    for (value, count) in positive() {
        let place = usize::try_from(index(value, scale) - offset).unwrap_or(0);
        bucket_counts.resize(bucket_counts.len().max(place + 1), 0);
        bucket_counts[place] += count;
    }
    (scale, Buckets { offset: i32::try_from(offset).unwrap_or(0), bucket_counts })
}

/// The bucket (base^index, base^(index+1)] that `value` falls in, base being 2^(2^-scale).
#[expect(clippy::cast_possible_truncation, reason = "a log2 of an f64 times 64 is a small number")]
fn index(value: f64, scale: i32) -> i64 {
    (value.log2() * f64::from(scale).exp2()).ceil() as i64 - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boundary(scale: i32, index: i32) -> f64 {
        (f64::from(index) * f64::from(-scale).exp2()).exp2()
    }

    proptest! {
        #[test]
        fn every_value_is_in_a_bucket_that_spans_it(values in prop::collection::vec(0u64..100_000_000_000, 1..200)) {
            let mut distribution = Distribution::of_seconds();
            for value in &values {
                distribution.record(*value);
            }
            let point = point(&distribution);
            let buckets = point.positive.unwrap();
            prop_assert!(buckets.bucket_counts.len() <= 160);
            let in_buckets: u64 = buckets.bucket_counts.iter().sum();
            prop_assert_eq!(in_buckets + point.zero_count, values.len() as u64);
            let widest = f64::from(point.scale).exp2().recip().exp2();
            if let Some(least) = values.iter().filter(|value| **value > 0).min() {
                let least = *least as f64 / 1e9;
                prop_assert!(boundary(point.scale, buckets.offset) < least * 1.01);
                prop_assert!(boundary(point.scale, buckets.offset + 1) * widest > least);
            }
        }
    }

    #[test]
    fn four_decades_fit_the_scale_that_was_measured() {
        let mut distribution = Distribution::of_seconds();
        for decade in 0..=4 {
            distribution.record(1_000_000 * 10u64.pow(decade));
        }
        let point = point(&distribution);
        assert_eq!(point.scale, 3);
        assert_eq!(point.positive.unwrap().bucket_counts.len(), 107);
    }
}
