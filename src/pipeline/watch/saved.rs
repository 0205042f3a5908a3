//! A watch as bytes, and one that goes on from them after a restart.
//!
//! Two lots: `open` changes with every row; `closed` only when a window closes or a baseline is learnt.
//! Taking them holds the watch for as long as sketches take to copy; what takes longer, reports and
//! the baseline as text, is encoded by [`Closed::encoded`], without it.
//!
//! What was not saved is not seen again, and the time from the last saving to the restart is known: it
//! counts as not covered in every window that it lies in. Counters begin at 0 as their process does.
//! Of labels the performance is kept that a watch has learnt, and of segments what they have learnt of
//! their own rows: a model that has decayed must not become its own reference by a restart. Predictions
//! that wait for labels are not kept, nor are labelled windows.

use super::{Carried, Gap, Watch};
use crate::capture::Totals;
use crate::drift::{
    Baseline, FeatureReport, LearnedSegments, Monitor, NotResumed, Reference, Settings, Shape,
    StateError, TakenMonitor, TakenPast, Tumbling, Verdict, WindowReport,
};
use crate::labels::LearnedPerformance;
use crate::pipeline::failures::Failures;
use crate::sketch::{FrameError, Packer, Unpacker};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reports of features, over all windows that are saved for the page: the newest, and of each length
/// the last whatever their number.
const MAX_SAVED_REPORTS: usize = 4000;
const MOST_LEVELS: usize = 1024;

/// What was taken of a watch at one moment, before it is packed.
#[derive(Debug)]
pub struct Taken {
    at: Timestamp,
    mark: Mark,
    open: TakenMonitor,
    closed: Option<Closed>,
}

/// What was taken of a watch at one moment.
#[derive(Debug)]
pub struct Saved {
    pub at: Timestamp,
    pub mark: Mark,
    /// Windows that are open, and all that the next verdicts hang on.
    pub open: Vec<u8>,
    /// `None` where it is as it was.
    pub closed: Option<Closed>,
}

/// Equal marks of one watch are equal states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    closings: u64,
    has_learned: bool,
    /// Which performance, if any.
    has_learned_performance: Option<u64>,
    exchanges: u64,
    totals: Totals,
}

/// What changes when a window closes, or a baseline is learnt.
#[derive(Debug)]
pub struct Closed {
    past: TakenPast,
    learned: Option<Arc<Baseline>>,
    performance: Option<LearnedPerformance>,
    segments: Option<LearnedSegments>,
    reports: Vec<Arc<WindowReport>>,
}

/// What saved state turned out to be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    pub saved_at: Timestamp,
    /// In which nobody watched.
    pub unwatched: SignedDuration,
    pub reports: usize,
}

/// Why a watch begins anew. The file is whole, or says so itself; what it holds does not fit.
#[derive(Debug, thiserror::Error)]
pub enum NotRestored {
    #[error("it is not what a watch saves")]
    Content(#[from] FrameError),
    #[error(transparent)]
    Windows(#[from] NotResumed),
    #[error("it is of {saved}, and this is {now}")]
    Model { saved: String, now: String },
    #[error("its windows are {saved}, and windows is {now}")]
    Lengths { saved: String, now: String },
    #[error("what it counted cannot be gone on from")]
    Monitor(#[from] StateError),
}

#[derive(Serialize, Deserialize)]
struct SavedReport {
    report: WindowReport,
    /// Of each feature; they are no part of the report that is printed.
    shapes: Vec<Shape>,
}

impl Mark {
    fn has_closed_of(&self, other: &Self) -> bool {
        let closed = |mark: &Self| (mark.closings, mark.has_learned, mark.has_learned_performance);
        closed(self) == closed(other)
    }

    /// Whether windows have closed since.
    pub fn is_before(&self, closings: u64) -> bool {
        self.closings != closings
    }
}

impl Taken {
    /// Takes four times as long as taking it did (67 ms after 16 ms, of 1,000 features in three lengths of
    /// windows: `benches/state.rs`, 2026-11-28).
    pub fn packed(self) -> Saved {
        let Self { at, mark, open, closed } = self;
        Saved { at, mark, open: open.packed(), closed }
    }
}

impl Closed {
    pub fn encoded(&self) -> Vec<u8> {
        let mut packer = Packer::default();
        packer.text(&self.learned.as_ref().map(|baseline| baseline.to_json()).unwrap_or_default());
        // Types without a map key but texts: writing them cannot fail.
        let json = |performance| serde_json::to_vec(performance).unwrap_or_default();
        packer.bytes(&self.performance.as_ref().map(json).unwrap_or_default());
        packer.size(self.reports.len());
        for report in &self.reports {
            packer.bytes(&serde_json::to_vec(&SavedReport::of(report)).unwrap_or_default());
        }
        let mut segments = Packer::default();
        self.segments.iter().for_each(|learned| learned.pack(&mut segments));
        packer.bytes(&segments.into_bytes());
        self.past.pack(&mut packer);
        packer.into_bytes()
    }
}

impl SavedReport {
    fn of(report: &WindowReport) -> Self {
        let shapes = report.features.iter().map(|feature| feature.shape.clone()).collect();
        Self { report: report.clone(), shapes }
    }

    fn whole(self) -> WindowReport {
        let Self { mut report, shapes } = self;
        let with_shape = |(feature, shape): (&mut FeatureReport, Shape)| feature.shape = shape;
        report.features.iter_mut().zip(shapes).for_each(with_shape);
        report
    }
}

impl Watch {
    fn mark(&self, totals: Totals) -> Mark {
        let has_learned = self.monitor.learned_baseline().is_some();
        let has_learned_performance = self.joiner.learned_at();
        let (closings, exchanges) = (self.closings, self.decoded_exchanges);
        Mark { closings, has_learned, has_learned_performance, exchanges, totals }
    }

    /// All that a process to come needs to go on; `None` if that is as it was at `known`.
    pub fn take(&self, now: Timestamp, totals: Totals, known: Option<&Mark>) -> Option<Taken> {
        let mark = self.mark(totals);
        if known == Some(&mark) {
            return None;
        }
        let closed = known.is_none_or(|known| !known.has_closed_of(&mark)).then(|| self.closed());
        Some(Taken { at: now, mark, open: self.open(now, totals), closed })
    }

    fn open(&self, now: Timestamp, totals: Totals) -> TakenMonitor {
        let mut packer = Packer::default();
        packer.text(&self.model_name);
        packer.text(&self.model_version);
        packer.text(&self.monitor.settings().windows.join(","));
        packer.signed(now.as_microsecond());
        for (level, start) in self.tumbling.starts().enumerate() {
            packer.signed(start.as_microsecond());
            let Carried { totals: seen, unwatched } = self.of_open_window(level, totals);
            let Totals { kept, sampled_out, dropped_items, dropped_bytes, truncated } = seen;
            packer.counts(&[kept, sampled_out, dropped_items, dropped_bytes, truncated]);
            packer.signed(unwatched.as_micros().try_into().unwrap_or(i64::MAX));
        }
        let verdicts = self.monitor.settings().windows.iter();
        for verdict in verdicts.map(|window| self.last_verdicts.get(window)) {
            packer.word(match verdict {
                None => 0,
                Some(Verdict::Stable) => 1,
                Some(Verdict::Drifting) => 2,
                Some(Verdict::InsufficientData) => 3,
            });
        }
        let names = &self.monitor.settings().windows;
        self.failures.save(names, &mut packer);
        for window in names {
            let segments = self.drifting_segments.get(window).map(Vec::as_slice);
            let segments = segments.unwrap_or_default();
            packer.size(segments.len());
            for segment in segments {
                packer.text(segment);
            }
        }
        self.monitor.take(packer)
    }

    fn closed(&self) -> Closed {
        Closed {
            past: self.monitor.take_past(),
            learned: self.monitor.learned_baseline().cloned(),
            performance: self.joiner.learned(),
            segments: self.monitor.learned_segments(),
            reports: self.newest_reports(),
        }
    }

    /// Oldest first.
    fn newest_reports(&self) -> Vec<Arc<WindowReport>> {
        let mut lengths: Vec<&Arc<str>> = Vec::new();
        let mut features = 0;
        let windows = self.windows.oldest_first();
        let mut newest = Vec::new();
        for report in windows.iter().rev() {
            let is_last = !lengths.contains(&&report.window);
            if is_last {
                lengths.push(&report.window);
            }
            if is_last || features + report.features.len() <= MAX_SAVED_REPORTS {
                features += report.features.len();
                newest.push(Arc::clone(report));
            }
        }
        newest.reverse();
        newest
    }

    /// Goes on where the watch that was saved was, `self` being new. `touched` is when that was last
    /// seen to be as it was saved. On an error `self` stays new.
    pub fn restore(
        &mut self,
        (open, closed): (&[u8], Option<&[u8]>),
        reference: Reference,
        touched: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Resumed, NotRestored> {
        let settings = self.monitor.settings().clone();
        let mut saved = Unpacker::new(open);
        self.is_of_same(&mut saved, &settings)?;
        let saved_at = timestamp(&mut saved)?;
        let mut tumbling = self.tumbling.clone();
        let (starts, carried) = windows(&mut saved, settings.windows.len())?;
        tumbling.resume(&starts)?;
        let verdicts = verdicts(&mut saved, &settings)?;
        let failures = Failures::restored(&settings.windows, &mut saved)?;
        let drifting_segments = drifting_segments(&mut saved, &settings)?;
        let (learned, closed) = closed.and_then(split).unzip();
        let learned = learned.filter(|json| !json.is_empty());
        let mut monitor = Monitor::restored(settings, reference, &mut saved, learned)?;
        saved.end()?;
        let reports = match closed {
            Some(closed) => self.restore_closed(&mut monitor, closed, &tumbling),
            None => 0,
        };

        let last_seen = touched
            .filter(|touched| *touched <= now)
            .map_or(saved_at, |touched| touched.max(saved_at));
        let gap = Gap { from: last_seen.min(now), to: now };
        (self.monitor, self.tumbling, self.carried) = (monitor, tumbling, carried);
        (self.gap, self.last_verdicts) = (Some(gap), verdicts);
        (self.failures, self.drifting_segments) = (failures, drifting_segments);
        Ok(Resumed { saved_at, unwatched: gap.length(), reports })
    }

    fn is_of_same(&self, saved: &mut Unpacker<'_>, settings: &Settings) -> Result<(), NotRestored> {
        let (name, version) = (saved.text()?, saved.text()?);
        if (name, version) != (&*self.model_name, &*self.model_version) {
            let now = format!("{} {}", self.model_name, self.model_version);
            return Err(NotRestored::Model { saved: format!("{name} {version}"), now });
        }
        let (lengths, now) = (saved.text()?, settings.windows.join(","));
        if lengths == now {
            Ok(())
        } else {
            Err(NotRestored::Lengths { saved: lengths.to_owned(), now })
        }
    }

    /// What of it cannot be read is left out, and told; returns the reports that there are. `monitor` is
    /// what is gone on with.
    fn restore_closed(
        &mut self,
        monitor: &mut Monitor,
        mut closed: Unpacker<'_>,
        open: &Tumbling,
    ) -> usize {
        let starts: Vec<Timestamp> = open.starts().collect();
        self.restore_performance(closed.bytes().unwrap_or_default());
        let reports = self.restore_reports(&monitor.settings().windows, &mut closed, &starts);
        let segments = closed.bytes().unwrap_or_default();
        if !segments.is_empty()
            && let Err(error) = monitor.restore_segments(&mut Unpacker::new(segments))
        {
            tracing::warn!(%error, "segments learn anew what they are compared with");
        }
        let history = closed.rest();
        if !history.is_empty()
            && let Err(error) = monitor.restore_history(&mut Unpacker::new(history), &starts)
        {
            tracing::warn!(%error, "earlier windows cannot be compared with");
        }
        reports
    }

    fn restore_performance(&mut self, json: &[u8]) {
        if json.is_empty() {
            return;
        }
        match serde_json::from_slice(json) {
            Ok(learned) => self.joiner.resume(learned),
            Err(error) => tracing::warn!(%error, "performance is learnt anew"),
        }
    }

    /// Windows that are open in the other lot are no closed ones, whatever this one says.
    fn restore_reports(
        &mut self,
        names: &[Arc<str>],
        closed: &mut Unpacker<'_>,
        open: &[Timestamp],
    ) -> usize {
        let mut restored = 0;
        for _ in 0..closed.size(usize::MAX).unwrap_or(0) {
            let Ok(report) = closed.bytes() else { return restored };
            let Ok(report) = serde_json::from_slice::<SavedReport>(report) else { continue };
            let level = names.iter().position(|name| *name == report.report.window);
            let start = level.and_then(|level| open.get(level));
            if start.zip(report.report.end).is_some_and(|(start, end)| end <= *start) {
                self.windows.push(Arc::new(report.whole()));
                restored += 1;
            }
        }
        restored
    }
}

/// The baseline that was learnt, and what else is of closed windows: without it those that are open go
/// on all the same, if the baseline was given.
fn split(closed: &[u8]) -> Option<(&[u8], Unpacker<'_>)> {
    let mut rest = Unpacker::new(closed);
    match rest.bytes() {
        Ok(learned) => Some((learned, rest)),
        Err(error) => {
            tracing::warn!(%error, "closed windows of the process before are left out");
            None
        }
    }
}

fn timestamp(saved: &mut Unpacker<'_>) -> Result<Timestamp, FrameError> {
    Timestamp::from_microsecond(saved.signed()?).map_err(|_| FrameError::Content)
}

/// When each open window began, and what was seen of it.
fn windows(
    saved: &mut Unpacker<'_>,
    levels: usize,
) -> Result<(Vec<Timestamp>, Vec<Carried>), FrameError> {
    let (mut starts, mut carried) = (Vec::new(), Vec::new());
    for _ in 0..levels.min(MOST_LEVELS) {
        starts.push(timestamp(saved)?);
        let mut totals = [0; 5];
        saved.counts(&mut totals)?;
        let [kept, sampled_out, dropped_items, dropped_bytes, truncated] = totals;
        let totals = Totals { kept, sampled_out, dropped_items, dropped_bytes, truncated };
        let unwatched = SignedDuration::from_micros(saved.signed()?);
        if unwatched.is_negative() {
            return Err(FrameError::Content);
        }
        carried.push(Carried { totals, unwatched });
    }
    Ok((starts, carried))
}

/// By window, the segments that drifted in the last: told again only when they change.
fn drifting_segments(
    saved: &mut Unpacker<'_>,
    settings: &Settings,
) -> Result<BTreeMap<Arc<str>, Vec<Arc<str>>>, FrameError> {
    let mut drifting = BTreeMap::new();
    for window in &settings.windows {
        let mut segments = Vec::new();
        for _ in 0..saved.size(usize::MAX)? {
            segments.push(saved.text()?.into());
        }
        drifting.insert(Arc::clone(window), segments);
    }
    Ok(drifting)
}

fn verdicts(
    saved: &mut Unpacker<'_>,
    settings: &Settings,
) -> Result<BTreeMap<Arc<str>, Verdict>, FrameError> {
    let mut verdicts = BTreeMap::new();
    for window in &settings.windows {
        let verdict = match saved.word()? {
            0 => continue,
            1 => Verdict::Stable,
            2 => Verdict::Drifting,
            3 => Verdict::InsufficientData,
            _ => return Err(FrameError::Content),
        };
        verdicts.insert(Arc::clone(window), verdict);
    }
    Ok(verdicts)
}
