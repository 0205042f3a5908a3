//! The process's own log, to stderr: `RUST_LOG` chooses what, a terminal chooses colours.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Whether only warnings are told where `RUST_LOG` does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quiet {
    Yes,
    No,
}

pub(super) fn start(quiet: Quiet) {
    let default = if quiet == Quiet::Yes { "warn" } else { "info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Already set means that somebody in this process, a test, reads the log in another way.
    let _ = log.try_init();
}
