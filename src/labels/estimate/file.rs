//! Counts of a reference as they are kept in a baseline's file: by class, the cells that have rows.

use super::cells::{self, CELLS};
use super::counts::{Labelled, LabelledCounts, MAX_CLASSES};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rows: u64,
    classes: Vec<Class>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    class: usize,
    cells: Vec<Cell>,
}

/// Rows whose score of the class lies in twelve steps of the grid.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cell {
    /// The first of the steps.
    step: i16,
    /// For which another class was predicted, and for which this was.
    rows: [u64; 2],
    /// Those among them whose label it is.
    labelled: [u64; 2],
}

impl Serialize for LabelledCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let first = if self.classes.len() == 1 { 1 } else { 0 };
        let class = |(place, class): (usize, &Labelled)| Class {
            class: first + place,
            cells: (0..CELLS).filter_map(|cell| cell_of(class, cell)).collect(),
        };
        let classes = self.classes.iter().enumerate().map(class).collect();
        File { rows: self.rows, classes }.serialize(serializer)
    }
}

fn cell_of(class: &Labelled, cell: usize) -> Option<Cell> {
    let (rows, labelled) = (class.all.0[cell], class.positive.0[cell]);
    (rows != [0, 0]).then(|| Cell { step: cells::first_step(cell), rows, labelled })
}

impl<'de> Deserialize<'de> for LabelledCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        File::deserialize(deserializer)?.check().map_err(de::Error::custom)
    }
}

impl File {
    fn check(self) -> Result<LabelledCounts, String> {
        if self.classes.len() > MAX_CLASSES {
            return Err(format!("{} classes: {MAX_CLASSES} at most", self.classes.len()));
        }
        let first = if self.classes.len() == 1 { 1 } else { 0 };
        let mut classes = Vec::with_capacity(self.classes.len());
        for (place, class) in self.classes.into_iter().enumerate() {
            if class.class != first + place {
                return Err(format!("class {} stands where {} should", class.class, first + place));
            }
            classes.push(class.check(self.rows)?);
        }
        Ok(LabelledCounts { rows: self.rows, classes })
    }
}

impl Class {
    fn check(self, rows: u64) -> Result<Labelled, String> {
        let mut counts = Labelled::default();
        let mut sum = 0_u64;
        for Cell { step, rows, labelled } in self.cells {
            let cell =
                cells::at_step(step).ok_or_else(|| format!("no cell begins at step {step}"))?;
            if counts.all.0[cell] != [0, 0] {
                return Err(format!("step {step} comes twice"));
            }
            if labelled[0] > rows[0] || labelled[1] > rows[1] {
                return Err(format!("step {step} has more labels of its class than rows"));
            }
            sum = sum.saturating_add(rows[0]).saturating_add(rows[1]);
            (counts.all.0[cell], counts.positive.0[cell]) = (rows, labelled);
        }
        if sum != rows {
            return Err(format!("class {}: rows add up to {sum}, not {rows}", self.class));
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::RowScores;
    use super::*;

    fn counts() -> LabelledCounts {
        let mut counts = LabelledCounts::default();
        for (scores, label) in [([0.7, 0.2, 0.1], 0), ([0.1, 0.8, 0.1], 2), ([0.7, 0.1, 0.2], 0)] {
            let likeliest = usize::from(scores[1] > 0.5);
            let scores = RowScores::of_classes(&scores, likeliest).unwrap();
            assert!(counts.add(&scores, Some(label)));
        }
        counts
    }

    #[test]
    fn counts_come_back_as_they_were() {
        let text = serde_json::to_string(&counts()).unwrap();
        assert_eq!(serde_json::from_str::<LabelledCounts>(&text).unwrap(), counts());
    }

    #[test]
    fn counts_that_cannot_be_are_refused() {
        let cell = |step: i16, rows: u64, labelled: u64| {
            format!(r#"{{"step": {step}, "rows": [{rows}, 0], "labelled": [{labelled}, 0]}}"#)
        };
        let of = |class: usize, cells: &[String]| {
            let cells = cells.join(",");
            format!(r#"{{"rows": 5, "classes": [{{"class": {class}, "cells": [{cells}]}}]}}"#)
        };
        for (text, expected) in [
            (of(1, &[cell(12, 5, 2)]), ""),
            (of(1, &[cell(12, 4, 2)]), "add up to 4, not 5"),
            (of(1, &[cell(13, 5, 2)]), "no cell begins at step 13"),
            (of(1, &[cell(12, 5, 6)]), "more labels"),
            (of(1, &[cell(0, 2, 1), cell(0, 3, 1)]), "comes twice"),
            (of(0, &[cell(12, 5, 2)]), "class 0 stands where 1 should"),
        ] {
            let read = serde_json::from_str::<LabelledCounts>(&text);
            let said = read.map_or_else(|error| error.to_string(), |_| String::new());
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{said}");
        }
    }
}
