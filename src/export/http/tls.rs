//! TLS with a receiver: its certificate is checked, ours is shown where one is asked for.
//!
//! The files are looked at before each connection, which is once a push: what was written anew holds
//! from the next one on. New files of no use change nothing and are told once.

use super::SendError;
use crate::config::OutboundTls;
use crate::credentials::{self, Identity};
use rustls::client::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(super) struct Tls {
    files: OutboundTls,
    current: Mutex<Option<Current>>,
}

/// What was made of the files, and of which contents.
struct Current {
    config: Arc<ClientConfig>,
    seen: u128,
}

impl Tls {
    /// Without files nothing is built before the first connection: it may well never come.
    pub(super) fn new(files: OutboundTls) -> Result<Self, SendError> {
        let current = match paths(&files).next() {
            Some(_) => Some(Current::of(&files)?),
            None => None,
        };
        Ok(Self { files, current: Mutex::new(current) })
    }

    pub(super) async fn connect(
        &self,
        host: &str,
        protocol: &[u8],
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, SendError> {
        let failed = |source| SendError::Handshake { server_name: host.to_owned(), source };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| failed(std::io::Error::other(error)))?;
        let connector = TlsConnector::from(self.fresh()?);
        let connector = connector.with_alpn(vec![protocol.to_vec()]);
        connector.connect(name, stream).await.map_err(failed)
    }

    fn fresh(&self) -> Result<Arc<ClientConfig>, SendError> {
        let mut held = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(current) = held.as_mut() else {
            let current = Current::of(&self.files)?;
            return Ok(Arc::clone(&held.insert(current).config));
        };
        let seen = credentials::fingerprint(paths(&self.files));
        if seen != current.seen {
            match Current::of(&self.files) {
                Ok(fresh) => *current = fresh,
                Err(error) => {
                    // Remembered as seen, so that the same fault is not told at every push.
                    current.seen = seen;
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "an exporter's certificates before stay in use");
                }
            }
        }
        Ok(Arc::clone(&current.config))
    }
}

impl Current {
    fn of(files: &OutboundTls) -> Result<Self, SendError> {
        // Taken before the files are read for good: what is written in between is seen next time.
        let seen = credentials::fingerprint(paths(files));
        let builder = ClientConfig::builder_with_provider(Arc::clone(credentials::provider()))
            .with_safe_default_protocol_versions()
            .map_err(SendError::Provider)?
            .with_root_certificates(credentials::authorities(files.ca.as_deref())?);
        let config = match &files.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let identity = Identity::read(&identity.certificate, &identity.key)?;
                let certified = SingleCertAndKey::from(identity.certified);
                builder.with_client_cert_resolver(Arc::new(certified))
            }
        };
        Ok(Self { config: Arc::new(config), seen })
    }
}

fn paths(files: &OutboundTls) -> impl Iterator<Item = &Path> {
    let identity = files.identity.iter().flat_map(|pair| [&pair.certificate, &pair.key]);
    identity.chain(&files.ca).map(std::path::PathBuf::as_path)
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}
