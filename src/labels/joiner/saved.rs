//! What a process has learnt from labels and the next goes on with: the performance that windows are
//! tested against. Without it a model that has decayed would become its own reference by a restart.
//!
//! Rows that wait for their labels, labelled windows, and how near estimates were are not kept.

use super::super::reference::LearnedPerformance;
use super::Joiner;

impl Joiner {
    /// `None` where it was given, or is not all learnt yet; else equal numbers of one joiner are equal
    /// references.
    pub fn learned_at(&self) -> Option<u64> {
        self.scored.reference.learned_at()
    }

    /// The performance on the first labelled rows, once there are enough of them.
    pub fn learned(&self) -> Option<LearnedPerformance> {
        let kind = self.scored.overall.kind(self.settings.task);
        self.scored.reference.learned(kind, &self.scored.classes)
    }

    /// Goes on with what a process before this one has learnt; one that is new. With what was learnt of
    /// another task no window could be compared: it is learnt anew.
    pub fn resume(&mut self, learned: LearnedPerformance) {
        if self.settings.task.allows(learned.summary.kind) {
            self.scored.reference.resume(learned);
        } else {
            tracing::warn!("performance was learnt of another task: it is learnt anew");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Cell;
    use crate::labels::{
        ConceptVerdict, Emitted, Label, LabelValue, PerformanceReference, Scores, Settings, Task,
        Truth,
    };
    use jiff::Timestamp;
    use std::num::NonZeroU64;

    const HOUR: i64 = 3600;
    const ROWS: i64 = 400;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn joiner() -> Joiner {
        let reference_rows = NonZeroU64::new(500).unwrap();
        Joiner::new(Settings { reference_rows, ..Settings::default() })
    }

    /// An hour of rows, of which one in so many is wrong.
    fn hour(joiner: &mut Joiner, hour: i64, wrong_every: i64) -> Vec<Emitted> {
        for n in 0..ROWS {
            let (id, second) = (format!("h{hour}r{n}"), hour * HOUR + n);
            let said = Cell::Text(if n % wrong_every == 0 { "b" } else { "a" });
            joiner.predicted(&id, (0, 1), said, Scores::None, at(second));
            let label = LabelValue::One(Truth::Text("a".to_owned()));
            let _ = joiner.labelled(Label { id, label, at: None }, at(second));
        }
        joiner.advance(at((hour + 1) * HOUR))
    }

    fn restarted(joiner: &Joiner) -> Joiner {
        let json = serde_json::to_string(&joiner.learned().unwrap()).unwrap();
        let mut next = self::joiner();
        next.resume(serde_json::from_str(&json).unwrap());
        next
    }

    #[test]
    fn a_model_that_has_decayed_is_no_reference_of_its_own_after_a_restart() {
        let mut first = joiner();
        (0..2).for_each(|n| drop(hour(&mut first, n, 10)));
        let mut next = restarted(&first);
        assert_eq!(next.learned(), first.learned());
        let verdicts = |emitted: &[Emitted]| -> Vec<_> {
            emitted.iter().map(|e| e.window.concept.as_ref().map(|c| c.verdict)).collect()
        };
        let drifting = [Some(ConceptVerdict::Drifting)];
        assert_eq!(verdicts(&hour(&mut next, 2, 3)), drifting, "from the first window on");
        // Long after as many rows as are learnt from.
        assert_eq!(verdicts(&hour(&mut restarted(&next), 4, 3)), drifting);
        assert!(matches!(next.report().reference, PerformanceReference::Learned { .. }));
    }

    #[test]
    fn a_window_that_shares_rows_with_what_was_learnt_is_not_tested_after_a_restart_either() {
        let mut first = joiner();
        (0..2).for_each(|n| drop(hour(&mut first, n, 10)));
        let emitted = hour(&mut restarted(&first), 1, 3);
        assert_eq!(emitted[0].window.concept, None);
    }

    #[test]
    fn what_was_learnt_of_another_task_is_learnt_anew() {
        let mut first = joiner();
        (0..2).for_each(|n| drop(hour(&mut first, n, 10)));
        for (task, is_known) in
            [(Task::Auto, true), (Task::Classification, true), (Task::Regression, false)]
        {
            let mut next = Joiner::new(Settings { task, ..Settings::default() });
            next.resume(first.learned().unwrap());
            assert_eq!(next.learned().is_some(), is_known, "{task:?}");
        }
    }

    #[test]
    fn nothing_is_learnt_before_there_are_rows_enough_nor_where_it_was_given() {
        let mut first = joiner();
        hour(&mut first, 0, 10);
        assert_eq!((first.learned(), first.learned_at()), (None, None));
        hour(&mut first, 1, 10);
        let known = first.learned_at();
        assert!(known.is_some());
        let label = LabelValue::One(Truth::Text("b".to_owned()));
        let corrected = Label { id: "h0r1".to_owned(), label, at: Some(at(2 * HOUR)) };
        let _ = first.labelled(corrected, at(2 * HOUR));
        assert_ne!(first.learned_at(), known, "a label of it was corrected");
        let given = first.learned().map(|learned| learned.summary);
        let given = Joiner::new(Settings { reference: given, ..Settings::default() });
        assert_eq!((given.learned(), given.learned_at()), (None, None));
    }
}
