//! YAML as a tree of texts with their lines: what a config says before anyone asks what it means.
//!
//! Scalars keep their spelling, so that `version: 3.10` stays `3.10`.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, MessageFormatter, Spanned, UserMessageFormatter};
use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub line: u64,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    pub line: u64,
    pub value: Node,
}

/// Why the text is no YAML, and on which line if that is known.
#[derive(Debug)]
pub(super) struct NotYaml {
    pub line: Option<u64>,
    pub message: String,
}

/// A text of blanks and comments is an empty tree.
pub(super) fn parse(source: &str) -> Result<Node, NotYaml> {
    let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if source.lines().all(is_blank) {
        return Ok(Node { line: 1, content: Content::Null });
    }
    let raw: Spanned<Raw> = serde_saphyr::from_str(source).map_err(|error| NotYaml {
        line: error.location().map(|location| location.line()).filter(|line| *line > 0),
        message: told(&error),
    })?;
    Ok(spelled(source, raw))
}

/// In words for users; the line is told apart.
fn told(error: &serde_saphyr::Error) -> String {
    let text = UserMessageFormatter.format_message(error.without_snippet());
    text.lines().next().unwrap_or_default().to_owned()
}

/// Gives plain scalars back the spelling that typed reading took from them.
fn spelled(source: &str, raw: Spanned<Raw>) -> Node {
    let content = match raw.value {
        Raw::Null => Content::Null,
        Raw::Quoted(text) => Content::Text(text),
        Raw::Plain(read) => Content::Text(slice(source, raw.defined).unwrap_or(read)),
        Raw::List(items) => {
            Content::List(items.into_iter().map(|item| spelled(source, item)).collect())
        }
        Raw::Map(entries) => Content::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    line: key.referenced.line(),
                    key: key.value,
                    value: spelled(source, value),
                })
                .collect(),
        ),
    };
    Node { line: raw.referenced.line(), content }
}

fn slice(source: &str, location: Location) -> Option<String> {
    let start = usize::try_from(location.span().byte_offset()?).ok()?;
    let end = start + usize::try_from(location.span().byte_len()?).ok()?;
    let text = source.get(start..end)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

enum Raw {
    Null,
    /// A bool or a number, as it was read.
    Plain(String),
    Quoted(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list or a map")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Quoted(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Raw, D::Error> {
        Raw::deserialize(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(source: &str) -> Vec<(String, u64, Content)> {
        let Content::Map(entries) = parse(source).unwrap().content else { panic!("no map") };
        entries.into_iter().map(|entry| (entry.key, entry.line, entry.value.content)).collect()
    }

    #[test]
    fn scalars_keep_their_spelling_and_line() {
        let source = "# head\na: 3.10\nb: off\n\nc: \"1e3\"\nd: 0x1F\ne: ü\nf: 1.50 # why\ng:\n";
        let text = |text: &str| Content::Text(text.to_owned());
        let expected = [
            ("a", 2, text("3.10")),
            ("b", 3, text("off")),
            ("c", 5, text("1e3")),
            ("d", 6, text("0x1F")),
            ("e", 7, text("ü")),
            ("f", 8, text("1.50")),
            ("g", 9, Content::Null),
        ];
        let expected = expected.map(|(key, line, content)| (key.to_owned(), line, content));
        assert_eq!(entries(source), expected);
    }

    #[test]
    fn flow_maps_and_anchors_are_read() {
        let source = "a: { x: 1, y: [b, 2.0] }\nk: &k 1.0\nl: *k\n";
        let found = entries(source);
        let Content::Map(inner) = &found[0].2 else { panic!("no map") };
        assert_eq!(inner[0].value.content, Content::Text("1".into()));
        let Content::List(items) = &inner[1].value.content else { panic!("no list") };
        assert_eq!(items[1].content, Content::Text("2.0".into()));
        assert_eq!(found[2].2, Content::Text("1.0".into()));
    }

    #[test]
    fn a_fault_of_the_syntax_has_its_line() {
        let fault = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(fault.line.is_some(), "{fault:?}");
        let twice = parse("a: 1\na: 2\n").unwrap_err();
        assert_eq!(twice.line, Some(2), "{twice:?}");
    }

    #[test]
    fn nothing_but_comments_is_an_empty_tree() {
        assert_eq!(parse("# none\n\n").unwrap().content, Content::Null);
    }
}
