//! The command line: one file a verb. Only here and in `main` errors lose their types.
//!
//! Exit codes: 0 as wished; 1 failed, or a check found problems; 2 the call itself or what it reads
//! is wrong; `taffrail drift` adds 3 for drift.

mod archive;
mod baseline;
mod check;
mod columns;
mod decode;
mod demo;
mod doctor;
mod drain;
mod drift;
mod input;
mod layout;
mod lifecycle;
mod log;
mod problems;
mod recording;
mod run;
mod segments;
mod settings;
mod source;
mod style;
mod table;
mod window;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// A sidecar proxy in front of a model: it records what is asked and answered, and says when the
/// model is slow, failing or drifting.
#[derive(Debug, Parser)]
#[command(name = "taffrail", version, max_term_width = 100, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the sidecar in front of a model server
    #[command(after_help = run::AFTER_HELP)]
    Run(run::Args),
    /// See it work: a small model, real weather data, and drift within a minute
    Demo(demo::Args),
    /// Read, check and convert what was recorded
    Archive(archive::Args),
    /// Build, show and merge baselines: what live data is compared with
    Baseline(baseline::Args),
    /// Read one exchange from files as the sidecar would, and show the rows it sees
    #[command(after_help = decode::AFTER_HELP)]
    Decode(decode::Args),
    /// Judge past data against a baseline, with the sidecar's own engine
    #[command(after_help = drift::AFTER_HELP)]
    Drift(Box<drift::Args>),
    /// Ask the sidecar of this host to send its clients elsewhere, and to serve on until it is ended
    #[command(after_help = drain::AFTER_HELP)]
    Drain(drain::Args),
    /// Tell every problem of a configuration, with line and key
    Check(check::Args),
    /// Look from here at the model, ports, receivers, limits and files, and say what to fix
    #[command(after_help = doctor::AFTER_HELP)]
    Doctor(doctor::Args),
}

/// Parses the arguments of this process and does what they say.
pub fn main() -> ExitCode {
    let done = match CommandLine::parse().verb {
        Verb::Run(args) => run::run(args),
        Verb::Demo(args) => demo::demo(&args),
        Verb::Archive(args) => archive::run(args),
        Verb::Baseline(args) => baseline::baseline(&args),
        Verb::Decode(args) => decode::decode(&args),
        Verb::Drift(args) => drift::drift(&args),
        Verb::Drain(args) => drain::drain(&args),
        Verb::Check(args) => check::check(args),
        Verb::Doctor(args) => doctor::doctor(args),
    };
    done.unwrap_or_else(|error| {
        let mark = style::Palette::of_stderr().paint(style::Colour::Red, "error:");
        eprintln!("{mark} {error:#}");
        ExitCode::from(if error.is::<input::BadInput>() { 2 } else { 1 })
    })
}

/// To stdout with a line end; a reader that went away, as `head` does, is no failure.
fn print(text: &str) -> std::io::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
