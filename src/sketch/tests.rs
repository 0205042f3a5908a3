use super::*;
use crate::decode::{Cell as Value, Column};
use proptest::prelude::*;
use std::sync::Arc;

fn edges() -> Arc<Edges> {
    let bounds = Bounds { min: -50.0, max: 50.0, centre: 0.0 };
    Arc::new(Edges::new(vec![-10.0, 0.0, 0.5, 20.0], bounds).unwrap())
}

fn levels() -> Arc<Levels> {
    Arc::new(Levels::new(["a", "b", "true"].map(Arc::from).to_vec()))
}

fn numeric(cells: &[Value<'_>]) -> NumericSketch {
    let mut sketch = NumericSketch::new(edges());
    sketch.observe(&column(cells));
    sketch
}

fn categorical(cells: &[Value<'_>]) -> CategoricalSketch {
    let mut sketch = CategoricalSketch::new(levels());
    sketch.observe(&column(cells));
    sketch
}

fn column(cells: &[Value<'_>]) -> Column {
    let mut column = Column::new("x");
    for cell in cells {
        column.push(*cell);
    }
    column
}

fn cell() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        8 => (-100..100_i32).prop_map(|n| Value::Number(f64::from(n) / 2.0)),
        1 => Just(Value::Number(f64::NAN)),
        1 => Just(Value::Number(f64::INFINITY)),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        4 => prop::sample::select(vec!["a", "b", "c", "", "level"]).prop_map(Value::Text),
    ]
}

#[test]
fn every_cell_is_counted_once_and_where_it_belongs() {
    let cells = [
        Value::Number(-60.0),
        Value::Number(0.0),
        Value::Number(-0.0),
        Value::Number(f64::NAN),
        Value::Number(f64::NEG_INFINITY),
        Value::Null,
        Value::Text("7"),
        Value::Bool(true),
    ];
    let sketch = numeric(&cells);
    let counts = sketch.counts();
    assert_eq!(counts.bins(), [1, 0, 2, 0, 0]);
    assert_eq!((counts.missing(), counts.zeros(), counts.type_errors()), (2, 2, 2));
    assert_eq!((counts.out_of_bounds(), counts.rows()), (2, 8));
}

#[test]
fn booleans_are_levels_and_numbers_are_not() {
    let sketch = categorical(&[Value::Bool(true), Value::Bool(false), Value::Number(1.0)]);
    assert_eq!(sketch.counts().level_rows(), [0, 0, 1]);
    assert_eq!((sketch.counts().other(), sketch.counts().type_errors()), (1, 1));
    assert_eq!(sketch.frequent_unknown(), [("false".to_owned(), 1)]);
}

#[test]
fn sketches_on_other_edges_are_refused() {
    let bounds = Bounds { min: 0.0, max: 1.0, centre: 0.0 };
    let other = NumericSketch::new(Arc::new(Edges::new(vec![1.0], bounds).unwrap()));
    assert_eq!(numeric(&[]).merge(&other), Err(EdgesDiffer));
}

#[test]
fn known_and_unknown_levels_both_reach_the_apache_sketches() {
    let cells: Vec<Value<'_>> = ["a", "a", "b", "new", "new", "new"].map(Value::Text).to_vec();
    let sketch = categorical(&cells);
    assert_eq!(sketch.frequent_items().estimate("a"), 2);
    assert_eq!(sketch.frequent_items().estimate("new"), 3);
    assert!((sketch.distinct_levels().estimate() - 3.0).abs() < 0.01);
}

#[test]
fn damaged_frames_are_refused() {
    let cells: Vec<Value<'_>> = ["a", "new", "other"].map(Value::Text).to_vec();
    let bytes = categorical(&cells).to_bytes();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(CategoricalSketch::from_bytes(&damaged, levels()).is_err(), "byte {at}");
        assert!(CategoricalSketch::from_bytes(&bytes[..at], levels()).is_err(), "first {at}");
    }
}

#[test]
fn a_map_larger_than_ours_is_refused_before_it_is_allocated() {
    let image = CategoricalSketch::new(levels()).frequent.serialize();
    for at in [3, 4] {
        let mut large = image.clone();
        large[at] = 26;
        assert_eq!(wire::frequent_items(&large).unwrap_err(), FrameError::Content);
    }
}

#[test]
fn counts_that_no_traffic_reaches_are_refused() {
    let sketch = numeric(&[Value::Null]);
    let bytes = sketch.to_bytes();
    let content = frame::open(frame::Content::Numeric, &bytes).unwrap();
    // Behind the hash, a run of bins, and zeros.
    let nulls = 8 + 2 + 2;
    assert_eq!(content[nulls], 1);
    let refused = |nulls: &[u8]| {
        let absurd = [&content[..12], nulls, &content[13..]].concat();
        let absurd = frame::seal(frame::Content::Numeric, &absurd);
        NumericSketch::from_bytes(&absurd, edges()).err()
    };
    assert_eq!(refused(&[2]), None);
    let mut packer = Packer::default();
    packer.word(1 << 49);
    assert_eq!(refused(&packer.into_bytes()), Some(FrameError::Content));
}

#[test]
fn more_values_out_of_bounds_than_there_are_values_are_refused() {
    let counts = FeatureCounts::Numeric(NumericCounts::new(edges()));
    let read = |below: u64| {
        let mut packer = Packer::default();
        packer.counts(&[0, 2, 0, 0, 0]);
        (0..4).for_each(|_| packer.float(1.0));
        packer.counts(&[0, 0, 0, 0, below, 0, 0]);
        // Without weights.
        packer.word(0);
        counts.unpack(&mut Unpacker::new(&packer.into_bytes())).map(|counts| counts.rows())
    };
    assert_eq!(read(2), Ok(2));
    assert_eq!(read(3), Err(FrameError::Content));
}

#[test]
fn frequent_items_that_are_not_those_of_the_window_are_refused() {
    let sketch = categorical(&[Value::Text("new")]);
    let mut other = sketch.clone();
    other.frequent.update("newer".to_owned());
    let refused = CategoricalSketch::from_bytes(&other.to_bytes(), levels()).unwrap_err();
    assert_eq!(refused, FrameError::Content);
}

#[test]
fn a_frame_is_read_on_its_own_edges_and_as_its_own_kind_only() {
    let bytes = numeric(&[Value::Number(1.0)]).to_bytes();
    let bounds = Bounds { min: 0.0, max: 1.0, centre: 0.0 };
    let other = Arc::new(Edges::new(vec![1.0], bounds).unwrap());
    assert_eq!(NumericSketch::from_bytes(&bytes, other).unwrap_err(), FrameError::Edges);
    let kind = CategoricalSketch::from_bytes(&bytes, levels()).unwrap_err();
    assert_eq!(kind, FrameError::Kind);
}

proptest! {
    #[test]
    fn windows_read_back_as_they_were_written(cells in prop::collection::vec(cell(), 0..300)) {
        let sketch = numeric(&cells);
        let read = NumericSketch::from_bytes(&sketch.to_bytes(), edges()).unwrap();
        prop_assert_eq!(read.counts(), sketch.counts());
        prop_assert_eq!(read.quantile(0.5), sketch.quantile(0.5));
        let sketch = categorical(&cells);
        let read = CategoricalSketch::from_bytes(&sketch.to_bytes(), levels()).unwrap();
        prop_assert_eq!(read.counts(), sketch.counts());
        prop_assert_eq!(read.frequent_unknown(), sketch.frequent_unknown());
    }

    #[test]
    fn counts_read_back_as_they_were_packed(cells in prop::collection::vec(cell(), 0..300)) {
        for sketch in [
            FeatureSketch::Numeric(numeric(&cells)),
            FeatureSketch::Categorical(categorical(&cells)),
        ] {
            let mut packer = Packer::default();
            sketch.counts().pack(&mut packer);
            let bytes = packer.into_bytes();
            let mut reader = Unpacker::new(&bytes);
            prop_assert_eq!(sketch.counts().unpack(&mut reader), Ok(sketch.counts()));
            prop_assert_eq!(reader.end(), Ok(()));
            let read = sketch.read(&sketch.to_bytes()).unwrap();
            prop_assert_eq!(read.counts(), sketch.counts());
        }
    }

    #[test]
    fn any_split_merges_to_the_same_counts(
        cells in prop::collection::vec(cell(), 0..200), at in 0_usize..200,
    ) {
        let (left, right) = cells.split_at(at.min(cells.len()));
        let whole = numeric(&cells);
        let mut merged = numeric(left);
        merged.merge(&numeric(right)).unwrap();
        // Halves add up without rounding, so even sums are equal.
        prop_assert_eq!(merged.counts(), whole.counts());
        let whole = categorical(&cells);
        let mut merged = categorical(right);
        merged.merge(&categorical(left)).unwrap();
        prop_assert_eq!(merged.counts(), whole.counts());
        let (a, b) = (merged.distinct_levels().estimate(), whole.distinct_levels().estimate());
        prop_assert!((a - b).abs() < 1e-6);
    }

    #[test]
    fn quantiles_of_few_values_are_exact(mut values in prop::collection::vec(-1e6..1e6, 1..100)) {
        let cells: Vec<Value<'_>> = values.iter().map(|value| Value::Number(*value)).collect();
        let median = numeric(&cells).quantile(0.5).unwrap();
        values.sort_by(f64::total_cmp);
        prop_assert_eq!(median.to_bits(), values[(values.len() - 1) / 2].to_bits());
    }
}
