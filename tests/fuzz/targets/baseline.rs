//! Baselines: what is read is written so that it reads the same, and merges with itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taffrail::drift::Baseline;

fuzz_target!(|data: &[u8]| {
    let Ok(baseline) = Baseline::from_json(data) else { return };
    let text = baseline.to_json();
    let again = Baseline::from_json(text.as_bytes()).expect("what was written");
    // A file by another hand may say in more digits what ours says once for all.
    assert_eq!(again.to_json().lines().count(), text.lines().count());
    assert_eq!(again.rows(), baseline.rows());
    if let Ok(twice) = Baseline::merge(vec![baseline.clone(), again]) {
        assert_eq!(twice.features().len(), baseline.features().len());
        Baseline::from_json(twice.to_json().as_bytes()).expect("what was merged");
    }
});
