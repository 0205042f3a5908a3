//! The way of one exchange, as layers around the forwarding.
//!
//! In: a request as it came over a client's connection. Out: a response, always: what the model said,
//! or why there is nothing it said. Every layer and every future has a concrete type; only the
//! innermost is boxed.

mod check;
mod client;
mod record;

use super::body::{Asked, ResponseBody};
use super::fit;
use super::headers;
use super::reply::NoAnswer;
use super::server::Server;
use check::Checked;
use client::ClientSide;
use http::{Request, Response};
use record::Recorded;
use std::convert::Infallible;
use std::rc::Rc;
use tower::{Service, ServiceBuilder};

/// What answers requests, built once a connection and cloned for each of its requests.
pub(super) fn exchanges(
    server: Rc<Server>,
) -> impl Clone
+ Service<Request<Asked>, Response = Response<ResponseBody>, Error = Infallible, Future: 'static> {
    let upstream = Rc::clone(&server.upstream);
    let fitting = Rc::clone(&upstream);
    let drain = Rc::clone(&server.drain);
    ServiceBuilder::new()
        .layer_fn(move |inner| ClientSide::new(inner, Rc::clone(&drain)))
        .layer_fn(move |inner| Recorded::new(inner, Rc::clone(&server)))
        .layer_fn(Checked::new)
        .map_request(headers::cleaned)
        .map_response(headers::cleaned_answer)
        .map_request(move |request| fit::fitted(request, &fitting))
        .map_err(NoAnswer::from)
        // Boxed here, once: its state is large, and each layer would move it into its own.
        .service_fn(move |request| Box::pin(Rc::clone(&upstream).send(request)))
}
