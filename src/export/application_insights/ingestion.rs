//! One request to the ingestion endpoint, and what its answer says of each item.
//!
//! A chunk enters, the instrumentation key is put into its lines, and they are posted to `/v2.1/track`,
//! compressed. A verdict leaves: who may be tried again, who was refused. A redirect within the
//! registered domain is followed and remembered, any other is not: a token and a key go with it.

use super::chunk::Chunk;
use super::envelope;
use crate::config::{Connection, OutboundTls, Secret};
use crate::export::azure_token::AzureToken;
use crate::export::http::{Chain, Client, SendError};
use crate::export::retry::retry_after;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use serde::Deserialize;
use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

const TRACK: &str = "/v2.1/track";
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 5;
/// The day's quota is used up; the endpoint does not say until when.
const QUOTA: u16 = 439;
const QUOTA_PAUSE: Duration = Duration::from_secs(600);
/// 439 is among them though Azure's own exporters drop it: what used the quota up may be the incident
/// that the telemetry is kept for, the quota is a new one the next day, and what waits has a bound in
/// bytes and in age.
const RETRIABLE: [u16; 9] = [401, 403, 408, 429, QUOTA, 500, 502, 503, 504];

pub(super) struct Ingestion {
    client: Client,
    key: Secret,
    /// Given where the resource takes nothing by the key alone.
    token: Option<Arc<AzureToken>>,
    url: Uri,
    compresses: bool,
}

/// What became of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Judged(Judgement),
    /// All of it, for good.
    Refused {
        status: u16,
        said: String,
    },
    /// None of it, now.
    Later {
        retry_after: Option<Duration>,
        said: String,
    },
}

/// What became of each item; those that are not named were taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Lines to send again.
    pub(super) later: HashSet<usize>,
    /// The status that each refused item got.
    pub(super) rejected: Vec<u16>,
    /// What was said of the first that was not taken.
    pub(super) said: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    items_received: Option<usize>,
    #[serde(default)]
    items_accepted: Option<usize>,
    #[serde(default)]
    errors: Vec<ItemError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemError {
    index: usize,
    status_code: u16,
    #[serde(default)]
    message: String,
}

impl Ingestion {
    pub(super) fn new(
        connection: &Connection,
        token: Option<Arc<AzureToken>>,
    ) -> Result<Self, SendError> {
        Ok(Self {
            client: Client::new(OutboundTls::default())?,
            key: connection.instrumentation_key.clone(),
            token,
            url: track(&connection.ingestion),
            compresses: true,
        })
    }

    pub(super) fn url(&self) -> &Uri {
        &self.url
    }

    pub(super) async fn send(&mut self, chunk: &Chunk) -> Verdict {
        let mut is_renewed = false;
        for _ in 0..MAX_REDIRECTS {
            let bearer = match self.bearer().await {
                Ok(bearer) => bearer,
                Err(said) => return Verdict::Later { retry_after: None, said },
            };
            let request = self.request(chunk, bearer.clone());
            let response = match self.client.send(request, TIMEOUT).await {
                Ok(response) => response,
                Err(error) => {
                    return Verdict::Later { retry_after: None, said: Chain(&error).to_string() };
                }
            };
            match (response.status(), &self.token, bearer) {
                (StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT, ..) => {
                    if let Err(said) = self.follow(&response) {
                        return Verdict::Later { retry_after: None, said };
                    }
                }
                // A relay that cannot read what is compressed: it is not asked to again.
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, ..) if self.compresses => {
                    self.compresses = false;
                }
                // It may have been revoked, or its key rolled, before its time.
                (StatusCode::UNAUTHORIZED, Some(token), Some(bearer)) if !is_renewed => {
                    token.forget(&bearer).await;
                    is_renewed = true;
                }
                _ => return judge(&response, chunk.items as usize),
            }
        }
        let said = format!("it redirected {MAX_REDIRECTS} times");
        Verdict::Later { retry_after: None, said }
    }

    async fn bearer(&self) -> Result<Option<HeaderValue>, String> {
        match &self.token {
            Some(token) => token.bearer().await.map(Some),
            None => Ok(None),
        }
    }

    fn request(&self, chunk: &Chunk, bearer: Option<HeaderValue>) -> Request<Bytes> {
        let mut body = Vec::with_capacity(chunk.lines.len() + chunk.items as usize * 64);
        for line in chunk.lines() {
            envelope::with_key(line, self.key.expose(), &mut body);
        }
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        let of = HeaderValue::from_static;
        headers.insert(header::CONTENT_TYPE, of("application/x-json-stream"));
        headers.insert(header::ACCEPT, of("application/json"));
        headers.insert(header::USER_AGENT, of(concat!("taffrail/", env!("CARGO_PKG_VERSION"))));
        headers.extend(bearer.map(|bearer| (header::AUTHORIZATION, bearer)));
        if self.compresses {
            headers.insert(header::CONTENT_ENCODING, of("gzip"));
            body = gzip(&body);
        }
        *request.body_mut() = body.into();
        request
    }

    fn follow(&mut self, response: &Response<Bytes>) -> Result<(), String> {
        let location = response.headers().get(header::LOCATION);
        let location: Option<Uri> = location.and_then(|value| value.to_str().ok()?.parse().ok());
        let Some(location) = location.filter(|uri| uri.host().is_some()) else {
            return Err("it redirected to nowhere".to_owned());
        };
        let host = location.host().unwrap_or_default();
        let is_downgrade =
            self.url.scheme_str() == Some("https") && location.scheme_str() != Some("https");
        if is_downgrade || !is_same_domain(self.url.host().unwrap_or_default(), host) {
            return Err(format!("it redirected to {host}, where telemetry is not sent"));
        }
        self.url = track(&location);
        Ok(())
    }
}

/// The endpoint's URL with the path of the protocol, which it may have already.
fn track(endpoint: &Uri) -> Uri {
    let mut parts = endpoint.clone().into_parts();
    let base = endpoint.path().trim_end_matches('/').trim_end_matches(TRACK);
    parts.path_and_query = format!("{base}{TRACK}").parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| endpoint.clone())
}

/// Whether both hosts are under one registered domain, as far as names alone tell: under `co.uk` and
/// its like three labels count, else two. An address is only the same as itself.
fn is_same_domain(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (ours.to_ascii_lowercase(), theirs.to_ascii_lowercase());
    let is_address = |host: &str| host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    if ours == theirs {
        return true;
    }
    if is_address(&ours) || is_address(&theirs) {
        return false;
    }
    registered(&ours).is_some() && registered(&ours) == registered(&theirs)
}

fn registered(host: &str) -> Option<Vec<&str>> {
    let mut labels = host.trim_end_matches('.').rsplit('.');
    let (top, second) = (labels.next()?, labels.next()?);
    let mut registered = vec![top, second];
    if top.len() == 2 && second.len() <= 3 {
        registered.push(labels.next()?);
    }
    Some(registered)
}

fn judge(response: &Response<Bytes>, items: usize) -> Verdict {
    let status = response.status();
    let answer: Option<Answer> = serde_json::from_slice(response.body()).ok();
    if status.is_success() {
        return Verdict::Judged(answer.map(|answer| by_item(&answer, items)).unwrap_or_default());
    }
    let first = answer.and_then(|answer| answer.errors.into_iter().next());
    let said = match first {
        Some(error) => format!("it answered {status}: {}", error.message),
        None => format!("it answered {status}"),
    };
    if !RETRIABLE.contains(&status.as_u16()) {
        return Verdict::Refused { status: status.as_u16(), said };
    }
    let quota = (status.as_u16() == QUOTA).then_some(QUOTA_PAUSE);
    Verdict::Later { retry_after: retry_after(response.headers()).or(quota), said }
}

fn by_item(answer: &Answer, items: usize) -> Judgement {
    let mut judgement = Judgement::default();
    let mut seen = HashSet::new();
    for error in answer.errors.iter().filter(|error| error.index < items) {
        if !seen.insert(error.index) {
            continue;
        }
        if RETRIABLE.contains(&error.status_code) {
            judgement.later.insert(error.index);
        } else {
            judgement.rejected.push(error.status_code);
        }
        judgement
            .said
            .get_or_insert_with(|| format!("{} of an item: {}", error.status_code, error.message));
    }
    // Not taken, and not told why.
    if let (Some(received), Some(accepted)) = (answer.items_received, answer.items_accepted) {
        let unnamed = received.min(items).saturating_sub(accepted).saturating_sub(seen.len());
        judgement.rejected.extend(std::iter::repeat_n(0, unnamed));
    }
    judgement
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests;
