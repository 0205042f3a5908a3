//! The client against servers of this process: plain, and under TLS whose files change.

use super::*;
use crate::config::IdentityFiles;
use crate::credentials::made::{Authority, Made};
use crate::credentials::{Identity, PemFile, provider};
use hyper::body::Incoming;
use hyper::service::service_fn;
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const LONG: Duration = Duration::from_secs(30);

/// A directory with the files of one authority, and servers whose certificates it signed.
struct Place {
    directory: TempDir,
    authority: Authority,
    ca: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("ca");
        let ca = authority.write(directory.path(), "ca.crt");
        Self { directory, authority, ca }
    }

    fn identity(&self, name: &str) -> Made {
        self.authority.identity(self.directory.path(), name, "localhost")
    }

    fn server(&self, strict: bool) -> TlsAcceptor {
        let made = self.identity("server");
        let certified = Identity::read(&made.certificate, &made.key).unwrap().certified;
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if strict {
            let authorities = Arc::new(PemFile::read(&self.ca).unwrap().authorities().unwrap());
            let provider = Arc::clone(provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let certified = Arc::new(SingleCertAndKey::from(certified));
        TlsAcceptor::from(Arc::new(builder.with_cert_resolver(certified)))
    }
}

/// Answers each request with its method, path, host and body. Ends with what is returned.
async fn echo(tls: Option<TlsAcceptor>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let tls = tls.clone();
            connections.spawn(async move {
                let stream: Box<dyn Io> = match tls {
                    None => Box::new(stream),
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => Box::new(stream),
                        Err(_) => return,
                    },
                };
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), service_fn(said)).await;
            });
        }
    });
    (address, server)
}

async fn said(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let host = head.headers[header::HOST].to_str().unwrap();
    let text = format!("{} {} {host} {} bytes", head.method, head.uri, body.len());
    Ok(Response::new(Full::new(text.into())))
}

fn request(url: &str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from_static(b"telemetry")).unwrap()
}

async fn body_of(client: &Client, url: &str) -> String {
    let response = client.send(request(url), LONG).await.unwrap();
    String::from_utf8(response.into_body().to_vec()).unwrap()
}

fn client(ca: Option<&PathBuf>, identity: Option<&Made>) -> Client {
    let identity = identity
        .map(|made| IdentityFiles { certificate: made.certificate.clone(), key: made.key.clone() });
    Client::new(OutboundTls { ca: ca.cloned(), identity }).unwrap()
}

#[tokio::test]
async fn a_plain_url_is_asked_in_plain_text() {
    let (address, _server) = echo(None).await;
    let body = body_of(&client(None, None), &format!("http://{address}/v1/metrics?a=b")).await;
    assert_eq!(body, format!("POST /v1/metrics?a=b {address} 9 bytes"));
}

#[tokio::test]
async fn a_server_is_trusted_whose_authority_was_named() {
    let place = Place::new();
    let (address, _server) = echo(Some(place.server(false))).await;
    let url = format!("https://localhost:{}/", address.port());
    let body = body_of(&client(Some(&place.ca), None), &url).await;
    assert_eq!(body, format!("POST / localhost:{} 9 bytes", address.port()));
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_gets_nothing() {
    let place = Place::new();
    let (address, _server) = echo(Some(place.server(false))).await;
    let url = format!("https://localhost:{}/", address.port());
    let refused = client(None, None).send(request(&url), LONG).await.unwrap_err();
    assert!(!refused.is_permanent(), "files may change");
    assert_eq!(refused.to_string(), "the TLS handshake with localhost failed");
    let SendError::Handshake { source, .. } = refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains("UnknownIssuer"), "{source}");
    let named = client(Some(&place.ca), None);
    let by_address = format!("https://{address}/");
    let refused = named.send(request(&by_address), LONG).await.unwrap_err();
    assert!(matches!(refused, SendError::Handshake { .. }), "its certificate is for localhost");
}

#[tokio::test]
async fn a_certificate_is_shown_to_a_server_that_asks_for_one() {
    let place = Place::new();
    let (address, _server) = echo(Some(place.server(true))).await;
    let url = format!("https://localhost:{}/", address.port());
    let own = place.identity("own");
    body_of(&client(Some(&place.ca), Some(&own)), &url).await;
    client(Some(&place.ca), None).send(request(&url), LONG).await.unwrap_err();
}

#[tokio::test]
async fn files_that_change_hold_from_the_next_connection_on() {
    let (before, after) = (Place::new(), Place::new());
    let (address, _server) = echo(Some(after.server(false))).await;
    let url = format!("https://localhost:{}/", address.port());
    let client = client(Some(&before.ca), None);
    client.send(request(&url), LONG).await.unwrap_err();
    std::fs::copy(&after.ca, &before.ca).unwrap();
    body_of(&client, &url).await;
    std::fs::write(&before.ca, "of no use").unwrap();
    body_of(&client, &url).await;
    std::fs::remove_file(&before.ca).unwrap();
    body_of(&client, &url).await;
}

#[test]
fn a_file_of_no_use_at_the_start_is_told_by_name() {
    let ca = Some(PathBuf::from("/does/not/exist"));
    let refused = Client::new(OutboundTls { ca, identity: None }).unwrap_err();
    let SendError::Files(source) = refused else { panic!("{refused:?}") };
    assert_eq!(source.to_string(), "\"/does/not/exist\" cannot be read");
}

#[tokio::test]
async fn an_answer_without_end_is_given_up_for_good() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    let refused = client(None, None).send(request(&url), LONG).await.unwrap_err();
    assert!(refused.is_permanent(), "{refused:?}");
}
