//! Short texts that people and clients write: durations, sizes, paths.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use taffrail::capture::RouteTable;
use taffrail::config::{format_duration, parse_duration, parse_size};

static ROUTES: LazyLock<RouteTable> =
    LazyLock::new(|| RouteTable::new::<&str>(&[]).expect("the known ones"));

fuzz_target!(|text: &str| {
    if let Ok(duration) = parse_duration(text) {
        assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }
    if let Ok(size) = parse_size(text) {
        assert_eq!(parse_size(&size.to_string()), Ok(size));
    }
    let route = ROUTES.classify(text);
    assert_eq!(ROUTES.classify(text), route);
    if let Ok(table) = RouteTable::new(&[text]) {
        let _ = table.classify(text);
    }
});
