//! Bearer tokens of Microsoft Entra ID, for receivers of Azure Monitor.
//!
//! In: who we are, see [`AzureIdentity`]. Out: a token that is good for a while yet, fetched by one
//! caller while others wait. It is renewed well before its end; where that fails, the old one serves as
//! long as it is good, and Entra ID is left alone for a while. No token and no secret is ever logged.

use super::http::{Chain, Client, SendError};
use crate::config::{Azure, AzureIdentity, OutboundTls};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex;
use tokio::time::Instant;

const TIMEOUT: Duration = Duration::from_secs(10);
/// A token that ends sooner is not sent any more: a request takes its time, and clocks differ.
const MARGIN: Duration = Duration::from_secs(60);
/// Of a token's life, after which it is renewed.
const RENEWED_AFTER: f64 = 0.8;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Of what Entra ID says of a refusal.
const MAX_REASON_CHARS: usize = 300;

/// RFC 3986 calls these unreserved; a form takes everything else by its percent.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where tokens come from; to be shared by all who send them.
pub struct AzureToken {
    azure: Azure,
    /// Trusts the public authorities, whatever collectors are known by.
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    failure: Option<Failure>,
}

struct Token {
    bearer: HeaderValue,
    renew_at: Instant,
    ends_at: Instant,
}

/// What was said last, to be said again until somebody asks anew.
struct Failure {
    reason: String,
    again_at: Instant,
    pause: Duration,
}

impl AzureToken {
    pub fn new(azure: Azure) -> Result<Self, SendError> {
        let client = Client::new(OutboundTls::default())?;
        Ok(Self { azure, client, state: Mutex::default() })
    }

    /// The value of an `authorization` field, or why there is none.
    pub(super) async fn bearer(&self) -> Result<HeaderValue, String> {
        let mut state = self.state.lock().await;
        if let Some(bearer) = state.good_enough(Instant::now()) {
            return Ok(bearer);
        }
        if let Some(reason) = state.still_refused(Instant::now()) {
            return state.good_at_all(Instant::now()).ok_or(reason);
        }
        let asked = self.ask().await;
        let now = Instant::now();
        match asked {
            Ok((bearer, life)) => {
                *state = State::holding(bearer.clone(), life, now);
                Ok(bearer)
            }
            Err(reason) => {
                state.refused(reason.clone(), now);
                state.good_at_all(now).ok_or(reason)
            }
        }
    }

    /// A receiver did not take `bearer`: the next caller gets another one.
    pub(super) async fn forget(&self, bearer: &HeaderValue) {
        let mut state = self.state.lock().await;
        // Somebody else may have had it renewed by now.
        if state.token.as_ref().is_some_and(|token| token.bearer == *bearer) {
            state.token = None;
        }
    }

    /// A bearer, and for how long it is good.
    async fn ask(&self) -> Result<(HeaderValue, Duration), String> {
        let request = self.request()?;
        let asked = request.uri().clone();
        let asked = format!("{}://{}", asked.scheme_str().unwrap_or("http"), Host(&asked));
        let response = match self.client.send(request, TIMEOUT).await {
            Ok(response) => response,
            Err(error) => {
                return Err(format!("no token: {asked}: {}{}", Chain(&error), self.hint()));
            }
        };
        if !response.status().is_success() {
            let (status, said) = (response.status(), refusal(&response));
            return Err(format!("no token: {asked} answered {status}{said}{}", self.hint()));
        }
        let granted: Granted = serde_json::from_slice(response.body())
            .map_err(|_| format!("no token: what {asked} answered holds none"))?;
        let life = granted.life().ok_or(format!("no token: {asked} does not say until when"))?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", granted.access_token))
            .map_err(|_| format!("no token: what {asked} gave cannot stand in a header"))?;
        bearer.set_sensitive(true);
        Ok((bearer, life))
    }

    /// What may be missing.
    fn hint(&self) -> &'static str {
        match self.azure.identity {
            AzureIdentity::Workload { .. } => {
                "; see export.azure and the service account's identity"
            }
            AzureIdentity::Metadata { .. } => {
                "; is a managed identity assigned to this node? in AKS use a workload identity \
                 (AZURE_FEDERATED_TOKEN_FILE is not set)"
            }
            AzureIdentity::AppService { .. } | AzureIdentity::MachineLearning { .. } => {
                "; is a managed identity assigned, and is export.azure.client_id one of them?"
            }
        }
    }

    fn request(&self) -> Result<Request<Bytes>, String> {
        let scope = &self.azure.scope;
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        let request = match &self.azure.identity {
            AzureIdentity::Workload { authority, tenant_id, client_id, token_file } => {
                let assertion = assertion(token_file)?;
                let form = [
                    ("client_id", client_id.as_str()),
                    ("scope", scope),
                    (
                        "client_assertion_type",
                        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                    ),
                    ("client_assertion", &assertion),
                    ("grant_type", "client_credentials"),
                ];
                let authority = authority.to_string();
                let authority = authority.trim_end_matches('/');
                post(&format!("{authority}/{tenant_id}/oauth2/v2.0/token"), &form)
            }
            AzureIdentity::AppService { url, header, client_id } => {
                let query = [("api-version", "2019-08-01"), ("resource", resource)];
                get(url, &query, ("client_id", client_id), ("x-identity-header", header.expose()))
            }
            AzureIdentity::MachineLearning { url, secret, client_id } => {
                let query = [("api-version", "2017-09-01"), ("resource", resource)];
                get(url, &query, ("clientid", client_id), ("secret", secret.expose()))
            }
            AzureIdentity::Metadata { url, client_id } => {
                let url = url.to_string();
                let url = format!("{}/metadata/identity/oauth2/token", url.trim_end_matches('/'));
                let query = [("api-version", "2018-02-01"), ("resource", resource)];
                let url = url.parse().map_err(|_| format!("no token: {url} is no URL"))?;
                get(&url, &query, ("client_id", client_id), ("metadata", "true"))
            }
        };
        request.map_err(|error| format!("no token: the request for one cannot be made: {error}"))
    }
}

impl std::fmt::Debug for AzureToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AzureToken").field("azure", &self.azure).finish_non_exhaustive()
    }
}

impl State {
    fn holding(bearer: HeaderValue, life: Duration, now: Instant) -> Self {
        let renew_at = now + life.mul_f64(RENEWED_AFTER);
        let ends_at = now + life.saturating_sub(MARGIN);
        Self { token: Some(Token { bearer, renew_at, ends_at }), failure: None }
    }

    /// A token that need not be renewed yet.
    fn good_enough(&self, now: Instant) -> Option<HeaderValue> {
        let token = self.token.as_ref().filter(|token| now < token.renew_at.min(token.ends_at))?;
        Some(token.bearer.clone())
    }

    /// A token that has not ended.
    fn good_at_all(&self, now: Instant) -> Option<HeaderValue> {
        let token = self.token.as_ref().filter(|token| now < token.ends_at)?;
        Some(token.bearer.clone())
    }

    fn still_refused(&self, now: Instant) -> Option<String> {
        let failure = self.failure.as_ref().filter(|failure| now < failure.again_at)?;
        Some(failure.reason.clone())
    }

    fn refused(&mut self, reason: String, now: Instant) {
        let before = self.failure.as_ref().map(|failure| failure.pause);
        let pause = before.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        self.failure = Some(Failure { reason, again_at: now + pause, pause });
    }
}

/// The file is swapped about once an hour: it is read each time.
fn assertion(path: &Path) -> Result<String, String> {
    let file = path.display().to_string();
    let told = |what: &str| format!("no token: export.azure.token_file: {file:?} {what}");
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err(told("is empty")),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(told(&format!("cannot be read: {error}"))),
    }
}

fn post(url: &str, form: &[(&str, &str)]) -> Result<Request<Bytes>, http::Error> {
    Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(encoded(form).into())
}

fn get(
    url: &Uri,
    query: &[(&str, &str)],
    (client_key, client_id): (&str, &Option<String>),
    (name, value): (&'static str, &str),
) -> Result<Request<Bytes>, http::Error> {
    let mut query = query.to_vec();
    query.extend(client_id.as_ref().map(|id| (client_key, id.as_str())));
    let separator = if url.query().is_some() { '&' } else { '?' };
    let mut value = HeaderValue::try_from(value)?;
    value.set_sensitive(true);
    Request::builder()
        .method(Method::GET)
        .uri(format!("{url}{separator}{}", encoded(&query)))
        .header(HeaderName::from_static(name), value)
        .body(Bytes::new())
}

fn encoded(form: &[(&str, &str)]) -> String {
    let pair =
        |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, FORM));
    form.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// What a success says. Some services write numbers as texts, and some say only when the end is.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<Seconds>,
    expires_on: Option<Seconds>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

impl Seconds {
    fn get(&self) -> Option<u64> {
        match self {
            Self::Number(seconds) => Some(*seconds),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

impl Granted {
    fn life(&self) -> Option<Duration> {
        let told = self.expires_in.as_ref().and_then(Seconds::get).map(Duration::from_secs);
        let until = || {
            let end = UNIX_EPOCH + Duration::from_secs(self.expires_on.as_ref()?.get()?);
            Some(end.duration_since(SystemTime::now()).unwrap_or_default())
        };
        told.or_else(until).map(|life| life.min(Duration::from_secs(24 * 3600)))
    }
}

/// What a refusal says.
#[derive(Deserialize)]
struct Refused {
    error: Option<String>,
    error_description: Option<String>,
}

/// Behind a colon. Nothing is told of an answer in another shape: it may hold anything.
fn refusal(response: &Response<Bytes>) -> String {
    let Ok(refused) = serde_json::from_slice::<Refused>(response.body()) else {
        return String::new();
    };
    let described = refused.error_description.unwrap_or_default();
    let described = described.lines().next().unwrap_or_default();
    let told = [refused.error.as_deref().unwrap_or_default(), described];
    let told: Vec<_> = told.into_iter().filter(|text| !text.is_empty()).collect();
    if told.is_empty() {
        return String::new();
    }
    format!(": {}", told.join(": ").chars().take(MAX_REASON_CHARS).collect::<String>())
}

/// Without a path, which names a tenant.
struct Host<'a>(&'a Uri);

impl std::fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.authority().map_or("", |authority| authority.as_str()))
    }
}

#[cfg(test)]
mod tests;
