//! Which path answers what, and the headers that every answer carries.

use super::peer::Peer;
use super::session::Sessions;
use super::state::{Readiness, State};
use super::{api, assets, pages};
use axum::extract::{DefaultBodyLimit, Request, State as Handle};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::json;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;

/// Every path of the admin address.
pub fn router(state: Arc<State>) -> Router {
    let login =
        post(pages::login).get(pages::to_exchanges).layer(DefaultBodyLimit::max(MAX_FORM_BYTES));
    Router::new()
        .route("/", get(pages::overview))
        .route("/drift", get(pages::health))
        .route("/features", get(pages::feature_of_odd_name))
        .route("/features/{name}", get(pages::feature))
        .route("/performance", get(pages::performance))
        .route("/exchanges", get(pages::exchanges))
        .route("/exchanges/{id}", get(pages::exchange))
        .route("/system", get(pages::system))
        .route("/login", login)
        .route("/logout", post(pages::logout))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .route("/assets/{name}", get(assets::asset))
        .route("/api", get(api::unknown))
        .route("/api/{*rest}", get(api::unknown))
        .nest("/api/v1", api::routes())
        .fallback(pages::unknown)
        .method_not_allowed_fallback(api::wrong_method)
        .with_state(state)
        .layer(Extension(Arc::new(Sessions::default())))
        .layer(from_fn(guard))
}

/// Of a form with the token.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// Serves until `shutdown` resolves, then finishes the answers under way.
pub async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let service = router(state).into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await
}

/// Only what this process serves itself may run or be shown, nothing may frame it, and nothing that
/// shows traffic is kept by a cache. What a handler says itself stands.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    response
}

/// Whether this process works, whatever the model does: a restart would not help the model.
async fn health(Handle(state): Handle<Arc<State>>) -> Response {
    let stalled = (state.liveness)();
    if stalled.is_empty() {
        return Json(json!({ "status": "ok" })).into_response();
    }
    let body = json!({ "status": "stalled", "threads": stalled });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

async fn readiness(Handle(state): Handle<Arc<State>>) -> Response {
    let readiness = (state.readiness)();
    let status = match readiness {
        Readiness::Ready => StatusCode::OK,
        Readiness::UpstreamUnreachable { .. } | Readiness::Draining => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    (status, Json(readiness)).into_response()
}

async fn metrics(Handle(state): Handle<Arc<State>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let (content_type, text) = (state.metrics)(accept);
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}
