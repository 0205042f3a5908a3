//! The `export.azure` section: who asks Microsoft Entra ID for the tokens that receivers want.
//!
//! What a platform sets for the process is read too: AZURE_* by the webhook of workload identity,
//! IDENTITY_* by App Service and Container Apps, MSI_* by Azure Machine Learning.

use super::checked::{Azure, AzureIdentity, Secret};
use super::keys;
use super::keys::AZURE_CREDENTIALS;
use super::layers::{Layers, Value};
use super::otlp::is_private;
use super::problem::Origin;
use super::reader::Reader;
use http::Uri;

const CREDENTIAL: &str = "export.azure.credential";
const TENANT: &str = "export.azure.tenant_id";
const CLIENT: &str = "export.azure.client_id";
const TOKEN_FILE: &str = "export.azure.token_file";
const AUTHORITY: &str = "export.azure.authority";
const SCOPE: &str = "export.azure.scope";
/// The metadata service of virtual machines and nodes (a link-local address).
const METADATA: &str = "http://169.254.169.254";

/// Variables that stand for a key.
const VARIABLES: &[(&str, &str)] = &[
    ("AZURE_TENANT_ID", TENANT),
    ("AZURE_CLIENT_ID", CLIENT),
    ("AZURE_FEDERATED_TOKEN_FILE", TOKEN_FILE),
    ("AZURE_AUTHORITY_HOST", AUTHORITY),
];

/// What a platform tells of its own endpoint for tokens; addresses that change with each start.
#[derive(Debug, Clone, Default)]
pub(super) struct Platform {
    identity_endpoint: Option<String>,
    identity_header: Option<String>,
    msi_endpoint: Option<String>,
    msi_secret: Option<String>,
    default_client_id: Option<String>,
    metadata: Option<String>,
}

pub(super) fn gather(variables: &[(String, String)], layers: &mut Layers) {
    let given = |name: &str| {
        let found = variables.iter().find(|(variable, _)| variable == name);
        found.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    for (name, key) in VARIABLES {
        if let (Some(text), Some(key)) = (given(name), keys::find(key)) {
            layers.put(key, Value::Text(text), Origin::OtelVariable((*name).to_owned()));
        }
    }
    layers.platform = Platform {
        identity_endpoint: given("IDENTITY_ENDPOINT"),
        identity_header: given("IDENTITY_HEADER"),
        msi_endpoint: given("MSI_ENDPOINT"),
        msi_secret: given("MSI_SECRET"),
        default_client_id: given("DEFAULT_IDENTITY_CLIENT_ID"),
        metadata: given("AZURE_POD_IDENTITY_AUTHORITY_HOST"),
    };
}

#[derive(Clone, Copy)]
enum Credential {
    Auto,
    Workload,
    Managed,
}

/// To be read once, and only where a token is wanted: what is missing is a problem.
pub(super) fn azure(reader: &mut Reader<'_>) -> Option<Azure> {
    let credentials = [Credential::Auto, Credential::Workload, Credential::Managed];
    let words: Vec<_> = AZURE_CREDENTIALS.iter().copied().zip(credentials).collect();
    let credential = reader.one_of(CREDENTIAL, &words);
    let scope = scope(reader);
    let is_workload = match credential? {
        Credential::Auto => reader.is_given(TOKEN_FILE),
        Credential::Workload => true,
        Credential::Managed => false,
    };
    let identity = if is_workload { workload(reader) } else { managed(reader) };
    Some(Azure { identity: identity?, scope: scope? })
}

fn scope(reader: &mut Reader<'_>) -> Option<String> {
    reader.read(SCOPE, |text| {
        let is_scope = text.ends_with("/.default") && !text.contains(char::is_whitespace);
        let why = "is not a scope; write https://monitor.azure.com/.default";
        if is_scope { Ok(text.to_owned()) } else { Err(why.to_owned()) }
    })
}

fn workload(reader: &mut Reader<'_>) -> Option<AzureIdentity> {
    let needed = [
        (TENANT, "AZURE_TENANT_ID"),
        (CLIENT, "AZURE_CLIENT_ID"),
        (TOKEN_FILE, "AZURE_FEDERATED_TOKEN_FILE"),
    ];
    for (key, variable) in needed {
        if reader.given_text(key).is_none() {
            let message = format!(
                "is missing for a workload identity; give it or {variable}, which AKS sets in a pod \
                 with the label azure.workload.identity/use and a service account of that identity"
            );
            reader.problem(key, message);
        }
    }
    let token_file = reader.file(TOKEN_FILE);
    let tenant_id = name(reader, TENANT);
    let authority = authority(reader);
    Some(AzureIdentity::Workload {
        authority: authority?,
        tenant_id: tenant_id?,
        client_id: reader.given_text(CLIENT)?,
        token_file: token_file??,
    })
}

/// It stands in the path of a URL.
fn name(reader: &mut Reader<'_>, key: &str) -> Option<String> {
    reader.given_text(key)?;
    reader.read(key, |text| {
        let is_legal = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        let why = "is no tenant; give its id or its domain";
        if text.chars().all(is_legal) { Ok(text.to_owned()) } else { Err(why.to_owned()) }
    })
}

fn authority(reader: &mut Reader<'_>) -> Option<Uri> {
    let url = reader.url_or_tls(AUTHORITY)?;
    if !is_private(&url) {
        let message =
            format!("{:?} would get the token file in plain text; write https://", url.to_string());
        reader.problem(AUTHORITY, message);
        return None;
    }
    Some(url)
}

fn managed(reader: &mut Reader<'_>) -> Option<AzureIdentity> {
    let platform = reader.layers.platform.clone();
    let client_id = reader.given_text(CLIENT);
    let (url, variable) = match platform {
        Platform { identity_endpoint: Some(url), identity_header: Some(header), .. } => {
            let url = parsed(reader, "IDENTITY_ENDPOINT", &url)?;
            return Some(AzureIdentity::AppService { url, header: Secret::new(header), client_id });
        }
        Platform {
            msi_endpoint: Some(url), msi_secret: Some(secret), default_client_id, ..
        } => {
            let url = parsed(reader, "MSI_ENDPOINT", &url)?;
            let client_id = client_id.or(default_client_id);
            return Some(AzureIdentity::MachineLearning {
                url,
                secret: Secret::new(secret),
                client_id,
            });
        }
        Platform { metadata: Some(url), .. } => (url, "AZURE_POD_IDENTITY_AUTHORITY_HOST"),
        Platform { .. } => (METADATA.to_owned(), ""),
    };
    Some(AzureIdentity::Metadata { url: parsed(reader, variable, &url)?, client_id })
}

fn parsed(reader: &mut Reader<'_>, variable: &str, text: &str) -> Option<Uri> {
    let uri = text.parse::<Uri>().ok();
    let uri = uri
        .filter(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")));
    if uri.is_none() {
        reader.problem(CREDENTIAL, format!("{variable} is {text:?}, which is no http:// URL"));
    }
    uri
}
