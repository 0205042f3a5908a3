//! Which series an exchange is counted under: route, method and outcome, packed into one word.

use super::Outcome;
use crate::capture::{Fault, RouteId};
use http::{Method, StatusCode};

/// The methods of RFC 9110 and RFC 5789. Any other is counted as `_OTHER`, so that a client cannot
/// make series at will.
const METHODS: [Method; 9] = [
    Method::POST,
    Method::GET,
    Method::PUT,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::CONNECT,
    Method::TRACE,
    Method::PATCH,
];

const OTHER_METHOD: &[u8] = b"_OTHER";

/// One series: cheap to compare, and small enough to search many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) route: RouteId,
    method: u8,
    status: u16,
    fault: u8,
}

impl Key {
    pub(super) fn new(route: RouteId, method: &Method, outcome: Outcome) -> Self {
        let method = METHODS.iter().position(|known| known == method).unwrap_or(METHODS.len());
        let fault =
            outcome.fault.and_then(|fault| Fault::ALL.iter().position(|known| *known == fault));
        Self {
            route,
            method: small(method),
            status: outcome.status.map_or(0, |status| status.as_u16()),
            fault: small(fault.map_or(Fault::ALL.len(), |position| position)),
        }
    }

    /// Where a series goes when there are too many: its route and method are forgotten, and its
    /// status but for the class.
    pub(super) fn folded(self) -> Self {
        Self {
            route: RouteId::OTHER,
            method: small(METHODS.len()),
            status: self.status / 100 * 100,
            fault: self.fault,
        }
    }

    #[expect(clippy::expect_used, reason = "the name is a token, as a method must be")]
    pub(super) fn method(self) -> Method {
        let known = METHODS.get(usize::from(self.method)).cloned();
        known.unwrap_or_else(|| Method::from_bytes(OTHER_METHOD).expect("_OTHER is a token"))
    }

    pub(super) fn outcome(self) -> Outcome {
        Outcome {
            status: StatusCode::from_u16(self.status).ok(),
            fault: Fault::ALL.get(usize::from(self.fault)).copied(),
        }
    }
}

fn small(position: usize) -> u8 {
    u8::try_from(position).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_what_it_was_made_of() {
        let outcome =
            Outcome { status: Some(StatusCode::BAD_GATEWAY), fault: Some(Fault::UpstreamReset) };
        let key = Key::new(RouteId::OTHER, &Method::PATCH, outcome);
        assert_eq!(key.method(), Method::PATCH);
        assert_eq!(key.outcome(), outcome);
        let gone = Outcome { status: None, fault: None };
        assert_eq!(Key::new(RouteId::OTHER, &Method::GET, gone).outcome(), gone);
    }

    #[test]
    fn methods_of_a_clients_own_share_one_series() {
        let outcome = Outcome { status: Some(StatusCode::OK), fault: None };
        let key =
            |name: &[u8]| Key::new(RouteId::OTHER, &Method::from_bytes(name).unwrap(), outcome);
        assert_eq!(key(b"BREW"), key(b"PROPFIND"));
        assert_eq!(key(b"BREW").method().as_str(), "_OTHER");
    }
}
