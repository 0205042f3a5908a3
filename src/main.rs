//! The command line.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// What serving threads allocate, analysis threads free, which costs the system's allocator a lock.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    taffrail::cli::main()
}
