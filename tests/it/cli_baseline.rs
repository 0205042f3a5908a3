//! `taffrail baseline`: build, show and merge.

use crate::cli_support::{Weather, fixture};

#[test]
fn the_time_column_is_no_feature_and_outputs_are_named() {
    let weather = Weather::with_baseline();
    let shown = weather.taffrail(&["baseline", "show", "baseline.json"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let roles = shown.stdout.lines().skip(3).map(|line| {
        let mut words = line.split_whitespace();
        (words.next().unwrap(), words.next().unwrap())
    });
    let inputs = ["precipitation", "temp_max", "temp_min", "wind"].map(|name| (name, "input"));
    assert_eq!(roles.collect::<Vec<_>>(), [&inputs[..], &[("weather", "output")]].concat());
    assert!(shown.stdout.starts_with("306 rows"), "{shown:?}");
}

#[test]
fn a_column_of_times_among_the_features_is_told() {
    let weather = Weather::new();
    let built =
        weather.taffrail(&["baseline", "build", "--from", "summers.csv", "--out", "b.json"]);
    assert_eq!(built.code, Some(0), "{built:?}");
    assert!(built.stderr.contains("leave it out by --time-column date"), "{built:?}");
}

#[test]
fn shown_json_is_the_file() {
    let weather = Weather::with_baseline();
    let shown = weather.taffrail(&["baseline", "show", "baseline.json", "--format", "json"]);
    let written = std::fs::read_to_string(weather.path().join("baseline.json")).unwrap();
    assert_eq!(shown.stdout.trim_end(), written.trim_end());
}

#[test]
fn merged_rows_add_up() {
    let weather = Weather::with_baseline();
    let merged = weather.taffrail(&[
        "baseline",
        "merge",
        "baseline.json",
        "baseline.json",
        "--out",
        "merged.json",
    ]);
    assert_eq!(merged.code, Some(0), "{merged:?}");
    assert!(merged.stdout.starts_with("merged.json: 612 rows, 5 features"), "{merged:?}");
}

#[test]
fn include_and_exclude_choose_the_columns() {
    let weather = Weather::new();
    let built = weather.taffrail(&[
        "baseline",
        "build",
        "--from",
        "summers.csv",
        "--include",
        "temp_*,wind",
        "--exclude",
        "*_min",
        "--out",
        "b.json",
    ]);
    assert!(built.stdout.contains("306 rows, 2 features"), "{built:?}");
}

#[test]
fn json_lines_give_the_same_baseline_as_csv() {
    let weather = Weather::with_baseline();
    let csv = std::fs::read_to_string(weather.path().join("summers.csv")).unwrap();
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let json = lines.map(|cells| {
        let entry = |(name, cell): (&&str, &&str)| match cell.parse::<f64>() {
            Ok(number) => format!("\"{name}\":{number}"),
            Err(_) => format!("\"{name}\":\"{cell}\""),
        };
        let entries: Vec<_> = names.iter().zip(&cells).map(entry).collect();
        format!("{{{}}}\n", entries.join(","))
    });
    let jsonl = weather.path().join("summers.jsonl");
    std::fs::write(&jsonl, json.collect::<String>()).unwrap();
    let built = weather.taffrail(&[
        "baseline",
        "build",
        "--from",
        "summers.jsonl",
        "--outputs",
        "weather",
        "--time-column",
        "date",
        "--out",
        "lines.json",
    ]);
    assert_eq!(built.code, Some(0), "{built:?}");
    let read = |name: &str| std::fs::read(weather.path().join(name)).unwrap();
    assert_eq!(read("lines.json"), read("baseline.json"));
}

#[test]
fn parquet_compressed_with_gzip_is_read() {
    let weather = Weather::new();
    let from = fixture("offline/gzip.parquet").display().to_string();
    let built = weather.taffrail(&["baseline", "build", "--from", &from, "--out", "b.json"]);
    assert!(built.stdout.contains("3 rows, 2 features"), "{built:?}");
}

#[test]
fn what_cannot_be_read_is_told_and_exits_2() {
    let weather = Weather::with_baseline();
    let at = |name: &str| fixture(&format!("offline/{name}")).display().to_string();
    for (from, told) in [
        ("absent.csv".to_owned(), "absent.csv: cannot be read: No such file"),
        ("baseline.json".to_owned(), "unknown format; the name must end in .csv"),
        (".".to_owned(), "is a directory without an archive"),
        (at("head_only.csv"), "has no rows"),
        (at("ragged.csv"), "record 2 (line: 3"),
        (at("cut.jsonl"), "cut.jsonl:2: is not a JSON object"),
        (
            at("brotli.parquet"),
            "column x is compressed with brotli, which is not read; write the file again with zstd",
        ),
    ] {
        let run = weather.taffrail(&["baseline", "build", "--from", &from, "--out", "x.json"]);
        assert_eq!(run.code, Some(2), "{from}: {run:?}");
        assert!(run.stderr.contains(told), "{from}: {run:?}");
        assert!(!weather.path().join("x.json").exists(), "{from}");
    }
    let run = weather.taffrail(&[
        "baseline",
        "build",
        "--from",
        "2014.csv",
        "--outputs",
        "wether",
        "--out",
        "x.json",
    ]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("has no column \"wether\"; it has date, precipitation"), "{run:?}");
}
