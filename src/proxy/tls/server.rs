//! TLS with clients: our certificate, and theirs where `tls.client_ca` demands it.

use super::watch::{Fresh, Watched};
use super::{HTTP1, HTTP2, Protocol, TlsError};
use crate::config::ServerTls;
use crate::credentials::{self, Identity, PemFile};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::SingleCertAndKey;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const GROUP: &str = "tls";

/// Takes clients. Clones share one certificate, and see it change together.
#[derive(Debug, Clone)]
pub struct Acceptor {
    current: Arc<ArcSwap<ServerConfig>>,
}

#[derive(Debug)]
pub struct Accepted {
    pub stream: TlsStream<TcpStream>,
    pub protocol: Protocol,
}

impl Acceptor {
    /// `limit` is for the whole handshake, so that a silent client holds no connection for ever.
    pub async fn accept(&self, stream: TcpStream, limit: Duration) -> Result<Accepted, TlsError> {
        let shaking = async {
            if let Ok(0) | Err(_) = stream.peek(&mut [0]).await {
                return Err(TlsError::ClientLeft);
            }
            let acceptor = TlsAcceptor::from(self.current.load_full());
            acceptor.accept(stream).await.map_err(TlsError::ClientHandshake)
        };
        let stream = tokio::time::timeout(limit, shaking)
            .await
            .map_err(|_| TlsError::ClientHandshakeTimeout(limit))??;
        let protocol = Protocol::of(stream.get_ref().1.alpn_protocol());
        Ok(Accepted { stream, protocol })
    }
}

pub(super) fn load(tls: &ServerTls) -> Result<(Acceptor, Watched), TlsError> {
    let files = [&tls.identity.certificate, &tls.identity.key].into_iter().chain(&tls.client_ca);
    let build = {
        let tls = tls.clone();
        move || fresh(&tls)
    };
    let (current, watched) = Watched::start(GROUP, files.cloned().collect(), build)?;
    Ok((Acceptor { current }, watched))
}

/// TLS 1.2 and 1.3. Sessions are resumed by tickets that this configuration alone can read, so that
/// no client gets in by an authority that a reload took away. No early data: it could be replayed.
fn fresh(tls: &ServerTls) -> Result<Fresh<ServerConfig>, TlsError> {
    let files = |source| TlsError::Files { group: GROUP, source };
    let provider = |source| TlsError::Provider { group: GROUP, source };
    let identity = Identity::read(&tls.identity.certificate, &tls.identity.key).map_err(files)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(credentials::provider()))
        .with_safe_default_protocol_versions()
        .map_err(provider)?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => builder.with_client_cert_verifier(verifier(path)?),
    };
    let certified = SingleCertAndKey::from(identity.certified);
    let mut config = builder.with_cert_resolver(Arc::new(certified));
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    config.ticketer = Ticketer::new().map_err(provider)?;
    Ok(Fresh { config, validity: identity.validity })
}

fn verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let authorities = PemFile::read(path)
        .and_then(|file| file.authorities())
        .map_err(|source| TlsError::Files { group: GROUP, source })?;
    let provider = Arc::clone(credentials::provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
        .build()
        .map_err(|source| TlsError::ClientAuthorities { path: path.to_owned(), source })
}
