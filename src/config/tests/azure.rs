//! Whose token goes out with what is exported to Azure Monitor.

use super::*;
use crate::config::{AzureIdentity, Otlp, Temporality};

const LOGS: &str = "https://a.ingest.monitor.azure.com/datacollectionRules/b/streams/Microsoft-OTLP-Logs/otlp/v1/logs";
const WANTED: [(&str, &str); 2] =
    [("TAFFRAIL_EXPORT_OTLP_AUTH", "azure"), ("TAFFRAIL_EXPORT_OTLP_LOGS_URL", LOGS)];

fn load(variables: &[(&str, &str)]) -> Result<(Config, Vec<Problem>), Problems> {
    from_variables(&[&WANTED[..], variables].concat())
}

fn identity(variables: &[(&str, &str)]) -> AzureIdentity {
    load(variables).unwrap().0.export.azure.unwrap().identity
}

/// The one problem there is.
fn refused(variables: &[(&str, &str)]) -> String {
    let problems = load(variables).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems}");
    problems.to_string()
}

#[test]
fn a_token_is_of_nobody_unless_a_receiver_wants_one() {
    let config = Config::from_pairs(&[UPSTREAM, ("export.otlp.auth", "azure")]).unwrap();
    assert!(config.export.azure.is_none() && config.export.otlp.is_none());
}

#[test]
fn what_the_webhook_of_aks_sets_is_a_workload_identity() {
    let token = file("a.b.c");
    let path = token.path().display().to_string();
    let (config, warnings) = load(&[
        ("AZURE_TENANT_ID", "11111111-2222"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_FEDERATED_TOKEN_FILE", &path),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
    ])
    .unwrap();
    assert_eq!(warnings, []);
    let azure = config.export.azure.unwrap();
    assert_eq!(azure.scope, "https://monitor.azure.com/.default");
    let AzureIdentity::Workload { authority, tenant_id, client_id, token_file } = azure.identity
    else {
        panic!("{:?}", azure.identity)
    };
    assert_eq!((tenant_id.as_str(), client_id.as_str()), ("11111111-2222", "client"));
    assert_eq!((authority.host(), token_file), (Some("login.microsoftonline.com"), path.into()));
}

#[test]
fn what_a_workload_identity_lacks_is_told_with_its_variable() {
    let token = file("a.b.c");
    let path = token.path().display().to_string();
    let given = [("AZURE_FEDERATED_TOKEN_FILE", &*path), ("AZURE_CLIENT_ID", "client")];
    let said = refused(&given);
    assert!(said.contains("export.azure.tenant_id: is missing"), "{said}");
    assert!(said.contains("AZURE_TENANT_ID"), "{said}");
    let asked = [("TAFFRAIL_EXPORT_AZURE_CREDENTIAL", "workload_identity")];
    assert_eq!(load(&asked).unwrap_err().len(), 3);
    let lost = [
        ("AZURE_FEDERATED_TOKEN_FILE", "/does/not/exist"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_TENANT_ID", "tenant"),
    ];
    let said = refused(&lost);
    assert!(said.contains("AZURE_FEDERATED_TOKEN_FILE: export.azure.token_file: "), "{said}");
    let odd = [given[0], given[1], ("AZURE_TENANT_ID", "a/../b")];
    assert!(refused(&odd).contains("is no tenant"));
}

#[test]
fn without_a_federated_token_an_identity_is_managed() {
    let AzureIdentity::Metadata { url, client_id } = identity(&[]) else { panic!() };
    assert_eq!((url.to_string().as_str(), client_id), ("http://169.254.169.254/", None));
    let of_app = [
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:41/msi/token"),
        ("IDENTITY_HEADER", "secret"),
        ("AZURE_CLIENT_ID", "client"),
    ];
    let AzureIdentity::AppService { url, client_id, .. } = identity(&of_app) else { panic!() };
    assert_eq!((url.path(), client_id.as_deref()), ("/msi/token", Some("client")));
    let of_machine_learning = [
        ("MSI_ENDPOINT", "http://127.0.0.1:46808/MSI/auth"),
        ("MSI_SECRET", "hidden"),
        ("DEFAULT_IDENTITY_CLIENT_ID", "default"),
    ];
    let found = identity(&of_machine_learning);
    assert!(!format!("{found:?}").contains("hidden"), "{found:?}");
    let AzureIdentity::MachineLearning { client_id, .. } = found else { panic!("{found:?}") };
    assert_eq!(client_id.as_deref(), Some("default"));
    let odd = [("IDENTITY_ENDPOINT", "nowhere"), ("IDENTITY_HEADER", "secret")];
    assert!(refused(&odd).contains("IDENTITY_ENDPOINT is \"nowhere\""));
}

fn otlp(pairs: &[(&str, &str)]) -> (Otlp, Vec<Problem>) {
    let (config, warnings) = load(pairs).unwrap();
    (config.export.otlp.unwrap(), warnings)
}

#[test]
fn deltas_are_usual_there_and_what_is_not_is_warned_of() {
    let (delta, warnings) = otlp(&[]);
    assert_eq!((delta.temporality, warnings.len()), (Temporality::Delta, 0));
    let (asked, warnings) = otlp(&[
        ("TAFFRAIL_EXPORT_OTLP_TEMPORALITY", "cumulative"),
        ("TAFFRAIL_EXPORT_OTLP_COMPRESSION", "gzip"),
    ]);
    assert_eq!((asked.temporality, warnings.len()), (Temporality::Cumulative, 2), "{warnings:?}");
}

#[test]
fn a_token_goes_out_alone_over_http_and_not_in_plain_text() {
    let plain = ("TAFFRAIL_EXPORT_OTLP_LOGS_URL", "http://collector:4318/v1/logs");
    let auth = WANTED[0];
    let told = |pairs: &[(&str, &str)]| from_variables(pairs).unwrap_err().to_string();
    assert!(told(&[auth, plain]).contains("in plain text"));
    assert!(refused(&[("TAFFRAIL_EXPORT_OTLP_LOGS_PROTOCOL", "grpc")]).contains("has a path"));
    let grpc = [
        auth,
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ];
    assert!(told(&grpc).contains("http/protobuf only"));
    let two = ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x");
    assert!(refused(&[two]).contains("one too many"));
    let local = ("TAFFRAIL_EXPORT_OTLP_LOGS_URL", "http://127.0.0.1:4318/v1/logs");
    assert!(from_variables(&[auth, local]).is_ok());
}
