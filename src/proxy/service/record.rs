//! Opens the exchange: names the request, taps both bodies, and answers where the model did not.

use crate::proxy::body::{Asked, Limit, RequestBody, ResponseBody, Told};
use crate::proxy::reply::{self, NoAnswer};
use crate::proxy::server::Server;
use crate::proxy::upstream::UpstreamError;
use crate::tap::{Body, OpenExchange, Side};
use http::{Request, Response};
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tower::Service;

#[derive(Clone)]
pub(super) struct Recorded<S> {
    inner: S,
    server: Rc<Server>,
}

impl<S> Recorded<S> {
    pub(super) fn new(inner: S, server: Rc<Server>) -> Self {
        Self { inner, server }
    }
}

impl<S> Service<Request<Asked>> for Recorded<S>
where
    S: Service<Request<RequestBody>, Response = Response<Told>, Error = NoAnswer>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Recording<S::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Nothing within is ever unready, and nothing could be answered if it were.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Asked>) -> Self::Future {
        let exchange = self.server.tap.open(&mut request);
        let request = request.map(|body| Body::new(body, Rc::clone(&exchange), Side::Request));
        let limit = self.server.upstream.request_timeout().map(Limit::new);
        Recording {
            inner: self.inner.call(request),
            exchange,
            server: Rc::clone(&self.server),
            limit,
        }
    }
}

pin_project! {
    pub(super) struct Recording<F> {
        #[pin]
        inner: F,
        exchange: Rc<OpenExchange>,
        server: Rc<Server>,
        limit: Option<Limit>,
    }
}

impl<F> Future for Recording<F>
where
    F: Future<Output = Result<Response<Told>, NoAnswer>>,
{
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let outcome = match this.inner.poll(cx) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => {
                let Some(limit) = this.limit else { return Poll::Pending };
                ready!(limit.poll(cx));
                Err(UpstreamError::RequestTimeout(limit.length()).into())
            }
        };
        let exchange = Rc::clone(this.exchange);
        Poll::Ready(Ok(match outcome {
            Ok(answer) => answered(answer, exchange, this.limit.take()),
            Err(reason) => unanswered(&reason, this.server, exchange),
        }))
    }
}

fn answered(
    mut answer: Response<Told>,
    exchange: Rc<OpenExchange>,
    limit: Option<Limit>,
) -> Response<ResponseBody> {
    exchange.answered(&mut answer);
    answer.map(|body| ResponseBody::new(Body::new(body, exchange, Side::Response), limit))
}

fn unanswered(
    reason: &NoAnswer,
    server: &Server,
    exchange: Rc<OpenExchange>,
) -> Response<ResponseBody> {
    let upstream = server.upstream.authority().as_str();
    let fault = reason.fault();
    if let Some(fault) = fault {
        tracing::debug!(%fault, upstream, "an exchange failed");
    }
    let mut reply = reply::to(reason, upstream, exchange.id());
    exchange.replied(&mut reply, fault);
    reply.map(|bytes| {
        let tapped = Body::new(Told::Own(Some(bytes)), exchange, Side::Response);
        ResponseBody::new(tapped, None)
    })
}
