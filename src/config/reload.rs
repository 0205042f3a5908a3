//! A configuration read anew: what of it differs from the one in force, and what of that can be
//! taken over while the process runs.
//!
//! Everything is checked as at a start, keys that need one included, so that a file that was taken is
//! one to start with. What comes into force is checked once more, with the values of the start where
//! those stay: two keys that fit each other only after a restart are a problem until then.

use super::keys::{KEYS, Key, Reload, find};
use super::layers::{Layers, Sources};
use super::problem::{Problem, Problems};
use super::report::Change;
use super::{Config, Effective};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// Where a configuration came from, and what was said there.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<(Sources, Layers)>);

impl Said {
    pub(super) fn new(sources: &Sources, layers: Layers) -> Self {
        Self(Arc::new((sources.clone(), layers)))
    }

    fn sources(&self) -> &Sources {
        &self.0.0
    }

    fn layers(&self) -> &Layers {
        &self.0.1
    }
}

/// Secrets stand among what was said.
impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What reading all sources again has found; nothing of it is in force yet.
#[derive(Debug)]
pub struct Reread {
    /// To come into force: keys that need a restart are as they were.
    pub config: Config,
    /// What a start would take now.
    pub at_start: Config,
    pub changed: Vec<Change>,
    /// Keys that differ, and stay as they were.
    pub restart_required: Vec<&'static str>,
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads the sources of this configuration again: the same flags and variables, and the file as
    /// it is now.
    pub fn reread(&self) -> Result<Reread, Problems> {
        let sources = self.said.sources();
        let layers = Layers::gather(sources);
        let without_restart = layers.without_restart(self.said.layers());
        let (at_start, warnings) = Self::checked(sources, layers)?;
        let (config, _) = Self::checked(sources, without_restart)?;
        let (mut changed, mut restart_required) = (Vec::new(), Vec::new());
        for (before, after) in self.effective.iter().zip(&at_start.effective) {
            match find(after.key).map(Key::reload) {
                _ if before.digest == after.digest => {}
                Some(Reload::Live) => changed.push(change(before, after)),
                _ => restart_required.push(after.key),
            }
        }
        Ok(Reread { config, at_start, changed, restart_required, warnings })
    }

    /// Whether the sources still say what they said.
    pub fn is_current(&self) -> bool {
        let is_empty =
            |found: Reread| found.changed.is_empty() && found.restart_required.is_empty();
        self.reread().is_ok_and(is_empty)
    }

    /// The files that are to be looked at for changes, as far as the sources name any now: the
    /// configuration's own, and those whose content a reload takes over.
    pub fn watched_files(&self) -> Vec<PathBuf> {
        let sources = self.said.sources();
        let layers = Layers::gather(sources);
        let of = |layers: &Layers| {
            let keys = KEYS.iter().filter(|key| key.is_of_content());
            let named = keys.filter_map(|key| layers.winner(key.name));
            named.map(|setting| setting.value.shown().into()).collect::<Vec<PathBuf>>()
        };
        let mut files: Vec<PathBuf> = sources.file.iter().cloned().collect();
        // A file that cannot be read names none: those in force are still worth a look.
        files.extend(of(&layers));
        files.extend(of(self.said.layers()));
        files.sort_unstable();
        files.dedup();
        files
    }

    /// 16 hexadecimal digits, of what the file and the defaults say: equal in all pods that were
    /// given the same file. Flags and variables, which tell pods apart, do not count, nor do
    /// secrets.
    pub fn hash(&self) -> String {
        let mut all = Xxh3::new();
        for entry in &self.effective {
            let origin = self.said.layers().winner(entry.key).map(|setting| &setting.origin);
            if origin.is_none_or(super::Origin::is_shared) {
                all.update(entry.key.as_bytes());
                all.update(&[0]);
                all.update(entry.value.as_bytes());
                all.update(&[0]);
            }
        }
        format!("{:016x}", all.digest())
    }

    /// Something that is wrong with what `key` names, found by whoever used it.
    pub fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        let origin = self.said.layers().winner(key).map(|setting| setting.origin.clone());
        let origin = origin.unwrap_or(super::Origin::Default);
        Problem { origin, key: key.to_owned(), message: message.into() }
    }
}

fn change(before: &Effective, after: &Effective) -> Change {
    let is_behind = before.value == after.value;
    let note = if is_behind { " (new content)" } else { "" };
    Change { key: after.key, before: before.value.clone(), after: format!("{}{note}", after.value) }
}
