//! Why the upstream gave no answer, and whose doing that was.

use crate::capture::{BodyEnd, Fault};
use crate::proxy::body::BodyError;
use crate::proxy::h1::SendError;
use crate::proxy::tls::TlsError;
use crate::tap::OpenExchange;
use std::error::Error as StdError;
use std::io;
use std::time::Duration;
use thiserror::Error;

type Cause = Box<dyn StdError + Send + Sync>;

#[derive(Debug, Error)]
pub enum UpstreamError {
    #[error("the upstream could not be reached")]
    Connect(#[source] io::Error),
    #[error("the upstream took no connection within {0:?} (upstream.connect_timeout)")]
    ConnectTimeout(Duration),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the upstream's HTTP/2 connection could not be set up")]
    Handshake(#[source] hyper::Error),
    #[error("the upstream closed its HTTP/2 connection before it took the request")]
    Unsent,
    #[error("the upstream speaks neither HTTP/1.1 nor HTTP/2")]
    NoCommonProtocol,
    #[error("the upstream did not answer within {0:?} (upstream.response_timeout)")]
    ResponseTimeout(Duration),
    #[error("the exchange took longer than {0:?} (upstream.request_timeout)")]
    RequestTimeout(Duration),
    #[error("the upstream closed the connection before it answered")]
    Reset(#[source] Cause),
    #[error("the upstream's answer was not valid HTTP")]
    Protocol(#[source] Cause),
    #[error("the request's body broke off or was not valid HTTP")]
    RequestBody(#[source] Cause),
}

impl UpstreamError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Connect(_) => Fault::UpstreamConnect,
            Self::Tls(_) => Fault::UpstreamTls,
            Self::ConnectTimeout(_) => Fault::UpstreamConnectTimeout,
            Self::ResponseTimeout(_) => Fault::UpstreamResponseTimeout,
            Self::RequestTimeout(_) => Fault::RequestTimeout,
            Self::Handshake(_) | Self::Unsent | Self::Reset(_) => Fault::UpstreamReset,
            Self::NoCommonProtocol | Self::Protocol(_) => Fault::UpstreamProtocol,
            Self::RequestBody(_) => Fault::ClientBodyAborted,
        }
    }
}

impl From<SendError<BodyError>> for UpstreamError {
    fn from(error: SendError<BodyError>) -> Self {
        match error {
            SendError::Broken(_) | SendError::Closed => Self::Reset(error.into()),
            SendError::CutShort
            | SendError::BadHead(_)
            | SendError::SpeaksHttp2
            | SendError::UnaskedUpgrade
            | SendError::TooManyInterim => Self::Protocol(error.into()),
            SendError::Body(_) | SendError::BodyLength => Self::RequestBody(error.into()),
        }
    }
}

/// hyper reports a broken request body and a broken connection alike; the tap knows which it was.
pub(super) fn of_http2(error: hyper::Error, exchange: &OpenExchange) -> UpstreamError {
    if exchange.request_end() == Some(BodyEnd::Aborted) {
        UpstreamError::RequestBody(error.into())
    } else if error.is_parse() {
        UpstreamError::Protocol(error.into())
    } else {
        UpstreamError::Reset(error.into())
    }
}
