//! The OpenAI-compatible protocols: chat completions, completions, responses and embeddings, answered
//! whole or as a stream of events.
//!
//! An exchange is one row: of its texts only what [`TextStats`](super::text::TextStats) counts, of its
//! vectors their norm. Every column is there in every row, null where nothing was said. A stream that
//! ends before the model has said why, or of which the end was not kept, is read as far as it goes and
//! is [`Problem::Truncated`] as well.

mod answered;
mod asked;
mod embedding;

use super::events::Events;
use super::json::{JsonError, Reader};
use super::naming::Naming;
use super::payload::{Content, Part};
use super::problem::{Problem, Side};
use super::rows::{Cell, Rows};
use super::table::{ROOT, Stopped, Table};
use super::text::CELLS;
use super::walk::{Node, Scalar, Walk};
use answered::{Answer, Answered};
use asked::{Asked, Request};

/// What a path has the model do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Chat,
    Completion,
    Responses,
    Embeddings,
}

impl Operation {
    /// By the last segments of a path.
    pub(super) fn of(segments: &[&str]) -> Option<Self> {
        match segments {
            [.., "chat", "completions"] => Some(Self::Chat),
            [.., "completions"] => Some(Self::Completion),
            [.., "responses"] => Some(Self::Responses),
            [.., "embeddings"] => Some(Self::Embeddings),
            _ => None,
        }
    }

    /// The member of a request that holds what is asked.
    const fn holds(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Completion => "prompt",
            Self::Responses | Self::Embeddings => "input",
        }
    }

    /// The column that counts what that member holds.
    const fn counted(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "messages",
            Self::Completion => "prompts",
            Self::Embeddings => "inputs",
        }
    }
}

/// Reads exchanges, one after another, in memory of its own.
#[derive(Debug, Default)]
pub(super) struct OpenAi {
    asked: Asked,
    /// The last request was read, so that its tokens can be estimated.
    knows_asked: bool,
    answered: Answered,
    unescaped: String,
    joined: Vec<u8>,
}

impl OpenAi {
    /// Whether the request is one of these; if not, nothing is written to `rows`.
    pub(super) fn read_request(
        &mut self,
        operation: Operation,
        part: &Part<'_>,
        table: &mut Table,
        rows: &mut Rows,
    ) -> Result<bool, Problem> {
        self.asked.clear();
        self.answered.clear();
        self.knows_asked = false;
        let Content::Json(text) = part.content(false)? else { return Ok(false) };
        let mut request = Request { asked: &mut self.asked, operation };
        read(text, table.limits().max_depth, &mut self.unescaped, &mut request)?;
        if !self.asked.is_recognised {
            return Ok(false);
        }
        self.knows_asked = true;
        write(table, Side::Request, rows, |row| self.asked.write(operation, row))?;
        Ok(true)
    }

    /// Rows and a problem both, where a stream broke off. An error is neither.
    pub(super) fn read_response(
        &mut self,
        operation: Operation,
        part: &Part<'_>,
        table: &mut Table,
        rows: &mut Rows,
    ) -> Result<(), Problem> {
        let max_depth = table.limits().max_depth;
        let mut outcome = Ok(());
        if let Some(body) = part.events() {
            self.answered.is_stream = true;
            outcome = self.read_events(operation, body, max_depth);
            if part.truncated || outcome.is_ok() && !self.answered.has_finished() {
                outcome = Err(Problem::Truncated);
            }
        } else {
            let content = part.content(false)?;
            if content == Content::Nothing {
                return Err(Problem::Empty);
            }
            let Content::Json(text) = content else { return Err(Problem::UnknownContentType) };
            let mut answer = Answer { answered: &mut self.answered, operation };
            read(text, max_depth, &mut self.unescaped, &mut answer)?;
        }
        if !self.answered.is_recognised {
            let known = outcome.is_err() || self.answered.has_failed;
            return if known { outcome } else { Err(Problem::Unrecognised) };
        }
        let tokens = self.knows_asked.then(|| self.asked.estimated_tokens());
        write(table, Side::Response, rows, |row| self.answered.write(operation, tokens, row))?;
        outcome
    }

    /// The model that answered, by its own word; empty if it has not said.
    pub(super) fn served(&self) -> &str {
        self.answered.model.as_str()
    }

    /// All events that can be read; the first problem of the others.
    fn read_events(
        &mut self,
        operation: Operation,
        body: &[u8],
        max_depth: usize,
    ) -> Result<(), Problem> {
        let mut events = Events::new(body);
        let mut outcome = Ok(());
        while let Some(data) = events.next(&mut self.joined) {
            let data = data.trim_ascii();
            if data.is_empty() || data == b"[DONE]" {
                continue;
            }
            let mut answer = Answer { answered: &mut self.answered, operation };
            let read = std::str::from_utf8(data)
                .map_err(|_| Problem::NotUtf8)
                .and_then(|text| read(text, max_depth, &mut self.unescaped, &mut answer));
            if read.is_err() {
                self.answered.forget_event();
            }
            outcome = outcome.and(read);
        }
        outcome
    }
}

fn read<N: Node>(
    text: &str,
    max_depth: usize,
    unescaped: &mut String,
    node: &mut N,
) -> Result<(), Problem> {
    Reader::new(text, max_depth, unescaped).read(Walk(node)).map_err(|error| match error {
        JsonError::Truncated => Problem::Truncated,
        JsonError::Syntax => Problem::InvalidJson,
        JsonError::TooDeep => Problem::TooDeep,
        JsonError::Refused => Problem::WrongShape,
    })
}

/// The one row of an exchange's side.
struct Row<'t> {
    table: &'t mut Table,
    next: usize,
    stopped: Result<(), Stopped>,
}

impl Row<'_> {
    fn put(&mut self, name: &str, cell: Cell<'_>) {
        self.stopped = self.stopped.and_then(|()| {
            let (id, position) = self.table.field(ROOT, name, self.next)?;
            self.next = position + 1;
            self.table.put(id, cell)
        });
    }

    fn put_all(&mut self, names: &[&str], cells: &[Cell<'_>]) {
        names.iter().zip(cells).for_each(|(name, cell)| self.put(name, *cell));
    }
}

fn write(
    table: &mut Table,
    side: Side,
    rows: &mut Rows,
    fill: impl FnOnce(&mut Row<'_>),
) -> Result<(), Problem> {
    table.begin();
    let stopped = table.begin_row(0);
    let mut row = Row { table, next: 0, stopped };
    fill(&mut row);
    let stopped = row.stopped;
    stopped.map_err(|Stopped| table.stopped().unwrap_or(Problem::WrongShape))?;
    table.finish(&Naming { side, listed: &[], given: &[] }, rows);
    Ok(())
}

fn number_or_null(number: Option<f64>) -> Cell<'static> {
    number.map_or(Cell::Null, Cell::Number)
}

fn text_or_null(text: &Clipped) -> Cell<'_> {
    if text.is_empty() { Cell::Null } else { Cell::Text(text.as_str()) }
}

struct TextColumns {
    prompt: [&'static str; CELLS],
    answer: [&'static str; CELLS],
}

const TEXT_COLUMNS: TextColumns = TextColumns {
    prompt: [
        "prompt_characters",
        "prompt_words",
        "prompt_digit_share",
        "prompt_punctuation_share",
        "prompt_upper_share",
        "prompt_non_ascii_share",
        "prompt_script",
    ],
    answer: [
        "answer_characters",
        "answer_words",
        "answer_digit_share",
        "answer_punctuation_share",
        "answer_upper_share",
        "answer_non_ascii_share",
        "answer_script",
    ],
};

/// A word of the protocol, such as a model's name, cut at a length that none has.
#[derive(Debug, Default)]
struct Clipped(String);

impl Clipped {
    const BYTES: usize = 256;

    fn as_str(&self) -> &str {
        &self.0
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    /// Its memory, without the word.
    fn take_emptied(&mut self) -> Self {
        self.clear();
        std::mem::take(self)
    }

    fn set(&mut self, text: &str) {
        self.0.clear();
        let end = (0..=Self::BYTES.min(text.len())).rfind(|end| text.is_char_boundary(*end));
        self.0.push_str(&text[..end.unwrap_or_default()]);
    }

    /// What is no text leaves the word as it was.
    fn take(&mut self, value: Scalar<'_>) {
        if let Scalar::Text(text) = value {
            self.set(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_protocol_are_cut_between_characters() {
        let mut word = Clipped::default();
        word.take(Scalar::Text(&format!("{}{}", "a".repeat(255), "éé")));
        assert_eq!(word.as_str(), "a".repeat(255));
        word.take(Scalar::Number(1.0));
        assert_eq!(word.as_str().len(), 255);
        word.take(Scalar::Text("gpt"));
        assert_eq!(word.as_str(), "gpt");
    }
}
