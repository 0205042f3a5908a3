//! Archive files: every column and every check says what is wrong and goes on. A panic of the Parquet
//! library is caught by the archive, so that only those count here which leave it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use taffrail::archive::{Part, Reader, holds_exchanges, verify};

/// `tests/fuzz/run` has the directory in memory: it is written a thousand times a second.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    std::env::temp_dir().join(format!("taffrail-fuzz-{}.parquet", std::process::id()))
});

fn init() {
    // libFuzzer's own would end the process at a panic that is caught.
    std::panic::set_hook(Box::new(|_| {}));
}

fuzz_target!(init: init(), |data: &[u8]| {
    if std::panic::catch_unwind(|| read(data)).is_err() {
        eprintln!("a panic has left the archive");
        std::process::abort();
    }
});

fn read(data: &[u8]) {
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
}
