//! The class probabilities of a row, as the cells they fall in.

use super::cells;
use super::counts::MAX_CLASSES;
use crate::labels::Scores;
use smallvec::SmallVec;

/// What a model said of one row: the class it predicts and how probable it takes each to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowScores {
    predicted: u16,
    /// One a class; of two classes that of class 1 alone.
    cells: SmallVec<[u16; 4]>,
}

impl RowScores {
    /// Of a row's scores, the class that was predicted, and the prediction as a number where it is one:
    /// without scores it may be a probability of class 1 itself.
    pub fn of(scores: &Scores, predicted: Option<usize>, said: Option<f64>) -> Option<Self> {
        match scores {
            Scores::None => Self::binary(said?, None),
            // A prediction that is a number and no class is the probability itself.
            Scores::Positive(score) if predicted.is_none() && said.is_some() => {
                Self::binary(*score, None)
            }
            Scores::Positive(score) => Self::binary(*score, Some(predicted?)),
            Scores::Classes(shares) => {
                let shares: SmallVec<[f64; 8]> = shares.iter().map(|s| f64::from(*s)).collect();
                Self::of_classes(&shares, predicted?)
            }
        }
    }

    /// Of a probability of class 1 in [0, 1], and the class that was predicted: by default the likelier.
    pub fn binary(score: f64, predicted: Option<usize>) -> Option<Self> {
        if !(0.0..=1.0).contains(&score) {
            return None;
        }
        let predicted = match predicted {
            Some(class @ (0 | 1)) => u16::try_from(class).ok()?,
            Some(_) => return None,
            None => u16::from(score >= 0.5),
        };
        Some(Self { predicted, cells: SmallVec::from_slice(&[cells::cell(score)]) })
    }

    /// Of one probability a class, and the class that was predicted.
    pub fn of_classes(scores: &[f64], predicted: usize) -> Option<Self> {
        if scores.len() == 2 {
            return Self::binary(scores[1], Some(predicted));
        }
        let probable = scores.iter().all(|score| (0.0..=1.0).contains(score));
        if !probable || scores.len() < 2 || scores.len() > MAX_CLASSES || predicted >= scores.len()
        {
            return None;
        }
        let predicted = u16::try_from(predicted).ok()?;
        Some(Self { predicted, cells: scores.iter().map(|score| cells::cell(*score)).collect() })
    }

    pub fn classes(&self) -> usize {
        self.cells.len().max(2)
    }

    pub fn predicted(&self) -> usize {
        usize::from(self.predicted)
    }

    pub(super) fn predicts(&self, class: usize) -> bool {
        usize::from(self.predicted) == class
    }

    /// Of two classes only class 1 has one.
    pub(super) fn cell(&self, class: usize) -> u16 {
        if self.cells.len() == 1 { self.cells[0] } else { self.cells[class] }
    }
}
