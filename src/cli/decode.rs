//! `taffrail decode`: what the sidecar would read of an exchange, so that keys can be set without traffic.

mod message;

use super::input::BadInput;
use super::problems;
use super::settings::Settings;
use super::style::{Colour, Palette};
use crate::config::Config;
use crate::decode::{Cell, Decoded, Decoder, Dialect, Payload, Problem, Rows, Side};
use message::Message;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

pub(super) const AFTER_HELP: &str = "\
A file is a message of HTTP/1 with its head, as `curl -i` or a capture has it, or a body alone; then
--path and the types say the rest. With --config it is read as the sidecar would.
Exit codes: 0 both are read, 1 something is not, 2 the call or a file is wrong.";

/// Characters of a cell that are shown.
const MAX_CELL: usize = 24;
/// A table that is wider is turned.
const MAX_LINE: usize = 100;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the client sent
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// What the model answered
    #[arg(long, value_name = "FILE")]
    response: Option<PathBuf>,
    /// The target of the request, where the file has no head [default: /]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The content-type of the request, where the file has no head
    #[arg(long, value_name = "TYPE")]
    request_type: Option<String>,
    /// The content-type of the response, where the file has no head
    #[arg(long, value_name = "TYPE")]
    response_type: Option<String>,
    /// The sidecar's configuration: its protocol, names, signature, pointers and bounds
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Rows of each side that the table shows
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    rows: usize,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

/// As `--format json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    dialect: Option<&'static str>,
    because: Option<String>,
    model: Option<String>,
    model_version: Option<String>,
    inputs: Value,
    outputs: Value,
    problems: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    side: &'static str,
    problem: &'static str,
    what_to_do: &'static str,
}

pub(super) fn decode(args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = match &args.config {
        // No model is asked: any will do.
        None => Config::from_pairs(&[("upstream.url", "http://127.0.0.1")]).map(|it| (it, vec![])),
        Some(path) => Settings::of_file(path).load(),
    };
    let (config, warnings) = match loaded {
        Ok(loaded) => loaded,
        Err(found) => return Ok(problems::print(&found)),
    };
    problems::warn(&warnings);
    let max_body_bytes = config.capture.max_body_bytes;
    let mut request = Message::read(&args.request)?;
    if request.status.is_some() {
        let shown = args.request.display();
        return Err(BadInput::text(format!("--request: {shown} is a response")).into());
    }
    let mut response = args.response.as_deref().map(Message::read).transpose()?.unwrap_or_default();
    let given = [(&mut request, &args.request_type), (&mut response, &args.response_type)];
    for (message, media_type) in given {
        if let Some(media_type) = media_type {
            message.set("content-type", media_type);
        }
    }
    let path = args.path.as_deref().or(request.target.as_deref()).unwrap_or("/");
    let payload = Payload {
        method: request.method.as_deref().unwrap_or("POST"),
        path,
        status: args.response.is_some().then(|| response.status.unwrap_or(200)),
        request: request.part(max_body_bytes),
        response: response.part(max_body_bytes),
    };
    let mut decoded = Decoded::default();
    Decoder::new(crate::app::decoding(&config)?).decode(&payload, &mut decoded);
    super::print(&match args.format {
        Format::Table => table(&decoded, args.rows),
        Format::Json => serde_json::to_string_pretty(&report(&decoded))?,
    })?;
    Ok(ExitCode::from(u8::from(!decoded.problems.is_empty())))
}

fn report(decoded: &Decoded) -> Report {
    let columns = |rows: &Rows| {
        let columns = rows.columns().iter();
        let cells = columns
            .map(|column| (column.name().to_string(), column.cells().map(json_cell).collect()));
        Value::Object(cells.collect())
    };
    Report {
        dialect: decoded.dialect.map(Dialect::as_str),
        because: decoded.because.map(|because| because.to_string()),
        model: decoded.model.as_ref().map(|model| model.name.to_string()),
        model_version: decoded.model.as_ref().and_then(|it| it.version.as_deref()).map(Into::into),
        inputs: columns(&decoded.inputs),
        outputs: columns(&decoded.outputs),
        problems: decoded.problems.iter().map(|found| self::found(*found)).collect(),
    }
}

/// JSON has no word for a number that is not finite: it is null there.
fn json_cell(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Number(number) => json!(number),
        Cell::Bool(value) => json!(value),
        Cell::Text(text) => json!(text),
    }
}

fn table(decoded: &Decoded, most: usize) -> String {
    let palette = Palette::of_stdout();
    let mut lines = Vec::new();
    let dialect = decoded.dialect.map_or("none that is known", |dialect| dialect.as_str());
    let because = decoded.because.map(|because| format!(" ({because})")).unwrap_or_default();
    lines.push(format!("dialect   {}{because}", palette.paint(Colour::Green, dialect)));
    if let Some(model) = &decoded.model {
        let version = model.version.as_deref().map(|version| format!(", version {version}"));
        lines.push(format!("model     {}{}", model.name, version.unwrap_or_default()));
    }
    for (side, rows) in [("inputs", &decoded.inputs), ("outputs", &decoded.outputs)] {
        let (count, width) = (rows.len(), rows.columns().len());
        let noun = |count: usize, noun: &str| {
            format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
        };
        lines.push(format!("{side:8}  {} of {}", noun(count, "row"), noun(width, "column")));
        lines.extend(cells(rows, most));
        if count > most {
            lines.push(
                palette.paint(Colour::Dim, format!("  and {} more", noun(count - most, "row"))),
            );
        }
    }
    for problem in &decoded.problems {
        let Found { side, problem, what_to_do } = found(*problem);
        let mark = palette.paint(Colour::Red, "problem:");
        lines.push(format!("{mark} {side}: {problem}: {what_to_do}"));
    }
    lines.join("\n")
}

fn cells(rows: &Rows, most: usize) -> Vec<String> {
    let columns: Vec<Vec<String>> = rows
        .columns()
        .iter()
        .map(|column| {
            let shown = column.cells().take(most).map(shown_cell);
            std::iter::once(cut(column.name())).chain(shown).collect()
        })
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .map(|column| column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    if widths.iter().map(|width| width + 2).sum::<usize>() > MAX_LINE {
        // A column a line: its name, then its cells.
        let name = columns.iter().map(|column| column[0].chars().count()).max().unwrap_or(0);
        let line = |column: &Vec<String>| {
            format!("  {:name$}  {}", column[0], column[1..].join("  ")).trim_end().to_owned()
        };
        return columns.iter().map(line).collect();
    }
    let lines = columns.first().map_or(0, Vec::len);
    let line = |line: usize| {
        let cells =
            columns.iter().zip(&widths).map(|(column, width)| format!("  {:width$}", column[line]));
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..lines).map(line).collect()
}

fn shown_cell(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => "null".to_owned(),
        Cell::Number(number) => number.to_string(),
        Cell::Bool(value) => value.to_string(),
        Cell::Text(text) => cut(&format!("{text:?}")),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CELL) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn found((side, problem): (Side, Problem)) -> Found {
    Found { side: side.as_str(), problem: problem.as_str(), what_to_do: what_to_do(problem) }
}

fn what_to_do(problem: Problem) -> &'static str {
    match problem {
        Problem::Empty => "there is no body; does the file hold one?",
        Problem::Truncated => {
            "the body ends early; raise capture.max_body_bytes if it is longer than what is kept"
        }
        Problem::InvalidJson => "the body is no JSON; say what it is with its content-type",
        Problem::NotUtf8 => "the text is not UTF-8; name its charset in the content-type",
        Problem::Encoded => "its content-encoding is none of gzip, deflate, br and zstd",
        Problem::InvalidEncoding => "it is not what its content-encoding or charset says",
        Problem::Inflated => {
            "undone, its content-encoding gives more than twice capture.max_body_bytes, or 256 times \
             its size"
        }
        Problem::Binary => {
            "raw bytes are read behind their JSON only, whose length \
             Inference-Header-Content-Length tells"
        }
        Problem::InvalidProtobuf => "its message is none of the Open Inference protocol",
        Problem::UnknownContentType => {
            "its content-type is none that is read; where it is JSON or CSV, the client should say so"
        }
        Problem::NoRowsInForm => {
            "no part of the form is JSON or CSV; give that part its content-type"
        }
        Problem::Unrecognised => {
            "no dialect has rows like these; say where they stand with model.pointers.inputs and \
             model.pointers.outputs (such as /data/rows)"
        }
        Problem::WrongShape => {
            "its dialect's own member holds something else; choose another with model.protocol, or say \
             where rows stand with model.pointers"
        }
        Problem::PointerUnmatched => "model.pointers leads nowhere in this body",
        Problem::TooDeep => "it is nested deeper than 64 levels",
        Problem::TooManyColumns => {
            "it has more than 4,096 columns; point at fewer with model.pointers"
        }
        Problem::TooManyRows => "it has more than 1,048,576 rows; send them in smaller requests",
        Problem::TooManyCells => "it has more than 4,194,304 values; send them in smaller requests",
    }
}
