//! `taffrail check`: a configuration a case, with what is said of it beside.

use crate::cli_support::{fixture, taffrail, taffrail_with};
use taffrail::config::keys::{KEYS, Reload};

#[test]
fn every_faulty_config_is_told_in_full() {
    let directory = fixture("config");
    let mut cases = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let expected_path = path.with_extension("txt");
        if path.extension().is_none_or(|ending| ending != "yaml") || !expected_path.exists() {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let run = taffrail(&directory, &["check", "--config", name]);
        assert_eq!(run.stderr, std::fs::read_to_string(expected_path).unwrap(), "{name}");
        assert_eq!(run.code, Some(1), "{name}");
        assert_eq!(run.stdout, "", "{name}");
        cases += 1;
    }
    assert!(cases >= 6, "{cases}");
}

#[test]
fn a_good_config_is_summed_up_with_its_lines() {
    let run = taffrail(&fixture("config"), &["check", "--config", "good.yaml"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.starts_with("The configuration is good. 25 keys are given"), "{run:?}");
    let version = run.stdout.lines().find(|line| line.contains("model.version")).unwrap();
    assert_eq!(
        version.split_whitespace().collect::<Vec<_>>(),
        ["model.version", "3.10", "good.yaml:4", "(restart)"]
    );
}

#[test]
fn what_needs_a_restart_is_marked() {
    let run = taffrail(&fixture("config"), &["check", "--config", "good.yaml"]);
    let line = |key: &str| {
        run.stdout.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned()
    };
    assert!(line("listen").ends_with("(restart)"), "{run:?}");
    assert!(!line("drift.min_rows").contains("restart"), "{run:?}");
    let help = taffrail_with(&[], &["run", "--help"]).stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("the CPU limit rounded up [default: auto] [restart]"), "{help}");
    assert_eq!(help.matches("[restart]").count(), restarts() + 1);
}

fn restarts() -> usize {
    KEYS.iter().filter(|key| key.reload() == Reload::Restart).count()
}

#[test]
fn what_is_in_the_files_that_keys_name_is_checked_too() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("baseline.json"), "{}").unwrap();
    std::fs::write(directory.path().join("taffrail.yaml"), "\nbaseline: baseline.json\n").unwrap();
    let arguments = ["check", "--upstream", "http://127.0.0.1:1", "--config", "taffrail.yaml"];
    let run = taffrail(directory.path(), &arguments);
    assert_eq!(run.code, Some(1), "{run:?}");
    let told = "taffrail.yaml:2: baseline: baseline.json is not a usable baseline";
    assert!(run.stderr.contains(told), "{run:?}");
}

#[test]
fn run_refuses_a_faulty_config_before_it_listens() {
    let run = taffrail_with(&[("TAFFRAIL_LISTEN", "nowhere")], &["run"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.contains("TAFFRAIL_LISTEN: listen: \"nowhere\" is not an address"),
        "{run:?}"
    );
    assert!(run.stderr.contains("upstream.url: is missing"), "{run:?}");
}

#[test]
fn variables_name_the_file_and_win_over_it() {
    let config = fixture("config/good.yaml");
    let variables =
        [("TAFFRAIL_CONFIG", config.to_str().unwrap()), ("TAFFRAIL_ADMIN", "127.0.0.1:1")];
    let run = taffrail_with(&variables, &["check", "--listen", "127.0.0.1:2"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let source = |key: &str| {
        let line = run.stdout.lines().find(|line| line.trim_start().starts_with(key)).unwrap();
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(source("listen"), ["127.0.0.1:2", "--listen", "(restart)"]);
    assert_eq!(source("admin.address"), ["127.0.0.1:1", "TAFFRAIL_ADMIN", "(restart)"]);
}

#[test]
fn an_unknown_variable_is_warned_of_and_a_malformed_route_refused() {
    let upstream = ["check", "--upstream", "http://127.0.0.1:8080"];
    let run = taffrail_with(
        &[("TAFFRAIL_UPSTREM", "x"), ("TAFFRAIL_PORT", "tcp://10.0.0.1:1")],
        &upstream,
    );
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(run.stderr, "warning: TAFFRAIL_UPSTREM: no key has this variable; it is ignored\n");
    let run = taffrail_with(&[("TAFFRAIL_ROUTES", "/a/{b")], &upstream);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("routes: braces do not pair up"), "{run:?}");
}

#[test]
fn the_schema_is_json_and_knows_every_group() {
    let run = taffrail_with(&[], &["check", "--schema"]);
    let schema: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    for group in ["upstream", "admin", "model", "capture", "features", "export", "drain"] {
        assert_eq!(schema["properties"][group]["type"], "object", "{group}");
    }
}
