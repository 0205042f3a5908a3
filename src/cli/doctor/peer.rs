//! A GET to somebody else, and what came back: status, text, and the peer's clock.

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};

/// Of an answer; the status of a sidecar is the longest that is asked for.
const MOST_BYTES: usize = 8 << 20;

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    pub(super) date: Option<Timestamp>,
    pub(super) took: Duration,
}

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(super) async fn get_http1(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &str,
) -> Result<Answer, Failure> {
    let asked = Instant::now();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .header(header::USER_AGENT, "taffrail-doctor")
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MOST_BYTES).collect().await?.to_bytes();
        Ok(Answer { date: date(&parts.headers), status: parts.status, body, took: asked.elapsed() })
    };
    // The connection's own error is the exchange's too.
    let drive = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = exchange => answer,
        never = drive => never,
    }
}

/// Over a connection that speaks HTTP/2 from its first byte. The body is not read.
pub(super) async fn get_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    scheme: &str,
    host: &str,
    path: &str,
) -> Result<Answer, Failure> {
    let asked = Instant::now();
    let (sender, connection) = h2::client::handshake(stream).await?;
    let exchange = async {
        let mut sender = sender.ready().await?;
        let request = Request::get(format!("{scheme}://{host}{path}"))
            .header(header::USER_AGENT, "taffrail-doctor")
            .body(())?;
        let (answer, _) = sender.send_request(request, true)?;
        let (parts, _) = answer.await?.into_parts();
        let (status, date) = (parts.status, date(&parts.headers));
        Ok(Answer { status, body: Bytes::new(), date, took: asked.elapsed() })
    };
    tokio::select! {
        answer = exchange => answer,
        ended = connection => Err(match ended {
            Ok(()) => "it closed the connection".into(),
            Err(error) => error.into(),
        }),
    }
}

/// When the peer says that it answered.
pub(super) fn date(headers: &http::HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
    parsed.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_http_is_understood() {
        let mut headers = http::HeaderMap::new();
        headers.insert(header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(date(&headers), Some("1994-11-06T08:49:37Z".parse().unwrap()));
        headers.insert(header::DATE, "yesterday".parse().unwrap());
        assert_eq!(date(&headers), None);
    }
}
