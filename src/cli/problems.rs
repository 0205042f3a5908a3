//! What is wrong with a configuration, as a person reads it: on stderr, a line a problem.

use super::style::{Colour, Palette};
use crate::config::{Problem, Problems};
use std::process::ExitCode;

/// Every problem and their number; the exit code says that the configuration is no good.
pub(super) fn print(problems: &Problems) -> ExitCode {
    let palette = Palette::of_stderr();
    for problem in problems.iter() {
        eprintln!("{} {problem}", palette.paint(Colour::Red, "error:"));
    }
    let noun = if problems.len() == 1 { "problem" } else { "problems" };
    eprintln!("{} {noun} in the configuration", problems.len());
    ExitCode::from(1)
}

pub(super) fn warn(warnings: &[Problem]) {
    let palette = Palette::of_stderr();
    for warning in warnings {
        eprintln!("{} {warning}", palette.paint(Colour::Yellow, "warning:"));
    }
}
