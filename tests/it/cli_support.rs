//! The binary as a person runs it, without the variables of whoever runs the tests.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up or read is its failure")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

pub(crate) fn taffrail<S: AsRef<OsStr>>(directory: &Path, arguments: &[S]) -> Run {
    run(Command::new(env!("CARGO_BIN_EXE_taffrail")).current_dir(directory).args(arguments))
}

pub(crate) fn taffrail_with(variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taffrail"));
    let command = command.args(arguments).env_clear().envs(variables.iter().copied());
    let output = command.output().unwrap();
    finished(&output)
}

fn run(command: &mut Command) -> Run {
    finished(&command.env_clear().output().unwrap())
}

fn finished(output: &std::process::Output) -> Run {
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout.clone()).unwrap(),
        stderr: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

/// Summers of two years as a baseline, another year to judge: real weather of Seattle.
pub(crate) struct Weather {
    directory: tempfile::TempDir,
}

impl Weather {
    pub(crate) fn new() -> Self {
        let weather = Self { directory: tempfile::tempdir().unwrap() };
        let all = std::fs::read_to_string(fixture("weather/seattle-weather.csv")).unwrap();
        let part = |name: &str, takes: &dyn Fn(&str, &str) -> bool| {
            let (head, days) = all.split_once('\n').unwrap();
            let days = days.lines().filter(|day| takes(&day[..4], &day[5..7]));
            let lines: Vec<_> = std::iter::once(head).chain(days).collect();
            std::fs::write(weather.path().join(name), lines.join("\n")).unwrap();
        };
        let is_summer = |month: &str| ("05".."10").contains(&month);
        part("summers.csv", &|year, month| year < "2014" && is_summer(month));
        part("2014.csv", &|year, _| year == "2014");
        weather
    }

    pub(crate) fn with_baseline() -> Self {
        let weather = Self::new();
        let built = weather.taffrail(&[
            "baseline",
            "build",
            "--from",
            "summers.csv",
            "--outputs",
            "weather",
            "--time-column",
            "date",
            "--out",
            "baseline.json",
        ]);
        assert_eq!(built.code, Some(0), "{built:?}");
        weather
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn taffrail(&self, arguments: &[&str]) -> Run {
        taffrail(self.path(), arguments)
    }
}
