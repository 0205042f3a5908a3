//! One HTTP/1.1 POST, over a connection of its own.
//!
//! The connection is driven inside the same future: nothing is spawned, so nothing outlives a call
//! that is dropped, and any runtime will do. A push every few seconds gains little from keep-alive.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;

/// A collector answers with a few bytes; more than this is not one.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

#[derive(Debug, Error)]
pub(super) enum PostError {
    #[error("the URL has no host")]
    NoHost,
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    #[error("the exchange broke off")]
    Http(#[from] hyper::Error),
    #[error("no whole answer within {0:?}")]
    TimedOut(Duration),
    #[error("the answer broke off or is over {MAX_ANSWER_BYTES} bytes")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl PostError {
    /// What has no end is no collector, and will be none later.
    pub(super) fn is_permanent(&self) -> bool {
        match self {
            Self::NoHost => true,
            Self::Answer(source) => source.is::<LengthLimitError>(),
            Self::Connect(_) | Self::Http(_) | Self::TimedOut(_) => false,
        }
    }
}

/// Sends `request`, whose URI is absolute, and gathers the answer, all within `timeout`.
pub(super) async fn post(
    request: Request<Bytes>,
    timeout: Duration,
) -> Result<Response<Bytes>, PostError> {
    tokio::time::timeout(timeout, exchange(request))
        .await
        .unwrap_or(Err(PostError::TimedOut(timeout)))
}

async fn exchange(request: Request<Bytes>) -> Result<Response<Bytes>, PostError> {
    let request = origin_form(request)?;
    let host = request.uri().host().ok_or(PostError::NoHost)?;
    let address = (host.trim_matches(['[', ']']), request.uri().port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.map_err(PostError::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (mut parts, body) = request.into_parts();
        parts.uri = path_only(&parts.uri);
        let request = Request::from_parts(parts, Full::new(body));
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        Ok(Response::from_parts(parts, body.map_err(PostError::Answer)?.to_bytes()))
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

fn origin_form(mut request: Request<Bytes>) -> Result<Request<Bytes>, PostError> {
    let authority = request.uri().authority().ok_or(PostError::NoHost)?;
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let host = HeaderValue::from_str(host).map_err(|_| PostError::NoHost)?;
    request.headers_mut().insert(header::HOST, host);
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

fn path_only(uri: &http::Uri) -> http::Uri {
    uri.path_and_query().cloned().map_or_else(|| http::Uri::from_static("/"), http::Uri::from)
}
