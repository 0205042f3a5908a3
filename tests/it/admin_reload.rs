//! The admin address and the configuration: how a reload is answered, and how it is shown.

use crate::admin::Served;
use crate::admin_state::{TOKEN, fresh, minute, token};
use arc_swap::ArcSwap;
use serde_json::json;
use std::sync::Arc;
use taffrail::admin::{Reload, State};
use taffrail::config::{Cause, Change, Config, Outcome, Rejected, Reloaded, Standing};

fn reloading(outcome: Option<Outcome>) -> Reload {
    Arc::new(move || Box::pin(std::future::ready(outcome.clone())))
}

#[test]
fn a_reload_is_answered_with_what_came_of_it() {
    let reloaded = Reloaded {
        at: minute(0),
        cause: Cause::Request,
        hash: "00ff".into(),
        changed: vec![Change { key: "drift.min_rows", before: "50".into(), after: "80".into() }],
        restart_required: vec!["listen"],
        unchanged: false,
    };
    let reload = reloading(Some(Outcome::Reloaded(reloaded)));
    let answer =
        Served::new(State { reload, ..fresh() }).post("/api/v1/reload", "application/json", b"");
    let expected = json!({
        "at": minute(0), "cause": "request", "hash": "00ff", "unchanged": false,
        "changed": [{ "key": "drift.min_rows", "before": "50", "after": "80" }],
        "restart_required": ["listen"],
    });
    assert_eq!((answer.status, answer.json()), (200, expected));

    let problems = Config::from_pairs(&[("upstream.url", "http://a"), ("drift.min_rows", "1")]);
    let rejected = Rejected {
        at: minute(0),
        cause: Cause::Request,
        hash: "00ff".into(),
        problems: problems.unwrap_err(),
    };
    let reload = reloading(Some(Outcome::Rejected(rejected)));
    let answer =
        Served::new(State { reload, ..fresh() }).post("/api/v1/reload", "application/json", b"");
    let problem = json!({
        "key": "drift.min_rows", "message": "\"1\" is not a whole number of at least 2",
        "source": "--drift-min-rows", "line": null,
    });
    let told = answer.json();
    assert_eq!((answer.status, &told["error"]), (422, &json!("configuration_refused")));
    assert_eq!(told["problems"], json!([problem]));

    let answer = Served::new(fresh()).post("/api/v1/reload", "application/json", b"");
    assert_eq!((answer.status, &answer.json()["error"]), (503, &json!("busy")));
}

#[test]
fn a_reload_needs_the_token_where_there_is_one() {
    let reload = reloading(None);
    let served = Served::new(State { token: token(TOKEN), reload, ..fresh() });
    let answer = served.post("/api/v1/reload", "application/json", b"");
    assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("token_required")));
    let bearer = format!("Bearer {TOKEN}");
    let answer = served.send("POST", "/api/v1/reload", &[("authorization", &bearer)], b"");
    assert_eq!(answer.status, 503);
}

#[test]
fn the_page_and_the_status_tell_how_the_configuration_stands() {
    let standing = Standing::new("5d0c7f4e21ab9368".into(), minute(0));
    let problems = Config::from_pairs(&[("upstream.url", "http://a"), ("drift.min_rows", "1")]);
    let rejected = Rejected {
        at: minute(1),
        cause: Cause::File,
        hash: standing.hash.clone(),
        problems: problems.unwrap_err(),
    };
    let standing = standing.after(&Outcome::Rejected(rejected));
    let served =
        Served::new(State { standing: Arc::new(ArcSwap::from_pointee(standing)), ..fresh() });
    let status = served.get("/api/v1/status").json();
    assert_eq!(status["reload"]["hash"], "5d0c7f4e21ab9368");
    assert_eq!(status["reload"]["rejected"], 1);
    assert_eq!(status["reload"]["last_rejection"]["problems"][0]["key"], "drift.min_rows");
    let page = served.get("/system").body;
    assert!(page.contains("5d0c7f4e21ab9368") && page.contains("Rejected"), "{page}");
    assert!(page.contains("is not a whole number of at least 2"), "{page}");
}
