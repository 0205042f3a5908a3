//! Where telemetry goes, and the variables of OpenTelemetry that say so.

use super::*;
fn otlp(variables: &[(&str, &str)]) -> Option<Otlp> {
    from_variables(variables).unwrap().0.export.otlp
}

#[test]
fn an_endpoint_turns_every_signal_on() {
    let otlp = otlp(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/")]).unwrap();
    assert_eq!(otlp.metrics.unwrap().url, "http://c:4318/v1/metrics");
    assert_eq!(otlp.traces.unwrap().url, "http://c:4318/v1/traces");
}

#[test]
fn a_signal_may_have_its_own_url_or_none() {
    let otlp = otlp(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:1/in"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ])
    .unwrap();
    assert_eq!(otlp.logs.unwrap().url, "http://logs:1/in");
    assert!(otlp.traces.is_none());
}

#[test]
fn disabled_sends_nothing() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    assert!(otlp(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]).is_none());
}

#[test]
fn numbers_words_and_pairs_are_read() {
    let (config, warnings) = from_variables(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, y=z"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a%2Cb,team=m%C3%BC"),
        ("OTEL_LOGS_EXPORTER", "console"),
    ])
    .unwrap();
    let otlp = config.export.otlp.unwrap();
    let logs = otlp.logs.unwrap();
    assert_eq!(logs.headers[0].1.expose(), "Bearer x");
    assert_eq!(logs.timeout, Duration::from_millis(2500));
    assert_eq!(otlp.interval, Duration::from_secs(1));
    assert_eq!(otlp.temporality, Temporality::Delta);
    assert_eq!(otlp.sampler, TraceSampler::ParentBased(0.25));
    assert_eq!(config.export.service_name, "a,b");
    assert_eq!(config.export.resource, [("team".to_owned(), "mü".to_owned())]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn what_the_exporter_does_not_have_is_warned_of() {
    let (_, warnings) = from_variables(&[
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"),
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/a"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", ""),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ])
    .unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].to_string().contains("DEFAULT_HISTOGRAM_AGGREGATION"), "{warnings:?}");
    assert!(warnings[1].to_string().contains("files are those of all signals"), "{warnings:?}");
}

#[test]
fn another_protocol_is_a_problem() {
    let problems = from_variables(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]).unwrap_err();
    let said = "export.otlp.protocol: \"http/json\" is none of http/protobuf, grpc";
    assert!(problems.to_string().contains(said), "{problems}");
    assert_eq!(problems.len(), 1, "told once, not once a signal: {problems}");
}

#[test]
fn one_signal_may_go_another_way_than_the_others() {
    let otlp = otlp(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=all"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://logs:4318/in"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "b=own"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "500"),
    ])
    .unwrap();
    let (metrics, logs) = (otlp.metrics.unwrap(), otlp.logs.unwrap());
    assert_eq!(metrics.url, "http://c:4317/", "gRPC has paths of its own");
    assert_eq!(metrics.protocol, OtlpProtocol::Grpc);
    assert_eq!(metrics.compression, Compression::Gzip);
    assert_eq!(metrics.headers[0].1.expose(), "all");
    assert_eq!(metrics.timeout, Duration::from_secs(10));
    assert_eq!(logs.url, "https://logs:4318/in");
    assert_eq!((logs.protocol, logs.compression), (OtlpProtocol::Http, Compression::None));
    assert_eq!((logs.headers.len(), logs.headers[0].1.expose()), (1, "own"));
    assert_eq!(logs.timeout, Duration::from_millis(500));
}

#[test]
fn a_path_is_no_part_of_a_grpc_endpoint() {
    let pairs =
        [UPSTREAM, ("export.otlp.protocol", "grpc"), ("export.otlp.endpoint", "http://c:4317/v1")];
    let problems = Config::from_pairs(&pairs).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems}");
    assert!(problems.to_string().contains("for gRPC write http://host:4317"), "{problems}");
}

#[test]
fn files_of_tls_are_read_and_of_no_use_without_https() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("ca");
    let ca = authority.write(directory.path(), "ca.crt").display().to_string();
    let own = authority.identity(directory.path(), "own", "localhost");
    let (certificate, key) = (own.certificate.display().to_string(), own.key.display().to_string());
    let given = |endpoint: &'static str| {
        from_variables(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
        ])
        .unwrap()
    };
    let (config, warnings) = given("https://c:4318");
    assert_eq!(warnings, []);
    let tls = config.export.otlp.unwrap().tls;
    assert_eq!(tls.ca, Some(ca.clone().into()));
    assert_eq!(tls.identity.unwrap().key, own.key);
    let (_, warnings) = given("http://c:4318");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].to_string().contains("export.otlp.tls.ca: is of no use"), "{warnings:?}");
    let pairs = [UPSTREAM, ("export.otlp.tls.ca", key.as_str())];
    let problems = Config::from_pairs(&pairs).unwrap_err();
    assert!(problems.to_string().contains("own.key\" holds no certificate"), "{problems}");
}

#[test]
fn an_endpoint_of_the_file_beats_a_signal_url_of_otel() {
    let yaml = file("export: { otlp: { endpoint: http://file:1 } }\n");
    let sources = Sources {
        file: Some(yaml.path().to_owned()),
        flags: vec![(UPSTREAM.0, UPSTREAM.1.into())],
        variables: vec![("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT".into(), "http://otel:1/m".into())],
        ..Sources::default()
    };
    let otlp = Config::load(&sources).unwrap().0.export.otlp.unwrap();
    assert_eq!(otlp.metrics.unwrap().url, "http://file:1/v1/metrics");
}
