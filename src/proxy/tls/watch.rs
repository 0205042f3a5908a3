//! Looks at the files of both sides, and swaps in what is made of them when they have changed.
//!
//! A look reads the files whole, some kilobytes: Kubernetes swaps a mounted secret by a symlink, and
//! a file written twice within a tick of the clock keeps its time and size. Chain and key are two
//! files, of which a look may see one new and one old: a fault counts when the next look sees the
//! same bytes.

use super::TlsError;
use crate::credentials::{Validity, fingerprint};
use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is made of the files as they are.
pub(super) struct Fresh<C> {
    pub(super) config: C,
    /// Of our own certificate, if this side has one.
    pub(super) validity: Option<Validity>,
}

/// How reloading goes on one side, for metrics.
#[derive(Debug, Default)]
pub struct Status {
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
    not_after: ArcSwapOption<Timestamp>,
}

impl Status {
    /// New files that came into use since the start.
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Relaxed)
    }

    /// New files that were of no use.
    pub fn failed_reloads(&self) -> u64 {
        self.failed_reloads.load(Relaxed)
    }

    /// Until when the certificate in use is good; `None` without one.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.not_after.load().as_deref().copied()
    }
}

/// Keeps both sides fresh. For the control thread: a look waits for the disk.
#[derive(Debug)]
pub struct Reloader {
    pub(super) clients: Option<Watched>,
    pub(super) model: Option<Watched>,
}

impl Reloader {
    /// One look at every file, to be taken about once a second. Changes and faults are logged here,
    /// once each.
    pub fn check(&mut self) {
        self.clients.iter_mut().chain(&mut self.model).for_each(Watched::check);
    }

    /// Of `tls`, if clients speak TLS.
    pub fn clients(&self) -> Option<Arc<Status>> {
        self.clients.as_ref().map(|side| Arc::clone(&side.status))
    }

    /// Of `upstream.tls`, if the model speaks TLS.
    pub fn model(&self) -> Option<Arc<Status>> {
        self.model.as_ref().map(|side| Arc::clone(&side.status))
    }
}

/// The files of one side.
pub(super) struct Watched {
    group: &'static str,
    files: Vec<PathBuf>,
    install: Box<dyn Fn() -> Result<Option<Validity>, TlsError> + Send>,
    in_use: u128,
    last: Look,
    status: Arc<Status>,
}

/// What the last look saw.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    InUse,
    /// Bytes of no use, maybe seen while they were being written.
    Doubtful(u128),
    /// Bytes whose fault was told.
    Refused(u128),
}

impl Watched {
    /// Builds once, and hands out what every later success is swapped into.
    pub(super) fn start<C: Send + Sync + 'static>(
        group: &'static str,
        files: Vec<PathBuf>,
        build: impl Fn() -> Result<Fresh<C>, TlsError> + Send + 'static,
    ) -> Result<(Arc<ArcSwap<C>>, Self), TlsError> {
        let in_use = fingerprint(files.iter().map(PathBuf::as_path));
        let Fresh { config, validity } = build()?;
        let current = Arc::new(ArcSwap::from_pointee(config));
        let swapped = Arc::clone(&current);
        let install = Box::new(move || {
            let Fresh { config, validity } = build()?;
            swapped.store(Arc::new(config));
            Ok(validity)
        });
        let status = Arc::new(Status::default());
        status.not_after.store(validity.map(|dates| Arc::new(dates.not_after)));
        Ok((current, Self { group, files, install, in_use, last: Look::InUse, status }))
    }

    fn check(&mut self) {
        // Taken before the files are read for good: what is written in between is seen next time.
        let seen = fingerprint(self.files.iter().map(PathBuf::as_path));
        if seen == self.in_use {
            self.last = Look::InUse;
        } else if self.last != Look::Refused(seen) {
            match (self.install)() {
                Ok(validity) => self.renewed(seen, validity),
                Err(error) if self.last == Look::Doubtful(seen) => self.refuse(seen, &error),
                Err(_) => self.last = Look::Doubtful(seen),
            }
        }
    }

    fn renewed(&mut self, seen: u128, validity: Option<Validity>) {
        (self.in_use, self.last) = (seen, Look::InUse);
        self.status.reloads.fetch_add(1, Relaxed);
        self.status.not_after.store(validity.map(|dates| Arc::new(dates.not_after)));
        let not_after = validity.map(|dates| tracing::field::display(dates.not_after));
        tracing::info!(keys = self.group, not_after, "new certificates are in use");
        if let Some(untimely) = validity.and_then(|dates| dates.untimely(Timestamp::now())) {
            tracing::warn!(keys = self.group, "the new certificate {untimely}");
        }
    }

    fn refuse(&mut self, seen: u128, error: &TlsError) {
        self.last = Look::Refused(seen);
        self.status.failed_reloads.fetch_add(1, Relaxed);
        tracing::error!(
            error = error as &dyn std::error::Error,
            "the certificates before stay in use"
        );
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("files", &self.files).finish_non_exhaustive()
    }
}
