//! Windows of prediction time with their scores; what scores mean; what is estimated of each window.
//!
//! An estimate may be made anew while no label of its window has come, as more is learnt of what scores mean.
//! With the first label, what the window is estimated by is fixed: labels of its own never tell on it.
//! Memory is bounded: a window that can change no more, or is old, keeps its figures and lets go of its
//! counts.

use super::super::aligned;
use super::super::report::LabelWindow;
use super::super::summary::Measure;
use super::calibration::Calibration;
use super::compare::{self, Beside, Known};
use super::counts::{Histogram, LabelledCounts};
use super::figures::{self, Figures};
use super::matrix::{self, Had};
use super::report::{Estimate, Estimates, LearntFrom, State};
use super::scores::RowScores;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Windows of one length that keep their counts, and that are remembered.
const COUNTED: usize = 32;
const REMEMBERED: usize = 256;

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Names and lengths of windows, shortest first; each begins at a multiple of its length since 1970.
    pub windows: Vec<(Arc<str>, Duration)>,
    /// Windows with fewer rows are not estimated.
    pub min_rows: u64,
    /// The baseline's labelled rows, if it has some.
    pub reference: Option<Arc<LabelledCounts>>,
}

/// Scores and labels in, in any order; estimates out.
#[derive(Debug)]
pub struct Estimator {
    settings: Settings,
    reference: Option<Arc<Fitted>>,
    seen: LabelledCounts,
    learned: Option<Arc<Fitted>>,
    /// Rows that the last fit was made of.
    fitted_rows: u64,
    levels: Vec<Level>,
    as_of: Timestamp,
    shown: Option<Arc<Estimates>>,
}

/// What scores mean.
#[derive(Debug)]
struct Fitted {
    learnt: Learnt,
    calibration: Calibration,
}

/// Where that is from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Learnt {
    source: LearntFrom,
    /// Rows with labels, and what figures they had.
    rows: u64,
    had: Option<Had>,
}

#[derive(Debug)]
struct Level {
    name: Arc<str>,
    length: Duration,
    windows: BTreeMap<Timestamp, Window>,
    /// Windows that start before it were forgotten, and do not come back half-filled.
    forgotten_before: Timestamp,
}

#[derive(Debug, Default)]
struct Window {
    rows: u64,
    /// `None` once it can change no more.
    scores: Option<Histogram>,
    basis: Basis,
    figures: Option<Figures>,
    /// What `figures` was made by.
    by: Option<Learnt>,
    changed: bool,
    /// As last reported, and beside which labels, until something changes.
    shown: Option<(Arc<Estimate>, Option<Arc<LabelWindow>>)>,
}

/// What a window is estimated by.
#[derive(Debug, Default)]
enum Basis {
    /// Whatever is newest: none of its labels has come.
    #[default]
    Newest,
    /// What there was when its first label came.
    Fixed(Option<Arc<Fitted>>),
}

impl Fitted {
    fn of(source: LearntFrom, counts: &LabelledCounts) -> Option<Arc<Self>> {
        if !counts.is_enough() {
            return None;
        }
        let calibration = Calibration::fit(counts)?;
        let learnt = Learnt { source, rows: counts.rows(), had: matrix::had(counts) };
        Some(Arc::new(Self { learnt, calibration }))
    }
}

impl Learnt {
    /// The figure of the rows calibrated on.
    pub(super) fn had(&self, measure: Measure) -> Option<f64> {
        let had = self.had?;
        match measure {
            Measure::Accuracy => Some(had.accuracy),
            Measure::Precision => Some(had.precision),
            Measure::Recall => Some(had.recall),
            Measure::F1 => Some(had.f1),
            Measure::Auroc => had.auroc,
            _ => None,
        }
    }
}

impl Estimator {
    pub fn new(settings: Settings) -> Self {
        let reference = settings.reference.as_deref();
        Self {
            reference: reference.and_then(|counts| Fitted::of(LearntFrom::Reference, counts)),
            seen: LabelledCounts::default(),
            learned: None,
            fitted_rows: 0,
            levels: settings.windows.iter().map(Level::new).collect(),
            as_of: Timestamp::MIN,
            shown: None,
            settings,
        }
    }

    /// Goes on with other settings. Windows of another length begin after `newest`, the time of the latest
    /// prediction, so that each has all of its rows. With another reference what windows said of the one
    /// before is forgotten; labels that came taught what they taught.
    pub fn retune(&mut self, settings: Settings, newest: Timestamp) {
        if settings.reference != self.settings.reference {
            let reference = settings.reference.as_deref();
            self.reference = reference.and_then(|counts| Fitted::of(LearntFrom::Reference, counts));
            let windows = self.levels.iter_mut().flat_map(|level| level.windows.values_mut());
            windows.for_each(|window| window.refer(self.reference.as_ref()));
        }
        if settings.windows != self.settings.windows {
            let mut before = std::mem::take(&mut self.levels);
            for length in &settings.windows {
                let same = |level: &Level| (&level.name, level.length) == (&length.0, length.1);
                self.levels.push(match before.iter().position(same) {
                    Some(known) => before.swap_remove(known),
                    None => Level::after(length, newest),
                });
            }
        }
        if settings.min_rows != self.settings.min_rows {
            let windows = self.levels.iter_mut().flat_map(|level| level.windows.values_mut());
            windows.for_each(|window| (window.changed, window.shown) = (true, None));
        }
        self.settings = settings;
        self.shown = None;
    }

    /// Takes the scores of a row that was predicted at `at`.
    pub fn predicted(&mut self, scores: &RowScores, at: Timestamp) {
        self.each(at, |window| window.change(|histogram| histogram.add(scores)));
    }

    /// Undoes [`Self::predicted`].
    pub fn unpredicted(&mut self, scores: &RowScores, at: Timestamp) {
        self.each(at, |window| window.change(|histogram| histogram.remove(scores)));
    }

    /// Takes the label of a row that was predicted at `at`: the number of its class, or of none.
    pub fn labelled(&mut self, scores: &RowScores, label: Option<usize>, at: Timestamp) {
        let newest = self.newest().cloned();
        self.each(at, |window| {
            if matches!(window.basis, Basis::Newest) {
                window.basis = Basis::Fixed(newest.clone());
                window.changed = true;
            }
        });
        self.seen.add(scores, label);
    }

    /// Undoes [`Self::labelled`].
    pub fn unlabelled(&mut self, scores: &RowScores, label: Option<usize>) {
        self.seen.remove(scores, label);
    }

    fn newest(&self) -> Option<&Arc<Fitted>> {
        self.reference.as_ref().or(self.learned.as_ref())
    }

    fn each(&mut self, at: Timestamp, mut change: impl FnMut(&mut Window)) {
        for level in &mut self.levels {
            if let Some(window) = level.window(at) {
                change(window);
            }
        }
    }

    /// Learns from the labels that came, and estimates what changed.
    pub fn advance(&mut self, now: Timestamp) {
        self.as_of = now;
        // A tenth more rows change little; so fits are few.
        let rows = self.seen.rows();
        let is_due = self.seen.is_enough() && rows >= self.fitted_rows + self.fitted_rows / 10;
        if self.reference.is_none() && is_due && rows != self.fitted_rows {
            self.learned = Fitted::of(LearntFrom::Labels, &self.seen);
            self.fitted_rows = rows;
        }
        let newest = self.newest().cloned();
        for level in &mut self.levels {
            level.advance(newest.as_ref(), self.settings.min_rows, now);
        }
    }

    /// As of the last [`Self::advance`], beside what labels say of each window. A window of which nothing
    /// changed since is not made anew, and if nothing did at all it is the last report.
    pub(in crate::labels) fn beside(&mut self, labelled: &[Arc<LabelWindow>]) -> Arc<Estimates> {
        let (as_of, min_rows) = (self.as_of, self.settings.min_rows);
        let mut is_as_shown = true;
        for level in &mut self.levels {
            let of_length = of_length(labelled, &level.name);
            for (start, window) in &mut level.windows {
                let labelled = of_length.binary_search_by_key(start, |window| window.start);
                let labelled = labelled.ok().map(|place| &of_length[place]);
                let span = (*start, aligned::end(*start, level.length));
                let closed = as_of >= span.1;
                if !window.is_shown(closed, labelled) {
                    is_as_shown = false;
                    let known = labelled.map(|window| Known::of(window)).unwrap_or_default();
                    let estimate = window.made((&level.name, span), closed, min_rows, &known);
                    window.shown = Some((Arc::new(estimate), labelled.cloned()));
                }
            }
        }
        let windows = self.levels.iter().flat_map(|level| level.windows.values());
        let shown = |window: &Window| Some((Arc::clone(&window.shown.as_ref()?.0), window.by));
        let windows: Vec<_> = windows.filter_map(shown).collect();
        if is_as_shown
            && let Some(last) = self.shown.as_ref().filter(|last| self.is_last(last, &windows))
        {
            return Arc::clone(last);
        }
        let made = Arc::new(self.of(windows));
        self.shown = Some(Arc::clone(&made));
        made
    }

    fn is_last(&self, last: &Estimates, windows: &[Beside]) -> bool {
        (last.source, last.calibration_rows) == self.learnt_from()
            && last.windows.len() == windows.len()
    }

    fn learnt_from(&self) -> (Option<LearntFrom>, u64) {
        let learnt = self.newest().map(|fitted| fitted.learnt);
        let rows = learnt.map_or(self.seen.rows(), |learnt| learnt.rows);
        (learnt.map(|learnt| learnt.source), rows)
    }

    fn of(&self, windows: Vec<Beside>) -> Estimates {
        let (source, calibration_rows) = self.learnt_from();
        let (trust, records) = compare::judge(&windows);
        let windows = windows.into_iter().map(|(estimate, _)| estimate).collect();
        Estimates { source, calibration_rows, trust, records, windows }
    }
}

/// Of windows by length and then by start.
fn of_length<'a>(windows: &'a [Arc<LabelWindow>], length: &str) -> &'a [Arc<LabelWindow>] {
    let is_it = |window: &Arc<LabelWindow>| *window.window == *length;
    let Some(first) = windows.iter().position(is_it) else { return &[] };
    let count = windows[first..].iter().take_while(|window| is_it(window)).count();
    &windows[first..first + count]
}

impl Level {
    fn new((name, length): &(Arc<str>, Duration)) -> Self {
        Self {
            name: Arc::clone(name),
            length: *length,
            windows: BTreeMap::new(),
            forgotten_before: Timestamp::MIN,
        }
    }

    /// As if windows up to the one of that time had been forgotten.
    fn after(length: &(Arc<str>, Duration), at: Timestamp) -> Self {
        let forgotten_before = aligned::end(aligned::start(at, length.1), length.1);
        Self { forgotten_before, ..Self::new(length) }
    }

    /// The window of a time; `None` if it was forgotten.
    fn window(&mut self, at: Timestamp) -> Option<&mut Window> {
        let start = aligned::start(at, self.length);
        if start < self.forgotten_before {
            return None;
        }
        let fresh = || Window { scores: Some(Histogram::default()), ..Window::default() };
        self.windows.entry(start).or_insert_with(fresh);
        while self.windows.len() > REMEMBERED {
            let (oldest, _) = self.windows.pop_first()?;
            self.forgotten_before = aligned::end(oldest, self.length);
        }
        self.windows.get_mut(&start)
    }

    fn advance(&mut self, newest: Option<&Arc<Fitted>>, min_rows: u64, now: Timestamp) {
        let young = self.windows.len().saturating_sub(COUNTED);
        let length = SignedDuration::try_from(self.length).unwrap_or(SignedDuration::MAX);
        for (place, (start, window)) in self.windows.iter_mut().enumerate() {
            if window.scores.is_none() {
                continue;
            }
            window.estimate(newest, min_rows);
            // A row may come late: its exchange began in the window and ended after it.
            let over = start.checked_add(length).and_then(|end| end.checked_add(length));
            let is_over = over.is_ok_and(|over| now >= over);
            if place < young || is_over && matches!(window.basis, Basis::Fixed(_)) {
                window.scores = None;
                window.basis = Basis::Fixed(None);
            }
        }
    }
}

impl Window {
    /// Of another reference: no label of the window taught what it says, and so none needs to be kept from it.
    fn refer(&mut self, reference: Option<&Arc<Fitted>>) {
        if matches!(self.basis, Basis::Fixed(_)) {
            self.basis = Basis::Fixed(reference.cloned());
        }
        (self.figures, self.by, self.changed, self.shown) = (None, None, true, None);
    }

    fn is_shown(&self, closed: bool, labelled: Option<&Arc<LabelWindow>>) -> bool {
        self.shown.as_ref().is_some_and(|(estimate, beside)| {
            let is_beside = match (beside, labelled) {
                (Some(beside), Some(labelled)) => Arc::ptr_eq(beside, labelled),
                (beside, labelled) => beside.is_none() && labelled.is_none(),
            };
            estimate.closed == closed && is_beside
        })
    }

    fn made(
        &self,
        (length, (start, end)): (&Arc<str>, (Timestamp, Timestamp)),
        closed: bool,
        min_rows: u64,
        known: &Known,
    ) -> Estimate {
        let figures = self.figures.as_ref();
        Estimate {
            window: Arc::clone(length),
            start,
            end,
            closed,
            rows: self.rows,
            state: match figures {
                Some(_) => State::Estimated,
                None if self.rows < min_rows => State::InsufficientData,
                None => State::NotCalibrated,
            },
            source: self.by.map(|learnt| learnt.source),
            figures: figures.map_or_else(Vec::new, |f| compare::figures(f, self.rows, known)),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Histogram) -> bool) {
        if let Some(scores) = &mut self.scores
            && change(scores)
        {
            self.rows = scores.rows;
            (self.changed, self.shown) = (true, None);
        }
    }

    fn estimate(&mut self, newest: Option<&Arc<Fitted>>, min_rows: u64) {
        let Some(scores) = &self.scores else { return };
        let by = match &self.basis {
            Basis::Newest => newest,
            Basis::Fixed(fixed) => fixed.as_ref(),
        };
        let learnt = by.map(|fitted| fitted.learnt);
        if learnt == self.by && !self.changed {
            return;
        }
        let fitted = by.filter(|_| scores.rows >= min_rows);
        self.figures = fitted.and_then(|by| figures::figures(scores, &by.calibration));
        self.by = learnt;
        (self.changed, self.shown) = (false, None);
    }
}

#[cfg(test)]
mod tests;
