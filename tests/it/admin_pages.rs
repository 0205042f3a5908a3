//! The pages: what each shows, how one gets from one to another, and who may see payloads.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use crate::admin::{Answer, Served};
use crate::admin_state::{self, TOKEN, busy, fresh, minute};
use std::sync::Arc;
use taffrail::admin::State;
use taffrail::drift::Verdict;
use taffrail::pipeline;
use taffrail::sketch::Role;

const PAGES: [&str; 7] = [
    "/",
    "/drift",
    "/features/temp_max?role=input",
    "/features/weather",
    "/performance",
    "/exchanges",
    "/system",
];
const ONE: &str = "/exchanges/0199b7c2-7a1e-7c3d-9f00-000000000004";

fn shows(answer: &Answer, status: u16, texts: &[&str]) {
    assert_eq!(answer.status, status, "{}", answer.head);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    for text in texts {
        assert!(answer.body.contains(text), "{text:?} is not in {}", answer.body);
    }
}

/// The cookie that a right token is given.
fn signed_in(served: &Served) -> String {
    let form = format!("token={TOKEN}&to=exchanges%3Fstatus%3D5xx");
    let answer = served.post("/login", "application/x-www-form-urlencoded", form.as_bytes());
    assert_eq!((answer.status, answer.header("location")), (303, Some("exchanges?status=5xx")));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

fn with_cookie(served: &Served, path: &str, cookie: &str) -> Answer {
    served.send("GET", path, &[("cookie", cookie)], b"")
}

#[test]
fn the_overview_shows_traffic_as_a_heat_map_and_the_health_of_the_model() {
    let page = Served::new(busy()).get("/");
    shows(
        &page,
        200,
        &[
            "seattle-weather",
            "version 3",
            "Drifting",
            "Ready",
            "baseline file of <b>920 rows</b>",
            "p99.9",
            "class=\"cell h8\"",
            "series over p99",
            "requests of ",
            "Throughput",
            "exchanges analysed",
            "href=\"./features/temp_max?role=input\"",
            "/v2/models/{model}/infer",
            "http-equiv=\"refresh\"",
        ],
    );
}

#[test]
fn what_has_changed_before_a_window_ends_is_told_at_the_top_and_with_its_feature() {
    let served = Served::new(busy());
    let page = served.get("/");
    shows(
        &page,
        200,
        &[
            "Early warning",
            "Latency p95 risen since",
            "<b>84 ms</b>, usually 21 ms",
            "values are lower since",
            "more rows of a level <code>rain</code>",
        ],
    );
    assert!(!page.body.contains("Errors usual"), "{}", page.body);
    shows(&served.get("/features/temp_max"), 200, &["Early warning: </b>values are lower since"]);
    let quiet = served.get("/features/wind");
    assert!(!quiet.body.contains("Early warning"));
    assert!(!Served::new(fresh()).get("/").body.contains("Early warning"));
}

#[test]
fn a_range_of_time_is_chosen_by_a_link_and_a_wrong_one_is_refused() {
    let served = Served::new(busy());
    let hour = served.get("/?range=1h&refresh=off");
    shows(&hour, 200, &["the last hour", "href=\"?refresh=off&amp;range=24h\"", "−30 min"]);
    assert!(!hour.body.contains("http-equiv"), "the page was asked not to load itself again");
    shows(
        &served.get("/?range=2h"),
        400,
        &["`range` cannot be `2h`: allowed is one of `10m`, `1h`, `24h`."],
    );
}

#[test]
fn model_health_lists_features_by_drift_with_their_windows() {
    let served = Served::new(busy());
    let page = served.get("/drift");
    shows(&page, 200, &["5m", "1h", "Jensen–Shannon distance over 36 windows, of which 14 drift"]);
    let place = |name: &str| {
        let body = &page.body[page.body.find("<tbody><tr class=\"drifting\"").unwrap()..];
        body.find(&format!(">{name}<")).unwrap_or_else(|| panic!("{name}"))
    };
    assert!(place("temp_max") < place("wind"), "what drifts comes first");
    let by_name = served.get("/drift?sort=name&window=1h").body;
    let place = |name: &str| by_name.rfind(&format!(">{name}<")).unwrap();
    assert!(place("precipitation") < place("temp_max") && place("temp_max") < place("wind"));
    assert!(by_name.contains("aria-sort=\"ascending\"") && by_name.contains("over 2 windows"));
    let found = served.get("/drift?q=TEMP").body;
    assert!(found.contains(">temp_min<") && !found.contains(">wind<"));
    shows(
        &served.get("/drift?window=7m"),
        400,
        &["`window` cannot be `7m`: allowed is `5m`, `1h`."],
    );
    shows(&served.get("/drift?sort=luck"), 400, &["`sort` cannot be `luck`"]);
}

#[test]
fn many_features_are_shown_page_by_page() {
    let state = busy();
    let mut snapshot = pipeline::Snapshot::clone(&state.analysis.load());
    let view = snapshot.features[0].clone();
    snapshot.features = (0..1000)
        .map(|n| {
            let mut view = view.clone();
            view.feature = format!("feature {n:04}").into();
            view
        })
        .collect();
    state.analysis.store(Arc::new(snapshot));
    let served = Served::new(state);
    let page = served.get("/drift?sort=name&page=2").body;
    assert!(page.contains("Page 2 of 34") && page.contains("feature 0030"));
    assert!(!page.contains("feature 0029<") && !page.contains("feature 0060<"));
    assert!(page.contains("href=\"?sort=name&amp;page=3\""));
    shows(
        &served.get("/drift?sort=name&page=99999999999"),
        200,
        &["Page 34 of 34", "feature 0999"],
    );
}

#[test]
fn a_feature_shows_which_bins_moved_its_quantiles_and_its_verdicts() {
    let served = Served::new(busy());
    let page = served.get("/features/temp_max?role=input");
    shows(
        &page,
        200,
        &[
            "Model health</a> / inputs",
            "baseline of <b>920</b> rows",
            "Which bins moved: PSI",
            "▲ more",
            "▼ fewer",
            "+34.4 pp",
            "median 7.5",
            "middle half 4 to 9",
            "Out of bounds",
            "worth acting on",
            "Verdicts of temp_max over 36 windows",
            "Requests that moved it",
            "href=\"../exchanges/req%201%2F7\"",
        ],
    );
    shows(
        &served.get("/features/weather?window=1h"),
        200,
        &["Which categories moved", "over 2 windows"],
    );
    shows(&served.get("/features/humidity"), 404, &["No feature of that name is watched."]);
    shows(&served.get("/features/temp_max?role=output"), 404, &["No feature of that name"]);
    shows(&served.get("/features/temp_max?role=aside"), 400, &["`input`, `output`"]);
    shows(&served.get("/features/%ff%fe"), 404, &["No feature"]);
}

#[test]
fn a_feature_of_any_name_has_a_page() {
    for (name, path) in [
        ("a/b ?#%ü", "/features/a%2Fb%20%3F%23%25%C3%BC?role=input"),
        ("..", "/features?name=..&amp;role=input"),
        ("", "/features?name=&amp;role=input"),
        ("<b>\"&", "/features/%3Cb%3E%22%26?role=input"),
    ] {
        let state = busy();
        let mut snapshot = pipeline::Snapshot::clone(&state.analysis.load());
        snapshot.features[0].feature = name.into();
        state.analysis.store(Arc::new(snapshot));
        let served = Served::new(state);
        let link = format!("href=\".{path}\"");
        assert!(served.get("/drift").body.contains(&link), "{link}");
        let title = if name.is_empty() { "(no name)" } else { name };
        let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let title = title.replace('"', "&quot;");
        shows(&served.get(&path.replace("&amp;", "&")), 200, &[&format!("<h1>{title}</h1>")]);
    }
}

#[test]
fn estimates_stand_beside_what_came_true() {
    let page = Served::new(busy()).get("/performance");
    shows(
        &page,
        200,
        &[
            "Estimated before labels come",
            "from 2,500 labelled rows of the baseline",
            "Not to be trusted: labels say otherwise",
            "estimated 87.5 %, between 83 % and 92 %",
            "realised 72 %, not as estimated",
            "no labels yet",
            "87.5 % / 72 %",
        ],
    );
    let fresh = Served::new(fresh()).get("/performance");
    assert!(!fresh.body.contains("Estimated before labels come"));
}

#[test]
fn performance_is_shown_by_window_with_how_labels_come() {
    let page = Served::new(busy()).get("/performance");
    let shown = ["Accuracy", "83.6 % since start", "F1 (macro)", "Label delay, p95", "300 of 340"];
    shows(&page, 200, &shown);
}

#[test]
fn the_system_shows_losses_exporters_archive_and_settings_without_secrets() {
    let page = Served::new(busy()).get("/system");
    shows(
        &page,
        200,
        &[
            "Dropped, queue full of items",
            "unknown content type",
            "17.5 MiB",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "taffrail.yaml:14",
            "<code>***</code>",
            "1 keys at their default",
        ],
    );
    assert!(!page.body.contains(TOKEN));
}

#[test]
fn exchanges_are_found_by_what_is_asked_for() {
    let served = Served::new(busy());
    let count = |query: &str| {
        served.get(&format!("/exchanges?{query}")).body.matches("class=\"id\"").count()
    };
    assert_eq!(count(""), 30);
    assert_eq!(count("status=5xx"), 3);
    assert_eq!(count("status=2xx&route=&id="), 27);
    assert_eq!(count("error.type=upstream_connect"), 3);
    assert_eq!(count("error.type=client_gone"), 0);
    assert_eq!(count("slower_than=1.7ms"), 4);
    assert_eq!(count("limit=7"), 7);
    assert_eq!(count("from=2026-01-01T00:56:50&to=2026-01-01T00:56:55Z"), 5);
    assert_eq!(count("route=%2Fother"), 0);
    let trace = "trace_id=00000000000000000000000000000005";
    assert_eq!(count(trace), 1);
    assert_eq!(count("id=0199b7c2-7a1e-7c3d-9f00-000000000004"), 1);
    let api = |query: &str| {
        let answer = served.get(&format!("/api/v1/exchanges?{query}")).json();
        answer["exchanges"].as_array().unwrap().len()
    };
    assert_eq!((api("status=5xx"), api(trace), api("slower_than=1.7ms")), (3, 1, 4));
    shows(
        &served.get("/exchanges?status=9xx"),
        400,
        &["`status` cannot be `9xx`", "name=\"status\""],
    );
}

#[test]
fn payloads_need_the_token_which_a_form_takes() {
    let served = Served::new(busy());
    let closed = served.get(ONE);
    shows(
        &closed,
        401,
        &["Admin token", "value=\"exchanges/0199b7c2-7a1e-7c3d-9f00-000000000004\""],
    );
    assert!(!closed.body.contains("temp_max") && !closed.body.contains("acme"));
    let wrong =
        served.post("/login", "application/x-www-form-urlencoded", b"token=aye&to=exchanges");
    shows(&wrong, 401, &["That is not the admin token."]);
    assert_eq!(wrong.header("set-cookie"), None);

    let cookie = signed_in(&served);
    let open = with_cookie(&served, ONE, &cookie);
    shows(
        &open,
        200,
        &[
            "/v2/models/weather/infer?tenant=acme",
            "{&quot;inputs&quot;:[{&quot;name&quot;:&quot;temp_max&quot;",
            "Input rows, 1",
            "3.5",
            "rain",
            "First byte",
            "href=\"../exchanges?trace_id=00000000000000000000000000000005\"",
        ],
    );
    assert!(with_cookie(&served, "/exchanges?answer=Rain", &cookie).body.contains("class=\"id\""));
    assert!(!with_cookie(&served, "/exchanges?answer=snow", &cookie).body.contains("class=\"id\""));
    let shut = served.get("/exchanges?answer=rain");
    shows(&shut, 200, &["give the admin token above"]);
    assert!(!shut.body.contains("class=\"id\""));
    shows(&with_cookie(&served, "/exchanges/none", &cookie), 404, &["the archive may have it"]);
    assert_eq!(with_cookie(&served, &format!("/api/v1{ONE}"), &cookie).status, 200);

    let out = served.send("POST", "/logout", &[("cookie", &cookie)], b"");
    assert_eq!(out.status, 303);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(with_cookie(&served, ONE, &cookie).status, 401);
}

#[test]
fn the_token_is_taken_from_our_own_form_only_and_leads_to_our_own_pages_only() {
    let served = Served::new(busy());
    let form = format!("token={TOKEN}&to=https%3A%2F%2Fevil.test%2F");
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let answer = served.send("POST", "/login", &[kind], form.as_bytes());
    assert_eq!((answer.status, answer.header("location")), (303, Some("exchanges")));
    let foreign = [kind, ("sec-fetch-site", "cross-site")];
    let answer = served.send("POST", "/login", &foreign, form.as_bytes());
    assert_eq!((answer.status, answer.header("set-cookie")), (403, None));
    let answer = served.send("POST", "/logout", &[("sec-fetch-site", "cross-site")], b"");
    assert_eq!(answer.status, 403);
    let large = format!("token={}", "a".repeat(20_000));
    let answer = served.send("POST", "/login", &[kind], large.as_bytes());
    assert_eq!((answer.status, answer.header("set-cookie")), (400, None));
    assert_eq!(served.get("/login").header("location"), Some("exchanges"));
}

#[test]
fn without_a_configured_token_no_page_takes_one() {
    let served = Served::new(State { token: Arc::default(), ..busy() });
    shows(&served.get(ONE), 403, &["admin.token_file"]);
    shows(&served.get("/exchanges"), 200, &["No admin token is configured"]);
    let answer = served.post("/login", "application/x-www-form-urlencoded", b"token=");
    assert_eq!((answer.status, answer.header("set-cookie")), (403, None));
}

#[test]
fn every_page_has_its_landmarks_and_says_where_it_is() {
    let served = Served::new(busy());
    let cookie = signed_in(&served);
    for path in PAGES.into_iter().chain([ONE]) {
        let page = with_cookie(&served, path, &cookie).body;
        for (part, count) in
            [("<main", 1), ("<h1", 1), ("aria-current=\"page\"", 1), ("class=\"skip\"", 1)]
        {
            assert_eq!(page.matches(part).count(), count, "{path}: {part}");
        }
        let tables = page.matches("<table").count();
        assert_eq!(page.matches("<caption").count(), tables, "{path}: a table without a caption");
        for image in page.split("<svg").skip(1) {
            let head = &image[..image.find('>').unwrap()];
            assert!(head.contains("aria-label=") || head.contains("aria-hidden"), "{path}: {head}");
        }
        let mut ids: Vec<_> =
            page.split(" id=\"").skip(1).map(|rest| rest.split('"').next()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{path}: an id stands twice");
    }
}

#[test]
fn the_script_is_given_what_changes_of_any_page() {
    let served = Served::new(busy());
    for path in PAGES {
        let part = served.send("GET", path, &[("x-taffrail-fragment", "1")], b"").body;
        assert!(part.starts_with("<section") && !part.contains("<html"), "{path}");
        assert!(served.get(path).body.contains(&part[..60]), "{path}");
    }
}

#[test]
fn pages_load_nothing_from_elsewhere_and_hold_no_inline_code() {
    let served = Served::new(busy());
    let cookie = signed_in(&served);
    for path in PAGES.into_iter().chain([ONE]) {
        let page = with_cookie(&served, path, &cookie).body;
        for attribute in ["src=\"", "href=\"", "action=\""] {
            for (at, _) in page.match_indices(attribute) {
                let value = &page[at + attribute.len()..];
                let value = &value[..value.find('"').unwrap()];
                assert!(
                    !value.contains("//") && !value.contains(':') && !value.starts_with('/'),
                    "{value}"
                );
            }
        }
        assert!(
            !page.contains(" style=") && !page.contains("<style") && !page.contains(" onload=")
        );
        assert_eq!(page.matches("<script").count(), 1);
        if path != ONE {
            assert!(!page.contains("tenant") && !page.contains("acme"), "{path} shows a payload");
        }
    }
}

#[test]
fn an_empty_page_says_what_to_do() {
    let served = Served::new(fresh());
    shows(
        &served.get("/"),
        200,
        &["No traffic yet. Send a request to <code>http://127.0.0.1:9000</code>"],
    );
    shows(
        &served.get("/drift"),
        200,
        &["No verdict yet", "1,234 of 5,000 rows", "Nothing needs to be declared"],
    );
    shows(&served.get("/performance"), 200, &["POST /api/v1/labels"]);
    shows(&served.get("/exchanges"), 200, &["None was captured yet."]);
    shows(&served.get("/drift?window=5m"), 400, &["none, as no window has closed yet"]);
}

#[test]
fn an_unknown_address_is_answered_with_links_that_hold() {
    let served = Served::new(busy());
    let page = served.get("/a/b/nothing");
    shows(&page, 404, &["Nothing is at this address.", "href=\"../../assets/app.css\""]);
}

#[test]
fn hostile_names_are_text() {
    const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror='alert(1)'>";
    let state = busy();
    let mut snapshot = pipeline::Snapshot::clone(&state.analysis.load());
    snapshot.model_name = HOSTILE.into();
    snapshot.model_version = HOSTILE.into();
    let feature = admin_state::categorical(HOSTILE, Role::Input, &[HOSTILE, "b"], &[1, 1], &[2, 1]);
    snapshot.features = vec![feature];
    let mut window = admin_state::window(HOSTILE, minute(0), 5, true, 2);
    window.verdict = Verdict::Drifting;
    window.features[0].feature = HOSTILE.into();
    snapshot.windows = [Arc::new(window.clone()), Arc::new(window)].into();
    snapshot.archive = Some(taffrail::archive::State {
        last_error: Some(HOSTILE.into()),
        ..taffrail::archive::State::default()
    });
    state.analysis.store(Arc::new(snapshot));
    let mut entry = admin_state::exchange(1);
    let id = http::HeaderValue::from_str(HOSTILE).unwrap();
    entry.exchange.id = taffrail::capture::RequestId::new(id);
    entry.exchange.request.body = bytes::Bytes::from_static(HOSTILE.as_bytes()).into();
    let (name, value) = ("x-tenant".parse().unwrap(), HOSTILE.parse().unwrap());
    entry.exchange.request.headers.push((name, value));
    state.recent.push(Arc::new(entry));

    let served = Served::new(state);
    let cookie = signed_in(&served);
    let encoded: String =
        percent_encoding::percent_encode(HOSTILE.as_bytes(), percent_encoding::NON_ALPHANUMERIC)
            .to_string();
    let (feature, one) = (format!("/features/{encoded}"), format!("/exchanges/{encoded}"));
    for path in ["/", "/drift", &feature, "/exchanges", &one, "/system"] {
        let page = with_cookie(&served, path, &cookie);
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.contains("&lt;script&gt;alert(1)"), "{path}");
        assert!(!page.body.contains("<script>") && !page.body.contains("<img src=x"), "{path}");
    }
    for path in [format!("/drift?q={encoded}"), format!("/exchanges?id={encoded}&status={encoded}")]
    {
        let page = served.get(&path).body;
        assert!(!page.contains("<script>") && !page.contains("<img src=x"), "{path}");
    }
    assert!(!served.get("/api/v1/status").head.contains("html"));
}
