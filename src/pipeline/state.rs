//! Saved state on the disk: two files of one directory, each whole or refused.
//!
//! `open` and `closed` hold the two lots of [`Saved`]: `TFST`, a byte for the version and one for the
//! lot, the content, XXH3 of all before. A file is written beside the old one, brought to the disk, and
//! renamed. What cannot be read or gone on from is set aside once, as `.rejected`, and stops no start.
//! One process has the directory, by a lock.

use super::watch::Saved;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use thiserror::Error;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

const MAGIC: &[u8; 4] = b"TFST";
const VERSION: u8 = 1;
const HEAD: usize = 6;
const TAIL: usize = 8;
/// More than a thousand features of the most levels come to; a larger file is none of ours.
const MAX_BYTES: u64 = 256 << 20;

/// What saving has come to, for the page and for exporters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct StateReport {
    /// On the disk.
    pub bytes: u64,
    pub saves: u64,
    pub failures: u64,
    /// When what is on the disk was last true.
    pub saved_at: Option<Timestamp>,
    /// Of the last failure, until a save succeeds.
    pub last_error: Option<String>,
    /// Found at the start and set aside: damaged, or of another baseline, model or windows.
    pub rejected: u64,
    /// What this process goes on from, and the time in which none watched.
    pub resumed_from: Option<Timestamp>,
    pub unwatched_seconds: f64,
}

#[derive(Debug, Error)]
pub enum StoreError {
    #[error("{action} {path:?} failed")]
    Disk { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{0:?} is in use by another process: give each its own data_dir")]
    InUse(PathBuf),
    #[error("{0:?} is damaged, or not a file of saved state")]
    Damaged(PathBuf),
    #[error("{path:?} is of version {found}, and this build reads {VERSION}")]
    Version { path: PathBuf, found: u8 },
    #[error("{bytes} bytes are more than the {MAX_BYTES} that are saved at most")]
    TooLarge { bytes: u64 },
}

/// What was found on the disk.
#[derive(Debug)]
pub struct Stored {
    pub open: Vec<u8>,
    /// `None` if it was not there, or damaged.
    pub closed: Option<Vec<u8>>,
    /// When it was last seen to be true.
    pub touched: Option<Timestamp>,
}

/// The directory of saved state.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    /// Taken when the directory can first be written.
    lock: Option<File>,
}

#[derive(Debug, Clone, Copy)]
enum Lot {
    Open = 1,
    Closed = 2,
}

impl Lot {
    const ALL: [Self; 2] = [Self::Closed, Self::Open];

    const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl Store {
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, lock: None }
    }

    /// Makes the directory, and takes it.
    fn take(&mut self) -> Result<(), StoreError> {
        if self.lock.is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.directory).map_err(failed("making", &self.directory))?;
        let path = self.directory.join("lock");
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(failed("opening", &path))?;
        match lock.try_lock() {
            Ok(()) => self.lock = Some(lock),
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path)),
            Err(TryLockError::Error(source)) => return Err(failed("locking", &path)(source)),
        }
        Ok(())
    }

    /// `None` where there is nothing yet.
    pub fn read(&mut self) -> Result<Option<Stored>, StoreError> {
        let path = self.path(Lot::Open);
        if !path.exists() {
            return Ok(None);
        }
        self.take()?;
        let open = read(&path, Lot::Open)?;
        let closed = match read(&self.path(Lot::Closed), Lot::Closed) {
            Ok(closed) => Some(closed),
            Err(error) => {
                tracing::warn!(%error, "closed windows of the process before cannot be shown, and what it learnt is lost");
                None
            }
        };
        let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
        let touched = modified.and_then(|modified| Timestamp::try_from(modified).ok());
        Ok(Some(Stored { open, closed, touched }))
    }

    /// Writes both lots, or the one that changed; returns the bytes that both have. The one that
    /// depends on the other is written last.
    pub fn write(&mut self, saved: &Saved) -> Result<u64, StoreError> {
        self.take()?;
        if let Some(closed) = &saved.closed {
            self.replace(Lot::Closed, &closed.encoded())?;
        }
        self.replace(Lot::Open, &saved.open)?;
        self.touch(saved.at)?;
        let sizes = Lot::ALL.iter().filter_map(|lot| fs::metadata(self.path(*lot)).ok());
        Ok(sizes.map(|metadata| metadata.len()).sum())
    }

    /// What is on the disk is still true then.
    pub fn touch(&self, at: Timestamp) -> Result<(), StoreError> {
        let path = self.path(Lot::Open);
        let touched = File::options().write(true).open(&path);
        touched
            .and_then(|file| file.set_modified(SystemTime::from(at)))
            .map_err(failed("touching", &path))
    }

    /// Out of the way of the next save, for somebody to look at.
    pub fn set_aside(&self) {
        for lot in Lot::ALL {
            let (from, to) = (self.path(lot), self.beside(lot, "rejected"));
            if let Err(error) = fs::rename(&from, &to)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, path = %from.display(), "cannot be set aside");
            }
        }
    }

    fn replace(&self, lot: Lot, content: &[u8]) -> Result<(), StoreError> {
        let bytes = (content.len() + HEAD + TAIL) as u64;
        if bytes > MAX_BYTES {
            return Err(StoreError::TooLarge { bytes });
        }
        let (path, beside) = (self.path(lot), self.beside(lot, "inprogress"));
        let written = write(&beside, lot, content).and_then(|()| fs::rename(&beside, &path));
        if written.is_err() {
            // A part of it would hold room on a disk that has none. If it stays, the next try takes it.
            let _ = fs::remove_file(&beside);
        }
        written.map_err(failed("writing", &beside))?;
        let directory = File::open(&self.directory).and_then(|directory| directory.sync_all());
        directory.map_err(failed("writing", &self.directory))
    }

    fn path(&self, lot: Lot) -> PathBuf {
        self.directory.join(lot.name())
    }

    fn beside(&self, lot: Lot, suffix: &str) -> PathBuf {
        self.directory.join(format!("{}.{suffix}", lot.name()))
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Disk { action, path: path.to_owned(), source }
}

fn read(path: &Path, lot: Lot) -> Result<Vec<u8>, StoreError> {
    let file = File::open(path).map_err(failed("reading", path))?;
    let bytes = file.metadata().map_err(failed("reading", path))?.len();
    if bytes > MAX_BYTES {
        return Err(StoreError::Damaged(path.to_owned()));
    }
    let mut whole = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut whole).map_err(failed("reading", path))?;
    open(lot, whole).map_err(|refused| match refused {
        Refused::Damaged => StoreError::Damaged(path.to_owned()),
        Refused::Version(found) => StoreError::Version { path: path.to_owned(), found },
    })
}

/// Through to the disk.
fn write(path: &Path, lot: Lot, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut hash = Xxh3::new();
    for part in [MAGIC, &[VERSION, lot as u8][..], content] {
        hash.update(part);
        file.write_all(part)?;
    }
    file.write_all(&hash.digest().to_le_bytes())?;
    file.sync_all()
}

#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Damaged,
    Version(u8),
}

fn open(lot: Lot, mut whole: Vec<u8>) -> Result<Vec<u8>, Refused> {
    let (sealed, hash) = whole.split_last_chunk::<TAIL>().ok_or(Refused::Damaged)?;
    let [m0, m1, m2, m3, version, found] = *sealed.first_chunk::<HEAD>().ok_or(Refused::Damaged)?;
    let is_whole = [m0, m1, m2, m3] == *MAGIC && u64::from_le_bytes(*hash) == xxh3_64(sealed);
    match version {
        _ if !is_whole => Err(Refused::Damaged),
        VERSION if found == lot as u8 => {
            whole.truncate(whole.len() - TAIL);
            whole.drain(..HEAD);
            Ok(whole)
        }
        VERSION => Err(Refused::Damaged),
        version => Err(Refused::Version(version)),
    }
}
