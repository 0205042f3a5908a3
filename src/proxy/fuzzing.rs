//! The door of the fuzz targets; see `tests/fuzz`. Nothing else is built with it.

pub use super::h1::fuzzing::{Chunked, Fields, Framing, Head, answer, chunked, in_chunks, request};

use super::target;
use http::{HeaderValue, Request};

/// The authority of a request that is let pass; the outer `None` is a refusal.
#[expect(clippy::option_option, reason = "the two mean different things, see above")]
pub fn host(request: &Request<()>) -> Option<Option<HeaderValue>> {
    target::check(request).ok().map(|()| target::host(request))
}
