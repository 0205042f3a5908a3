//! `taffrail drift`: the sidecar's engine on past data, to see what its thresholds would have said.

mod cut;
mod html;
mod overview;

use super::columns::{self, Split};
use super::input::{BadInput, read_baseline};
use super::style::{Colour, Palette};
use super::table::{TableError, TableReader};
use super::window::Window;
use crate::drift::{Baseline, FeatureFilter, Settings, Verdict, WindowReport};
use crate::sketch::Role;
use cut::Cutter;
use jiff::Timestamp;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

pub(super) const AFTER_HELP: &str = "\
Exit codes: 0 no window drifts, 3 at least one does, 2 the call or a file is wrong, 1 anything else.
A window with fewer rows than --min-rows is neither: its verdict is insufficient_data.
Times are RFC 3339, dates (2012-01-01), date and time (2012-01-01 09:30:00, UTC), or seconds or
milliseconds since 1970. Windows of time are aligned to UTC; 1mo is a calendar month.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the rows are compared with: from `taffrail baseline build`
    #[arg(long, value_name = "FILE")]
    baseline: PathBuf,
    /// Rows to judge: .csv with a head line, .jsonl, .ndjson or .parquet
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Length of a window: rows (500), time (30m, 1h, 1d) or months (1mo) [default: the whole file]
    #[arg(long, value_name = "LENGTH")]
    window: Option<Window>,
    /// The column that says when a row was
    #[arg(long, value_name = "NAME", default_value = "ts")]
    time_column: String,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// A window with fewer rows has no verdict
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    min_rows: u64,
    /// Share of false alarms among alarms that is put up with, between 0 and 1
    #[arg(long, value_name = "RATE", default_value_t = 0.01, value_parser = rate)]
    false_discovery_rate: f64,
    /// Globs over the names of features to judge
    #[arg(long, value_name = "GLOBS", value_delimiter = ',', default_value = "*")]
    include: Vec<String>,
    /// Globs over the names of features to leave out
    #[arg(long, value_name = "GLOBS", value_delimiter = ',')]
    exclude: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
    Html,
}

/// As `--format json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    baseline: BaselineRows,
    windows: Vec<WindowReport>,
}

#[derive(Debug, Serialize)]
struct BaselineRows {
    rows: u64,
}

impl Report {
    fn drifting(&self) -> usize {
        self.windows.iter().filter(|window| window.verdict == Verdict::Drifting).count()
    }
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse().ok().filter(|rate| *rate > 0.0 && *rate < 1.0);
    rate.ok_or("write a number between 0 and 1, such as 0.01")
}

pub(super) fn drift(args: &Args) -> anyhow::Result<ExitCode> {
    let baseline = Arc::new(read_baseline(&args.baseline)?);
    let rows = baseline.rows();
    let windows = args.judge(&baseline)?;
    let report = Report { baseline: BaselineRows { rows }, windows };
    let text = match args.format {
        Format::Json => serde_json::to_string_pretty(&report)?,
        Format::Table => overview::text(&report, &args.settings(), Palette::of_stdout()),
        Format::Html => html::page(&report, &args.baseline, &args.from),
    };
    super::print(&text)?;
    Ok(ExitCode::from(if report.drifting() > 0 { 3 } else { 0 }))
}

impl Args {
    fn settings(&self) -> Settings {
        let window = self.window.unwrap_or(Window::All);
        Settings {
            min_rows: self.min_rows,
            false_discovery_rate: self.false_discovery_rate,
            max_features: usize::MAX,
            filter: FeatureFilter::new(self.include.clone(), self.exclude.clone()),
            windows: vec![window.to_string().into()],
        }
    }

    fn judge(&self, baseline: &Arc<Baseline>) -> Result<Vec<WindowReport>, BadInput> {
        let window = self.window.unwrap_or(Window::All);
        let mut cutter = Cutter::new(self.settings(), Arc::clone(baseline), window);
        let mut reader = TableReader::open(&self.from).map_err(BadInput::new)?;
        let mut rows_read = 0;
        while let Some(columns) = reader.next_batch().map_err(BadInput::new)? {
            if rows_read == 0 {
                let names: Vec<_> = columns.iter().map(|column| &**column.name()).collect();
                self.check_names(baseline, &names)?;
            }
            let is_output = |name: &str| has_feature(baseline, Role::Output, name);
            let split = columns::split(columns, Some(&self.time_column), is_output);
            let times = self.times(window, &split, rows_read)?;
            rows_read += split.inputs.len().max(split.outputs.len());
            cutter.observe(&split.inputs, &split.outputs, times.as_deref());
        }
        if rows_read == 0 {
            return Err(BadInput::new(TableError::Empty(self.from.clone())));
        }
        let cut = cutter.finish();
        if cut.late_rows > 0 {
            let rows = match cut.late_rows {
                1 => "1 row was".to_owned(),
                rows => format!("{rows} rows were"),
            };
            note(&format!(
                "{rows} left out, long after the window was closed; sort {} by {}",
                self.from.display(),
                self.time_column
            ));
        }
        Ok(cut.reports)
    }

    fn times(
        &self,
        window: Window,
        split: &Split,
        rows_read: usize,
    ) -> Result<Option<Vec<Timestamp>>, BadInput> {
        let Some(column) = &split.time else { return Ok(None) };
        match (columns::times(column), window) {
            (Ok(times), _) => Ok(Some(times)),
            (Err(fault), Window::Time(_)) => Err(BadInput::text(format!(
                "{}: column {}, row {}: {} is not a time; write RFC 3339, a date, or seconds or \
                 milliseconds since 1970",
                self.from.display(),
                self.time_column,
                rows_read + fault.row + 1,
                fault.cell,
            ))),
            (Err(_), _) => Ok(None),
        }
    }

    fn check_names(&self, baseline: &Baseline, names: &[&str]) -> Result<(), BadInput> {
        let from = self.from.display();
        let has = || names.join(", ");
        if let Some(window @ Window::Time(_)) = self.window
            && !names.contains(&self.time_column.as_str())
        {
            return Err(BadInput::text(format!(
                "--window {window} needs the time of each row, and {from} has no column {:?}; \
                 name it by --time-column: it has {}",
                self.time_column,
                has()
            )));
        }
        let filter = self.settings().filter;
        let wanted = baseline.features().iter().map(|feature| &*feature.key().name);
        let wanted: Vec<_> = wanted.filter(|name| filter.admits(name)).collect();
        if wanted.is_empty() {
            return Err(BadInput::text(format!(
                "no feature of {} is among those to judge: see --include and --exclude",
                self.baseline.display()
            )));
        }
        let missing: Vec<_> = wanted.iter().copied().filter(|name| !names.contains(name)).collect();
        if missing.len() == wanted.len() {
            return Err(BadInput::text(format!(
                "{from} has no feature of {} ({}); it has {}",
                self.baseline.display(),
                wanted.join(", "),
                has()
            )));
        }
        if !missing.is_empty() {
            note(&format!("{from} lacks {} of the baseline", missing.join(", ")));
        }
        Ok(())
    }
}

fn has_feature(baseline: &Baseline, role: Role, name: &str) -> bool {
    baseline
        .features()
        .iter()
        .any(|feature| feature.key().role == role && &*feature.key().name == name)
}

fn note(text: &str) {
    eprintln!("{} {text}", Palette::of_stderr().paint(Colour::Yellow, "note:"));
}
