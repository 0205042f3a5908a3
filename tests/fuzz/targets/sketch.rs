//! Stored sketches: what is read can be asked, merged and written, and reads the same again. The first
//! byte says which kind. The seeds are `to_bytes` without its envelope and hash.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use taffrail::sketch::fuzzing::{categorical, numeric};
use taffrail::sketch::{Bounds, CategoricalSketch, Edges, Levels, NumericSketch};

static EDGES: LazyLock<Arc<Edges>> = LazyLock::new(|| {
    let bounds = Bounds { min: 0.0, max: 1.0, centre: 0.5 };
    Arc::new(Edges::new(vec![0.25, 0.5], bounds).expect("two cuts"))
});
static LEVELS: LazyLock<Arc<Levels>> =
    LazyLock::new(|| Arc::new(Levels::new(vec!["a".into(), "b".into()])));

fuzz_target!(|data: &[u8]| {
    let Some((kind, content)) = data.split_first() else { return };
    // No mutation would hit the hash that comes first.
    let with_hash = |hash: u64| [&hash.to_le_bytes(), content].concat();
    if kind % 2 == 0 {
        if let Ok(sketch) = numeric(&with_hash(EDGES.hash()), Arc::clone(&EDGES)) {
            is_numeric(&sketch);
        }
    } else if let Ok(sketch) = categorical(&with_hash(LEVELS.hash()), Arc::clone(&LEVELS)) {
        is_categorical(&sketch);
    }
});

fn is_numeric(sketch: &NumericSketch) {
    let bytes = sketch.to_bytes();
    let mut again = NumericSketch::from_bytes(&bytes, Arc::clone(&EDGES)).expect("as written");
    assert_eq!(again.counts().bins(), sketch.counts().bins());
    let _ = (sketch.quantile(0.5), sketch.counts().mean(), sketch.counts().sigma());
    again.merge(sketch).expect("equal edges");
    let _ = again.quantile(0.5);
}

fn is_categorical(sketch: &CategoricalSketch) {
    let bytes = sketch.to_bytes();
    let _ = (sketch.frequent_unknown(), sketch.distinct_levels().estimate());
    // The Apache library reads images, of items without weight say, that it does not write.
    let again = CategoricalSketch::from_bytes(&bytes, Arc::clone(&LEVELS));
    let mut again = again.unwrap_or_else(|_| sketch.clone());
    assert_eq!(again.counts().level_rows(), sketch.counts().level_rows());
    again.merge(sketch).expect("equal levels");
}
