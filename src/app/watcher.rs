//! Looks at files for changes: the configuration and those that its keys name.
//!
//! A file is known by its content. It is read again when its place, size or time is another, all of
//! them behind symlinks, as Kubernetes swaps a mounted `ConfigMap` by one; or when it is so fresh that it
//! may have been written twice within a tick of the clock. News is told when two looks in a row saw the
//! same, so that a file is not taken half-written, and once, whatever came of it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Longer than a tick of any clock that files are dated by.
const FRESH: Duration = Duration::from_secs(2);

pub(super) struct Watcher {
    files: Vec<Watched>,
    /// What was last taken note of.
    noted: u128,
    /// What the last look saw instead.
    candidate: Option<u128>,
}

struct Watched {
    path: PathBuf,
    /// When it was last read; `None` if it was not there, or too fresh to be known by this.
    mark: Option<Mark>,
    content: u128,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Watcher {
    pub(super) fn new(files: &[PathBuf]) -> Self {
        let mut watcher = Self { files: Vec::new(), noted: 0, candidate: None };
        watcher.take_note(files);
        watcher
    }

    /// These are the files now, and their contents are known.
    pub(super) fn take_note(&mut self, files: &[PathBuf]) {
        let known = std::mem::take(&mut self.files);
        let is_new = |path: &PathBuf| known.iter().all(|file| file.path != *path);
        let new = files.iter().filter(|path| is_new(path)).cloned().map(Watched::unread);
        let new: Vec<_> = new.collect();
        self.files = known;
        self.files.extend(new);
        self.files.retain(|file| files.contains(&file.path));
        self.noted = self.look();
        self.candidate = None;
    }

    /// Whatever is there is news, once it has settled.
    pub(super) fn doubt(&mut self) {
        self.noted = 0;
    }

    /// Forgets the others, and looks at none.
    pub(super) fn keep_only(&mut self, files: &[PathBuf]) {
        self.files.retain(|file| files.contains(&file.path));
        self.noted = self.seen();
    }

    /// One look, to be taken about once a second.
    pub(super) fn has_settled_news(&mut self) -> bool {
        let seen = self.look();
        if seen == self.noted {
            self.candidate = None;
            return false;
        }
        self.candidate.replace(seen) == Some(seen)
    }

    fn look(&mut self) -> u128 {
        self.files.iter_mut().for_each(Watched::look);
        self.seen()
    }

    /// As of the last look.
    fn seen(&self) -> u128 {
        let mut all = Xxh3::new();
        for file in &self.files {
            all.update(file.path.as_os_str().as_encoded_bytes());
            all.update(&file.content.to_le_bytes());
        }
        all.digest128()
    }
}

impl Watched {
    fn unread(path: PathBuf) -> Self {
        Self { path, mark: None, content: 0 }
    }

    fn look(&mut self) {
        let metadata = std::fs::metadata(&self.path).ok();
        let mark = metadata.as_ref().map(Mark::of);
        if mark.is_none() || mark != self.mark {
            self.content = content(&self.path);
            self.mark = mark.filter(|_| !metadata.is_some_and(|metadata| is_fresh(&metadata)));
        }
    }
}

impl Mark {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

fn is_fresh(metadata: &Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_none_or(|age| age < FRESH)
}

/// 0 for a file that cannot be read, which no content has.
fn content(path: &Path) -> u128 {
    std::fs::read(path).map_or(0, |bytes| xxh3_128(&bytes).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn told(watcher: &mut Watcher) -> [bool; 3] {
        std::array::from_fn(|_| watcher.has_settled_news())
    }

    #[test]
    fn news_is_told_once_it_has_settled_and_until_it_is_noted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        fs::write(&path, "a").unwrap();
        let mut watcher = Watcher::new(std::slice::from_ref(&path));
        assert_eq!(told(&mut watcher), [false; 3]);
        fs::write(&path, "b").unwrap();
        assert!(!watcher.has_settled_news());
        fs::write(&path, "c").unwrap();
        assert_eq!(told(&mut watcher), [false, true, true]);
        watcher.take_note(std::slice::from_ref(&path));
        assert_eq!(told(&mut watcher), [false; 3]);
        fs::write(&path, "b").unwrap();
        assert!(!watcher.has_settled_news());
        fs::write(&path, "c").unwrap();
        assert_eq!(told(&mut watcher), [false; 3], "back to what was noted");
    }

    #[test]
    fn a_file_that_goes_and_one_that_comes_are_news() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("baseline");
        let mut watcher = Watcher::new(std::slice::from_ref(&path));
        fs::write(&path, "").unwrap();
        assert_eq!(told(&mut watcher), [false, true, true]);
        watcher.take_note(std::slice::from_ref(&path));
        fs::remove_file(&path).unwrap();
        assert_eq!(told(&mut watcher), [false, true, true]);
    }

    /// As the kubelet does: files are links through `..data`, which is swapped as a whole.
    #[test]
    fn a_swapped_symlink_is_news_and_one_to_the_same_content_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let swap_to = |target: &str| {
            symlink(target, at("..next")).unwrap();
            fs::rename(at("..next"), at("..data")).unwrap();
        };
        for (version, text) in [("..1", "a"), ("..2", "a"), ("..3", "b")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("taffrail.yaml"), text).unwrap();
        }
        swap_to("..1");
        symlink("..data/taffrail.yaml", at("taffrail.yaml")).unwrap();
        let mut watcher = Watcher::new(&[at("taffrail.yaml")]);
        swap_to("..2");
        assert_eq!(told(&mut watcher), [false; 3]);
        swap_to("..3");
        assert_eq!(told(&mut watcher), [false, true, true]);
    }

    #[test]
    fn an_old_file_is_not_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        fs::write(&path, "a").unwrap();
        let old = SystemTime::now() - 2 * FRESH;
        fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        let mut watcher = Watcher::new(&[path]);
        watcher.files[0].content = 7;
        watcher.files[0].look();
        assert_eq!(watcher.files[0].content, 7);
    }
}
