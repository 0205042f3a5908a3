//! Holds the layering that ARCHITECTURE.md draws, by reading every `crate::` path under `src`.
//!
//! Text, not types: comments and test modules are left out, groups (`crate::{a, b::c}`) are read. It is
//! enough to catch the import that someone adds in a hurry.

use std::fmt;
use std::path::{Path, PathBuf};

/// Stages, and which others each may name. Those without any may still name [`LEAVES`].
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("credentials", &[]),
    ("distribution", &[]),
    ("config", &[]),
    ("limits", &[]),
    ("pulse", &[]),
    ("capture", &[]),
    ("proxy", &["capture", "tap", "latency"]),
    ("tap", &["capture", "proxy", "latency"]),
    ("latency", &["capture", "proxy", "tap"]),
    ("decode", &[]),
    ("sketch", &["decode"]),
    ("drift", &["sketch", "decode", "labels"]),
    ("labels", &["decode"]),
    ("label_files", &["labels"]),
    ("archive", &["capture", "decode"]),
    ("pipeline", &["capture", "decode", "sketch", "drift", "labels", "archive"]),
    ("export", &["capture", "latency", "pipeline", "drift", "labels", "sketch", "archive"]),
    (
        "admin",
        &[
            "capture", "latency", "pipeline", "drift", "labels", "sketch", "decode", "archive",
            "export",
        ],
    ),
    ("demo", &["drift", "sketch", "decode"]),
];

/// Anyone may import them, but a pure stage knows no configuration and no files.
const LEAVES: &[&str] = &["config", "credentials", "distribution", "limits", "pulse"];
const IMPURE_LEAVES: &[&str] = &["config", "credentials", "limits", "pulse"];
/// They build and drive the others.
const TOP: &[&str] = &["app", "cli", "main", "lib"];
const PURE: &[&str] = &["decode", "sketch", "drift", "labels"];
/// What a pure stage may not touch: a runtime, a clock, or anything outside the process.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
];
/// Prefixes that only the table of names may spell.
const METRIC_PREFIXES: &[&str] = &["taffrail.", "http.server."];
const METRIC_TABLE: &str = "export/names.rs";

#[derive(Debug, PartialEq)]
enum Violation {
    Import { stage: String, imports: String },
    Impure { stage: String, touches: &'static str },
    MetricName(String),
    RawSpawn,
    UnknownStage(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import { stage, imports } => write!(f, "{stage} must not import {imports}"),
            Self::Impure { stage, touches } => write!(f, "{stage} is pure but touches {touches}"),
            Self::MetricName(line) => write!(f, "a metric name outside {METRIC_TABLE}: {line}"),
            Self::RawSpawn => write!(f, "tokio::spawn: tasks belong to the thread that owns them"),
            Self::UnknownStage(stage) => write!(f, "{stage} has no row in the layering table"),
        }
    }
}

/// Everything wrong with one file; `path` is relative to `src`.
fn violations(path: &str, text: &str) -> Vec<Violation> {
    let stage = stage_of(path);
    let code = code_of(text);
    let mut found = Vec::new();
    if !TOP.contains(&stage) {
        found.extend(import_violations(stage, &code));
    }
    if stage == "app" && imported(&code).iter().any(|import| import == "cli") {
        found.push(Violation::Import { stage: stage.into(), imports: "cli".into() });
    }
    if PURE.contains(&stage) {
        let touched = IMPURE.iter().filter(|impure| names(&code, impure));
        found.extend(touched.map(|&touches| Violation::Impure { stage: stage.into(), touches }));
    }
    if path != METRIC_TABLE {
        let spelled = code.lines().filter(|line| spells_metric(line));
        found.extend(spelled.map(|line| Violation::MetricName(line.trim().into())));
    }
    if names(&code, "tokio::spawn") {
        found.push(Violation::RawSpawn);
    }
    found
}

/// A metric's name has three parts or more: the file keys of the archive have two.
fn spells_metric(line: &str) -> bool {
    let mut literals = line.split('"').skip(1).step_by(2);
    literals.any(|literal| {
        METRIC_PREFIXES.iter().any(|prefix| literal.starts_with(prefix))
            && literal.split('.').count() > 2
    })
}

fn import_violations(stage: &str, code: &str) -> Vec<Violation> {
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == stage) else {
        return vec![Violation::UnknownStage(stage.into())];
    };
    let may = |import: &str| {
        import == stage
            || allowed.contains(&import)
            || (LEAVES.contains(&import)
                && !(IMPURE_LEAVES.contains(&import) && PURE.contains(&stage)))
    };
    let imports = imported(code).into_iter().filter(|import| !may(import));
    imports.map(|imports| Violation::Import { stage: stage.into(), imports }).collect()
}

fn stage_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Code without comments and without the inline test module, which stands last in its file.
fn code_of(text: &str) -> String {
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut code = String::new();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            match lines.next() {
                Some(declared) if declared.trim_end().ends_with(';') => continue,
                _ => break,
            }
        }
        code.push_str(line);
        code.push('\n');
    }
    code
}

/// The first segment of every path that begins at `crate::`.
fn imported(code: &str) -> Vec<String> {
    let mut found: Vec<String> = code.split("crate::").skip(1).flat_map(first_segments).collect();
    found.sort();
    found.dedup();
    found
}

/// `a::b` gives `a`; `{a, b::{c, d}}` gives `a` and `b`.
fn first_segments(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![identifier(path)];
    };
    let mut depth = 0;
    let mut segments = vec![String::new()];
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => segments.push(String::new()),
            letter if depth == 0 => segments.last_mut().into_iter().for_each(|s| s.push(letter)),
            _ => {}
        }
    }
    segments.iter().map(|segment| identifier(segment.trim())).filter(|s| !s.is_empty()).collect()
}

fn identifier(path: &str) -> String {
    path.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// Whether `code` names `word` and not merely a longer one.
fn names(code: &str, word: &str) -> bool {
    let is_part = |letter: Option<char>| letter.is_some_and(|l| l.is_alphanumeric() || l == '_');
    code.match_indices(word).any(|(at, _)| {
        !is_part(code[..at].chars().next_back()) && !is_part(code[at + word.len()..].chars().next())
    })
}

fn sources(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

/// A file that only tests include is no part of the flow.
fn is_test_only(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[test]
fn every_source_file_keeps_its_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root).unwrap();
    assert!(files.len() > 20, "only {} source files were found", files.len());
    let mut faults = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        if !is_test_only(&path) {
            let text = std::fs::read_to_string(&file).unwrap();
            faults.extend(violations(&path, &text).iter().map(|fault| format!("{path}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_planted_violation_is_found() {
    let import = |stage: &str, imports: &str| {
        vec![Violation::Import { stage: stage.into(), imports: imports.into() }]
    };
    for (path, text, expected) in [
        ("capture/queue.rs", "use crate::decode::Rows;", import("capture", "decode")),
        ("drift/mod.rs", "fn f() { crate::config::load() }", import("drift", "config")),
        ("proxy/a.rs", "use crate::{capture::Queue, sketch::{A, B}};", import("proxy", "sketch")),
        ("app.rs", "use crate::cli;", import("app", "cli")),
        (
            "tap/mod.rs",
            "#[cfg(test)]\nmod tests;\nuse crate::admin::State;",
            import("tap", "admin"),
        ),
        ("odd/mod.rs", "", vec![Violation::UnknownStage("odd".into())]),
        ("app.rs", "tokio::spawn(f)", vec![Violation::RawSpawn]),
        (
            "labels/join.rs",
            "let t = Instant::now();",
            vec![Violation::Impure { stage: "labels".into(), touches: "Instant::now" }],
        ),
        (
            "admin/page.rs",
            "metric(\"taffrail.drift.distance\")",
            vec![Violation::MetricName("metric(\"taffrail.drift.distance\")".into())],
        ),
    ] {
        assert_eq!(violations(path, text), expected, "{path}: {text}");
    }
}

#[test]
fn what_is_allowed_is_let_through() {
    for (path, text) in [
        ("drift/mod.rs", "use crate::{decode::Rows, sketch::{A, B}, distribution::Distribution};"),
        ("proxy/mod.rs", "use crate::config::Upstream;\nuse crate::latency::Recorder;"),
        ("decode/v2.rs", "//! Never tokio, see crate::config.\nuse super::Rows;"),
        ("sketch/a.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use crate::config::Config; }"),
        ("export/names.rs", "name: \"taffrail.drift.distance\""),
        ("cli/run.rs", "use crate::app;"),
        ("proxy/a.rs", "tokio::spawn_local(f)"),
        ("archive/a.rs", "const KEY: &str = \"taffrail.schema\";"),
    ] {
        assert_eq!(violations(path, text), [], "{path}: {text}");
    }
}
