//! The command line.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// What serving threads allocate, analysis threads free, which costs the system's allocator a lock.
/// Version 2 gives freed pages back within 10 ms, version 3 within a second: saturated by bodies of
/// 1 MiB under a limit of 64 MiB, 42 MiB for 74, at no more time (2026-11-27).
/// Without huge pages: with them an idle process held 23 MiB for 10 (2026-11-27), and was no faster.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Where the system gives huge pages to all who do not object.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    taffrail::cli::main()
}
