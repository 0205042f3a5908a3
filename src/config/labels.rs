//! The keys of `labels`: how long they may take, and where they come from beside the API.

use super::checked::Labels;
use super::reader::Reader;
use http::HeaderName;
use std::path::{Path, PathBuf};

pub(super) fn labels(reader: &mut Reader<'_>) -> Option<Labels> {
    let max_delay = reader.duration("labels.max_delay");
    let reference_rows = reader.count::<u64>("labels.reference_rows", 2);
    let response_header = response_header(reader);
    let files = files(reader);
    Some(Labels {
        max_delay: max_delay?,
        reference_rows: reference_rows?.try_into().ok()?,
        response_header: response_header?,
        files: files?,
    })
}

#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no header")]
fn response_header(reader: &mut Reader<'_>) -> Option<Option<HeaderName>> {
    let key = "labels.response_header";
    let Some(text) = reader.given_text(key) else { return Some(None) };
    if let Ok(name) = text.parse() {
        return Some(Some(name));
    }
    reader.problem(key, format!("{text:?} is no name of a header; give one such as x-label"));
    None
}

/// Paths, of which the last part may have `*` for any run of characters.
fn files(reader: &mut Reader<'_>) -> Option<Vec<PathBuf>> {
    let key = "labels.files";
    let texts = reader.list(key);
    let before = reader.problems.len();
    for text in &texts {
        let path = Path::new(text);
        let directory = path.parent().unwrap_or(Path::new(""));
        if path.file_name().is_none() {
            let message = format!("{text:?} names no file; give one such as /data/labels-*.jsonl");
            reader.problem(key, message);
        } else if directory.to_string_lossy().contains('*') {
            let message =
                format!("{text:?} has a * in a directory; only the name of the file may have one");
            reader.problem(key, message);
        }
    }
    (reader.problems.len() == before).then(|| texts.into_iter().map(PathBuf::from).collect())
}
