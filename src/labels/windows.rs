//! Windows of prediction time, of every length, each with its own tally.
//!
//! A window is emitted when its time is over, and again after late labels: then, a minute later, two,
//! four… for as long as labels may come: 16 times at most where that is a week. What is emitted is tested against the reference. A window that is final keeps its report and lets go of its tally.

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::aligned;
use super::compare::{Concept, ConceptVerdict, Rule};
use super::report::{LabelWindow, Performance, Standing};
use super::summary::{Kind, Summary};
use super::tally::{Pair, Tally};
use super::value::Classes;

/// What windows are to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowLength {
    /// Such as `1h`.
    pub name: Arc<str>,
    pub length: Duration,
}

/// A window that was emitted.
#[derive(Debug, Clone)]
pub struct Emitted {
    pub window: Arc<LabelWindow>,
    /// What it had said before, if it had been emitted.
    pub before: Option<Arc<LabelWindow>>,
    /// The verdict that the newest judged window of its length had, where this one's is another.
    pub verdict_before: Option<ConceptVerdict>,
}

/// What windows are judged by, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judging<'a> {
    pub(super) kind: Kind,
    pub(super) names: &'a Classes,
    pub(super) reference: Option<&'a Summary>,
    /// Windows that start earlier share rows with the reference.
    pub(super) from: Timestamp,
    pub(super) rule: Rule,
    pub(super) max_delay: Duration,
}

/// Between two emissions of one window, at least.
const LEAST_PAUSE: Duration = Duration::from_secs(60);
/// Windows emitted at a time: a bulk of labels may touch thousands.
const MAX_EMITTED: usize = 16;

#[derive(Debug)]
pub(super) struct Windows {
    levels: Vec<Level>,
    bounds: Bounds,
    pub(super) revisions: u64,
    pub(super) forgotten: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Reports of each length that are shown.
    pub(super) shown: usize,
    /// Entries of all tallies' maps; the length with most gives up its oldest window.
    pub(super) cells: usize,
}

/// Windows of one length that wait for labels, at most: two weeks of `5m`.
const MAX_WAITING: usize = 4096;

impl Bounds {
    /// With little memory fewer: each takes a few kilobytes once it was emitted.
    fn waiting(self) -> usize {
        (self.cells / 100).min(MAX_WAITING).max(self.shown)
    }
}

#[derive(Debug)]
struct Level {
    length: WindowLength,
    by_start: BTreeMap<Timestamp, Window>,
    /// Windows that start before it were forgotten, and do not come back half-filled.
    forgotten_before: Timestamp,
    last_judged: Option<(Timestamp, ConceptVerdict)>,
}

#[derive(Debug, Default)]
struct Window {
    predictions: u64,
    tally: Tally,
    standing: Standing,
    /// Labels changed it since it was last emitted.
    is_changed: bool,
    revision: u32,
    looks: u32,
    emitted: Option<Arc<LabelWindow>>,
    next_at: Timestamp,
    concept: Option<Concept>,
    /// Until something changes.
    shown: Option<Arc<LabelWindow>>,
}

impl Windows {
    pub(super) fn new(lengths: &[WindowLength], bounds: Bounds) -> Self {
        let levels = lengths.iter().cloned().map(Level::new).collect();
        Self { levels, bounds, revisions: 0, forgotten: 0 }
    }

    /// Windows of a length that is new begin after the newest prediction: those before it would get late
    /// labels of rows that they never counted.
    pub(super) fn retune(&mut self, lengths: &[WindowLength], bounds: Bounds, newest: Timestamp) {
        let mut before = std::mem::take(&mut self.levels);
        for length in lengths {
            let known = before.iter().position(|level| level.length == *length);
            self.levels.push(match known {
                Some(known) => before.swap_remove(known),
                None => Level::after(length.clone(), newest),
            });
        }
        self.forgotten += before.iter().map(Level::waiting).sum::<u64>();
        self.bounds = bounds;
    }

    /// With another reference what was said of the one before is true no more: windows that labels may
    /// still reach are judged anew, as if for the first time.
    pub(super) fn forget_verdicts(&mut self) {
        for level in &mut self.levels {
            level.last_judged = None;
            level.by_start.values_mut().for_each(Window::forget_verdict);
        }
    }

    pub(super) fn predicted(&mut self, at: Timestamp) {
        self.change(at, |window| window.predictions += 1);
    }

    pub(super) fn unpredicted(&mut self, at: Timestamp) {
        self.change(at, |window| window.predictions = window.predictions.saturating_sub(1));
    }

    pub(super) fn add(&mut self, at: Timestamp, pair: Pair<'_>, classes: &mut Classes) {
        self.change(at, |window| {
            window.tally.add(pair, classes);
            window.is_changed = true;
        });
    }

    pub(super) fn remove(&mut self, at: Timestamp, pair: Pair<'_>, classes: &mut Classes) {
        self.change(at, |window| {
            window.tally.remove(pair, classes);
            window.is_changed = true;
        });
    }

    fn change(&mut self, at: Timestamp, mut change: impl FnMut(&mut Window)) {
        for level in &mut self.levels {
            let Some(window) = level.window(at) else { continue };
            if window.standing != Standing::Final {
                change(window);
                window.shown = None;
            }
        }
        self.forget_over_count();
    }

    fn forget_over_count(&mut self) {
        for level in &mut self.levels {
            if level.by_start.len() > self.bounds.waiting() {
                self.forgotten += level.forget_oldest();
            }
        }
    }

    /// Of another kind, every window says something else.
    pub(super) fn look_anew(&mut self) {
        for level in &mut self.levels {
            level.by_start.values_mut().for_each(Window::look_anew);
        }
    }

    /// Emits what is due, and lets go of what is final or over a bound.
    pub(super) fn advance(&mut self, now: Timestamp, judging: Judging<'_>) -> Vec<Emitted> {
        let mut emitted = Vec::new();
        for level in &mut self.levels {
            level.advance(now, judging, &mut emitted);
            level.forget_final(self.bounds.shown);
        }
        self.revisions += emitted.iter().filter(|emitted| emitted.before.is_some()).count() as u64;
        self.forget_over_cells();
        emitted
    }

    fn forget_over_cells(&mut self) {
        let mut cells: Vec<_> = self.levels.iter().map(Level::cells).collect();
        while cells.iter().sum::<usize>() > self.bounds.cells {
            let most = (0..cells.len()).max_by_key(|level| cells[*level]);
            let Some(level) = most.filter(|level| self.levels[*level].by_start.len() > 1) else {
                break;
            };
            self.forgotten += self.levels[level].forget_oldest();
            cells[level] = self.levels[level].cells();
        }
    }

    /// The newest of each length; those that did not change since are not made anew.
    pub(super) fn report(&mut self, kind: Kind, names: &Classes) -> Vec<Arc<LabelWindow>> {
        let shown = self.bounds.shown;
        let mut reports = Vec::new();
        for level in &mut self.levels {
            let skipped = level.by_start.len().saturating_sub(shown);
            let WindowLength { name, length } = &level.length;
            let newest = level.by_start.iter_mut().skip(skipped);
            reports.extend(newest.map(|(start, window)| {
                window.report(name, (*start, aligned::end(*start, *length)), kind, names)
            }));
        }
        reports
    }
}

impl Level {
    fn new(length: WindowLength) -> Self {
        let forgotten_before = Timestamp::MIN;
        Self { length, by_start: BTreeMap::new(), forgotten_before, last_judged: None }
    }

    /// As if windows up to the one of that time had been forgotten.
    fn after(length: WindowLength, at: Timestamp) -> Self {
        let forgotten_before = aligned::end(aligned::start(at, length.length), length.length);
        Self { forgotten_before, ..Self::new(length) }
    }

    /// The window of a time; `None` if it was forgotten.
    fn window(&mut self, at: Timestamp) -> Option<&mut Window> {
        let start = aligned::start(at, self.length.length);
        (start >= self.forgotten_before).then(|| self.by_start.entry(start).or_default())
    }

    fn advance(&mut self, now: Timestamp, judging: Judging<'_>, emitted: &mut Vec<Emitted>) {
        let WindowLength { name, length } = self.length.clone();
        for (start, window) in &mut self.by_start {
            let span = (*start, aligned::end(*start, length));
            if span.1 > now {
                break;
            }
            if window.standing == Standing::Final {
                continue;
            }
            if window.standing == Standing::Open {
                (window.standing, window.shown) = (Standing::Waiting, None);
            }
            let is_over = later(span.1, judging.max_delay) <= now;
            let is_due = window.is_changed && (is_over || window.next_at <= now);
            if is_due && window.tally.rows() > 0 {
                if emitted.len() >= MAX_EMITTED {
                    continue;
                }
                let mut told = window.emit(&name, span, now, judging);
                told.verdict_before = judged_anew(&mut self.last_judged, *start, &told);
                emitted.push(told);
            }
            if is_over {
                window.finish(&name, span, judging);
            }
        }
    }

    /// Those that no label can reach are kept to be shown, and no longer.
    fn forget_final(&mut self, shown: usize) {
        while self.by_start.len() > shown
            && let Some(oldest) = self.by_start.first_entry()
            && oldest.get().standing == Standing::Final
        {
            self.forgotten_before = aligned::end(*oldest.key(), self.length.length);
            oldest.remove();
        }
    }

    /// How many were lost for labels that might still have come.
    fn forget_oldest(&mut self) -> u64 {
        let Some((start, window)) = self.by_start.pop_first() else { return 0 };
        self.forgotten_before = aligned::end(start, self.length.length);
        u64::from(window.waits())
    }

    /// How many windows labels may still reach.
    fn waiting(&self) -> u64 {
        self.by_start.values().filter(|window| window.waits()).count() as u64
    }

    fn cells(&self) -> usize {
        self.by_start.values().map(|window| window.tally.cells()).sum()
    }
}

/// The verdict before, where this one is another: of the same window, or of one that is older.
fn judged_anew(
    last: &mut Option<(Timestamp, ConceptVerdict)>,
    start: Timestamp,
    told: &Emitted,
) -> Option<ConceptVerdict> {
    let judged = |window: &LabelWindow| {
        let verdict = window.concept.as_ref().map(|concept| concept.verdict)?;
        (verdict != ConceptVerdict::InsufficientData).then_some(verdict)
    };
    let now = judged(&told.window)?;
    let own = told.before.as_deref().and_then(judged);
    let newest = last.filter(|(of, _)| *of <= start);
    let before = match (own, newest, *last) {
        (Some(own), _, _) => own,
        (None, Some((_, verdict)), _) => verdict,
        (None, None, None) => ConceptVerdict::InsufficientData,
        // An older window that has its first labels only now says nothing of the newest.
        (None, None, Some(_)) => return None,
    };
    if last.is_none_or(|(of, _)| of <= start) {
        *last = Some((start, now));
    }
    (before != now).then_some(before)
}

impl Window {
    /// Whether a label may still come.
    fn waits(&self) -> bool {
        self.standing != Standing::Final && self.predictions > self.tally.rows()
    }

    fn forget_verdict(&mut self) {
        let unjudged = |report: Arc<LabelWindow>| match report.concept {
            Some(_) => Arc::new(LabelWindow { concept: None, ..(*report).clone() }),
            None => report,
        };
        (self.concept, self.looks, self.next_at) = (None, 0, Timestamp::default());
        self.emitted = self.emitted.take().map(unjudged);
        self.shown = self.shown.take().map(unjudged);
        self.look_anew();
    }

    fn look_anew(&mut self) {
        if self.standing != Standing::Final {
            self.shown = None;
            self.is_changed |= self.tally.rows() > 0;
        }
    }

    fn emit(
        &mut self,
        length: &Arc<str>,
        span: (Timestamp, Timestamp),
        now: Timestamp,
        judging: Judging<'_>,
    ) -> Emitted {
        self.revision += 1;
        self.is_changed = false;
        let age = Duration::try_from(now.duration_since(span.1)).unwrap_or_default();
        self.next_at = later(now, age.max(LEAST_PAUSE));
        self.concept = judging.reference.filter(|_| span.0 >= judging.from).and_then(|reference| {
            let summary = self.tally.summary(judging.kind, judging.names)?;
            let concept = Concept::of(&summary, reference, judging.rule, self.looks + 1);
            self.looks += u32::from(concept.verdict != ConceptVerdict::InsufficientData);
            Some(concept)
        });
        self.shown = None;
        let before = self.emitted.take();
        let mut report = self.made(length, span, judging.kind, judging.names);
        report.emitted_at = Some(now);
        let window = Arc::new(report);
        self.emitted = Some(Arc::clone(&window));
        self.shown = Some(Arc::clone(&window));
        Emitted { window, before, verdict_before: None }
    }

    fn finish(&mut self, length: &Arc<str>, span: (Timestamp, Timestamp), judging: Judging<'_>) {
        self.standing = Standing::Final;
        self.shown = None;
        self.shown = Some(self.report(length, span, judging.kind, judging.names));
        (self.tally, self.emitted) = (Tally::default(), None);
    }

    fn report(
        &mut self,
        length: &Arc<str>,
        span: (Timestamp, Timestamp),
        kind: Kind,
        names: &Classes,
    ) -> Arc<LabelWindow> {
        if let Some(shown) = &self.shown {
            return Arc::clone(shown);
        }
        let report = Arc::new(self.made(length, span, kind, names));
        self.shown = Some(Arc::clone(&report));
        report
    }

    fn made(
        &self,
        length: &Arc<str>,
        (start, end): (Timestamp, Timestamp),
        kind: Kind,
        names: &Classes,
    ) -> LabelWindow {
        LabelWindow {
            window: Arc::clone(length),
            start,
            end,
            standing: self.standing,
            revision: self.revision,
            emitted_at: self.emitted.as_ref().and_then(|emitted| emitted.emitted_at),
            joined: self.tally.rows(),
            predictions: self.predictions,
            performance: self.tally.summary(kind, names).as_ref().map(Performance::of),
            concept: self.concept.clone(),
        }
    }
}

fn later(at: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}
