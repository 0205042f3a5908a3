//! Archive files: every column and every check says what is wrong and goes on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use taffrail::archive::{Part, Reader, holds_exchanges, verify};

/// In memory where there is such a place: it is written a thousand times a second.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let directory = if memory.is_dir() { memory } else { std::env::temp_dir() };
    directory.join(format!("taffrail-fuzz-{}.parquet", std::process::id()))
});

fuzz_target!(|data: &[u8]| {
    std::fs::write(&*FILE, data).expect("room for a file");
    let _ = holds_exchanges(&FILE);
    if let Ok(reader) = Reader::open(&FILE) {
        let _ = reader.summaries().count();
        let _ = reader.records(Part::Everything).count();
        let _ = reader.rows().count();
        let _ = reader.find("a", Part::WithoutBodies).count();
        let _ = reader.files().iter().map(verify).count();
    }
    std::fs::remove_file(&*FILE).expect("it was written");
});
