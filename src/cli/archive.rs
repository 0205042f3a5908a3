//! `taffrail archive`: lists, prints, checks and converts what was recorded.

use anyhow::Context;
use base64::Engine;
use serde::Serialize;
use serde_json::value::RawValue;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::archive::{self, Body, DecodedExchange, Part, Reader, Record, Summary};
use crate::decode::{Cell, Column, Rows};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the files: exchanges, time range, size.
    Ls {
        /// An archive's directory, a file of it, or a data directory.
        dir: PathBuf,
    },
    /// Print one JSON object an exchange, oldest first.
    Cat {
        /// An archive's directory, a file of it, or a data directory.
        dir: PathBuf,
        /// Only the exchanges of this request id.
        #[arg(long)]
        id: Option<String>,
        /// At most so many exchanges.
        #[arg(long)]
        limit: Option<usize>,
        /// With both bodies: as text, or in base64 where they are none.
        #[arg(long)]
        bodies: bool,
    },
    /// Check that every file is whole and readable; exit 1 on a fault.
    Verify {
        /// An archive's directory, a file of it, or a data directory.
        dir: PathBuf,
    },
    /// Print the decoded rows, one a line, with `id` and `ts`; outputs are named `output.<name>`.
    Export {
        /// An archive's directory, a file of it, or a data directory.
        dir: PathBuf,
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Jsonl,
}

/// Exit 0, or 1 if `verify` found a fault.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = match args.verb {
        Verb::Ls { dir } => ls(&dir, &mut out),
        Verb::Cat { dir, id, limit, bodies } => {
            let part = if bodies { Part::Everything } else { Part::WithoutBodies };
            cat(&dir, id.as_deref(), limit.unwrap_or(usize::MAX), part, &mut out)
        }
        Verb::Verify { dir } => verify(&dir, &mut out),
        Verb::Export { dir, format: Format::Jsonl } => export(&dir, &mut out),
    };
    match done.and_then(|code| Ok(out.flush().map(|()| code)?)) {
        // The reader of a pipe has had enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        done => done,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io_error = |cause: &(dyn std::error::Error + 'static)| {
        let json =
            cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        json.or_else(|| cause.downcast_ref::<io::Error>().map(io::Error::kind))
    };
    error.chain().any(|cause| io_error(cause) == Some(io::ErrorKind::BrokenPipe))
}

fn open(dir: &Path) -> anyhow::Result<Reader> {
    let reader = Reader::open(dir).with_context(|| format!("no archive at {}", dir.display()))?;
    if dir.is_file() && !archive::holds_exchanges(dir)? {
        anyhow::bail!("{} is Parquet, but lacks the columns of an archive", dir.display());
    }
    Ok(reader)
}

fn ls(dir: &Path, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let reader = open(dir)?;
    let (mut exchanges, mut bytes) = (0, 0);
    writeln!(out, "{:>10}  {:>10}  {:<27}  {:<27}  file", "exchanges", "size", "first", "last")?;
    for summary in reader.summaries() {
        let Summary { path, bytes: size, exchanges: count, first, last } = summary?;
        let time = |time: Option<jiff::Timestamp>| {
            time.map_or_else(|| "-".to_owned(), |time| format!("{time:.6}"))
        };
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let (first, last, shown) = (time(first), time(last), bytesize::ByteSize(size).to_string());
        writeln!(out, "{count:>10}  {shown:>10}  {first:<27}  {last:<27}  {name}")?;
        exchanges += count;
        bytes += size;
    }
    let (files, size) = (reader.files().len(), bytesize::ByteSize(bytes));
    writeln!(out, "{exchanges} exchanges in {files} files, {size}")?;
    Ok(ExitCode::SUCCESS)
}

fn cat(
    dir: &Path,
    id: Option<&str>,
    limit: usize,
    part: Part,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let reader = open(dir)?;
    let records: Box<dyn Iterator<Item = _>> = match id {
        Some(id) => Box::new(reader.find(id, part)),
        None => Box::new(reader.records(part)),
    };
    for record in records.take(limit) {
        serde_json::to_writer(&mut *out, &Printed::new(&record?)?)?;
        out.write_all(b"\n")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(dir: &Path, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let reader = open(dir)?;
    let (mut exchanges, mut faults) = (0, 0);
    for file in reader.files() {
        match archive::verify(file) {
            Ok(checked) => exchanges += checked.exchanges,
            Err(error) => {
                faults += 1;
                writeln!(out, "fault: {:#}", anyhow::Error::from(error))?;
            }
        }
    }
    let files = reader.files().len();
    writeln!(out, "{exchanges} exchanges in {} of {files} files are whole", files - faults)?;
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn export(dir: &Path, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    for exchange in open(dir)?.rows() {
        export_rows(&exchange?, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One line a row. Inputs and outputs stand side by side as long as there are both. An input named `ts`
/// keeps its name, and the exchange's time is then left out.
fn export_rows(exchange: &DecodedExchange, out: &mut impl Write) -> anyhow::Result<()> {
    let DecodedExchange { id, started_at, inputs, outputs, .. } = exchange;
    let columns = |rows: &Rows, prefix: &str| -> Vec<String> {
        rows.columns().iter().map(|column| format!("{prefix}{}", column.name())).collect()
    };
    let names = [columns(inputs, ""), columns(outputs, "output.")].concat();
    let mut cells: Vec<_> =
        inputs.columns().iter().chain(outputs.columns()).map(Column::cells).collect();
    let has_own_time = inputs.column("ts").is_some();
    for index in 0..inputs.len().max(outputs.len()) {
        write!(out, "{{\"id\":{}", serde_json::to_string(&format!("{id}#{index}"))?)?;
        if !has_own_time {
            write!(out, ",\"ts\":\"{started_at}\"")?;
        }
        for (name, cells) in names.iter().zip(&mut cells) {
            let value = json(cells.next().unwrap_or(Cell::Null));
            write!(out, ",{}:{value}", serde_json::to_string(name)?)?;
        }
        out.write_all(b"}\n")?;
    }
    Ok(())
}

/// A number that JSON has no word for is null, as readers of training data take it.
fn json(cell: Cell<'_>) -> serde_json::Value {
    match cell {
        Cell::Null => serde_json::Value::Null,
        Cell::Number(number) => number.into(),
        Cell::Bool(bool) => bool.into(),
        Cell::Text(text) => text.into(),
    }
}

/// A record as `cat` prints it.
#[derive(Serialize)]
struct Printed<'a> {
    id: &'a str,
    started_at: String,
    total_seconds: f64,
    upstream_seconds: Option<f64>,
    first_byte_seconds: Option<f64>,
    model_name: &'a str,
    model_version: &'a str,
    dialect: Option<&'a str>,
    route: &'a str,
    method: &'a str,
    target: &'a str,
    status: Option<u16>,
    fault: Option<&'a str>,
    trace_id: Option<&'a str>,
    span_id: Option<&'a str>,
    sample_rate: f64,
    request: PrintedBody<'a>,
    response: PrintedBody<'a>,
    input_rows: u64,
    output_rows: u64,
    inputs: Option<&'a RawValue>,
    outputs: Option<&'a RawValue>,
    counted_at: Option<String>,
}

#[derive(Serialize)]
struct PrintedBody<'a> {
    content_type: Option<&'a str>,
    content_encoding: Option<&'a str>,
    headers: Option<&'a RawValue>,
    bytes: u64,
    truncated: bool,
    end: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl<'a> Printed<'a> {
    fn new(record: &'a Record) -> anyhow::Result<Self> {
        let context = |column| format!("exchange {}: `{column}` is no JSON", record.id);
        Ok(Self {
            id: &record.id,
            started_at: format!("{:.6}", record.started_at),
            total_seconds: record.total.as_secs_f64(),
            upstream_seconds: record.upstream.map(|span| span.as_secs_f64()),
            first_byte_seconds: record.first_byte.map(|span| span.as_secs_f64()),
            model_name: &record.model_name,
            model_version: &record.model_version,
            dialect: record.dialect.as_deref(),
            route: &record.route,
            method: &record.method,
            target: &record.target,
            status: record.status,
            fault: record.fault.as_deref(),
            trace_id: record.trace_id.as_deref(),
            span_id: record.span_id.as_deref(),
            sample_rate: record.sample_rate,
            request: PrintedBody::new(&record.request).with_context(|| context("headers"))?,
            response: PrintedBody::new(&record.response).with_context(|| context("headers"))?,
            input_rows: record.input_rows,
            output_rows: record.output_rows,
            inputs: raw(record.inputs.as_deref()).with_context(|| context("inputs"))?,
            outputs: raw(record.outputs.as_deref()).with_context(|| context("outputs"))?,
            counted_at: record.counted_at.map(|at| format!("{at:.6}")),
        })
    }
}

impl<'a> PrintedBody<'a> {
    fn new(body: &'a Body) -> serde_json::Result<Self> {
        let text = body.body.as_deref().map(std::str::from_utf8);
        let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        Ok(Self {
            content_type: body.content_type.as_deref(),
            content_encoding: body.content_encoding.as_deref(),
            headers: raw(body.headers.as_deref().map(str::as_bytes))?,
            bytes: body.total_bytes,
            truncated: body.truncated,
            end: &body.end,
            body: text.and_then(Result::ok),
            body_base64: match text {
                Some(Err(_)) => body.body.as_deref().map(base64),
                _ => None,
            },
        })
    }
}

fn raw(text: Option<&[u8]>) -> serde_json::Result<Option<&RawValue>> {
    text.map(serde_json::from_slice).transpose()
}

#[cfg(test)]
mod tests;
