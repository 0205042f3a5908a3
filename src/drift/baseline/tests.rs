use super::*;
use crate::decode::{Cell, Column, Rows};
use crate::sketch::Role;
use proptest::prelude::*;

fn rows_of(values: &[f64], levels: &[&str]) -> Rows {
    let (mut numbers, mut texts) = (Column::new("x"), Column::new("level"));
    for value in values {
        numbers.push_number(*value);
    }
    for level in levels {
        texts.push(Cell::Text(level));
    }
    let mut rows = Rows::new();
    rows.push(numbers);
    rows.push(texts);
    rows
}

fn baseline(values: &[f64], levels: &[&str]) -> Baseline {
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    builder.observe(Role::Input, &rows_of(values, levels));
    builder.finish().unwrap()
}

fn normal(seed: u64, count: usize, shift: f64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| (0..12).map(|_| random.f64()).sum::<f64>() - 6.0 + shift).collect()
}

fn example() -> Baseline {
    baseline(&normal(1, 3000, 0.0), &["a", "b", "a", "c"].repeat(750))
}

#[test]
fn the_file_reads_back_equal_and_is_the_same_each_time() {
    let baseline = example();
    let text = baseline.to_json();
    let read = Baseline::from_json(text.as_bytes()).unwrap();
    assert_eq!(read, baseline);
    assert_eq!(read.to_json(), text);
    assert_eq!(example().to_json(), text, "the same rows give the same file");
}

#[test]
fn moments_and_quantiles_are_those_of_the_values() {
    let values = [1.0, 2.0, 3.0, 4.0, 10.0];
    let baseline = baseline(&values, &["a"; 5]);
    let counts = baseline.features()[0].numeric().unwrap();
    assert_eq!((counts.min(), counts.max()), (Some(1.0), Some(10.0)));
    assert!((counts.mean().unwrap() - 4.0).abs() < 1e-12);
    assert!((counts.sigma().unwrap() - 10.0_f64.sqrt()).abs() < 1e-12);
    let quantiles = baseline.features()[0].quantiles();
    assert!(quantiles.contains(&("0.5", 3.0)) && quantiles.len() == 9);
    assert_eq!(baseline.features()[1].distinct_levels(), Some(1));
}

#[test]
fn a_feature_is_what_it_mostly_is() {
    let mut mixed = Column::new("mixed");
    for cell in [Cell::Number(1.0), Cell::Number(2.0), Cell::Text("n/a")] {
        mixed.push(cell);
    }
    let mut rows = Rows::new();
    rows.push(mixed);
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    builder.observe(Role::Output, &rows);
    let baseline = builder.finish().unwrap();
    assert_eq!(baseline.features()[0].numeric().unwrap().type_errors(), 1);
}

#[test]
fn faults_of_a_file_are_named() {
    let text = example().to_json();
    let cases = [
        (r#""version": 1"#, r#""version": 2"#, "version 2 is not supported"),
        (r#""feature": "level""#, r#""feature": "x""#, "names `x` (input) twice"),
        (r#""kind": "categorical""#, r#""kind": "numeric""#, "feature `level` (input): `kind`"),
        (r#""nan": 0"#, r#""nan": 5"#, "feature `x` (input): `rows` is 3000, but"),
        (r#""reported": true"#, r#""reported": false"#, "`bins.reported` must be true"),
        (r#""from": null"#, r#""from": -9.0"#, "`bins.from` must be null for the first bin"),
        (r#""distinct": 3"#, r#""distinct": 2"#, "`distinct` must not be below"),
        (r#""zero": 0"#, r#""zero": 1"#, "the file was changed after it was written"),
        (r#""nan": 0,"#, r#""nan": 0, "naan": 0,"#, "unknown field `naan`"),
    ];
    for (from, to, expected) in cases {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from} is in the file");
        let error = Baseline::from_json(changed.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn no_rows_and_no_features_make_no_baseline() {
    let builder = BaselineBuilder::new(BaselineSettings::default());
    assert!(matches!(builder.finish(), Err(BaselineError::Empty)));
    assert!(matches!(Baseline::merge(Vec::new()), Err(BaselineError::Empty)));
}

#[test]
fn kinds_that_differ_are_not_merged() {
    let mut flag = Column::new("x");
    flag.push(Cell::Bool(true));
    let mut rows = Rows::new();
    rows.push(flag);
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    builder.observe(Role::Input, &rows);
    let merged = Baseline::merge(vec![example(), builder.finish().unwrap()]);
    assert_eq!(
        merged.unwrap_err().to_string(),
        "feature `x` (input) is numeric in one baseline and categorical in another: \
         they cannot be merged"
    );
}

#[test]
fn merging_equal_bins_is_exact() {
    let one = baseline(&[1.0, 2.0, 2.0, 3.0].repeat(50), &["a"; 200]);
    let two = baseline(&[1.0, 2.0, 3.0, 3.0].repeat(50), &["b"; 200]);
    let merged = Baseline::merge(vec![one, two]).unwrap();
    assert_eq!(merged.rows(), 400);
    let whole = [1.0, 2.0, 2.0, 3.0, 1.0, 2.0, 3.0, 3.0].repeat(50);
    let levels: Vec<&str> = ["a"; 200].into_iter().chain(["b"; 200]).collect();
    let together = baseline(&whole, &levels);
    let bins = |baseline: &Baseline| baseline.features()[0].numeric().unwrap().bins().to_vec();
    assert_eq!(bins(&merged), bins(&together));
    assert_eq!(merged.features()[1], together.features()[1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn merging_other_bins_keeps_rows_and_moments_and_moves_little(
        seed in 0_u64..1000, shift in -1.0..1.0,
    ) {
        let (a, b) = (normal(seed, 1500, 0.0), normal(seed + 1, 1000, shift));
        let one = baseline(&a, &["a"].repeat(1500));
        let two = baseline(&b, &["a"].repeat(1000));
        let merged = Baseline::merge(vec![one, two]).unwrap();
        let read = Baseline::from_json(merged.to_json().as_bytes()).unwrap();
        prop_assert_eq!(&read, &merged);
        let counts = merged.features()[0].numeric().unwrap();
        let mut all = [a, b].concat();
        all.sort_by(f64::total_cmp);
        let n = all.len() as f64;
        let mean = all.iter().sum::<f64>() / n;
        let sigma = (all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        prop_assert_eq!(counts.values(), 2500);
        prop_assert!((counts.mean().unwrap() - mean).abs() < 1e-9);
        prop_assert!((counts.sigma().unwrap() - sigma).abs() < 1e-9);
        let mut below = 0;
        for (cut, rows) in counts.edges().cuts().iter().zip(counts.bins()) {
            below += rows;
            let exact = all.partition_point(|x| x < cut);
            prop_assert!((below as f64 - exact as f64).abs() / n < 0.01);
        }
    }
}
