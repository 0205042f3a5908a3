//! Why the upstream gave no answer, and whose doing that was.

use crate::capture::{BodyEnd, Fault};
use crate::tap::OpenExchange;
use std::io;
use std::time::Duration;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum UpstreamError {
    #[error("the upstream could not be reached")]
    Connect(#[source] io::Error),
    #[error("the upstream took no connection within {0:?} (upstream.connect_timeout)")]
    ConnectTimeout(Duration),
    #[error("the upstream's HTTP/2 connection could not be set up")]
    Handshake(#[source] hyper::Error),
    #[error("the upstream did not answer within {0:?} (upstream.response_timeout)")]
    ResponseTimeout(Duration),
    #[error("the upstream closed the connection before it answered")]
    Reset(#[source] hyper::Error),
    #[error("the upstream's answer was not valid HTTP")]
    Protocol(#[source] hyper::Error),
    #[error("the request's body broke off or was not valid HTTP")]
    RequestBody(#[source] hyper::Error),
}

impl UpstreamError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Connect(_) => Fault::UpstreamConnect,
            Self::ConnectTimeout(_) => Fault::UpstreamConnectTimeout,
            Self::ResponseTimeout(_) => Fault::UpstreamResponseTimeout,
            Self::Handshake(_) | Self::Reset(_) => Fault::UpstreamReset,
            Self::Protocol(_) => Fault::UpstreamProtocol,
            Self::RequestBody(_) => Fault::ClientBodyAborted,
        }
    }

    pub(super) fn is_reset(&self) -> bool {
        matches!(self, Self::Reset(_))
    }
}

/// hyper reports a broken request body and a broken connection alike; the tap knows which it was.
pub(super) fn classify(error: hyper::Error, exchange: &OpenExchange) -> UpstreamError {
    if exchange.request_end() == Some(BodyEnd::Aborted) {
        UpstreamError::RequestBody(error)
    } else if error.is_parse() {
        UpstreamError::Protocol(error)
    } else {
        UpstreamError::Reset(error)
    }
}
