//! The configuration's text: a configuration, or problems that each name a line of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use taffrail::config::{Config, Origin, Sources};

/// `tests/fuzz/run` has the directory in memory: it is written a thousand times a second.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    std::env::temp_dir().join(format!("taffrail-fuzz-{}.yaml", std::process::id()))
});

fuzz_target!(|text: &str| {
    // Files that it names are read, and of these some never end.
    if text.contains("/dev") || text.contains("/proc") {
        return;
    }
    std::fs::write(&*FILE, text).expect("room for a file");
    let sources = Sources { file: Some(FILE.clone()), ..Sources::default() };
    let loaded = Config::load(&sources);
    std::fs::remove_file(&*FILE).expect("it was written");
    let Err(problems) = loaded else { return };
    assert!(problems.iter().count() > 0);
    for problem in problems.iter() {
        assert!(!problem.message.is_empty());
        if let Origin::File { line, .. } = &problem.origin {
            // YAML ends lines in a lone CR too.
            let last = text.matches(['\n', '\r']).count() as u64 + 1;
            assert!(line.is_none_or(|line| line <= last), "{problem:?}");
        }
    }
});
