//! What a value costs on its way into a window: all of the sketch, as analysis uses it.
//!
//! `cargo bench --bench sketch`; the aim is 50 ns a number and 150 ns a level.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use taffrail::decode::{Cell, Column};
use taffrail::sketch::{Bounds, CategoricalSketch, Edges, Levels, NumericSketch};

const ROWS: usize = 10_000;

fn numbers() -> Column {
    let mut random = fastrand::Rng::with_seed(1);
    let mut column = Column::new("x");
    (0..ROWS).for_each(|_| column.push_number(random.f64() * 64.0));
    column
}

/// Texts of `distinct` levels, of which the sketch knows the first 1,000.
fn texts(distinct: usize) -> Column {
    let mut random = fastrand::Rng::with_seed(2);
    let mut column = Column::new("level");
    (0..ROWS).for_each(|_| {
        column.push(Cell::Text(&format!("level {}", random.usize(0..distinct))));
    });
    column
}

fn numeric(criterion: &mut Criterion) {
    let bounds = Bounds { min: 0.0, max: 64.0, centre: 32.0 };
    let edges = Edges::new((1..64).map(f64::from).collect(), bounds).expect("63 ascending cuts");
    let mut sketch = NumericSketch::new(Arc::new(edges));
    let column = numbers();
    let mut group = criterion.benchmark_group("a value");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("number", |bencher| bencher.iter(|| sketch.observe(black_box(&column))));
    group.finish();
}

/// Rows that come one by one after the budget lowered the rate: as many bins as there may be.
fn sampled(criterion: &mut Criterion) {
    let bounds = Bounds { min: 0.0, max: 64.0, centre: 32.0 };
    let edges = Edges::new((1..64).map(f64::from).collect(), bounds).expect("63 ascending cuts");
    let mut sketch = NumericSketch::new(Arc::new(edges));
    let column = numbers();
    sketch.observe_sampled(&column, 1.0);
    let mut one = Column::new("x");
    one.push_number(31.5);
    let mut group = criterion.benchmark_group("a value");
    group.bench_function("number alone, at a second rate", |bencher| {
        bencher.iter(|| sketch.observe_sampled(black_box(&one), 0.1));
    });
    group.finish();
}

fn categorical(criterion: &mut Criterion) {
    let names = (0..1000).map(|level| format!("level {level}").into()).collect();
    let levels = Arc::new(Levels::new(names));
    let mut group = criterion.benchmark_group("a value");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, distinct) in [("known level", 1000), ("level, half unknown", 2000)] {
        let mut sketch = CategoricalSketch::new(levels.clone());
        let column = texts(distinct);
        group.bench_function(name, |bencher| bencher.iter(|| sketch.observe(black_box(&column))));
    }
    group.finish();
}

criterion_group!(benches, numeric, sampled, categorical);
criterion_main!(benches);
