//! The `x-request-id` of an exchange: the client's, else a `UUIDv7` of this thread's own clock.

use crate::capture::RequestId;
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::{ContextV7, Timestamp, Uuid};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes ids without the lock that the library's shared clock has.
#[derive(Default)]
pub(super) struct RequestIds {
    clock: ContextV7,
}

impl RequestIds {
    /// Keeps the id that `headers` carry, else makes one and adds it.
    pub(super) fn identify(&self, headers: &mut HeaderMap) -> RequestId {
        match headers.get(&X_REQUEST_ID) {
            Some(id) if !id.is_empty() => RequestId::new(once(id.clone())),
            _ => {
                let id = self.make();
                headers.insert(X_REQUEST_ID, id.clone());
                RequestId::new(id)
            }
        }
    }

    #[expect(clippy::expect_used, reason = "hex digits and hyphens are valid in a header")]
    fn make(&self) -> HeaderValue {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let id = Uuid::new_v7(Timestamp::now(&self.clock));
        let text = id.hyphenated().encode_lower(&mut text);
        once(HeaderValue::from_bytes(text.as_bytes()).expect("ASCII"))
    }
}

/// Of a value that does not come again: HTTP/2 is kept from giving it a place in its tables, which
/// would cost the search and push out what does (RFC 7541 section 7.1.3).
pub(super) fn once(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_are_version_7_and_ascend() {
        let ids = RequestIds::default();
        let make = || ids.identify(&mut HeaderMap::new()).text().into_owned();
        let texts: Vec<_> = (0..100).map(|_| make()).collect();
        assert!(texts.is_sorted());
        assert_eq!(Uuid::parse_str(&texts[0]).unwrap().get_version_num(), 7);
    }

    #[test]
    fn a_clients_id_is_kept_as_it_is() {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("Order 66"));
        assert_eq!(RequestIds::default().identify(&mut headers).text(), "Order 66");
        assert_eq!(headers.len(), 1);
    }
}
