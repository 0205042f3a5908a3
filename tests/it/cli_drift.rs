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
        // When drift began is a row's own time in windows of rows, and the window's in those of time.
        let judged = |mut window: Value| {
            for feature in window["features"].as_array_mut().unwrap() {
                feature.as_object_mut().unwrap().remove("explanation");
            }
            (window["verdict"].clone(), window["features"].clone())
        };
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

/// The summer of 2014 in Fahrenheit and without wind, which the file has as an empty column.
fn faulty_summer(weather: &Weather) {
    let path = weather.path().join("2014.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, days) = text.split_once('\n').unwrap();
    let mut names = head.split(',');
    let temperature = names.position(|name| name == "temp_max").unwrap();
    let wind = head.split(',').position(|name| name == "wind").unwrap();
    let day = |day: &str| {
        let mut cells: Vec<String> = day.split(',').map(str::to_owned).collect();
        let celsius: f64 = cells[temperature].parse().unwrap();
        cells[temperature] = format!("{:.1}", celsius * 1.8 + 32.0);
        cells[wind] = String::new();
        cells.join(",")
    };
    let summer = days.lines().filter(|day| ("05".."10").contains(&&day[5..7])).map(day);
    let lines: Vec<_> = std::iter::once(head.to_owned()).chain(summer).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
}

#[test]
fn what_is_wrong_with_the_rows_is_named_with_its_figures() {
    let weather = Weather::with_baseline();
    faulty_summer(&weather);
    let whole = ["--time-column", "date"];
    let run = drift(&weather, &whole);
    assert_eq!(run.code, Some(3), "{run:?}");
    for said in [
        "temp_max (input): the baseline's values × 1.8 + 32, as in °C → °F",
        "wind (input): null in 100 % of rows, where the baseline has 0 %",
    ] {
        assert!(run.stdout.contains(said), "{}", run.stdout);
    }
    let widest = run.stdout.lines().max_by_key(|line| line.chars().count()).unwrap();
    assert!(widest.chars().count() <= 100, "{widest}");
    let monthly =
        drift(&weather, &["--time-column", "date", "--window", "1mo", "--min-rows", "20"]);
    assert!(monthly.stdout.contains("null of wind"), "{monthly:?}");
    let html = drift(&weather, &["--time-column", "date", "--format", "html"]);
    assert!(html.stdout.contains("× 1.8 + 32, as in °C → °F"), "{html:?}");
    let json = drift(&weather, &["--time-column", "date", "--format", "json"]);
    let features = windows(&json)[0]["features"].clone();
    let of = |name: &str| {
        let mut features = features.as_array().unwrap().iter();
        features.find(|feature| feature["feature"] == name).unwrap()["checks"].clone()
    };
    let unit = of("temp_max");
    let unit = unit.as_array().unwrap().iter().find(|c| c["check"] == "unit_change").unwrap();
    assert_eq!(unit["unit_change"]["factor"], 1.8);
    assert_eq!(unit["unit_change"]["looks_like"], "°C → °F");
    let null = of("wind")[0].clone();
    assert_eq!(
        (&null["check"], &null["ratio"], &null["detected"]),
        (&"null".into(), &1.0.into(), &true.into())
    );
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

/// Summers with the kind of weather as an input, each kind recorded.
fn with_kinds() -> Weather {
    let weather = Weather::new();
    let built = weather.taffrail(&[
        "baseline",
        "build",
        "--from",
        "summers.csv",
        "--time-column",
        "date",
        "--segments",
        "weather",
        "--max-segments",
        "2",
        "--out",
        "baseline.json",
    ]);
    assert_eq!(built.code, Some(0), "{built:?}");
    assert!(built.stderr.contains("of which the 2 most frequent are kept"), "{}", built.stderr);
    weather
}

#[test]
fn parts_of_the_rows_are_judged_by_themselves() {
    let weather = with_kinds();
    let by_weather = ["--segments", "weather", "--time-column", "date", "--min-rows", "20"];
    let run = drift(&weather, &[&by_weather[..], &["--format", "json"]].concat());
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    let window = &windows(&run)[0];
    let segments = window["segments"].as_array().unwrap();
    let of = |name: &str| segments.iter().find(|s| s["segment"] == name).unwrap();
    let (sun, rain) = (of("weather=sun"), of("weather=rain"));
    assert_eq!((&sun["reference"], &rain["reference"]), (&"segment".into(), &"segment".into()));
    // Sunny days of a whole year are colder than those of summers.
    assert_eq!(sun["verdict"], "drifting");
    let drifting = sun["features"].as_array().unwrap();
    assert!(drifting.iter().any(|f| f["feature"] == "temp_max" && f["detected"] == true));
    // Constant in its own segment, then and now.
    assert!(drifting.iter().all(|f| f["feature"] != "weather" || f["detected"] == false));
    assert!(segments.iter().any(|s| s["reference"] == "learning"), "snow was not recorded");
    let rows: u64 = segments.iter().map(|s| s["rows"].as_u64().unwrap()).sum();
    assert_eq!(rows, window["rows"].as_u64().unwrap());

    let table = drift(&weather, &by_weather);
    assert!(table.stdout.contains("weather=sun"), "{}", table.stdout);
    assert!(table.stdout.lines().all(|line| line.chars().count() <= 130), "{}", table.stdout);
    let page = drift(&weather, &[&by_weather[..], &["--format", "html"]].concat());
    assert!(page.stdout.contains("weather=sun"));
    let shown = weather.taffrail(&["baseline", "show", "baseline.json"]);
    assert!(shown.stdout.contains("segments: weather=sun "), "{}", shown.stdout);
    let merged = weather.taffrail(&[
        "baseline",
        "merge",
        "baseline.json",
        "baseline.json",
        "--out",
        "merged.json",
    ]);
    assert!(merged.stderr.contains("segments are left out"), "{merged:?}");
}

#[test]
fn drift_is_ranked_by_the_importances_of_a_file() {
    let weather = Weather::with_baseline();
    let file = weather.path().join("importance.json");
    std::fs::write(&file, "{\"temp_min\": 0.7, \"temp_max\": 0.1, \"wind\": 0.2}").unwrap();
    let by_file = ["--importance", "importance.json", "--time-column", "date"];
    let run = drift(&weather, &[&by_file[..], &["--format", "json"]].concat());
    let window = &windows(&run)[0];
    let features = window["features"].as_array().unwrap();
    let of = |name: &str| &features.iter().find(|f| f["feature"] == name).unwrap()["weight"];
    assert_eq!((&of("temp_min")["rank"], &of("temp_min")["importance"]), (&1.into(), &0.7.into()));
    assert!(of("precipitation").is_null());
    let table = drift(&weather, &by_file).stdout;
    assert!(table.contains("most important: temp_min"), "{table}");
    std::fs::write(&file, "{\"temp_min\": \"much\"}").unwrap();
    let run = drift(&weather, &by_file);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("--importance: importance.json is no JSON object"),
        "{}",
        run.stderr
    );
}

#[test]
fn attributions_of_recorded_answers_are_ranked_against_those_of_the_baseline() {
    let weather = Weather::new();
    // What two features are worth to each of 400 predictions, in one order and in the other.
    let table = |name: &str, scales: [f64; 2]| {
        let part = |n: u32, scale: f64| scale * (f64::from(n % 20) - 9.5);
        let [a, b] = scales;
        let row = |n: u32| format!("{n},{},{},{}\n", n % 7, part(n, a), part(n + 3, b));
        let rows: String = (0..400).map(row).collect();
        let text = format!("x,prediction,shap_x,shap_y\n{rows}");
        std::fs::write(weather.path().join(name), text).unwrap();
    };
    table("before.csv", [1.0, 0.2]);
    table("after.csv", [0.2, 1.0]);
    let outputs = ["--outputs", "prediction,shap_x,shap_y", "--out", "shap.json"];
    let build = [&["baseline", "build", "--from", "before.csv"], &outputs[..]].concat();
    assert_eq!(weather.taffrail(&build).code, Some(0));
    let attribution = |from: &str| {
        let call = ["drift", "--baseline", "shap.json", "--from", from, "--format", "json"];
        windows(&weather.taffrail(&call))[0]["attribution"].clone()
    };
    let (same, turned) = (attribution("before.csv"), attribution("after.csv"));
    assert_eq!((&same["ndcg"], &same["detected"]), (&1.0.into(), &false.into()));
    assert_eq!((&turned["reference"], &turned["detected"]), (&"baseline".into(), &true.into()));
    let first = &turned["features"][0];
    assert_eq!((&first["feature"], &first["rank_now"]), (&"x".into(), &2.into()));
    // sklearn.metrics.ndcg_score([[5, 1]], [[1, 5]]): only the scale of the reference counts.
    assert!((turned["ndcg"].as_f64().unwrap() - 0.737_826_424_707_602).abs() < 0.002, "{turned}");
    let table = weather.taffrail(&["drift", "--baseline", "shap.json", "--from", "after.csv"]);
    assert!(table.stdout.contains("attributions: NDCG 0.7"), "{}", table.stdout);
}

#[test]
fn segments_that_no_row_tells_are_refused() {
    let weather = Weather::with_baseline();
    let run = drift(&weather, &["--segments", "header:x-tenant"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("is known to the sidecar alone"), "{}", run.stderr);
    let built = weather.taffrail(&[
        "baseline",
        "build",
        "--from",
        "summers.csv",
        "--segments",
        "country",
        "--out",
        "b.json",
    ]);
    assert_eq!(built.code, Some(2));
    assert!(built.stderr.contains("no input \"country\" has values"), "{}", built.stderr);
    assert!(!weather.path().join("b.json").exists());
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
