//! From a request to a page: reads what is asked for, and checks who may see it.

use super::api::refuse_cross_site;
use super::filter::Filter;
use super::history::Range;
use super::moment::Moment;
use super::page::{self, Page, answer};
use super::query::BadParameter;
use super::session::Sessions;
use super::state::State;
use super::token;
use super::visit::Visit;
use axum::Extension;
use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Form, Path, State as Handle};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Instant;

type Shared = Handle<Arc<State>>;

pub(super) async fn overview(Handle(state): Shared, visit: Visit) -> Response {
    match visit.parameters.one_of("range", &Range::ALL, Range::as_str) {
        Err(bad) => refused(&state, &visit, &bad),
        Ok(range) => {
            let moment = Moment::over(&state, range.unwrap_or_default());
            answer(&visit, &moment, &page::overview_page(&visit, &moment))
        }
    }
}

pub(super) async fn health(Handle(state): Shared, visit: Visit) -> Response {
    let moment = Moment::now(&state);
    match page::health_page(&visit, &moment) {
        Ok(page) => answer(&visit, &moment, &page),
        Err(bad) => refused(&state, &visit, &bad),
    }
}

pub(super) async fn feature(
    Handle(state): Shared,
    visit: Visit,
    name: Result<Path<String>, PathRejection>,
) -> Response {
    one_feature(&state, &visit, name.ok().map(|Path(name)| name).as_deref())
}

/// A name that cannot stand in a path.
pub(super) async fn feature_of_odd_name(Handle(state): Shared, visit: Visit) -> Response {
    one_feature(&state, &visit, Some(visit.parameters.get("name").unwrap_or_default()))
}

fn one_feature(state: &State, visit: &Visit, name: Option<&str>) -> Response {
    let moment = Moment::now(state);
    let found = name.map_or(Ok(None), |name| page::feature_page(visit, &moment, name));
    match found {
        Ok(Some(page)) => answer(visit, &moment, &page),
        Ok(None) => missing(state, visit, "No feature of that name is watched."),
        Err(bad) => refused(state, visit, &bad),
    }
}

pub(super) async fn performance(Handle(state): Shared, visit: Visit) -> Response {
    let moment = Moment::now(&state);
    match page::performance_page(&visit, &moment) {
        Ok(page) => answer(&visit, &moment, &page),
        Err(bad) => refused(&state, &visit, &bad),
    }
}

pub(super) async fn system(Handle(state): Shared, visit: Visit) -> Response {
    let moment = Moment::now(&state);
    answer(&visit, &moment, &page::system_page(&visit, &moment))
}

pub(super) async fn exchanges(
    Handle(state): Shared,
    Extension(sessions): Extension<Arc<Sessions>>,
    headers: HeaderMap,
    visit: Visit,
) -> Response {
    let moment = Moment::now(&state);
    let access =
        token::require_token_or_session(state.token.load().as_deref(), &sessions, &headers);
    let filter = Filter::read(&visit.parameters);
    let page = page::exchanges_page(&visit, &moment, filter.as_ref(), access.is_ok());
    answer(&visit, &moment, &page)
}

pub(super) async fn exchange(
    Handle(state): Shared,
    Extension(sessions): Extension<Arc<Sessions>>,
    headers: HeaderMap,
    visit: Visit,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    let moment = Moment::now(&state);
    let id = id.ok().map(|Path(id)| id).unwrap_or_default();
    let access =
        token::require_token_or_session(state.token.load().as_deref(), &sessions, &headers);
    if let Err(refusal) = access {
        let to = format!("exchanges/{}", super::visit::encoded(&id));
        let page = page::login_page(&visit, &to, refusal.message(), state.token.load().is_some());
        return answer(&visit, &moment, &page);
    }
    match state.recent.find(&id) {
        Some(entry) => answer(&visit, &moment, &page::exchange_page(&visit, &moment, &*entry)),
        None => missing(
            &state,
            &visit,
            "This exchange is not among the last ones; the archive may have it.",
        ),
    }
}

#[derive(Deserialize)]
pub(super) struct Login {
    token: String,
    /// Where to go on, relative to the root.
    #[serde(default)]
    to: String,
}

/// Opens a session for the right token: 303 to where the caller was going, else the form again.
pub(super) async fn login(
    Handle(state): Shared,
    Extension(sessions): Extension<Arc<Sessions>>,
    headers: HeaderMap,
    visit: Visit,
    form: Result<Form<Login>, FormRejection>,
) -> Response {
    let moment = Moment::now(&state);
    if let Err(refusal) = refuse_cross_site(&headers) {
        return refusal.into_response();
    }
    let Ok(Form(login)) = form else {
        let page = page::bad_request(&visit, "The form could not be read.");
        return answer(&visit, &moment, &page);
    };
    let to = if is_ours(&login.to) { &*login.to } else { "exchanges" };
    let again = |why: &str| {
        answer(&visit, &moment, &page::login_page(&visit, to, why, state.token.load().is_some()))
    };
    if !token::is_token(state.token.load().as_deref(), &login.token) {
        return again("That is not the admin token.");
    }
    match sessions.open(Instant::now()) {
        Ok(cookie) => go_on(to, &cookie),
        Err(error) => {
            tracing::error!(%error, "no session for a caller with the admin token");
            again("The system gave no random bytes for a session; try again.")
        }
    }
}

/// Somebody opens the form's address: the form stands on the page of exchanges.
pub(super) async fn to_exchanges() -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, "exchanges")]).into_response()
}

pub(super) async fn logout(
    Extension(sessions): Extension<Arc<Sessions>>,
    headers: HeaderMap,
) -> Response {
    match refuse_cross_site(&headers) {
        Ok(()) => go_on("exchanges", &sessions.close(&headers)),
        Err(refusal) => refusal.into_response(),
    }
}

/// A path below the root and nothing that a browser could take for another site.
fn is_ours(to: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%/?=&".contains(&byte);
    to.starts_with("exchanges") && to.bytes().all(plain)
}

fn go_on(to: &str, cookie: &str) -> Response {
    let headers = [(header::LOCATION, to), (header::SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

pub(super) async fn unknown(Handle(state): Shared, visit: Visit) -> Response {
    missing(&state, &visit, "Nothing is at this address.")
}

fn missing(state: &State, visit: &Visit, why: &str) -> Response {
    let page: Page = page::not_found(visit, why);
    answer(visit, &Moment::now(state), &page)
}

fn refused(state: &State, visit: &Visit, bad: &BadParameter) -> Response {
    let page: Page = page::bad_request(visit, &bad.to_string());
    answer(visit, &Moment::now(state), &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_our_own_pages_only() {
        assert!(is_ours("exchanges/a%2Fb?x=1") && is_ours("exchanges"));
        for to in [
            "//evil.test",
            "https://evil.test",
            "/exchanges",
            "exchanges\r\nx: y",
            "",
            "exchanges:x",
        ] {
            assert!(!is_ours(to), "{to}");
        }
    }
}
