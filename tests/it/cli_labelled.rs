//! `taffrail baseline build` with labels: in a column of a table, and in a file beside recorded traffic.

use crate::cli_support::{Run, fixture, taffrail};
use serde_json::Value as Json;
use std::path::PathBuf;

/// The reference rows of the estimate's fixtures, as tables with a feature.
struct Tables(tempfile::TempDir);

impl Tables {
    fn new() -> Self {
        let tables = Self(tempfile::tempdir().unwrap());
        for name in ["binary", "classes"] {
            let text = std::fs::read_to_string(fixture(&format!("estimate/{name}.csv"))).unwrap();
            let (head, rows) = text.split_once('\n').unwrap();
            let reference = rows.lines().filter_map(|row| row.strip_prefix("reference,"));
            let rows = reference.enumerate().map(|(row, cells)| format!("{},{cells}", row % 7));
            let head = head.replace("part,", "x,");
            let lines: Vec<_> = std::iter::once(head).chain(rows).collect();
            std::fs::write(tables.path(&format!("{name}.csv")), lines.join("\n")).unwrap();
        }
        tables
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn build(&self, from: &str, out: &str, more: &[&str]) -> Run {
        let build = ["baseline", "build", "--from", from, "--out", out];
        taffrail(self.0.path(), &[&build[..], more].concat())
    }

    fn read(&self, name: &str) -> Json {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn refused(&self, from: &str, more: &[&str]) -> String {
        let run = self.build(from, "refused.json", more);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(!self.path("refused.json").exists());
        run.stderr
    }
}

fn figure(baseline: &Json, measure: &str) -> f64 {
    let figures = baseline["performance"]["summary"]["figures"].as_array().unwrap();
    let found = figures.iter().find(|figure| figure["measure"] == measure);
    found.unwrap_or_else(|| panic!("{measure}: {figures:?}"))["value"].as_f64().unwrap()
}

#[test]
fn a_label_is_no_feature_and_tells_what_the_model_was_worth() {
    let tables = Tables::new();
    let built = tables.build("binary.csv", "b.json", &["--label", "label", "--score", "score"]);
    assert_eq!(built.code, Some(0), "{built:?}");
    assert!(built.stdout.contains("2500 rows, 2 features"), "{built:?}");
    let baseline = tables.read("b.json");
    // sklearn: d = pandas.read_csv(...)[part == "reference"];
    // accuracy_score(d.label, d.score >= 0.5), roc_auc_score(d.label, d.score)
    assert!((figure(&baseline, "accuracy") - 0.7544).abs() < 1e-9);
    assert!((figure(&baseline, "auroc") - 0.842_771).abs() < 1e-4);
    let shown = taffrail(tables.0.path(), &["baseline", "show", "b.json"]);
    assert!(shown.stdout.contains("performance on 2500 labelled rows"), "{shown:?}");
    assert!(shown.stdout.contains("scores of 2 classes on 2500 rows"), "{shown:?}");
    let shown = taffrail(tables.0.path(), &["baseline", "show", "b.json", "--format", "json"]);
    assert_eq!(serde_json::from_str::<Json>(&shown.stdout).unwrap(), baseline);
}

#[test]
fn scores_of_several_classes_are_named_or_found() {
    let tables = Tables::new();
    let named =
        tables.build("classes.csv", "named.json", &["--label", "label", "--score", "p_0,p_1,p_2"]);
    let found = tables.build(
        "classes.csv",
        "found.json",
        &["--label", "label", "--outputs", "p_0,p_1,p_2"],
    );
    assert_eq!((named.code, found.code), (Some(0), Some(0)), "{named:?} {found:?}");
    let (named, found) = (tables.read("named.json"), tables.read("found.json"));
    assert_eq!(named["performance"]["scores"], found["performance"]["scores"]);
    assert_eq!(named["performance"]["scores"]["classes"].as_array().unwrap().len(), 3);
    assert_eq!(named["performance"]["score_columns"].as_array().unwrap().len(), 3);
    assert!((figure(&named, "accuracy") - figure(&found, "accuracy")).abs() < 1e-12);
}

#[test]
fn numbers_have_their_own_figures_and_no_scores() {
    let tables = Tables::new();
    let rows = (0..300).map(|row| format!("{row},{},{}", row * 2, row * 2 + row % 3));
    let lines: Vec<_> = std::iter::once("x,said,truth".to_owned()).chain(rows).collect();
    std::fs::write(tables.path("numbers.csv"), lines.join("\n")).unwrap();
    let flags = ["--label", "truth", "--prediction", "said"];
    // Whole numbers below 1000 would be classes: halves are none.
    let text = std::fs::read_to_string(tables.path("numbers.csv")).unwrap();
    std::fs::write(tables.path("numbers.csv"), text.replace(",598,600", ",598.5,600")).unwrap();
    let built = tables.build("numbers.csv", "n.json", &flags);
    assert_eq!(built.code, Some(0), "{built:?}");
    let baseline = tables.read("n.json");
    assert_eq!(baseline["performance"]["prediction"], "said");
    // numpy: mean(arange(300) % 3) = 1, but for the last row, 1.5 instead of 2
    assert!((figure(&baseline, "mae") - (300.0 - 0.5) / 300.0).abs() < 1e-9);
    assert_eq!(baseline["performance"].get("scores"), None);
}

#[test]
fn files_without_labels_are_as_they_were() {
    let tables = Tables::new();
    let built = tables.build("binary.csv", "plain.json", &["--outputs", "score"]);
    assert_eq!(built.code, Some(0), "{built:?}");
    assert_eq!(tables.read("plain.json").get("performance"), None);
}

#[test]
fn a_changed_performance_is_another_content() {
    let tables = Tables::new();
    let _ = tables.build("binary.csv", "b.json", &["--label", "label", "--score", "score"]);
    let text = std::fs::read_to_string(tables.path("b.json")).unwrap();
    let changed = text.replacen("\"score_columns\": [", "\"score_columns\": [ \"other\",", 1);
    std::fs::write(tables.path("changed.json"), changed).unwrap();
    let shown = taffrail(tables.0.path(), &["baseline", "show", "changed.json"]);
    assert_eq!(shown.code, Some(2));
    assert!(shown.stderr.contains("was changed after it was written"), "{shown:?}");
}

#[test]
fn what_is_wrong_with_labels_is_said() {
    let tables = Tables::new();
    let said = |flags: &[&str]| tables.refused("binary.csv", flags);
    let no_column = said(&["--label", "lable", "--score", "score"]);
    assert!(
        no_column.contains("--label: binary.csv has no column \"lable\"; it has x, "),
        "{no_column}"
    );
    let no_score = said(&["--label", "label", "--score", "p"]);
    assert!(no_score.contains("--score: binary.csv has no column \"p\""), "{no_score}");
    let nothing = said(&["--label", "label"]);
    assert!(
        nothing.contains("name those columns by --score, --prediction or --outputs"),
        "{nothing}"
    );
    let no_truth = said(&["--score", "score"]);
    assert!(no_truth.contains("--score says nothing without the truth"), "{no_truth}");
    let a_table = said(&["--labels", "labels.jsonl", "--score", "score"]);
    assert!(a_table.contains("--labels labels.jsonl: cannot be read"), "{a_table}");
    std::fs::write(tables.path("labels.jsonl"), "{\"id\": \"a\", \"label\": 1}\n").unwrap();
    let a_table = said(&["--labels", "labels.jsonl", "--score", "score"]);
    assert!(a_table.contains("is a table, whose labels stand in a column"), "{a_table}");
}

#[test]
fn scores_that_are_no_probabilities_and_few_rows_are_noted() {
    let tables = Tables::new();
    let flags = ["--label", "label", "--score", "x"];
    let built = tables.build("binary.csv", "b.json", &flags);
    assert_eq!(built.code, Some(0), "{built:?}");
    assert!(built.stderr.contains("labelled rows were left out"), "{built:?}");
    let flags = ["--label", "label", "--prediction", "label2", "--score", "score"];
    let text = std::fs::read_to_string(tables.path("binary.csv")).unwrap();
    let said = |line: &str| match line.split(',').collect::<Vec<_>>()[..] {
        ["x", ..] => "x,score,label,label2".to_owned(),
        [x, score, label] => {
            format!("{x},{score},{label},{}", if score < "0.5" { "no" } else { "yes" })
        }
        _ => panic!("{line}"),
    };
    let lines: Vec<_> = text.lines().map(said).collect();
    std::fs::write(tables.path("words.csv"), lines.join("\n")).unwrap();
    let built = tables.build("words.csv", "words.json", &flags);
    assert!(built.stderr.contains("performance is not estimated before labels come"), "{built:?}");
    let text = std::fs::read_to_string(tables.path("binary.csv")).unwrap();
    let few: Vec<_> = text.lines().take(100).collect();
    std::fs::write(tables.path("few.csv"), few.join("\n")).unwrap();
    let built = tables.build("few.csv", "few.json", &["--label", "label", "--score", "score"]);
    assert!(built.stderr.contains("99 labelled rows are too few"), "{built:?}");
}

#[test]
fn merged_parts_are_what_all_rows_are() {
    let tables = Tables::new();
    let text = std::fs::read_to_string(tables.path("binary.csv")).unwrap();
    let (head, rows) = text.split_once('\n').unwrap();
    let rows: Vec<_> = rows.lines().collect();
    let flags = ["--label", "label", "--score", "score"];
    for (name, part) in [("first", &rows[..900]), ("second", &rows[900..])] {
        std::fs::write(tables.path(&format!("{name}.csv")), format!("{head}\n{}", part.join("\n")))
            .unwrap();
        let built = tables.build(&format!("{name}.csv"), &format!("{name}.json"), &flags);
        assert_eq!(built.code, Some(0), "{built:?}");
    }
    let _ = tables.build("binary.csv", "whole.json", &flags);
    let merge = ["baseline", "merge", "first.json", "second.json", "--out", "merged.json"];
    assert_eq!(taffrail(tables.0.path(), &merge).code, Some(0));
    let (merged, whole) = (tables.read("merged.json"), tables.read("whole.json"));
    assert_eq!(merged["performance"]["scores"], whole["performance"]["scores"]);
    for measure in ["accuracy", "f1", "auroc", "log_loss", "calibration_error"] {
        let difference = figure(&merged, measure) - figure(&whole, measure);
        assert!(difference.abs() < 1e-9, "{measure}: {difference}");
    }
}
