//! What a decoder is given, and what it gives back.

use super::dialect::{Because, Dialect};
use super::grpc::Messages;
use super::multipart;
use super::problem::{Problem, Side};
use super::rows::Rows;
use smallvec::SmallVec;
use std::sync::Arc;

/// The payloads of one exchange.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    pub method: &'a str,
    /// With or without its query.
    pub path: &'a str,
    /// `None` if no response was sent.
    pub status: Option<u16>,
    pub request: Part<'a>,
    pub response: Part<'a>,
}

/// One body, and what its headers say of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Part<'a> {
    pub content_type: Option<&'a str>,
    pub content_encoding: Option<&'a str>,
    /// Bytes of JSON that the body begins with; the raw bytes of tensors follow them.
    pub json_len: Option<usize>,
    pub body: &'a [u8],
    /// There was more than was kept.
    pub truncated: bool,
}

/// The rows of one exchange.
#[derive(Debug, Default)]
pub struct Decoded {
    pub dialect: Option<Dialect>,
    /// How the dialect was settled.
    pub because: Option<Because>,
    pub model: Option<ModelRef>,
    pub inputs: Rows,
    pub outputs: Rows,
    /// At most one a side.
    pub problems: SmallVec<[(Side, Problem); 2]>,
}

/// The model that answered, as the path or the response names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelRef {
    pub name: Arc<str>,
    pub version: Option<Arc<str>>,
}

/// What a body is, going by its headers and its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content<'a> {
    Nothing,
    Json(&'a str),
    Csv {
        text: &'a str,
        no_header: bool,
    },
    /// Tensors of which some, or all, have their cells behind the JSON.
    Tensors {
        head: &'a str,
        raw: &'a [u8],
    },
}

impl Decoded {
    pub(super) const fn is_of(&mut self, dialect: Dialect, because: Because) {
        (self.dialect, self.because) = (Some(dialect), Some(because));
    }
}

impl<'a> Part<'a> {
    /// Settles what the body, plain by now, is; `csv` says that it is CSV whatever the header.
    pub(super) fn content(&self, csv: bool) -> Result<Content<'a>, Problem> {
        if self.body.is_empty() && !self.truncated {
            return Ok(Content::Nothing);
        }
        if self.truncated {
            return Err(Problem::Truncated);
        }
        let (essence, parameters) = self.media_type();
        if is_any(essence, &["multipart/form-data"]) {
            // Which has a type that is none of a form, or none.
            let part = multipart::rows(self.body, parameters).ok_or(Problem::NoRowsInForm)?;
            return part.content(csv);
        }
        let raw = is_any(essence, &["application/octet-stream"]);
        if let Some(len) =
            self.json_len.filter(|_| raw || essence.is_empty() || self.is_json(essence))
        {
            return tensors(self.body, len);
        }
        if is_any(essence, &["text/csv", "application/csv"]) || csv && essence.is_empty() {
            let no_header = parameters.to_ascii_lowercase().contains("header=absent");
            return Ok(Content::Csv { text: utf8(self.body)?, no_header });
        }
        if is_any(essence, &["application/cloudevents+json"]) {
            return data_of_event(utf8(self.body)?);
        }
        if essence.is_empty() || self.is_json(essence) {
            let text = utf8(self.body)?;
            return Ok(if text.trim_ascii().is_empty() {
                Content::Nothing
            } else {
                Content::Json(text)
            });
        }
        Err(if raw { Problem::Binary } else { Problem::UnknownContentType })
    }

    /// The body of a stream of events, cut off or not, if it is one.
    pub(super) fn events(&self) -> Option<&'a [u8]> {
        let is_stream = is_any(self.media_type().0, &["text/event-stream"]);
        (is_stream && !self.body.is_empty()).then_some(self.body)
    }

    /// The messages of a gRPC body; `None` if there is no body.
    pub(super) fn messages(&self) -> Result<Option<Messages<'a>>, Problem> {
        if self.body.is_empty() && !self.truncated {
            return Ok(None);
        }
        if self.truncated {
            return Err(Problem::Truncated);
        }
        if !is_any(self.media_type().0, &["application/grpc", "application/grpc+proto"]) {
            return Err(Problem::UnknownContentType);
        }
        Ok(Some(Messages::of(self.body)))
    }

    fn media_type(&self) -> (&'a str, &'a str) {
        let whole = self.content_type.unwrap_or_default();
        let (essence, parameters) = whole.split_once(';').unwrap_or((whole, ""));
        (essence.trim(), parameters)
    }

    /// JSON by name; or by its first byte where clients and servers send JSON under another name.
    fn is_json(&self, essence: &str) -> bool {
        let suffix = essence.rsplit_once('+').map(|(_, suffix)| suffix);
        if is_any(essence, &["application/json", "text/json"])
            || suffix.is_some_and(|s| is_any(s, &["json"]))
        {
            return true;
        }
        is_any(essence, &["text/plain", "text/html", "application/x-www-form-urlencoded"])
            && matches!(self.body.trim_ascii_start().first(), Some(b'{' | b'['))
    }
}

/// A head of no bytes would have the model's own metadata say what the bytes are.
fn tensors(body: &[u8], json_len: usize) -> Result<Content<'_>, Problem> {
    let (head, raw) = body.split_at_checked(json_len).ok_or(Problem::Truncated)?;
    match (utf8(head)?, raw) {
        (head, []) => Ok(Content::Json(head)),
        ("", _) => Err(Problem::Binary),
        (head, raw) => Ok(Content::Tensors { head, raw }),
    }
}

/// An event of `CloudEvents` in its structured mode, whose payload stands in `data`.
#[derive(serde::Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    data: Option<&'a serde_json::value::RawValue>,
    data_base64: Option<serde::de::IgnoredAny>,
}

fn data_of_event(text: &str) -> Result<Content<'_>, Problem> {
    let event: Event<'_> = serde_json::from_str(text).map_err(|_| Problem::InvalidJson)?;
    match (event.data, event.data_base64) {
        (Some(data), _) => Ok(Content::Json(data.get())),
        (None, Some(_)) => Err(Problem::Binary),
        (None, None) => Ok(Content::Nothing),
    }
}

fn is_any(essence: &str, names: &[&str]) -> bool {
    names.iter().any(|name| essence.eq_ignore_ascii_case(name))
}

fn utf8(body: &[u8]) -> Result<&str, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| Problem::NotUtf8)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
