//! The `export.application_insights` section, and the connection string that Azure gives a resource.
//!
//! Pairs of `key=value` parted by semicolons enter; where to send, and as whom, leaves. What is wrong is
//! told by the name of its pair, never by the whole string: it lets anyone write to the resource.

use super::checked::{
    ApplicationInsights, Connection, IngestionAuthorization, Secret, TraceSampler,
};
use super::otlp::is_private;
use super::reader::Reader;
use http::Uri;
use std::path::Path;

const KEY: &str = "export.application_insights.connection_string";
/// Where resources of the first years, whose strings name no endpoint, take telemetry.
const GLOBAL_ENDPOINT: &str = "https://dc.services.visualstudio.com";
/// By the documentation of the format.
const LONGEST: usize = 4096;
const SHAPE: &str = "copy it whole from the resource's overview page: \
                     InstrumentationKey=…;IngestionEndpoint=https://…";

#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no export")]
pub(super) fn application_insights(
    reader: &mut Reader<'_>,
    data_dir: &Path,
    sampler: Option<TraceSampler>,
) -> Option<Option<ApplicationInsights>> {
    let enabled = reader.switch("export.application_insights.enabled");
    let interval = reader.duration("export.application_insights.interval");
    let max_series = reader.count("export.application_insights.max_series", 1);
    let buffer_bytes = reader.size("export.application_insights.buffer_bytes", 1 << 20);
    let connection = connection(reader);
    let (enabled, connection) = (enabled?, connection?);
    let settings = ApplicationInsights {
        connection: match connection {
            Some(connection) if enabled => connection,
            _ => return Some(None),
        },
        interval: interval?,
        max_series: max_series?,
        buffer: data_dir.join("application_insights"),
        buffer_bytes: buffer_bytes?,
        sampler: sampler?,
    };
    Some(Some(settings))
}

#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no export")]
fn connection(reader: &mut Reader<'_>) -> Option<Option<Connection>> {
    let Some(text) = reader.given_text(KEY) else { return Some(None) };
    match parse(&text) {
        Ok(connection) => {
            let is_by_key = connection.authorization == IngestionAuthorization::InstrumentationKey;
            if !is_private(&connection.ingestion) && !is_by_key {
                let message = "Authorization=AAD would send its token in plain text: \
                               IngestionEndpoint is http://; write https://";
                reader.problem(KEY, message);
                return None;
            }
            if !is_private(&connection.ingestion) {
                let host = connection.ingestion.host().unwrap_or_default();
                let message = format!(
                    "IngestionEndpoint is http:// to {host}: the key and all telemetry cross the \
                     network in the clear; write https://"
                );
                reader.warn(KEY, message);
            }
            Some(Some(connection))
        }
        Err(why) => {
            reader.problem(KEY, why);
            None
        }
    }
}

fn parse(text: &str) -> Result<Connection, String> {
    if text.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} characters; {SHAPE}"));
    }
    let pairs = pairs(text)?;
    let find = |name: &str| {
        let found = pairs.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value).filter(|value| !value.is_empty())
    };
    let key =
        find("InstrumentationKey").ok_or_else(|| format!("has no InstrumentationKey; {SHAPE}"))?;
    if key.len() != 36 || uuid::Uuid::try_parse(key).is_err() {
        return Err(format!("InstrumentationKey is no GUID of 36 characters; {SHAPE}"));
    }
    let authorization = match find("Authorization") {
        None => IngestionAuthorization::InstrumentationKey,
        Some(word) if word.eq_ignore_ascii_case("ikey") => {
            IngestionAuthorization::InstrumentationKey
        }
        Some(word) if word.eq_ignore_ascii_case("aad") => {
            // As Azure's own exporters make a scope of it.
            let scope = find("AADAudience").map(|audience| format!("{audience}/.default"));
            IngestionAuthorization::EntraId { scope }
        }
        Some(word) => {
            return Err(format!("Authorization is {word:?}; it is ikey or AAD"));
        }
    };
    let ingestion = endpoint(find)?;
    Ok(Connection { instrumentation_key: Secret::new(key), ingestion, authorization })
}

/// Pairs with an unknown key are passed over, as the format asks: Azure adds some now and then.
fn pairs(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let mut pairs = Vec::new();
    for (index, part) in parts.enumerate() {
        match part.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                pairs.push((name.trim(), value.trim()));
            }
            _ => return Err(format!("pair {} is not key=value; {SHAPE}", index + 1)),
        }
    }
    Ok(pairs)
}

fn endpoint<'a>(find: impl Fn(&str) -> Option<&'a str>) -> Result<Uri, String> {
    let (name, text) = match (find("IngestionEndpoint"), find("EndpointSuffix")) {
        (Some(endpoint), _) => ("IngestionEndpoint", endpoint.to_owned()),
        (None, Some(suffix)) => {
            let location = find("Location").map(|location| format!("{location}."));
            let host = format!("{}dc.{suffix}", location.unwrap_or_default());
            ("EndpointSuffix", format!("https://{host}"))
        }
        (None, None) => ("IngestionEndpoint", GLOBAL_ENDPOINT.to_owned()),
    };
    // What stands before an @ may be a password.
    let shown = text.rsplit('@').next().unwrap_or_default();
    let refused = |why: &str| format!("{name} gives {shown:?}, which {why}; write https://host");
    let uri: Uri = text.parse().map_err(|_| refused("is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("https" | "http")) {
        return Err(refused("has no scheme https://"));
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(refused("has no host"));
    }
    if uri.query().is_some() || uri.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err(refused("is more than a host, a port and a path"));
    }
    Ok(uri)
}

#[cfg(test)]
mod tests;
