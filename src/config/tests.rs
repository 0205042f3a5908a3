//! Every key by every way in, who wins, and what is said of mistakes.

mod azure;
mod otlp;

use super::keys::{Form, KEYS, Key};
use super::*;
use crate::credentials::made::{Authority, Made};
use std::io::Write;
use std::time::Duration;

const UPSTREAM: (&str, &str) = ("upstream.url", "http://127.0.0.1:8080");

fn file(yaml: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(yaml.as_bytes()).unwrap();
    file
}

/// With an upstream given, so that only the file can be wrong.
fn from_yaml(yaml: &str) -> Result<Config, Vec<String>> {
    let file = file(yaml);
    let sources = Sources {
        file: Some(file.path().to_owned()),
        variables: vec![("TAFFRAIL_UPSTREAM".into(), UPSTREAM.1.into())],
        ..Sources::default()
    };
    let name = format!("{}:", file.path().display());
    let told = |problem: &Problem| problem.to_string().replace(&name, "");
    Config::load(&sources).map(|(config, _)| config).map_err(|all| all.iter().map(told).collect())
}

fn from_variables(variables: &[(&str, &str)]) -> Result<(Config, Vec<Problem>), Problems> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let variables = variables.iter().map(owned).collect();
    Config::load(&Sources {
        variables,
        flags: vec![(UPSTREAM.0, UPSTREAM.1.into())],
        ..Sources::default()
    })
}

/// A value that the key takes and that is not its default.
fn sample(key: &Key, existing_file: &str, identity: &Made) -> String {
    match (key.name, key.form) {
        ("tls.key" | "upstream.tls.key" | "export.otlp.tls.key", _) => {
            identity.key.display().to_string()
        }
        ("export.azure.scope", _) => "https://monitor.azure.us/.default".into(),
        (
            "tls.certificate"
            | "tls.client_ca"
            | "upstream.tls.certificate"
            | "upstream.tls.ca"
            | "export.otlp.tls.certificate"
            | "export.otlp.tls.ca",
            _,
        ) => identity.certificate.display().to_string(),
        ("archive.url", _) => "file:///tmp/archive".into(),
        ("archive.formats", _) => "parquet".into(),
        ("drift.persistence", _) => "2 of 3".into(),
        ("features.importance", _) => "alpha=0.5".into(),
        ("windows", _) => "1m,2m".into(),
        ("routes", _) => "/a/{b}".into(),
        ("drift.references", _) => "previous,same_hour_last_week".into(),
        ("model.protocol", _) => "csv".into(),
        ("model.pointers.inputs" | "model.pointers.outputs", _) => "/rows".into(),
        ("capture.cpu_budget", _) => "0.1".into(),
        ("archive.max_bytes" | "archive.rotate_bytes", _) => "2MiB".into(),
        ("capture.max_body_bytes", _) => "2KiB".into(),
        ("export.application_insights.connection_string", _) => {
            "InstrumentationKey=00000000-0000-0000-0000-000000000001".into()
        }
        (_, Form::Text | Form::Secret) => "other".into(),
        ("kubernetes.pod_info", _) => "/tmp".into(),
        (_, Form::Path | Form::Directory) => existing_file.into(),
        (_, Form::Url) => "http://10.0.0.1:1234".into(),
        (_, Form::Address) => "127.0.0.1:7777".into(),
        (_, Form::Duration | Form::OptionalDuration) => "42s".into(),
        (_, Form::Size | Form::AutoSize) => "128MiB".into(),
        (_, Form::Count | Form::AutoCount) => "17".into(),
        (_, Form::Number) => "0.5".into(),
        (_, Form::Switch) => "off".into(),
        (_, Form::OneOf(words)) => words[1].into(),
        (_, Form::List) => "alpha,beta".into(),
        (_, Form::Map | Form::SecretMap) => "alpha=beta".into(),
    }
}

fn yaml_of(key: &Key, value: &str) -> String {
    let value = match key.form {
        Form::List => format!("[{value}]").replace("/a/{b}", "\"/a/{b}\""),
        Form::Map | Form::SecretMap => value.replacen('=', ": ", 1).split_off(0),
        _ => value.to_owned(),
    };
    let value = match key.form {
        Form::Map | Form::SecretMap => format!("{{ {value} }}"),
        _ => value,
    };
    let mut yaml = value;
    for (depth, name) in key.name.split('.').rev().enumerate() {
        yaml = if depth == 0 { format!("{name}: {yaml}") } else { format!("{name}: {{ {yaml} }}") };
    }
    yaml
}

/// Flags without which the key is refused.
fn companions(key: &'static str, identity: &Made) -> Vec<(&'static str, String)> {
    let certificate = |key| (key, identity.certificate.display().to_string());
    let private = |key| (key, identity.key.display().to_string());
    let https = ("upstream.url", "https://model".to_owned());
    match key {
        "upstream.url" => Vec::new(),
        "tls.certificate" => vec![(UPSTREAM.0, UPSTREAM.1.into()), private("tls.key")],
        "tls.key" => vec![(UPSTREAM.0, UPSTREAM.1.into()), certificate("tls.certificate")],
        "tls.client_ca" => vec![
            (UPSTREAM.0, UPSTREAM.1.into()),
            certificate("tls.certificate"),
            private("tls.key"),
        ],
        "upstream.tls.certificate" => vec![https, private("upstream.tls.key")],
        "upstream.tls.key" => vec![https, certificate("upstream.tls.certificate")],
        "upstream.tls.ca" | "upstream.tls.server_name" => vec![https],
        "export.otlp.tls.certificate" => {
            vec![(UPSTREAM.0, UPSTREAM.1.into()), private("export.otlp.tls.key")]
        }
        "export.otlp.tls.key" => {
            vec![(UPSTREAM.0, UPSTREAM.1.into()), certificate("export.otlp.tls.certificate")]
        }
        _ => vec![(UPSTREAM.0, UPSTREAM.1.into())],
    }
}

#[test]
fn every_key_is_a_flag_a_variable_and_yaml() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Authority::new("ca").identity(directory.path(), "a", "localhost");
    // A token, and a file of importances.
    let existing = file("{}");
    let existing = existing.path().display().to_string();
    for key in KEYS {
        let value = sample(key, &existing, &identity);
        let yaml = file(&yaml_of(key, &value));
        let mut ways = [
            Sources { flags: vec![(key.name, value.clone())], ..Sources::default() },
            Sources { variables: vec![(key.variable(), value.clone())], ..Sources::default() },
            Sources { file: Some(yaml.path().to_owned()), ..Sources::default() },
        ];
        for way in &mut ways {
            way.flags.extend(companions(key.name, &identity));
            let (config, warnings) =
                Config::load(way).unwrap_or_else(|problems| panic!("{}: {problems}", key.name));
            let listed = config.effective().iter().find(|entry| entry.key == key.name).unwrap();
            let shown = match key.form {
                Form::SecretMap => "alpha=***",
                Form::Secret => "***",
                _ => &value,
            };
            assert_eq!(listed.value, shown, "{}", key.name);
            assert_ne!(listed.source, "default", "{}", key.name);
            assert_eq!(warnings, [], "{}", key.name);
        }
    }
}

#[test]
fn every_key_has_a_default_that_serves() {
    let config = Config::from_pairs(&[UPSTREAM]).unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:9000");
    assert_eq!(config.admin.address.to_string(), "127.0.0.1:9464");
    assert_eq!(config.upstream.response_timeout, None);
    assert_eq!(config.capture.max_body_bytes, 1 << 20);
    assert_eq!(config.windows, [300, 3_600, 86_400].map(Duration::from_secs));
    assert!(matches!(config.baseline, BaselineSource::Learn { rows } if rows.get() == 5000));
    let Archive::Local { directory, max_bytes, .. } = &config.archive else { panic!("off") };
    assert_eq!(directory, std::path::Path::new("./taffrail-data/archive"));
    assert_eq!(*max_bytes, 1 << 30);
    assert!(config.export.otlp.is_none());
}

#[test]
fn flags_win_over_variables_over_the_file_over_otel_over_defaults() {
    let yaml = file("export: { service_name: from-file }\n");
    let mut sources = Sources {
        file: Some(yaml.path().to_owned()),
        flags: vec![(UPSTREAM.0, UPSTREAM.1.into()), ("export.service_name", "from-flag".into())],
        variables: vec![
            ("TAFFRAIL_EXPORT_SERVICE_NAME".into(), "from-variable".into()),
            ("OTEL_SERVICE_NAME".into(), "from-otel".into()),
        ],
        ..Sources::default()
    };
    let name = |sources: &Sources| Config::load(sources).unwrap().0.export.service_name;
    assert_eq!(name(&sources), "from-flag");
    sources.flags.pop();
    assert_eq!(name(&sources), "from-variable");
    sources.variables.remove(0);
    assert_eq!(name(&sources), "from-file");
    sources.file = None;
    assert_eq!(name(&sources), "from-otel");
    sources.variables.clear();
    assert_eq!(name(&sources), "taffrail");
}

#[test]
fn a_stronger_wish_to_learn_beats_a_weaker_baseline_file() {
    let existing = file("{}");
    let path = existing.path().display().to_string();
    let config = from_variables(&[("TAFFRAIL_BASELINE", &path)]).unwrap().0;
    assert!(matches!(config.baseline, BaselineSource::File(_)));
    let yaml = from_yaml(&format!("baseline: {path}\n")).unwrap();
    assert!(matches!(yaml.baseline, BaselineSource::File(_)));
    let sources = Sources {
        flags: vec![(UPSTREAM.0, UPSTREAM.1.into()), ("baseline.learn.rows", "9".into())],
        variables: vec![("TAFFRAIL_BASELINE".into(), path)],
        ..Sources::default()
    };
    let (config, _) = Config::load(&sources).unwrap();
    assert!(matches!(config.baseline, BaselineSource::Learn { rows } if rows.get() == 9));
}

#[test]
fn every_problem_is_told_with_its_line() {
    let yaml = "listen: nowhere\nupstrem: { url: x }\ncapture:\n  sample: 2\n  queue: 1\nwindows: [5m, 7m]\nmodel: risk\n";
    let problems = from_yaml(yaml).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|problem| &problem[..2]).collect();
    assert_eq!(lines, ["1:", "2:", "4:", "5:", "6:", "7:"], "{problems:#?}");
    assert!(problems[1].contains("did you mean upstream?"), "{}", problems[1]);
    assert!(problems[2].contains("capture.sample: \"2\" is not a number from 0 to 1"));
}

#[test]
fn keys_of_later_versions_are_refused_by_name() {
    for yaml in [
        "redact: [{ pointer: /a, action: hash }]",
        "archive: { retention: 30d }",
        "archive: { flush_interval: 1s }",
        "admin: { tls: {} }",
    ] {
        let problems = from_yaml(yaml).unwrap_err();
        assert!(problems[0].contains("this version does not have"), "{problems:?}");
    }
    for yaml in ["archive: { formats: [csv] }", "archive: { url: \"s3://bucket/x\" }"] {
        assert!(from_yaml(yaml).unwrap_err()[0].contains("this version"), "{yaml}");
    }
}

#[test]
fn an_empty_group_is_no_problem_and_archive_may_be_off() {
    assert!(from_yaml("export: { prometheus: {} }\nmodel:\n").is_ok());
    assert!(matches!(from_yaml("archive: off\n").unwrap().archive, Archive::Off));
}

#[test]
fn versions_keep_their_spelling() {
    assert_eq!(from_yaml("model: { version: 3.10 }\n").unwrap().model.version, "3.10");
}

#[test]
fn injected_variables_are_ignored_and_unknown_ones_warned_of() {
    let (_, warnings) = from_variables(&[
        ("TAFFRAIL_SERVICE_HOST", "10.0.0.1"),
        ("TAFFRAIL_PORT", "tcp://10.0.0.1:9000"),
        ("TAFFRAIL_PORT_9000_TCP_ADDR", "10.0.0.1"),
        ("TAFFRAIL_UPSTREM", "x"),
        ("TAFFRAIL_BASELINE", ""),
    ])
    .unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].origin, Origin::Variable("TAFFRAIL_UPSTREM".into()));
}

#[test]
fn a_token_is_trimmed_and_never_printed() {
    let token = file("  s3cret\n");
    let path = token.path().display().to_string();
    let config = Config::from_pairs(&[
        UPSTREAM,
        ("admin.token_file", &path),
        ("export.otlp.headers", "authorization=Bearer hidden"),
        ("export.otlp.endpoint", "http://c:4318"),
    ])
    .unwrap();
    assert_eq!(config.admin.token.as_ref().unwrap().expose(), "s3cret");
    let printed = format!("{config:?}");
    assert!(!printed.contains("s3cret") && !printed.contains("hidden"), "{printed}");
}

#[test]
fn the_upstream_keeps_its_base_path_and_gets_a_port() {
    let upstream = Config::from_pairs(&[("upstream.url", "http://model/base")]).unwrap().upstream;
    assert_eq!(upstream.authority.as_str(), "model:80");
    assert_eq!(upstream.base_path.as_str(), "/base");
    for url in ["model:8080", "http://", "ftp://a", "http://u:p@a", "http://a:99999", "http://a/?q"]
    {
        assert!(Config::from_pairs(&[("upstream.url", url)]).is_err(), "{url}");
    }
}

mod limits {
    use super::*;
    use crate::limits::Limits;

    fn with(limits: Limits, keys: &[(&'static str, &str)]) -> (Config, Vec<Problem>) {
        let mut flags = vec![(UPSTREAM.0, UPSTREAM.1.to_owned())];
        flags.extend(keys.iter().map(|(key, value)| (*key, (*value).to_owned())));
        Config::load(&Sources { flags, limits, ..Sources::default() }).unwrap()
    }

    fn of_memory(mebibytes: u64) -> Limits {
        Limits { memory_bytes: Some(mebibytes << 20), ..Limits::default() }
    }

    #[test]
    fn threads_and_analysis_fit_the_processor_limit() {
        let half = Limits { cpus: Some(0.5), ..Limits::default() };
        let (config, _) = with(half, &[]);
        assert_eq!((config.threads.get(), config.capture.cpu_budget), (1, 0.125));
        let (config, _) = with(half, &[("threads", "3"), ("capture.cpu_budget", "0.4")]);
        assert_eq!((config.threads.get(), config.capture.cpu_budget), (3, 0.4));
        let (config, _) = with(Limits { cpus: Some(64.0), ..Limits::default() }, &[]);
        assert!((config.capture.cpu_budget - 0.2).abs() < f64::EPSILON);
    }

    #[test]
    fn a_plan_over_the_limit_names_the_keys_and_the_figures() {
        let (config, warnings) = with(of_memory(64), &[]);
        assert_eq!(warnings, []);
        assert!(config.memory.bounds.queue_bytes.get() < 8 << 20);
        let keys = [("capture.queue_bytes", "64MiB"), ("labels.max_pending", "100000")];
        let (config, warnings) = with(of_memory(64), &keys);
        assert_eq!(config.memory.bounds.queue_bytes.get(), 64 << 20);
        let [warning] = &*warnings else { panic!("{warnings:?}") };
        let text = warning.to_string();
        for part in [
            "--capture-queue-bytes: capture.queue_bytes",
            "limit is 64 MiB",
            "takes 84 MiB",
            "labels.max_pending takes 48 MiB",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn auto_may_be_written_and_nothing_else_that_is_no_number() {
        let keys = [("threads", "auto"), ("capture.queue_bytes", "auto"), ("features.max", "auto")];
        assert_eq!(with(of_memory(128), &keys).0.memory, with(of_memory(128), &[]).0.memory);
        let refused = Config::from_pairs(&[UPSTREAM, ("features.max", "all")]).unwrap_err();
        assert!(refused.to_string().ends_with("at least 1, or auto"), "{refused}");
    }
}

#[test]
fn resource_attributes_that_cannot_be_decoded_are_told_and_ignored_as_a_whole() {
    let resource = |text: &str| {
        let (config, warnings) = from_variables(&[("OTEL_RESOURCE_ATTRIBUTES", text)]).unwrap();
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        (config.export.resource, warnings)
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (attributes, warnings) = resource(" a = 1%2C2 , b=x=y,c%20d=%E2%82%AC,, e=");
    let expected = [pair("a", "1,2"), pair("b", "x=y"), pair("c d", "\u{20ac}"), pair("e", "")];
    assert_eq!((attributes, warnings), (expected.into(), vec![]));
    for (text, why) in [
        ("a=1,b=100%", "write it as %25"),
        ("a=1,b=%zz", "write it as %25"),
        ("a=%FF", "is not UTF-8"),
        ("a=1,b", "is not key=value"),
        ("=1", "value without a key"),
    ] {
        let (attributes, warnings) = resource(text);
        assert_eq!(attributes, [], "{text}");
        assert_eq!(warnings.len(), 1, "{text}");
        assert!(warnings[0].contains(why), "{text}: {warnings:?}");
    }
}

#[test]
fn references_are_known_names_each_once() {
    let problem = |value: &str| {
        let yaml = format!("drift: {{ references: {value} }}\n");
        from_yaml(&yaml)
            .map(|config| config.drift.references)
            .map_err(|problems| problems.join("\n"))
    };
    assert_eq!(problem("[]").unwrap(), []);
    assert_eq!(
        problem("[same_hour_yesterday, previous]").unwrap(),
        [EarlierWindow::SameHourYesterday, EarlierWindow::Previous]
    );
    let told = problem("[yesterday]").unwrap_err();
    assert!(told.contains("drift.references") && told.contains("\"yesterday\""), "{told}");
    assert!(told.contains("same_hour_yesterday"), "{told}");
    let told = problem("[previous, previous]").unwrap_err();
    assert!(told.contains("named twice"), "{told}");
}

#[test]
fn earlier_windows_take_memory_only_where_they_are_asked_for() {
    let part = |yaml: &str| {
        let memory = from_yaml(yaml).unwrap().memory;
        memory.parts.iter().find(|part| part.name == "reference windows").unwrap().bytes
    };
    assert_eq!(part("drift: { references: [] }\n"), 0);
    assert!(part("drift: { references: [same_hour_last_week] }\n") > 32 << 20);
}

#[test]
fn state_is_saved_under_the_data_directory_unless_it_is_off() {
    let state = |yaml: &str| from_yaml(yaml).unwrap().state;
    assert_eq!(state("data_dir: /data\n"), Some("/data/state".into()));
    assert_eq!(state("data_dir: /data\nstate: off\n"), None);
}

#[test]
fn what_is_wrong_with_segments_and_importances_is_told_with_its_value() {
    let weights = file("{\"a\": -1}");
    let path = weights.path().display().to_string();
    let yaml = format!(
        "features:\n  segments: [country, country, \"header:x tenant\"]\n  max_segments: 1001\n  \
         importance: {{ a: much }}\n  importance_file: {path}\n"
    );
    let problems = from_yaml(&yaml).unwrap_err();
    for told in [
        "2: features.segments: \"country\" stands there twice",
        "2: features.segments: \"header:x tenant\" names no header; write header:x-tenant",
        "3: features.max_segments: 1001 is more than 1000, which is the most",
        "4: features.importance: a: \"much\" is not a number of at least 0",
        &format!(
            "5: features.importance_file: {path:?} gives \"a\" the weight -1, which is less than 0"
        ),
    ] {
        assert!(problems.iter().any(|problem| problem == told), "{told}\n{problems:#?}");
    }
    std::fs::write(weights.path(), "[1]").unwrap();
    let problems = from_yaml(&format!("features: {{ importance_file: {path} }}\n")).unwrap_err();
    assert!(problems[0].contains("is no JSON object of numbers"), "{problems:?}");
}

#[test]
fn segments_are_read_and_importances_of_a_file_give_way_to_the_map() {
    let weights = file("{\"a\": 1, \"b\": 2}");
    let yaml = format!(
        "features: {{ segments: [country, \"header:X-Tenant\"], importance_file: {}, \
         importance: {{ b: 0.5 }} }}\n",
        weights.path().display()
    );
    let features = from_yaml(&yaml).unwrap().features;
    let header = Segment::Header("x-tenant".parse().unwrap());
    assert_eq!(features.segments, [Segment::Feature("country".into()), header]);
    assert_eq!(features.max_segments, 20);
    assert_eq!(features.importance, [("a".to_owned(), 1.0), ("b".to_owned(), 0.5)]);
    assert_eq!(features.attribution_prefixes, ["shap_", "attribution."]);
}

#[test]
fn mistakes_in_where_labels_come_from_are_told() {
    let problems = from_yaml(
        "labels: { files: [\"/data/*/a.jsonl\", \"/data/..\"], response_header: a b, reference_rows: 1 }\n",
    )
    .unwrap_err();
    let told = problems.join("\n");
    for part in [
        "labels.files: \"/data/*/a.jsonl\" has a * in a directory",
        "labels.files: \"/data/..\" names no file; give one such as /data/labels-*.jsonl",
        "labels.response_header: \"a b\" is no name of a header; give one such as x-label",
        "labels.reference_rows: ",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let config = from_yaml("labels: { files: /data/labels-*.jsonl, response_header: X-Label }\n");
    let labels = config.unwrap().labels;
    assert_eq!(labels.response_header.unwrap(), "x-label");
    assert_eq!(labels.files, [std::path::Path::new("/data/labels-*.jsonl")]);
}
