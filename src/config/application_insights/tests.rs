use super::*;
use crate::config::{Config, Sources};

const GUID: &str = "00000000-0000-0000-0000-0000000000a7";
const UPSTREAM: (&str, &str) = ("upstream.url", "http://model:8080");

fn ingestion(rest: &str) -> String {
    parse(&format!("InstrumentationKey={GUID};{rest}")).unwrap().ingestion.to_string()
}

#[test]
fn a_string_from_the_portal_says_where_and_as_whom() {
    let text = format!(
        "InstrumentationKey={GUID};IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/;\
         LiveEndpoint=https://westeurope.livediagnostics.monitor.azure.com/;ApplicationId={GUID}"
    );
    let connection = parse(&text).unwrap();
    assert_eq!(connection.instrumentation_key.expose(), GUID);
    assert_eq!(connection.ingestion.host(), Some("westeurope-5.in.applicationinsights.azure.com"));
    assert_eq!(connection.authorization, IngestionAuthorization::InstrumentationKey);
}

#[test]
fn an_endpoint_is_given_made_of_its_suffix_or_the_global_one() {
    assert_eq!(ingestion("ingestionendpoint=https://a.b:8443/x"), "https://a.b:8443/x");
    assert_eq!(
        ingestion("EndpointSuffix=applicationinsights.us"),
        "https://dc.applicationinsights.us/"
    );
    assert_eq!(ingestion("EndpointSuffix=x.azure.cn;Location=cn1"), "https://cn1.dc.x.azure.cn/");
    assert_eq!(ingestion(""), "https://dc.services.visualstudio.com/");
}

#[test]
fn entra_id_is_told_apart_with_its_audience() {
    let text = format!("InstrumentationKey={GUID};Authorization=AAD;AADAudience=https://m/");
    let scope = Some("https://m//.default".to_owned());
    assert_eq!(parse(&text).unwrap().authorization, IngestionAuthorization::EntraId { scope });
}

#[test]
fn a_token_goes_out_in_plain_text_to_nobody_else_and_brings_its_identity() {
    let load = |endpoint: &str| {
        let text =
            format!("InstrumentationKey={GUID};IngestionEndpoint={endpoint};Authorization=AAD");
        let credential = ("export.azure.credential", "managed_identity");
        Config::from_pairs(&[UPSTREAM, (KEY, &text), credential])
    };
    let problems = load("http://relay").unwrap_err().to_string();
    assert!(problems.contains("in plain text"), "{problems}");
    let config = load("https://relay").unwrap();
    assert_eq!(config.export.azure.unwrap().scope, "https://monitor.azure.com/.default");
}

#[test]
fn what_is_wrong_is_told_by_its_name_and_the_secret_stays_one() {
    for (text, said) in [
        ("IngestionEndpoint=https://a", "has no InstrumentationKey"),
        ("InstrumentationKey=", "has no InstrumentationKey"),
        ("InstrumentationKey=s3cr3t", "InstrumentationKey is no GUID"),
        ("s3cr3t", "pair 1 is not key=value"),
        ("InstrumentationKey=s3cr3t;=x", "pair 2 is not key=value"),
        (&format!("InstrumentationKey={GUID};Authorization=basic"), "Authorization is \"basic\""),
        (&format!("InstrumentationKey={GUID};IngestionEndpoint=ftp://a"), "no scheme https://"),
        (
            &format!("InstrumentationKey={GUID};IngestionEndpoint=https://s3cr3t@a"),
            "more than a host",
        ),
        (&format!("InstrumentationKey={GUID};EndpointSuffix=a b"), "EndpointSuffix gives"),
        (&"x=y;".repeat(2000), "is longer than 4096"),
    ] {
        let why = parse(text).unwrap_err();
        assert!(why.contains(said), "{why}");
        assert!(!why.contains("s3cr3t") && !why.contains(GUID), "{why}");
    }
}

#[test]
fn the_variable_alone_turns_it_on_and_no_listing_shows_it() {
    let text = format!("InstrumentationKey={GUID}");
    let load = |more: &[(&str, &str)]| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut variables = vec![("APPLICATIONINSIGHTS_CONNECTION_STRING".into(), text.clone())];
        variables.extend(more.iter().map(owned));
        let flags = vec![(UPSTREAM.0, UPSTREAM.1.into())];
        Config::load(&Sources { flags, variables, ..Sources::default() }).unwrap().0
    };
    let config =
        load(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")]);
    let settings = config.export.application_insights.as_ref().unwrap();
    assert_eq!(settings.sampler, TraceSampler::Ratio(0.5));
    assert!(!format!("{config:?}").contains(GUID));
    let listed = config.effective().iter().find(|entry| entry.key == KEY).unwrap();
    assert_eq!((&*listed.value, &*listed.source), ("***", "APPLICATIONINSIGHTS_CONNECTION_STRING"));
    assert!(load(&[("OTEL_SDK_DISABLED", "true")]).export.application_insights.is_none());
}

#[test]
fn plain_http_is_taken_and_warned_of_where_it_leaves_the_host() {
    for (endpoint, warned) in
        [("http://127.0.0.1:1", 0), ("http://[::1]:1", 0), ("http://relay", 1)]
    {
        let text = format!("InstrumentationKey={GUID};IngestionEndpoint={endpoint}");
        let flags = vec![(UPSTREAM.0, UPSTREAM.1.into()), (KEY, text)];
        let (_, warnings) = Config::load(&Sources { flags, ..Sources::default() }).unwrap();
        assert_eq!(warnings.len(), warned, "{warnings:?}");
    }
}
