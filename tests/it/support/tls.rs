//! TLS by hand: the files that peers are known by, and streams that speak it.

#[path = "../../../src/credentials/made.rs"]
#[allow(dead_code, reason = "shared with the library's own tests, which use all of it")]
mod made;

use made::Authority;
use rustls::client::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{
    ClientConnection, CommonState, ConfigBuilder, ServerConnection, StreamOwned, WantsVerifier,
};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use taffrail::config::{ClientTls, IdentityFiles, ServerTls};
use taffrail::credentials::{Identity, PemFile, provider};
use tempfile::TempDir;

/// What every server's certificate is for, wherever it listens.
pub(crate) const HOST: &str = "model.example.com";

pub(crate) fn host() -> ServerName<'static> {
    ServerName::try_from(HOST).unwrap()
}

/// A directory with an authority, and whom it vouches for.
pub(crate) struct Place {
    directory: TempDir,
    authority: Authority,
    pub(crate) ca: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("ca");
        let ca = authority.write(directory.path(), "ca.crt");
        Self { directory, authority, ca }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Written anew if it is there already.
    pub(crate) fn identity(&self, name: &str) -> IdentityFiles {
        self.identity_for(name, HOST)
    }

    pub(crate) fn identity_for(&self, name: &str, host: &str) -> IdentityFiles {
        let made = self.authority.identity(self.path(), name, host);
        IdentityFiles { certificate: made.certificate, key: made.key }
    }

    /// Of a sidecar towards its clients.
    pub(crate) fn server_tls(&self) -> ServerTls {
        ServerTls { identity: self.identity("sidecar"), client_ca: None }
    }

    /// The same, for clients that this place vouches for.
    pub(crate) fn strict_server_tls(&self) -> ServerTls {
        ServerTls { client_ca: Some(self.ca.clone()), ..self.server_tls() }
    }

    /// Of a sidecar towards its upstream.
    pub(crate) fn client_tls(&self) -> ClientTls {
        ClientTls { ca: Some(self.ca.clone()), identity: None, server_name: host() }
    }

    /// An upstream that agrees on the first of `protocols` that is offered, or says nothing of them.
    pub(crate) fn upstream(&self, protocols: &[&str]) -> Arc<ServerConfig> {
        self.upstream_as(&self.identity("upstream"), protocols)
    }

    #[expect(clippy::unused_self, reason = "beside its siblings")]
    pub(crate) fn upstream_as(
        &self,
        files: &IdentityFiles,
        protocols: &[&str],
    ) -> Arc<ServerConfig> {
        let builder = server_builder().with_no_client_auth();
        let mut config = builder.with_cert_resolver(certified(files));
        config.alpn_protocols = named(protocols);
        Arc::new(config)
    }

    /// An upstream that asks for a certificate of this place.
    pub(crate) fn strict_upstream(&self) -> Arc<ServerConfig> {
        let authorities = PemFile::read(&self.ca).unwrap().authorities().unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(authorities),
            Arc::clone(provider()),
        );
        let builder = server_builder().with_client_cert_verifier(verifier.build().unwrap());
        Arc::new(builder.with_cert_resolver(certified(&self.identity("upstream"))))
    }

    /// A client that trusts this place and offers `protocols`.
    pub(crate) fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        self.client_as(None, protocols)
    }

    pub(crate) fn client_as(
        &self,
        files: Option<&IdentityFiles>,
        protocols: &[&str],
    ) -> Arc<ClientConfig> {
        let authorities = PemFile::read(&self.ca).unwrap().authorities().unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(authorities);
        let mut config = match files {
            None => builder.with_no_client_auth(),
            Some(files) => builder.with_client_cert_resolver(certified(files)),
        };
        config.alpn_protocols = named(protocols);
        Arc::new(config)
    }
}

fn server_builder() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider()));
    builder.with_safe_default_protocol_versions().unwrap()
}

fn certified(files: &IdentityFiles) -> Arc<SingleCertAndKey> {
    let identity = Identity::read(&files.certificate, &files.key).unwrap();
    Arc::new(SingleCertAndKey::from(identity.certified))
}

fn named(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols.iter().map(|name| name.as_bytes().to_vec()).collect()
}

pub(super) fn client(config: &Arc<ClientConfig>, tcp: TcpStream) -> Stream {
    let connection = ClientConnection::new(Arc::clone(config), host()).unwrap();
    Stream::Client(Box::new(StreamOwned::new(connection, tcp)))
}

pub(super) fn server(config: &Arc<ServerConfig>, tcp: TcpStream) -> Stream {
    let connection = ServerConnection::new(Arc::clone(config)).unwrap();
    Stream::Server(Box::new(StreamOwned::new(connection, tcp)))
}

/// A connection, under TLS or not, that blocks.
pub(super) enum Stream {
    Plain(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Client(tls) => &tls.sock,
            Self::Server(tls) => &tls.sock,
        }
    }

    /// A word about the end, where there is one.
    pub(super) fn say_end(&mut self) {
        match self {
            Self::Plain(_) => {}
            Self::Client(tls) => tls.conn.send_close_notify(),
            Self::Server(tls) => tls.conn.send_close_notify(),
        }
        drop(self.flush());
    }

    pub(super) fn alpn(&self) -> Option<String> {
        let agreed = self.state()?.alpn_protocol()?;
        Some(String::from_utf8(agreed.to_vec()).unwrap())
    }

    pub(super) fn shown(&self) -> Vec<u8> {
        let chain = self.state().and_then(CommonState::peer_certificates);
        chain.map_or_else(Vec::new, |chain| chain[0].to_vec())
    }

    fn state(&self) -> Option<&CommonState> {
        match self {
            Self::Plain(_) => None,
            Self::Client(tls) => Some(&tls.conn),
            Self::Server(tls) => Some(&tls.conn),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Client(tls) => tls.read(buffer),
            Self::Server(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            Self::Client(tls) => tls.write(bytes),
            Self::Server(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Client(tls) => tls.flush(),
            Self::Server(tls) => tls.flush(),
        }
    }
}
