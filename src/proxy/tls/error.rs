//! Why there is no TLS: files at start or reload, or one handshake.

use crate::credentials::CredentialError;
use rustls::AlertDescription;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum TlsError {
    /// The source names the file and what to do.
    #[error("{group}: a file cannot be used")]
    Files { group: &'static str, source: CredentialError },
    #[error(
        "tls.client_ca: {path:?} cannot be used to check clients; give a PEM file of authorities"
    )]
    ClientAuthorities { path: PathBuf, source: rustls::server::VerifierBuilderError },
    #[error("{group}: this build's cryptography cannot do TLS")]
    Provider { group: &'static str, source: rustls::Error },
    /// As probes of TCP do.
    #[error("the client left without a word")]
    ClientLeft,
    #[error("the client's TLS handshake failed")]
    ClientHandshake(#[source] io::Error),
    #[error("the client did not finish its TLS handshake within {0:?} (client.header_timeout)")]
    ClientHandshakeTimeout(Duration),
    #[error(
        "the TLS handshake with the upstream as {server_name} failed; \
         see upstream.tls.ca and upstream.tls.server_name"
    )]
    UpstreamHandshake { server_name: String, source: io::Error },
}

impl TlsError {
    /// Whether the upstream speaks none of the protocols that it was offered.
    pub(in crate::proxy) fn is_of_protocols(&self) -> bool {
        let Self::UpstreamHandshake { source, .. } = self else { return false };
        let cause = source.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        let no_protocol = AlertDescription::NoApplicationProtocol;
        matches!(cause, Some(rustls::Error::AlertReceived(alert)) if *alert == no_protocol)
    }
}
