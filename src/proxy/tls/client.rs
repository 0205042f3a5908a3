//! TLS with the model: its certificate is checked, ours is shown where one is asked for.

use super::watch::{Fresh, Watched};
use super::{HTTP1, HTTP2, Protocol, TlsError};
use crate::config::ClientTls;
use crate::credentials::{self, Identity};
use arc_swap::ArcSwap;
use rustls::client::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const GROUP: &str = "upstream.tls";

/// The protocols that a handshake offers; the model chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    Http1,
    Http2,
    /// HTTP/2 rather than HTTP/1.1.
    Either,
}

impl Offer {
    fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http1 => vec![HTTP1.to_vec()],
            Self::Http2 => vec![HTTP2.to_vec()],
            Self::Either => vec![HTTP2.to_vec(), HTTP1.to_vec()],
        }
    }
}

/// Makes connections. Clones share certificates and sessions, and see them change together.
#[derive(Debug, Clone)]
pub struct Connector {
    current: Arc<ArcSwap<ClientConfig>>,
    server_name: ServerName<'static>,
}

#[derive(Debug)]
pub struct Connected {
    pub stream: TlsStream<TcpStream>,
    pub protocol: Protocol,
}

impl Connector {
    /// For as long as the model takes: whoever connects knows how long that may be.
    pub async fn connect(&self, stream: TcpStream, offer: Offer) -> Result<Connected, TlsError> {
        let stream = TlsConnector::from(self.current.load_full())
            .with_alpn(offer.protocols())
            .connect(self.server_name.clone(), stream)
            .await
            .map_err(|source| {
                let server_name = self.server_name.to_str().into_owned();
                TlsError::UpstreamHandshake { server_name, source }
            })?;
        let protocol = Protocol::of(stream.get_ref().1.alpn_protocol());
        Ok(Connected { stream, protocol })
    }
}

pub(super) fn load(tls: &ClientTls) -> Result<(Connector, Watched), TlsError> {
    let identity = tls.identity.iter().flat_map(|files| [&files.certificate, &files.key]);
    let files = identity.chain(&tls.ca).cloned().collect();
    let build = {
        let tls = tls.clone();
        move || fresh(&tls)
    };
    let (current, watched) = Watched::start(GROUP, files, build)?;
    Ok((Connector { current, server_name: tls.server_name.clone() }, watched))
}

fn fresh(tls: &ClientTls) -> Result<Fresh<ClientConfig>, TlsError> {
    let files = |source| TlsError::Files { group: GROUP, source };
    let builder = ClientConfig::builder_with_provider(Arc::clone(credentials::provider()))
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Provider { group: GROUP, source })?
        .with_root_certificates(credentials::authorities(tls.ca.as_deref()).map_err(files)?);
    let Some(identity) = &tls.identity else {
        return Ok(Fresh { config: builder.with_no_client_auth(), validity: None });
    };
    let identity = Identity::read(&identity.certificate, &identity.key).map_err(files)?;
    let certified = SingleCertAndKey::from(identity.certified);
    let config = builder.with_client_cert_resolver(Arc::new(certified));
    Ok(Fresh { config, validity: identity.validity })
}
