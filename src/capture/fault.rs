//! What can go wrong between client and model, one word each: the `error.type` of metrics and spans.

use http::StatusCode;
use std::fmt;

/// Whose doing a failed exchange was, and at which step. Display is the `error.type` users query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The upstream refused or could not be reached.
    UpstreamConnect,
    /// No connection within `upstream.connect_timeout`.
    UpstreamConnectTimeout,
    /// No response head within `upstream.response_timeout`.
    UpstreamResponseTimeout,
    /// The upstream's TLS handshake failed.
    UpstreamTls,
    /// The exchange was not over within `upstream.request_timeout`.
    RequestTimeout,
    /// The upstream closed or reset before a response's head was whole.
    UpstreamReset,
    /// The upstream's answer was not HTTP.
    UpstreamProtocol,
    /// The upstream broke off in the middle of a response's body.
    UpstreamBodyAborted,
    /// There were `client.max_connections` connections already.
    ClientConnectionLimit,
    /// The client's TLS handshake failed.
    ClientTls,
    /// What the client sent was not HTTP, or could be read two ways.
    ClientProtocol,
    /// The client did not finish a request's head within `client.header_timeout`.
    ClientHeaderTimeout,
    /// The client broke off while sending its body, or its body was not valid HTTP.
    ClientBodyAborted,
    /// The client went away before the response was whole.
    ClientGone,
}

impl Fault {
    pub const ALL: [Self; 14] = [
        Self::UpstreamConnect,
        Self::UpstreamConnectTimeout,
        Self::UpstreamResponseTimeout,
        Self::UpstreamTls,
        Self::RequestTimeout,
        Self::UpstreamReset,
        Self::UpstreamProtocol,
        Self::UpstreamBodyAborted,
        Self::ClientConnectionLimit,
        Self::ClientTls,
        Self::ClientProtocol,
        Self::ClientHeaderTimeout,
        Self::ClientBodyAborted,
        Self::ClientGone,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpstreamConnect => "upstream_connect",
            Self::UpstreamConnectTimeout => "upstream_connect_timeout",
            Self::UpstreamResponseTimeout => "upstream_response_timeout",
            Self::UpstreamTls => "upstream_tls",
            Self::RequestTimeout => "request_timeout",
            Self::UpstreamReset => "upstream_reset",
            Self::UpstreamProtocol => "upstream_protocol",
            Self::UpstreamBodyAborted => "upstream_body_aborted",
            Self::ClientConnectionLimit => "client_connection_limit",
            Self::ClientTls => "client_tls",
            Self::ClientProtocol => "client_protocol",
            Self::ClientHeaderTimeout => "client_header_timeout",
            Self::ClientBodyAborted => "client_body_aborted",
            Self::ClientGone => "client_gone",
        }
    }

    /// The status the proxy answers with in the model's stead, where an answer is still possible.
    pub const fn status(self) -> Option<StatusCode> {
        match self {
            Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamReset
            | Self::UpstreamProtocol => Some(StatusCode::BAD_GATEWAY),
            Self::UpstreamConnectTimeout | Self::UpstreamResponseTimeout | Self::RequestTimeout => {
                Some(StatusCode::GATEWAY_TIMEOUT)
            }
            Self::ClientConnectionLimit => Some(StatusCode::SERVICE_UNAVAILABLE),
            Self::ClientHeaderTimeout => Some(StatusCode::REQUEST_TIMEOUT),
            Self::UpstreamBodyAborted
            | Self::ClientTls
            | Self::ClientProtocol
            | Self::ClientBodyAborted
            | Self::ClientGone => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
