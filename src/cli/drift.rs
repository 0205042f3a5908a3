//! `taffrail drift`: the sidecar's engine on past data, to see what its thresholds would have said.

mod cut;
mod html;
mod overview;

use super::columns::{self, Batch, Times};
use super::input::{BadInput, read_baseline};
use super::source::Source;
use super::style::{Colour, Palette};
use super::window::Window;
use crate::drift::{
    Baseline, BaselineFeature, FeatureFilter, Persistence, Settings, Verdict, WindowReport,
};
use crate::sketch::{FeatureKey, Role};
use cut::Cutter;
use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

pub(super) const AFTER_HELP: &str = "\
Exit codes: 0 no window drifts, 3 at least one does, 2 the call or a file is wrong, 1 anything else.
A window with fewer rows than --min-rows is neither: its verdict is insufficient_data.
Times are RFC 3339, dates (2012-01-01), date and time (2012-01-01 09:30:00, UTC), or seconds or
milliseconds since 1970; of recorded traffic, when the exchange began. Windows of time are aligned
to UTC; 1mo is a calendar month.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the rows are compared with: from `taffrail baseline build`
    #[arg(long, value_name = "FILE")]
    baseline: PathBuf,
    /// Rows to judge: .csv with a head line, .jsonl, .ndjson or .parquet; or recorded traffic: a data
    /// directory, an archive's directory or a file of it
    #[arg(long, value_name = "FILE_OR_ARCHIVE")]
    from: PathBuf,
    /// Length of a window: rows (500), time (30m, 1h, 1d) or months (1mo) [default: all rows as one]
    #[arg(long, value_name = "LENGTH")]
    window: Option<Window>,
    /// The column of a table that says when a row was; recorded traffic knows it
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
    /// In how many of how many windows in a row a feature must be found to drift: 2 of 3
    #[arg(long, value_name = "K of M", default_value = "1 of 1")]
    persistence: crate::config::Persistence,
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
            persistence: Persistence::new(self.persistence.least, self.persistence.of)
                .unwrap_or_default(),
            max_features: usize::MAX,
            filter: FeatureFilter::new(self.include.clone(), self.exclude.clone()),
            windows: vec![window.to_string().into()],
            early: None,
        }
    }

    fn judge(&self, baseline: &Arc<Baseline>) -> Result<Vec<WindowReport>, BadInput> {
        let window = self.window.unwrap_or(Window::All);
        let mut wanted = Wanted::new(baseline, &self.settings().filter);
        if wanted.keys.is_empty() {
            return Err(BadInput::text(format!(
                "no feature of {} is among those to judge: see --include and --exclude",
                self.baseline.display()
            )));
        }
        let mut cutter = Cutter::new(self.settings(), Arc::clone(baseline), window);
        let mut source = Source::open(&self.from)?;
        let is_output = |name: &str| has_feature(baseline, Role::Output, name);
        let (mut rows_read, mut names) = (0, String::new());
        while let Some(batch) = source.next_batch(&self.time_column, is_output)? {
            if rows_read == 0 {
                names = batch.names();
            }
            wanted.meet(&batch);
            let times = self.times(window, &batch, rows_read)?;
            rows_read += batch.rows();
            cutter.observe(&batch.inputs, &batch.outputs, times.as_deref());
        }
        if rows_read == 0 {
            return Err(source.empty(self.from.clone()));
        }
        self.check(&wanted, &names)?;
        let cut = cutter.finish();
        if cut.late_rows > 0 {
            self.note_late(cut.late_rows, source.is_archive());
        }
        Ok(cut.reports)
    }

    fn note_late(&self, rows: u64, is_archive: bool) {
        let rows = match rows {
            1 => "1 row was".to_owned(),
            rows => format!("{rows} rows were"),
        };
        let told = format!("{rows} left out, long after the window was closed");
        if is_archive {
            note(&told);
        } else {
            note(&format!("{told}; sort {} by {}", self.from.display(), self.time_column));
        }
    }

    fn times<'a>(
        &self,
        window: Window,
        batch: &'a Batch,
        rows_read: usize,
    ) -> Result<Option<Cow<'a, [Timestamp]>>, BadInput> {
        let from = self.from.display();
        let column = match (&batch.times, window) {
            (Times::Known(times), _) => return Ok(Some(times.into())),
            (Times::Column(column), _) => column,
            (Times::Unknown, Window::Time(_)) => {
                return Err(BadInput::text(format!(
                    "--window {window} needs the time of each row, and {from} has no column {:?}; \
                     name it by --time-column: it has {}",
                    self.time_column,
                    batch.names()
                )));
            }
            (Times::Unknown, _) => return Ok(None),
        };
        match (columns::times(column), window) {
            (Ok(times), _) => Ok(Some(times.into())),
            (Err(fault), Window::Time(_)) => Err(BadInput::text(format!(
                "{from}: column {}, row {}: {} is not a time; write RFC 3339, a date, or seconds or \
                 milliseconds since 1970",
                self.time_column,
                rows_read + fault.row + 1,
                fault.cell,
            ))),
            (Err(_), _) => Ok(None),
        }
    }

    /// `names` are those of the columns that were read.
    fn check(&self, wanted: &Wanted<'_>, names: &str) -> Result<(), BadInput> {
        let from = self.from.display();
        if wanted.missing.len() == wanted.keys.len() {
            return Err(BadInput::text(format!(
                "{from} has no feature of {} ({}); it has {names}",
                self.baseline.display(),
                listed(&wanted.keys),
            )));
        }
        if !wanted.missing.is_empty() {
            note(&format!("{from} lacks {} of the baseline", listed(&wanted.missing)));
        }
        Ok(())
    }
}

/// The features to judge, and those that no row has had yet.
struct Wanted<'a> {
    keys: Vec<&'a FeatureKey>,
    missing: Vec<&'a FeatureKey>,
}

impl<'a> Wanted<'a> {
    fn new(baseline: &'a Baseline, filter: &FeatureFilter) -> Self {
        let keys = baseline.features().iter().map(BaselineFeature::key);
        let keys: Vec<_> = keys.filter(|key| filter.admits(&key.name)).collect();
        Self { missing: keys.clone(), keys }
    }

    fn meet(&mut self, batch: &Batch) {
        self.missing.retain(|key| {
            let mut columns = batch.columns();
            !columns.any(|(role, column)| role == key.role && *column.name() == key.name)
        });
    }
}

fn listed(keys: &[&FeatureKey]) -> String {
    keys.iter().map(|key| &*key.name).collect::<Vec<_>>().join(", ")
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
