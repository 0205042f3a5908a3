//! The body of a client's request, read from the connection that its answer will go out on.

use super::incoming::BadBody;
use super::server::Wire;
use super::written::Written;
use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

pub(in crate::proxy) struct ClientBody {
    pub(super) wire: Rc<Wire>,
    pub(super) written: Written,
    pub(super) trailers: Option<Box<Written>>,
    pub(super) version: Version,
    pub(super) expectation: Expectation,
    pub(super) upgrade: Upgrade,
}

/// Whether the client wants to speak another protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upgrade {
    NotAsked,
    Asked,
}

/// What a client waits for before it sends its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expectation {
    None,
    /// The upstream's `100 Continue`, or its patience's end.
    Upstreams,
    /// Ours, said when the body is first asked for.
    Ours,
}

impl ClientBody {
    pub(in crate::proxy) fn written(&self) -> &Written {
        &self.written
    }

    pub(in crate::proxy) fn written_trailers(&self) -> Option<&Written> {
        self.trailers.as_deref()
    }

    /// The request's target is no longer the one that was written.
    pub(in crate::proxy) fn retargeted(&mut self) {
        self.written.forget_start();
    }

    pub(in crate::proxy) fn asks_upgrade(&self) -> bool {
        self.upgrade == Upgrade::Asked
    }

    /// The upstream cannot switch to another protocol.
    pub(in crate::proxy) fn stay_with_http(&mut self) {
        self.upgrade = Upgrade::NotAsked;
    }

    pub(in crate::proxy) fn open_tunnel(&mut self) {
        self.wire.begin_tunnel();
    }

    /// The upstream speaks no HTTP/1 and will say nothing to a client that waits.
    pub(in crate::proxy) fn continue_when_polled(&mut self) {
        if self.expectation == Expectation::Upstreams {
            self.expectation = Expectation::Ours;
        }
    }

    pub(in crate::proxy) fn interim(&self, head: &[u8], cx: &mut Context<'_>) {
        // HTTP/1.0 knows no interim answers.
        if self.version == Version::HTTP_11 {
            self.wire.push_interim(head, cx);
        }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BadBody;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BadBody>>> {
        let this = self.get_mut();
        if this.expectation == Expectation::Ours {
            this.expectation = Expectation::None;
            this.wire.push_interim(CONTINUE, cx);
        }
        let incoming = &mut *this.wire.incoming.borrow_mut();
        let polled = incoming.poll_frame(&this.wire.io, &mut this.wire.input.borrow_mut(), cx);
        this.trailers = incoming.take_trailers();
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.wire.incoming.borrow().is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.wire.incoming.borrow().size_hint()
    }
}
