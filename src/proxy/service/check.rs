//! Refuses requests that could be read two ways; the layers within never see them.

use crate::proxy::reply::NoAnswer;
use crate::proxy::target::{self, Refusal};
use http::Request;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::Service;

#[derive(Clone)]
pub(super) struct Checked<S> {
    inner: S,
}

impl<S> Checked<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for Checked<S>
where
    S: Service<Request<B>, Error = NoAnswer>,
{
    type Response = S::Response;
    type Error = NoAnswer;
    type Future = Checking<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NoAnswer>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match target::check(&request) {
            Ok(()) => Checking::Passed { inner: self.inner.call(request) },
            Err(refusal) => Checking::Refused { refusal },
        }
    }
}

pin_project! {
    #[project = Outcome]
    pub(super) enum Checking<F> {
        Passed { #[pin] inner: F },
        Refused { refusal: Refusal },
    }
}

impl<F, T> Future for Checking<F>
where
    F: Future<Output = Result<T, NoAnswer>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            Outcome::Passed { inner } => inner.poll(cx),
            Outcome::Refused { refusal } => Poll::Ready(Err((*refusal).into())),
        }
    }
}
