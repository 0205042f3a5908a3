//! `taffrail baseline`: reference sketches from training data or recorded traffic; to read them, to
//! merge them.

mod labelled;

use super::columns::{self, Batch, Times};
use super::input::{BadInput, read_baseline};
use super::layout::{Align, Grid};
use super::segments;
use super::source::Source;
use super::style::{Colour, Palette};
use crate::drift::{
    Baseline, BaselineBuilder, BaselineSettings, FeatureFilter, Monitor, Reference, SegmentCounter,
    SegmentKey, SegmentSurvey, Settings, VariationBuilder,
};
use crate::sketch::{Kind, Role};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Sketch training data or recorded traffic: what live traffic is compared with
    Build(Box<Build>),
    /// Show what a baseline knows of each feature
    Show(Show),
    /// Join baselines of parts of the data into one
    Merge(Merge),
}

#[derive(Debug, clap::Args)]
struct Build {
    /// Training data: .csv with a head line, .jsonl, .ndjson or .parquet; or recorded traffic: a data
    /// directory, an archive's directory or a file of it. May be given again
    #[arg(long, value_name = "FILE_OR_ARCHIVE", required = true, num_args = 1..)]
    from: Vec<PathBuf>,
    /// Where the baseline is written
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Columns of a table that are predictions; all others are inputs
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    outputs: Vec<String>,
    /// Globs over the names of columns to take
    #[arg(long, value_name = "GLOBS", value_delimiter = ',', default_value = "*")]
    include: Vec<String>,
    /// Globs over the names of columns to leave out
    #[arg(long, value_name = "GLOBS", value_delimiter = ',')]
    exclude: Vec<String>,
    /// The column of a table that says when a row was; it is no feature
    #[arg(long, value_name = "NAME", default_value = "ts")]
    time_column: String,
    /// Inputs by whose values parts of the rows are kept too: what live rows of each part are compared
    /// with
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    segments: Vec<SegmentKey>,
    /// Values of each of those that are kept, the most frequent
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    max_segments: usize,
    /// Features taken, at most
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    max_features: usize,
    #[command(flatten)]
    truth: labelled::Flags,
}

#[derive(Debug, clap::Args)]
struct Show {
    #[arg(value_name = "BASELINE")]
    file: PathBuf,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

#[derive(Debug, clap::Args)]
struct Merge {
    /// Two or more baselines
    #[arg(value_name = "BASELINE", required = true, num_args = 2..)]
    files: Vec<PathBuf>,
    /// Where the merged baseline is written
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn baseline(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Build(build) => build.run()?,
        Verb::Show(show) => show.run()?,
        Verb::Merge(merge) => merge.run()?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Build {
    fn run(&self) -> anyhow::Result<()> {
        let filter = FeatureFilter::new(self.include.clone(), self.exclude.clone());
        let settings = BaselineSettings { max_features: self.max_features, filter };
        let mut builder = BaselineBuilder::new(settings);
        let mut labelled = self.truth.open(&self.outputs)?;
        let mut survey = SegmentSurvey::new(segments::known(&self.segments)?);
        for path in &self.from {
            self.read(path, |batch, is_archive| {
                if let Some(labelled) = &mut labelled {
                    labelled.observe(path, is_archive, batch)?;
                }
                builder.observe(Role::Input, &batch.inputs);
                builder.observe(Role::Output, &batch.outputs);
                survey.observe(&batch.inputs);
                Ok(())
            })?;
            if let Some(labelled) = &mut labelled {
                labelled.join(path)?;
            }
        }
        let over_limit = builder.features_over_limit();
        if over_limit > 0 {
            note(&format!("{over_limit} columns are over --max-features and were left out"));
        }
        let baseline = builder.finish().map_err(BadInput::new)?;
        let mut counter = self.counter(&baseline, survey)?;
        let mut variation = VariationBuilder::new(baseline);
        for path in &self.from {
            self.read_again(path, &mut variation, &mut counter)?;
        }
        let baseline = variation.finish();
        let baseline = match counter {
            Some(counter) => counter.finish(baseline),
            None => baseline,
        };
        let baseline = match labelled {
            Some(labelled) => labelled.finish(baseline)?,
            None => baseline,
        };
        write(&self.out, &baseline)?;
        Ok(())
    }

    /// `None` where no parts are asked for.
    fn counter(
        &self,
        baseline: &Baseline,
        survey: SegmentSurvey,
    ) -> Result<Option<SegmentCounter>, BadInput> {
        if self.segments.is_empty() {
            return Ok(None);
        }
        if let Some(key) = survey.without_values().next() {
            let features = baseline.features().iter().map(|feature| &*feature.key().name);
            let names = features.collect::<Vec<_>>().join(", ");
            let key = key.to_string();
            return Err(BadInput::text(format!(
                "--segments: no input {key:?} has values to tell rows apart by; there are {names}"
            )));
        }
        for (key, values) in survey.over(self.max_segments) {
            let kept = self.max_segments;
            note(&format!("{key} has {values} values, of which the {kept} most frequent are kept"));
        }
        Ok(Some(survey.count(baseline, self.max_segments)))
    }

    /// Once bins are known: what the rows vary by in blocks, in the order that they have, and where those
    /// of each part are.
    fn read_again(
        &self,
        path: &Path,
        variation: &mut VariationBuilder,
        counter: &mut Option<SegmentCounter>,
    ) -> anyhow::Result<()> {
        let mut source = Source::open(path)?;
        let is_output = |name: &str| self.is_output(name);
        while let Some(batch) = source.next_batch(&self.time_column, is_output)? {
            // Times that cannot be read are no error here: rows keep their order.
            let times = match &batch.times {
                Times::Unknown => None,
                Times::Column(column) => columns::times(column).ok(),
                Times::Known(times) => Some(times.clone()),
            };
            variation.observe(Role::Input, &batch.inputs, times.as_deref());
            variation.observe(Role::Output, &batch.outputs, times.as_deref());
            if let Some(counter) = counter {
                counter.observe(&batch.inputs, &batch.outputs);
            }
        }
        Ok(())
    }

    fn is_output(&self, name: &str) -> bool {
        self.outputs.iter().any(|output| output == name) || self.truth.is_output(name)
    }

    fn read(
        &self,
        path: &Path,
        mut take: impl FnMut(&mut Batch, bool) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut source = Source::open(path)?;
        let is_output = |name: &str| self.is_output(name);
        let mut is_first = true;
        while let Some(mut batch) = source.next_batch(&self.time_column, is_output)? {
            if is_first {
                self.check(path, &source, &batch)?;
                is_first = false;
            }
            take(&mut batch, source.is_archive())?;
        }
        if is_first {
            return Err(source.empty(path.to_owned()).into());
        }
        source.left_out().iter().for_each(|why| note(&format!("left out: {why}")));
        Ok(())
    }

    /// Names that no column has, and columns that are hardly features.
    fn check(&self, path: &Path, source: &Source, batch: &Batch) -> Result<(), BadInput> {
        let shown = path.display();
        if source.is_archive() && !self.outputs.is_empty() {
            return Err(BadInput::text(format!(
                "--outputs: {shown} is an archive, which says of its own what is an output"
            )));
        }
        let outputs = batch.outputs.columns();
        if let Some(missing) = self
            .outputs
            .iter()
            .find(|name| !outputs.iter().any(|column| **column.name() == ***name))
        {
            return Err(BadInput::text(format!(
                "--outputs: {shown} has no column {missing:?}; it has {}",
                batch.names()
            )));
        }
        let filter = FeatureFilter::new(self.include.clone(), self.exclude.clone());
        let flag = if source.is_archive() { "--exclude" } else { "--time-column" };
        let columns = batch.columns().map(|(_, column)| column);
        for column in columns.filter(|column| filter.admits(column.name())) {
            if columns::looks_like_times(column) {
                let name = column.name();
                note(&format!(
                    "{name} holds times and is taken as a category; leave it out by {flag} {name}"
                ));
            }
        }
        Ok(())
    }
}

fn note(text: &str) {
    eprintln!("{} {text}", Palette::of_stderr().paint(Colour::Yellow, "note:"));
}

fn write(path: &Path, baseline: &Baseline) -> anyhow::Result<()> {
    let cannot = || format!("{}: cannot be written", path.display());
    // Whole or not at all: a sidecar may read it at any moment.
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, baseline.to_json()).with_context(cannot)?;
    std::fs::rename(&partial, path).with_context(cannot)?;
    let (rows, features) = (baseline.rows(), baseline.features().len());
    let path = path.display();
    super::print(&format!("{path}: {rows} rows, {features} features, hash {}", baseline.hash()))?;
    Ok(())
}

impl Merge {
    fn run(&self) -> anyhow::Result<()> {
        let baselines = self.files.iter().map(|path| read_baseline(path));
        let baselines = baselines.collect::<Result<Vec<_>, _>>()?;
        if baselines.iter().any(|baseline| !baseline.segments().is_empty()) {
            note("segments are left out: build one baseline from all of the data to have them");
        }
        write(&self.out, &Baseline::merge(baselines).map_err(BadInput::new)?)
    }
}

impl Show {
    fn run(&self) -> anyhow::Result<()> {
        let baseline = read_baseline(&self.file)?;
        match self.format {
            Format::Json => super::print(baseline.to_json().trim_end())?,
            Format::Table => super::print(&table(baseline))?,
        }
        Ok(())
    }
}

/// A line a feature, with the shares of its bins as a small picture.
fn table(baseline: Baseline) -> String {
    let head = format!("{} rows, hash {}", baseline.rows(), baseline.hash());
    let performance = baseline.performance().map(labelled::shown).unwrap_or_default();
    let segments = baseline.segments().iter();
    let parts: Vec<_> = segments.map(|part| format!("{} {}", part.name(), part.rows())).collect();
    let settings = Settings { max_features: usize::MAX, ..Settings::default() };
    let monitor = Monitor::new(settings, Reference::Baseline(Arc::new(baseline)));
    let mut grid = Grid::new(&[
        ("feature", Align::Left),
        ("role", Align::Left),
        ("kind", Align::Left),
        ("bins", Align::Right),
        ("shares", Align::Left),
        ("most common", Align::Left),
    ]);
    for view in monitor.views() {
        let shares: Vec<_> = view.bins.iter().map(|bin| bin.baseline_share).collect();
        let kind = match view.kind {
            Kind::Numeric => "numeric",
            Kind::Categorical => "categorical",
        };
        let most = view.bins.iter().max_by(|a, b| a.baseline_share.total_cmp(&b.baseline_share));
        let most = most.map(|bin| format!("{} ({:.1} %)", bin.label, bin.baseline_share * 100.0));
        grid.row(vec![
            view.feature.to_string(),
            view.role.to_string(),
            kind.to_owned(),
            view.bins.len().to_string(),
            super::layout::sparkline(&shares),
            most.unwrap_or_default(),
        ]);
    }
    let table = grid.text(Palette::of_stdout());
    if parts.is_empty() {
        return format!("{head}\n\n{table}{performance}");
    }
    format!("{head}\n\n{table}{performance}\n\nsegments: {}", parts.join(", "))
}
