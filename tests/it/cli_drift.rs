//! `taffrail drift` on real weather: winters against summers.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up or read is its failure")]

use crate::cli_support::{Run, Weather, fixture};
use serde_json::Value;

fn drift(weather: &Weather, more: &[&str]) -> Run {
    let from = ["drift", "--baseline", "baseline.json", "--from", "2014.csv"];
    weather.taffrail(&[&from[..], more].concat())
}

fn windows(run: &Run) -> Vec<Value> {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"));
    report["windows"].as_array().unwrap().clone()
}

const MONTHLY: [&str; 8] =
    ["--time-column", "date", "--window", "1mo", "--min-rows", "20", "--format", "json"];

#[test]
fn winter_months_drift_from_summers() {
    let run = drift(&Weather::with_baseline(), &MONTHLY);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    let windows = windows(&run);
    assert_eq!(windows.len(), 12);
    let days: Vec<_> = windows.iter().map(|window| window["rows"].as_u64().unwrap()).collect();
    assert_eq!(days, [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]);
    for month in [1, 2, 3, 11, 12] {
        let window = &windows[month - 1];
        assert_eq!(window["verdict"], "drifting", "month {month}");
        let temperature = &window["features"][1];
        assert_eq!(temperature["feature"], "temp_max");
        assert_eq!(temperature["detected"], true, "month {month}");
    }
    assert_eq!(windows[1]["start"], "2014-02-01T00:00:00Z");
    assert_eq!(windows[1]["end"], "2014-03-01T00:00:00Z");
}

#[test]
fn the_json_has_the_shape_that_scripts_read() {
    let run = drift(&Weather::with_baseline(), &MONTHLY);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["baseline"]["rows"], 306);
    let window = &report["windows"][0];
    for key in ["start", "end", "rows", "verdict", "features"] {
        assert!(!window[key].is_null(), "{key}");
    }
    for feature in window["features"].as_array().unwrap() {
        assert!(feature["role"] == "input" || feature["role"] == "output");
        assert!(feature["rows"].is_u64() && feature["detected"].is_boolean());
        assert!(feature["p_value"].is_f64() && feature["quality"]["null_ratio"].is_f64());
        let distances = feature["distances"].as_object().unwrap();
        let names: Vec<_> = distances.keys().map(String::as_str).collect();
        for name in
            ["psi", "jensen_shannon", "ks", "wasserstein", "hellinger", "chi_squared", "l_infinity"]
        {
            assert!(names.contains(&name), "{name}");
        }
    }
    // January's temp_max against both summers, from the sorted values themselves.
    let ks = window["features"][1]["distances"]["ks"].as_f64().unwrap();
    assert!((ks - 0.944_866_118_490_406_9).abs() < 1e-9, "{ks}");
}

#[test]
fn the_training_data_does_not_drift_from_itself() {
    let weather = Weather::with_baseline();
    let run = weather.taffrail(&["drift", "--baseline", "baseline.json", "--from", "summers.csv"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.ends_with("verdict: stable\n"), "{run:?}");
}

#[test]
fn a_month_like_the_training_data_is_stable() {
    let weather = Weather::with_baseline();
    let june = ["--time-column", "date", "--window", "1mo", "--min-rows", "20"];
    let path = weather.path().join("2014.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let days = text.lines().filter(|day| day.starts_with("date") || day[5..7] == *"06");
    std::fs::write(&path, days.collect::<Vec<_>>().join("\n")).unwrap();
    let run = drift(&weather, &june);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.ends_with("verdict: stable\n"), "{run:?}");
}

#[test]
fn rows_that_come_long_after_their_window_are_counted() {
    let weather = Weather::with_baseline();
    let row = |row: u32| format!("{},20.5", row / 30 * 86_400);
    let days = (0..9_000).chain([0]).map(row).collect::<Vec<_>>().join("\n");
    std::fs::write(weather.path().join("2014.csv"), format!("ts,temp_max\n{days}\n")).unwrap();
    let run = drift(&weather, &["--window", "1d", "--format", "json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("note: 1 row was left out"), "{}", run.stderr);
    assert_eq!(windows(&run).len(), 300);
}

#[test]
fn windows_of_rows_end_with_a_partial_one() {
    let weather = Weather::with_baseline();
    let run = drift(&weather, &["--window", "100", "--time-column", "date", "--format", "json"]);
    let windows = windows(&run);
    let rows: Vec<_> = windows.iter().map(|window| window["rows"].as_u64().unwrap()).collect();
    assert_eq!(rows, [100, 100, 100, 65]);
    assert_eq!(windows[0]["start"], "2014-01-01T00:00:00Z");
}

#[test]
fn windows_of_time_are_judged_with_those_before_as_windows_of_rows_are() {
    let weather = Weather::with_baseline();
    let path = weather.path().join("2014.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, days) = text.split_once('\n').unwrap();
    let day = |(row, day): (usize, &str)| format!("{},{}\n", row / 5 * 3600, &day[11..]);
    let days: String = days.lines().enumerate().map(day).collect();
    std::fs::write(&path, format!("{}\n{days}", head.replace("date", "ts"))).unwrap();
    let judged = |window: &str| {
        let run = drift(&weather, &["--window", window, "--min-rows", "5", "--format", "json"]);
        let judged = |window: Value| (window["verdict"].clone(), window["features"].clone());
        windows(&run).into_iter().map(judged).collect::<Vec<_>>()
    };
    let by_rows = judged("5");
    assert_eq!(by_rows.len(), 73);
    assert_eq!(judged("1h"), by_rows);
}

#[test]
fn windows_without_times_have_none() {
    let run = drift(&Weather::with_baseline(), &["--window", "200", "--format", "json"]);
    assert!(windows(&run).iter().all(|window| window["start"].is_null()), "{run:?}");
}

#[test]
fn rows_in_any_order_give_the_same_windows() {
    let weather = Weather::with_baseline();
    let sorted = drift(&weather, &MONTHLY);
    let path = weather.path().join("2014.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, days) = text.split_once('\n').unwrap();
    let backwards: Vec<_> = std::iter::once(head).chain(days.lines().rev()).collect();
    std::fs::write(&path, backwards.join("\n")).unwrap();
    let shuffled = drift(&weather, &MONTHLY);
    let verdicts = |run: &Run| {
        let verdict = |window: Value| (window["start"].clone(), window["verdict"].clone());
        windows(run).into_iter().map(verdict).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&shuffled), verdicts(&sorted));
    assert_eq!(shuffled.stderr, "");
}

#[test]
fn too_few_rows_are_neither_stable_nor_drifting() {
    let run = drift(&Weather::with_baseline(), &["--time-column", "date", "--window", "1mo"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("0 of 12 windows drift; 12 had too few rows to judge"), "{run:?}");
}

#[test]
fn the_tables_explain_themselves_within_100_characters() {
    let weather = Weather::with_baseline();
    let monthly = ["--time-column", "date", "--window", "1mo", "--min-rows", "20"];
    let whole = ["--time-column", "date", "--min-rows", "20"];
    for (arguments, told) in [
        (&monthly[..], "The number behind a feature is its Jensen–Shannon distance"),
        (&whole[..], "JS is the Jensen–Shannon distance"),
    ] {
        let run = drift(&weather, arguments);
        assert!(run.stdout.contains("differs by more than chance (false discovery rate 0.01)"));
        assert!(run.stdout.contains("With fewer than 20 rows it has no verdict"), "{run:?}");
        assert!(run.stdout.contains(told), "{run:?}");
        let widest = run.stdout.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= 100, "{widest}");
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let monthly = ["--time-column", "date", "--window", "1mo", "--min-rows", "20"];
    let run = drift(&Weather::with_baseline(), &[&monthly[..], &["--format", "html"]].concat());
    assert_eq!(run.code, Some(3));
    assert!(run.stdout.starts_with("<!DOCTYPE html>") && run.stdout.contains("temp_max"));
    for outside in ["http://", "https://", "<script", "<link", "src="] {
        assert!(!run.stdout.contains(outside), "{outside}");
    }
}

#[test]
fn a_wrong_call_or_file_exits_2_and_says_why() {
    let weather = Weather::with_baseline();
    let at = |name: &str| fixture(&format!("offline/{name}")).display().to_string();
    let (not_a_time, head_only) = (at("not_a_time.csv"), at("head_only.csv"));
    for (arguments, told) in [
        (vec!["baseline.json", "absent.csv"], "absent.csv: cannot be read: No such file"),
        (vec!["absent.json", "2014.csv"], "absent.json: cannot be read: No such file"),
        (vec!["2014.csv", "2014.csv"], "2014.csv: not a baseline"),
        (vec!["baseline.json", &*head_only], "has no rows"),
        (vec!["baseline.json", "2014.csv", "--window", "1y"], "write a number of rows (500)"),
        (vec!["baseline.json", "2014.csv", "--window", "1d"], "has no column \"ts\""),
        (
            vec!["baseline.json", &*not_a_time, "--window", "1d"],
            "column ts, row 2: \"soon\" is not a time",
        ),
        (
            vec!["baseline.json", "2014.csv", "--include", "absent"],
            "no feature of baseline.json is among those to judge",
        ),
        (
            vec!["baseline.json", "2014.csv", "--false-discovery-rate", "2"],
            "write a number between 0 and 1",
        ),
    ] {
        let named = ["drift", "--baseline", arguments[0], "--from", arguments[1]];
        let run = weather.taffrail(&[&named[..], &arguments[2..]].concat());
        assert_eq!(run.code, Some(2), "{arguments:?}: {run:?}");
        assert!(run.stderr.contains(told), "{arguments:?}: {run:?}");
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}

#[test]
fn a_day_is_compared_with_the_one_before_as_the_sidecar_does() {
    let weather = Weather::with_baseline();
    let daily = ["--time-column", "date", "--window", "7d", "--min-rows", "2"];
    let json = [&daily[..], &["--format", "json", "--reference", "previous,same_hour_last_week"]];
    let run = drift(&weather, &json.concat());
    let windows = windows(&run);
    for (number, window) in windows.iter().enumerate() {
        let feature = &window["features"][1];
        let references = feature["references"].as_array();
        let Some(references) = references.filter(|_| number > 0) else {
            assert!(number == 0 && feature["references"].is_null());
            continue;
        };
        // Weeks end where the next begins, so that both are the same one.
        let named: Vec<_> = references.iter().map(|reference| &reference["reference"]).collect();
        assert_eq!(named, ["previous", "same_hour_last_week"], "{number}");
        for reference in references {
            assert_eq!(reference["end"], window["start"], "{number}");
            assert_eq!(reference["rows"], windows[number - 1]["features"][1]["rows"]);
            assert!(reference["distances"]["psi"].is_f64());
        }
    }
    let table = drift(&weather, &[&daily[..], &["--reference", "previous"]].concat());
    assert!(table.stdout.contains("vs. previous"), "{}", table.stdout);
    assert!(table.stdout.contains(" of 5"), "{}", table.stdout);
    assert!(table.stdout.lines().all(|line| line.chars().count() <= 100), "{}", table.stdout);
}

#[test]
fn an_hour_of_another_day_needs_windows_of_time() {
    let weather = Weather::with_baseline();
    for window in [&[][..], &["--window", "50"], &["--window", "2d"], &["--window", "1mo"]] {
        let asked = ["--time-column", "date", "--reference", "same_hour_yesterday"];
        let run = drift(&weather, &[&asked[..], window].concat());
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains("--reference same_hour_yesterday"), "{run:?}");
        assert!(run.stderr.contains("at most 24h"), "{run:?}");
    }
    let run = drift(&weather, &["--reference", "last_year"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("same_hour_last_week"), "{run:?}");
}
