//! Files of labels, read as they grow.
//!
//! In: patterns of paths, looked at now and then. Out: what was read, a piece at a time. The promise: a
//! line is handed on once, whatever its file is renamed to, and where it is copied and then cut or removed,
//! as by logrotate's `copytruncate`; and over a restart, as the place in each file is kept in a file of
//! its own. A copy beside its original is a file of its own, and a process that is killed between the two
//! hands a piece on again: labels that come twice so count as duplicates. At most [`POLL_BYTES`] are read at a
//! time. A line that cannot be read is told with its file and number, and costs no other.
//!
//! A line ends at its newline; the last one without counts when the file has been still for
//! [`STILL`]. A file that begins with `{` has JSON lines, any other is CSV below a header, one label a
//! line.

mod known;
mod look;

use crate::labels::{BadLabel, Fault, Parsed, Place, parse_lines};
use known::{Known, Place as Reached};
use look::{Seen, look};
use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Of one file at a time; a longer line is no label.
const PIECE_BYTES: usize = 256 * 1024;
/// Of all files, in one poll.
const POLL_BYTES: usize = 16 * PIECE_BYTES;
/// A file that nobody has written to for so long is whole.
const STILL: Duration = Duration::from_secs(5);

/// The files that were seen, and how far each was read.
#[derive(Debug)]
pub struct LabelFiles {
    state: PathBuf,
    known: Known,
    /// What is wrong now, so that it is told once.
    failing: HashSet<PathBuf>,
    changed: bool,
}

impl LabelFiles {
    /// Goes on from where `state` says; without that file, or with one that cannot be read, from the
    /// beginning of each.
    pub fn open(state: PathBuf) -> Self {
        let known = match std::fs::read(&state) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                let path = state.display();
                tracing::warn!(%path, %error, "places in files of labels are lost; they are read anew");
                Known::default()
            }),
            Err(_) => Known::default(),
        };
        Self { state, known, failing: HashSet::new(), changed: false }
    }

    /// Reads what is new, oldest file first, and hands it on.
    pub fn poll(
        &mut self,
        patterns: &[PathBuf],
        now: SystemTime,
        take: &mut dyn FnMut(&Path, Parsed),
    ) {
        let seen = look(patterns, &self.known);
        self.changed |= self.known.recognise(&seen);
        let mut budget = POLL_BYTES;
        for file in &seen {
            if let Err(error) = self.read(file, now, &mut budget, take) {
                self.refuse(file, &error, take);
            }
        }
        if self.changed {
            self.keep();
        }
    }

    fn read(
        &mut self,
        seen: &Seen,
        now: SystemTime,
        budget: &mut usize,
        take: &mut dyn FnMut(&Path, Parsed),
    ) -> std::io::Result<()> {
        let Some(place) = self.known.place(seen) else { return Ok(()) };
        if place.offset >= seen.bytes || *budget == 0 {
            return Ok(());
        }
        let is_still = now.duration_since(seen.modified).is_ok_and(|age| age >= STILL);
        let mut file = File::open(&seen.path)?;
        file.seek(SeekFrom::Start(place.offset))?;
        while *budget > 0 {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            file.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
            let is_last = piece.len() < PIECE_BYTES;
            let whole = whole_lines(&piece, is_last && is_still);
            *budget = budget.saturating_sub(piece.len());
            let parsed = place.take(&piece, whole, is_last);
            let Some(parsed) = parsed else { break };
            self.changed = true;
            tell(&seen.path, &parsed);
            take(&seen.path, parsed);
            if is_last {
                break;
            }
            file.seek(SeekFrom::Start(place.offset))?;
        }
        if self.failing.remove(&seen.path) {
            tracing::info!(path = %seen.path.display(), "a file of labels can be read again");
        }
        Ok(())
    }

    fn refuse(&mut self, seen: &Seen, error: &std::io::Error, take: &mut dyn FnMut(&Path, Parsed)) {
        // It was removed since it was seen.
        if error.kind() == ErrorKind::NotFound || !self.failing.insert(seen.path.clone()) {
            return;
        }
        tracing::warn!(path = %seen.path.display(), %error, "a file of labels cannot be read");
        let number = self.known.place(seen).map_or(1, |place| place.lines + 1);
        let fault = Fault::File(error.to_string());
        let bad = vec![BadLabel { place: Place::Line, number, fault }];
        take(&seen.path, Parsed { bad, bad_total: 1, ..Parsed::default() });
    }

    /// A disk that is full costs the places after a restart, and no label now.
    fn keep(&mut self) {
        let next = self.state.with_extension("tmp");
        let kept = serde_json::to_vec(&self.known)
            .map_err(std::io::Error::from)
            .and_then(|bytes| {
                self.state.parent().map_or(Ok(()), std::fs::create_dir_all)?;
                std::fs::write(&next, bytes)
            })
            .and_then(|()| std::fs::rename(&next, &self.state));
        match kept {
            Ok(()) => {
                self.changed = false;
                self.failing.remove(&self.state);
            }
            Err(error) if self.failing.insert(self.state.clone()) => {
                let path = self.state.display();
                tracing::warn!(%path, %error, "places in files of labels cannot be kept: after a restart they are read anew");
            }
            Err(_) => {}
        }
    }
}

/// How much of a piece is whole lines.
fn whole_lines(piece: &[u8], is_whole: bool) -> usize {
    let newline = piece.iter().rposition(|byte| *byte == b'\n');
    if is_whole { piece.len() } else { newline.map_or(0, |newline| newline + 1) }
}

/// Of a poll's broken lines so many are logged one by one; all are counted.
const TOLD: usize = 5;

fn tell(path: &Path, parsed: &Parsed) {
    let path = path.display();
    for bad in parsed.bad.iter().take(TOLD) {
        tracing::warn!(%path, line = bad.number, reason = %bad.fault, "a label could not be read");
    }
    if parsed.bad_total > TOLD as u64 {
        tracing::warn!(%path, lines = parsed.bad_total, "labels could not be read");
    }
    tracing::debug!(%path, labels = parsed.labels.len(), "labels were read");
}

impl Reached {
    /// Reads the first `whole` bytes of a piece and moves on behind them; `None` if there is nothing
    /// to move over yet.
    fn take(&mut self, piece: &[u8], whole: usize, is_last: bool) -> Option<Parsed> {
        if whole == 0 {
            // Not a newline in a full piece: no label is so long. Of the line its end is left.
            return (!is_last).then(|| self.skip(piece));
        }
        let mut lines = &piece[..whole];
        self.offset += whole as u64;
        if std::mem::take(&mut self.in_long_line) {
            let rest = lines.iter().position(|byte| *byte == b'\n').map_or(whole, |at| at + 1);
            lines = &lines[rest..];
            self.lines += 1;
        }
        if self.lines == 0 && self.header.is_none() {
            lines = lines.strip_prefix(b"\xef\xbb\xbf").unwrap_or(lines);
            if !lines.trim_ascii_start().starts_with(b"{") {
                let end = lines.iter().position(|byte| *byte == b'\n').unwrap_or(lines.len());
                self.header = Some(String::from_utf8_lossy(&lines[..end]).trim().to_owned());
                lines = lines.get(end + 1..).unwrap_or_default();
                self.lines = 1;
            }
        }
        let count =
            lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64;
        let header = self.header.as_ref().map(String::as_bytes);
        let parsed = parse_lines(header, lines, self.lines).unwrap_or_else(|error| {
            let bad = vec![BadLabel {
                place: Place::Line,
                number: 1,
                fault: Fault::File(error.to_string()),
            }];
            Parsed { bad, bad_total: count.max(1), ..Parsed::default() }
        });
        self.lines += memchr::memchr_iter(b'\n', lines).count() as u64;
        Some(parsed)
    }

    fn skip(&mut self, piece: &[u8]) -> Parsed {
        self.offset += piece.len() as u64;
        if std::mem::replace(&mut self.in_long_line, true) {
            return Parsed::default();
        }
        let fault = Fault::File(format!("is longer than {} KiB", PIECE_BYTES / 1024));
        let bad = vec![BadLabel { place: Place::Line, number: self.lines + 1, fault }];
        Parsed { bad, bad_total: 1, ..Parsed::default() }
    }
}

#[cfg(test)]
mod tests;
