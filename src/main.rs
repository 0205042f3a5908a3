//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    taffrail::cli::main()
}
