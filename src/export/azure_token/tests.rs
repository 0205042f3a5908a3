//! When a token is fetched, and what is said where there is none.

use super::*;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Gives token after token, each good for as long as it says, until it is told to refuse.
struct Authority {
    url: Uri,
    given: Arc<AtomicU64>,
    life_seconds: Arc<AtomicU64>,
    _server: JoinSet<()>,
}

/// In place of a life: what Entra ID says of an unknown identity.
const REFUSING: u64 = 0;

impl Authority {
    async fn start(life_seconds: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let (given, life_seconds) =
            (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(life_seconds)));
        let (count, life) = (Arc::clone(&given), Arc::clone(&life_seconds));
        let mut server = JoinSet::new();
        server.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (count, life) = (Arc::clone(&count), Arc::clone(&life));
                let answer = service_fn(move |_| {
                    let asked = count.fetch_add(1, Relaxed);
                    let response = match life.load(Relaxed) {
                        REFUSING => Response::builder().status(400).body(Full::from(
                            r#"{"error":"invalid_request","error_description":"Identity not found\nTrace"}"#.to_owned(),
                        )),
                        life => Response::builder().body(Full::<Bytes>::from(format!(
                            r#"{{"access_token":"t{asked}","expires_in":"{life}"}}"#
                        ))),
                    };
                    std::future::ready(response)
                });
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
            }
        });
        Self { url, given, life_seconds, _server: server }
    }

    fn token(&self) -> AzureToken {
        let identity = AzureIdentity::Metadata { url: self.url.clone(), client_id: None };
        let scope = "https://monitor.azure.com/.default".into();
        AzureToken::new(Azure { identity, scope }).unwrap()
    }

    fn asked(&self) -> u64 {
        self.given.load(Relaxed)
    }
}

async fn bearer(token: &AzureToken) -> String {
    token.bearer().await.unwrap().to_str().unwrap().to_owned()
}

/// Moves the clock while nothing else is under way, so that no time-out of a connection is met.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_token_is_kept_until_most_of_its_life_is_over() {
    let authority = Authority::start(3600).await;
    let token = authority.token();
    assert_eq!(bearer(&token).await, "Bearer t0");
    pass(2800).await;
    assert_eq!((bearer(&token).await.as_str(), authority.asked()), ("Bearer t0", 1));
    pass(100).await;
    assert_eq!((bearer(&token).await.as_str(), authority.asked()), ("Bearer t1", 2));
}

#[tokio::test]
async fn many_who_want_a_token_at_once_have_one_fetched() {
    let authority = Authority::start(3600).await;
    let token = authority.token();
    let bearers = tokio::join!(token.bearer(), token.bearer(), token.bearer());
    assert!(bearers.0.is_ok() && bearers.0 == bearers.1 && bearers.1 == bearers.2);
    assert_eq!(authority.asked(), 1);
}

#[tokio::test]
async fn an_old_token_serves_while_there_is_no_new_one_and_not_beyond_its_end() {
    let authority = Authority::start(3600).await;
    let token = authority.token();
    bearer(&token).await;
    authority.life_seconds.store(REFUSING, Relaxed);
    pass(3000).await;
    assert_eq!((bearer(&token).await.as_str(), authority.asked()), ("Bearer t0", 2));
    pass(550).await;
    let reason = token.bearer().await.unwrap_err();
    assert!(reason.contains("400 Bad Request: invalid_request: Identity not found;"), "{reason}");
    assert!(reason.contains("is a managed identity assigned"), "{reason}");
}

#[tokio::test]
async fn a_refusal_is_repeated_from_memory_for_a_while_that_grows() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut state = State::default();
    assert_eq!(state.still_refused(at(0)), None);
    for (now, until) in [(0, 1), (1, 3), (3, 7), (7, 15), (15, 31), (31, 63), (63, 123), (123, 183)]
    {
        state.refused("why".into(), at(now));
        assert_eq!(state.still_refused(at(until) - MARGIN / 100).as_deref(), Some("why"));
        assert_eq!(state.still_refused(at(until)), None);
    }
    let state = State::holding(HeaderValue::from_static("a"), Duration::from_secs(3600), start);
    assert_eq!(state.still_refused(start), None);
}

#[tokio::test]
async fn only_who_holds_the_token_in_force_has_it_forgotten() {
    let authority = Authority::start(3600).await;
    let token = authority.token();
    let first = token.bearer().await.unwrap();
    token.forget(&first).await;
    assert_eq!(bearer(&token).await, "Bearer t1");
    token.forget(&first).await;
    assert_eq!((bearer(&token).await.as_str(), authority.asked()), ("Bearer t1", 2));
}

#[tokio::test]
async fn a_federated_token_that_cannot_be_read_is_told_by_its_key() {
    let identity = AzureIdentity::Workload {
        authority: Uri::from_static("http://127.0.0.1:9"),
        tenant_id: "t".into(),
        client_id: "c".into(),
        token_file: "/does/not/exist".into(),
    };
    let token = AzureToken::new(Azure { identity, scope: String::new() }).unwrap();
    let reason = token.bearer().await.unwrap_err();
    let said = "no token: export.azure.token_file: \"/does/not/exist\" cannot be read: ";
    assert!(reason.starts_with(said), "{reason}");
}

#[tokio::test]
async fn nobody_at_the_metadata_service_is_told_with_the_way_out() {
    // Bound and closed, so that nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}").parse().unwrap();
    let identity = AzureIdentity::Metadata { url, client_id: None };
    let token = AzureToken::new(Azure { identity, scope: String::new() }).unwrap();
    let reason = token.bearer().await.unwrap_err();
    assert!(reason.contains("cannot connect") && reason.contains("AKS"), "{reason}");
}

#[test]
fn requests_of_platforms_are_as_each_wants_them() {
    let url = Uri::from_static("http://127.0.0.1:41/msi/token");
    let request = |identity| {
        let scope = "https://monitor.azure.com/.default".into();
        AzureToken::new(Azure { identity, scope }).unwrap().request().unwrap()
    };
    let (client_id, secret) = (Some("c".to_owned()), crate::config::Secret::new("s"));
    let app = request(AzureIdentity::AppService {
        url: url.clone(),
        header: secret.clone(),
        client_id: client_id.clone(),
    });
    let query = "api-version=2019-08-01&resource=https%3A%2F%2Fmonitor.azure.com&client_id=c";
    assert_eq!(app.uri().to_string(), format!("{url}?{query}"));
    assert_eq!(app.headers()["x-identity-header"], "s");
    let learning = request(AzureIdentity::MachineLearning { url: url.clone(), secret, client_id });
    let query = "api-version=2017-09-01&resource=https%3A%2F%2Fmonitor.azure.com&clientid=c";
    assert_eq!(learning.uri().to_string(), format!("{url}?{query}"));
    assert_eq!(learning.headers()["secret"], "s");
}

#[test]
fn the_end_of_a_token_is_read_from_either_field() {
    let life = |json: &str| serde_json::from_str::<Granted>(json).unwrap().life();
    assert_eq!(life(r#"{"access_token":"a","expires_in":60}"#), Some(Duration::from_secs(60)));
    assert_eq!(life(r#"{"access_token":"a","expires_in":"60"}"#), Some(Duration::from_secs(60)));
    let day = Duration::from_secs(86_400);
    assert_eq!(life(r#"{"access_token":"a","expires_on":"99999999999"}"#), Some(day));
    assert_eq!(life(r#"{"access_token":"a"}"#), None);
}

#[test]
fn no_token_and_no_secret_is_printed() {
    let url = Uri::from_static("http://127.0.0.1:41");
    let header = crate::config::Secret::new("hidden");
    let identity = AzureIdentity::AppService { url, header, client_id: None };
    let token = AzureToken::new(Azure { identity, scope: String::new() }).unwrap();
    let bearer = HeaderValue::from_static("Bearer shown");
    *token.state.try_lock().unwrap() =
        State::holding(bearer, Duration::from_secs(9), Instant::now());
    let printed = format!("{token:?}");
    assert!(!printed.contains("hidden") && !printed.contains("shown"), "{printed}");
}
