//! The response as the client's connection can carry it, and as the drain wants it.

use crate::proxy::body::ResponseBody;
use crate::proxy::drain::{Drain, Phase};
use crate::proxy::headers;
use crate::proxy::reply::GoElsewhere;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tower::Service;

#[derive(Clone)]
pub(super) struct ClientSide<S> {
    inner: S,
    drain: Rc<Drain>,
}

impl<S> ClientSide<S> {
    pub(super) fn new(inner: S, drain: Rc<Drain>) -> Self {
        Self { inner, drain }
    }
}

impl<S, B> Service<Request<B>> for ClientSide<S>
where
    S: Service<Request<B>, Response = Response<ResponseBody>>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let came_over = request.version();
        Answering { inner: self.inner.call(request), came_over, drain: Rc::clone(&self.drain) }
    }
}

pin_project! {
    pub(super) struct Answering<F> {
        #[pin]
        inner: F,
        came_over: Version,
        drain: Rc<Drain>,
    }
}

impl<F, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<ResponseBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if *this.came_over == Version::HTTP_2 {
            fit_http2(response.headers_mut());
        } else {
            fit_http1(&mut response, this.drain.phase());
        }
        Poll::Ready(Ok(response))
    }
}

fn fit_http2(headers: &mut HeaderMap) {
    headers.remove(header::CONNECTION);
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers::retain(headers, |name| *name != header::TRANSFER_ENCODING);
    }
}

fn fit_http1(response: &mut Response<ResponseBody>, phase: Phase) {
    let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let is_lost = response.extensions().get::<GoElsewhere>().is_some();
    if (phase > Phase::Serving || is_lost) && !is_tunnel {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}
