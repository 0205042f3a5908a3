//! What exporters send their requests by: one exchange, over a connection of its own, with TLS where
//! the URL is https.
//!
//! The connection is driven inside the same future: nothing is spawned, so nothing outlives a call
//! that is dropped, and any runtime will do. A push every few seconds gains little from keep-alive.

mod http2;
#[cfg(test)]
mod tests;
mod tls;

use crate::config::OutboundTls;
use crate::credentials::CredentialError;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use thiserror::Error;
use tls::Tls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A receiver answers with a few kilobytes, one line an item at worst; more than this is none.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A connection, under TLS or not.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Why a request had no answer.
#[derive(Debug, Error)]
pub enum SendError {
    #[error("the URL has no host")]
    NoHost,
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// The source names the file and what to do.
    #[error("no TLS: a file cannot be used")]
    Files(#[from] CredentialError),
    #[error("no TLS: this build's cryptography cannot do it")]
    Provider(#[source] rustls::Error),
    #[error("the TLS handshake with {server_name} failed")]
    Handshake { server_name: String, source: std::io::Error },
    #[error("the exchange broke off")]
    Http(#[from] hyper::Error),
    #[error("the exchange broke off")]
    Http2(#[from] h2::Error),
    #[error("no whole answer within {0:?}")]
    TimedOut(Duration),
    #[error("the answer broke off")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer is over {MAX_ANSWER_BYTES} bytes, which is not one of a receiver")]
    TooLong,
}

impl SendError {
    /// What has no end is no receiver, and will be none later.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::NoHost | Self::TooLong => true,
            Self::Connect(_)
            | Self::Files(_)
            | Self::Provider(_)
            | Self::Handshake { .. }
            | Self::Http(_)
            | Self::Http2(_)
            | Self::TimedOut(_)
            | Self::Answer(_) => false,
        }
    }
}

/// Holds the files of TLS, which may change at any time, and no connection.
#[derive(Debug)]
pub struct Client {
    tls: Tls,
}

impl Client {
    /// Trusts the public authorities unless `tls` names others. Its files are read, so that one of no
    /// use is told at the start.
    pub fn new(tls: OutboundTls) -> Result<Self, SendError> {
        Ok(Self { tls: Tls::new(tls)? })
    }

    /// Sends `request`, whose URI is absolute, and gathers the answer, all within `timeout`.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, SendError> {
        let exchange = async {
            let request = with_host(request)?;
            let stream = self.connect(request.uri(), b"http/1.1").await?;
            over_http1(stream, request).await
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(SendError::TimedOut(timeout)))
    }

    /// Whether a connection can be made, TLS included. Nothing is sent.
    pub async fn reach(&self, uri: &http::Uri) -> Result<(), SendError> {
        self.connect(uri, b"http/1.1").await.map(drop)
    }

    /// The same over HTTP/2, agreed on by TLS or known beforehand; with the trailers.
    pub(super) async fn send_http2(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<(Response<Bytes>, HeaderMap), SendError> {
        let exchange = async {
            let stream = self.connect(request.uri(), b"h2").await?;
            http2::exchange(stream, request).await
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(SendError::TimedOut(timeout)))
    }

    async fn connect(&self, uri: &http::Uri, protocol: &[u8]) -> Result<Box<dyn Io>, SendError> {
        let host = uri.host().ok_or(SendError::NoHost)?.trim_matches(['[', ']']);
        let is_tls = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await.map_err(SendError::Connect)?;
        // Head and body are two writes, of which the second would wait for the first's acknowledgement.
        stream.set_nodelay(true).map_err(SendError::Connect)?;
        if is_tls {
            return Ok(Box::new(self.tls.connect(host, protocol, stream).await?));
        }
        Ok(Box::new(stream))
    }
}

async fn over_http1(
    stream: Box<dyn Io>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, SendError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (mut parts, body) = request.into_parts();
        parts.uri = path_only(&parts.uri);
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        let request = Request::from_parts(parts, Full::new(body));
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(broken)?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    };
    // The connection may end before the answer is taken; its error is the answer's error too.
    let drive = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = answer => answer,
        never = drive => never,
    }
}

fn broken(error: Box<dyn std::error::Error + Send + Sync>) -> SendError {
    if error.is::<LengthLimitError>() { SendError::TooLong } else { SendError::Answer(error) }
}

fn with_host(mut request: Request<Bytes>) -> Result<Request<Bytes>, SendError> {
    let authority = request.uri().authority().ok_or(SendError::NoHost)?;
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let host = HeaderValue::from_str(host).map_err(|_| SendError::NoHost)?;
    request.headers_mut().insert(header::HOST, host);
    Ok(request)
}

fn path_only(uri: &http::Uri) -> http::Uri {
    uri.path_and_query().cloned().map_or_else(|| http::Uri::from_static("/"), http::Uri::from)
}

/// An error with its causes, on one line.
pub(super) struct Chain<'a>(pub(super) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
