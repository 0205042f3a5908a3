//! The sections about TLS. Every file is read, so that a bad one is told here and not
//! by a handshake that fails; what is kept are paths, as the files may change later.

#[cfg(test)]
mod tests;

use super::checked::{ClientTls, IdentityFiles, OutboundTls, ServerTls};
use super::reader::Reader;
use crate::credentials::{CredentialError, Identity, PemFile};
use http::Uri;
use jiff::Timestamp;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::path::PathBuf;

const CLIENT_CA: &str = "tls.client_ca";
const UPSTREAM_CA: &str = "upstream.tls.ca";
const SERVER_NAME: &str = "upstream.tls.server_name";
const OF_SERVER: IdentityKeys = IdentityKeys { certificate: "tls.certificate", key: "tls.key" };
const OF_CLIENT: IdentityKeys =
    IdentityKeys { certificate: "upstream.tls.certificate", key: "upstream.tls.key" };

/// The keys that name the two files of an identity.
pub(super) struct IdentityKeys {
    pub(super) certificate: &'static str,
    pub(super) key: &'static str,
}

/// The keys of TLS towards a receiver of telemetry.
pub(super) struct OutboundKeys {
    pub(super) ca: &'static str,
    pub(super) identity: IdentityKeys,
}

pub(super) fn outbound(reader: &mut Reader<'_>, keys: &OutboundKeys) -> Option<OutboundTls> {
    let ca = authorities(reader, keys.ca);
    let identity = identity(reader, &keys.identity);
    Some(OutboundTls { ca: ca?, identity: identity? })
}

#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no TLS")]
pub(super) fn server(reader: &mut Reader<'_>) -> Option<Option<ServerTls>> {
    let identity = identity(reader, &OF_SERVER);
    let client_ca = authorities(reader, CLIENT_CA);
    let (identity, client_ca) = (identity?, client_ca?);
    match (identity, client_ca) {
        (Some(identity), client_ca) => Some(Some(ServerTls { identity, client_ca })),
        (None, None) => Some(None),
        (None, Some(_)) => {
            let text = reader.text(CLIENT_CA);
            let message = format!("{text:?} needs TLS; give tls.certificate and tls.key too");
            reader.problem(CLIENT_CA, message);
            None
        }
    }
}

/// `url` is the upstream's, as far as it could be read.
#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no TLS")]
pub(super) fn client(reader: &mut Reader<'_>, url: Option<&Uri>) -> Option<Option<ClientTls>> {
    if url.is_some_and(|url| url.scheme_str() == Some("http")) {
        return is_in_place(reader).then_some(None);
    }
    let ca = authorities(reader, UPSTREAM_CA);
    let identity = identity(reader, &OF_CLIENT);
    let server_name = server_name(reader, url?);
    Some(Some(ClientTls { ca: ca?, identity: identity?, server_name: server_name? }))
}

/// Whether no key for TLS was given to an upstream that speaks none.
fn is_in_place(reader: &mut Reader<'_>) -> bool {
    let keys = [UPSTREAM_CA, OF_CLIENT.certificate, OF_CLIENT.key, SERVER_NAME];
    let given: Vec<_> = keys.into_iter().filter(|key| reader.is_given(key)).collect();
    for key in &given {
        let value = reader.text(key);
        let message = format!(
            "{value:?} is for TLS, but upstream.url is {:?}; write https:// there or remove the key",
            reader.text("upstream.url")
        );
        reader.problem(key, message);
    }
    given.is_empty()
}

fn server_name(reader: &mut Reader<'_>, url: &Uri) -> Option<ServerName<'static>> {
    if reader.is_given(SERVER_NAME) {
        return reader.read(SERVER_NAME, |text| {
            let why = "is neither the name of a host nor an IP address; write model.example.com";
            ServerName::try_from(text.to_owned()).map_err(|_| why.to_owned())
        });
    }
    let host = url.host()?.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned());
    if name.is_err() {
        let message = format!("{host:?} cannot stand in a certificate; give {SERVER_NAME}");
        reader.problem("upstream.url", message);
    }
    name.ok()
}

#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no file")]
fn authorities(reader: &mut Reader<'_>, name: &str) -> Option<Option<PathBuf>> {
    pem(reader, name, PemFile::authorities).map(|file| file.map(|(path, _)| path))
}

#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no identity")]
fn identity(reader: &mut Reader<'_>, keys: &IdentityKeys) -> Option<Option<IdentityFiles>> {
    let certificate = pem(reader, keys.certificate, PemFile::chain);
    let key = pem(reader, keys.key, PemFile::key);
    match (certificate?, key?) {
        (None, None) => Some(None),
        (Some(certificate), Some(key)) => paired(reader, keys, certificate, key).map(Some),
        (Some(_), None) => half(reader, keys.certificate, keys.key),
        (None, Some(_)) => half(reader, keys.key, keys.certificate),
    }
}

fn half<T>(reader: &mut Reader<'_>, given: &str, missing: &str) -> Option<T> {
    let text = reader.text(given);
    reader.problem(given, format!("{text:?} is of no use alone; give {missing} too"));
    None
}

fn paired(
    reader: &mut Reader<'_>,
    keys: &IdentityKeys,
    (certificate, chain): (PathBuf, PemFile),
    (key, private): (PathBuf, PemFile),
) -> Option<IdentityFiles> {
    match Identity::pair(&chain, &private) {
        Ok(identity) => {
            let untimely = identity.validity.and_then(|dates| dates.untimely(Timestamp::now()));
            if let Some(untimely) = untimely {
                let path = certificate.display().to_string();
                reader.warn(keys.certificate, format!("{path:?} {untimely}"));
            }
            Some(IdentityFiles { certificate, key })
        }
        Err(error) => {
            reader.problem(keys.key, told(&error));
            None
        }
    }
}

/// The file that the key names, if it holds what `look` looks for.
#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no file")]
fn pem<T>(
    reader: &mut Reader<'_>,
    name: &str,
    look: impl FnOnce(&PemFile) -> Result<T, CredentialError>,
) -> Option<Option<(PathBuf, PemFile)>> {
    let Some(path) = reader.file(name)? else { return Some(None) };
    match PemFile::read(&path).and_then(|file| look(&file).map(|_| file)) {
        Ok(file) => Some(Some((path, file))),
        Err(error) => {
            reader.problem(name, told(&error));
            None
        }
    }
}

/// With what caused it: a problem is one line.
fn told(error: &CredentialError) -> String {
    match error.source() {
        Some(cause) => format!("{error} ({cause})"),
        None => error.to_string(),
    }
}
