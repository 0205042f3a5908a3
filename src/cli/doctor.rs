//! `taffrail doctor`: what a sidecar with this configuration would meet here, and what to do about it.
//!
//! In: the same configuration as `taffrail run`. Out: a line a check, ok, warn or fail, with what was
//! seen and what to do. The promise: nothing is changed but a file that is made in the data directory
//! and removed; a model is only asked how it does; every question has a limit of time.

mod baseline;
mod certificates;
mod exports;
mod machine;
mod peer;
mod place;
mod ports;
mod upstream;

use super::settings::Settings;
use super::style::{Colour, Palette};
use crate::config::{Config, Problem};
use jiff::Timestamp;
use serde::Serialize;
use std::process::ExitCode;

pub(super) const AFTER_HELP: &str = "\
Give it what `taffrail run` is given, flags, variables and file. In a pod:
  kubectl exec POD -c taffrail -- taffrail doctor
Exit codes: 0 nothing failed, 1 something did.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(long, value_enum, default_value_t = Format::Text, display_order = 0)]
    format: Format,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// What one check saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    seen: String,
    /// What to do; none where all is well.
    advice: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, seen: impl Into<String>) -> Self {
        Self { check, state: State::Ok, seen: seen.into(), advice: None }
    }

    fn warn(check: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: State::Warn, seen: seen.into(), advice: Some(advice.into()) }
    }

    fn fail(check: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: State::Fail, seen: seen.into(), advice: Some(advice.into()) }
    }
}

pub(super) fn doctor(args: Args) -> anyhow::Result<ExitCode> {
    let findings = match args.settings.load_keys() {
        Ok((config, warnings)) => examine(&config, &warnings)?,
        Err(problems) => problems.iter().map(faulty).collect(),
    };
    let failed = findings.iter().any(|finding| finding.state == State::Fail);
    let text = match args.format {
        Format::Text => text(&findings, Palette::of_stdout()),
        Format::Json => serde_json::to_string_pretty(&Report::of(&findings))?,
    };
    super::print(&text)?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// In the order in which one thing needs another.
fn examine(config: &Config, warnings: &[Problem]) -> anyhow::Result<Vec<Finding>> {
    let given = config.effective().iter().filter(|entry| entry.source != "default").count();
    let given = if given == 1 { "1 key is".to_owned() } else { format!("{given} keys are") };
    let mut findings =
        vec![Finding::ok("config", format!("no problem; {given} given, the rest is default"))];
    findings.extend(warnings.iter().map(doubtful));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut clock = machine::Clock::default();
        upstream::check(config, &mut findings, &mut clock).await;
        let running = ports::check(config, &mut findings).await;
        exports::check(config, &mut findings, &mut clock).await;
        place::check(config, &mut findings);
        certificates::check(config, Timestamp::now(), &mut findings);
        machine::check_limits(config, &mut findings);
        findings.push(clock.finding(Timestamp::now()));
        baseline::check(config, running.as_ref(), &mut findings);
    });
    Ok(findings)
}

fn faulty(problem: &Problem) -> Finding {
    Finding::fail(
        "config",
        problem.to_string(),
        "correct it; `taffrail run --help` lists every key",
    )
}

fn doubtful(problem: &Problem) -> Finding {
    Finding::warn("config", problem.to_string(), "correct it, or leave it if it is meant")
}

#[derive(Serialize)]
struct Report<'a> {
    checks: &'a [Finding],
    ok: usize,
    warnings: usize,
    failures: usize,
}

impl<'a> Report<'a> {
    fn of(checks: &'a [Finding]) -> Self {
        let count = |state| checks.iter().filter(|check| check.state == state).count();
        let [ok, warnings, failures] = [State::Ok, State::Warn, State::Fail].map(count);
        Self { checks, ok, warnings, failures }
    }
}

fn text(findings: &[Finding], palette: Palette) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for Finding { check, state, seen, advice } in findings {
        let (word, colour) = match state {
            State::Ok => ("ok  ", Colour::Green),
            State::Warn => ("warn", Colour::Yellow),
            State::Fail => ("fail", Colour::Red),
        };
        lines.push(format!("{}  {check:width$}  {seen}", palette.paint(colour, word)));
        if let Some(advice) = advice {
            lines.push(format!("{:width$}        → {advice}", ""));
        }
    }
    let Report { ok, warnings, failures, .. } = Report::of(findings);
    let plural = |count, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let (warned, failed) = (plural(warnings, "warning"), plural(failures, "failure"));
    lines.push(format!("\n{ok} ok, {warned}, {failed}"));
    lines.join("\n")
}

/// An error with all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors tell their cause themselves.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

fn millis(elapsed: std::time::Duration) -> String {
    format!("{:.1} ms", elapsed.as_secs_f64() * 1e3)
}
