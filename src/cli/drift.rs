//! `taffrail drift`: the sidecar's engine on past data, to see what its thresholds would have said.

mod cut;
mod html;
mod overview;
mod segments_table;

use super::columns::{self, Batch, Times};
use super::input::{BadInput, read_baseline};
use super::segments;
use super::source::Source;
use super::style::{Colour, Palette};
use super::window::{TimeWindow, Window};
use super::{problems, settings};
use crate::config::{Problems, parse_importance};
use crate::drift::{
    Baseline, BaselineFeature, Earlier, FeatureFilter, Persistence, SegmentKey, Settings, Verdict,
    WindowReport,
};
use crate::sketch::{FeatureKey, Role};
use cut::Cutter;
use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub(super) const AFTER_HELP: &str = "\
Exit codes: 0 no window drifts, 3 at least one does, 2 the call or a file is wrong, 1 anything else.
A window with fewer rows than --min-rows is neither: its verdict is insufficient_data.
Times are RFC 3339, dates (2012-01-01), date and time (2012-01-01 09:30:00, UTC), or seconds or
milliseconds since 1970; of recorded traffic, when it was counted: with --config and --window as the
sidecar has them, its verdicts come out again (`provenance` tells). Windows of time are aligned
to UTC; 1mo is a calendar month.";

/// Of earlier windows, packed: a week of hours of a thousand features takes half of it.
const REFERENCE_BYTES: usize = 256 << 20;

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
    /// The sidecar's configuration: judges as it does, but for what flags say
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A window with fewer rows has no verdict [default: 50]
    #[arg(long, value_name = "COUNT")]
    min_rows: Option<u64>,
    /// Share of false alarms among alarms that is put up with, between 0 and 1 [default: 0.01]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    false_discovery_rate: Option<f64>,
    /// Inputs by whose values parts of the rows are judged by themselves
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    segments: Vec<SegmentKey>,
    /// Values of each of those that are told apart [default: 20]
    #[arg(long, value_name = "COUNT")]
    max_segments: Option<usize>,
    /// A JSON object with the importance of each feature, by which drift is ranked
    #[arg(long, value_name = "FILE")]
    importance: Option<PathBuf>,
    /// Outputs whose name begins so are attributions to the feature that the rest names
    /// [default: shap_,attribution.]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    attribution_prefix: Vec<String>,
    /// In how many of how many windows in a row a feature must be found to drift: 2 of 3
    /// [default: 1 of 1]
    #[arg(long, value_name = "K of M")]
    persistence: Option<crate::config::Persistence>,
    /// An earlier window to compare with too; may be given again
    #[arg(
        long,
        value_name = "previous|same_hour_yesterday|same_hour_last_week",
        value_delimiter = ','
    )]
    reference: Vec<Earlier>,
    /// Globs over the names of features to judge [default: *]
    #[arg(long, value_name = "GLOBS", value_delimiter = ',')]
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

/// Why there are no settings.
enum Unsettled {
    Config(Problems),
    Input(BadInput),
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse().ok().filter(|rate| *rate > 0.0 && *rate < 1.0);
    rate.ok_or("write a number between 0 and 1, such as 0.01")
}

pub(super) fn drift(args: &Args) -> anyhow::Result<ExitCode> {
    let baseline = Arc::new(read_baseline(&args.baseline)?);
    let rows = baseline.rows();
    let settings = match args.settings() {
        Ok(settings) => settings,
        Err(Unsettled::Config(found)) => return Ok(problems::print(&found)),
        Err(Unsettled::Input(bad)) => return Err(bad.into()),
    };
    let windows = args.judge(&settings, &baseline)?;
    let report = Report { baseline: BaselineRows { rows }, windows };
    let text = match args.format {
        Format::Json => serde_json::to_string_pretty(&report)?,
        Format::Table => overview::text(&report, &settings, Palette::of_stdout()),
        Format::Html => html::page(&report, &args.baseline, &args.from),
    };
    super::print(&text)?;
    Ok(ExitCode::from(if report.drifting() > 0 { 3 } else { 0 }))
}

impl Args {
    /// Flags win over the file, and the file over defaults.
    fn settings(&self) -> Result<Settings, Unsettled> {
        let usual = Settings { max_features: usize::MAX, ..Settings::default() };
        let mut settings = match &self.config {
            None => usual,
            Some(path) => {
                let loaded = settings::Settings::of_file(path).load_keys();
                let (config, _warnings) = loaded.map_err(Unsettled::Config)?;
                crate::app::drift_settings(&config)
            }
        };
        let window = self.window.unwrap_or(Window::All);
        // Rows of a file have come all at once.
        settings.early = None;
        settings.windows = vec![window.to_string().into()];
        settings.min_rows = self.min_rows.unwrap_or(settings.min_rows);
        let rate = self.false_discovery_rate;
        settings.false_discovery_rate = rate.unwrap_or(settings.false_discovery_rate);
        let persistence = self.persistence.as_ref();
        let persistence = persistence.and_then(|given| Persistence::new(given.least, given.of));
        settings.persistence = persistence.unwrap_or(settings.persistence);
        if !self.reference.is_empty() {
            settings.references.clone_from(&self.reference);
        }
        settings.reference_bytes = REFERENCE_BYTES;
        settings.filter = settings.filter.or_given(&self.include, &self.exclude);
        self.settle_parts(&mut settings).map_err(Unsettled::Input)?;
        Ok(settings)
    }

    fn settle_parts(&self, settings: &mut Settings) -> Result<(), BadInput> {
        if !self.segments.is_empty() {
            settings.segments.keys = segments::known(&self.segments)?;
        }
        settings.segments.max_values = self.max_segments.unwrap_or(settings.segments.max_values);
        settings.segments.max_cells = usize::MAX;
        if let Some(path) = &self.importance {
            settings.attribution.importance = importance(path)?;
        }
        if !self.attribution_prefix.is_empty() {
            let prefixes = self.attribution_prefix.iter().filter(|prefix| !prefix.is_empty());
            settings.attribution.prefixes = prefixes.map(|prefix| prefix.as_str().into()).collect();
        }
        Ok(())
    }

    fn judge(
        &self,
        settings: &Settings,
        baseline: &Arc<Baseline>,
    ) -> Result<Vec<WindowReport>, BadInput> {
        let window = self.window.unwrap_or(Window::All);
        self.check_references(window)?;
        let mut wanted = Wanted::new(baseline, &settings.filter);
        if wanted.keys.is_empty() {
            return Err(BadInput::text(format!(
                "no feature of {} is among those to judge: see --include and --exclude",
                self.baseline.display()
            )));
        }
        let mut source = Source::open(&self.from)?;
        let recorded = source.is_archive();
        let mut cutter = Cutter::new(settings.clone(), Arc::clone(baseline), window, recorded);
        let prefixes = &settings.attribution.prefixes;
        let is_attribution = |name: &str| prefixes.iter().any(|prefix| name.starts_with(&**prefix));
        let is_output = |name: &str| {
            has_feature(baseline, Role::Output, name)
                || (is_attribution(name) && !has_feature(baseline, Role::Input, name))
        };
        let (mut rows_read, mut names) = (0, String::new());
        while let Some(batch) = source.next_batch(&self.time_column, is_output)? {
            if rows_read == 0 {
                names = batch.names();
            }
            wanted.meet(&batch);
            let times = self.times(window, &batch, rows_read)?;
            rows_read += batch.rows();
            cutter.observe(&batch, times.as_deref());
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

    /// An hour of another day is found by the clock, and there is none that is longer than a day.
    fn check_references(&self, window: Window) -> Result<(), BadInput> {
        for reference in &self.reference {
            let Some(before) = reference.before() else { continue };
            let is_found = match window {
                Window::Time(TimeWindow::Nanoseconds(length)) => length.get() <= before.as_nanos(),
                Window::Time(TimeWindow::Months(_)) | Window::Rows(_) | Window::All => false,
            };
            if !is_found {
                return Err(BadInput::text(format!(
                    "--reference {} needs windows of time of at most {}h, such as --window 1h; \
                     previous goes with any",
                    reference.as_str(),
                    before.as_hours()
                )));
            }
        }
        Ok(())
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

/// Weights by feature.
fn importance(path: &Path) -> Result<BTreeMap<Arc<str>, f64>, BadInput> {
    let read = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"));
    let parsed = read.and_then(|bytes| parse_importance(&bytes));
    let told = |why: String| BadInput::text(format!("--importance: {} {why}", path.display()));
    let weights = parsed.map_err(told)?;
    Ok(weights.into_iter().map(|(name, weight)| (name.into(), weight)).collect())
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
