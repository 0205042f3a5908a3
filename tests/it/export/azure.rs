//! Exports that carry a token of Entra ID, which a server of this process gives.

use super::collector::{Answer, Collector};
use super::support::{Running, exchange, families, receiver, settings, spans_only};
use http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use taffrail::config::{Azure, AzureIdentity, Temporality};
use taffrail::export::otlp::Settings;
use taffrail::export::{AzureToken, Loss, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Says each of `answers` in turn, the last one for ever, and hands on what it was asked.
pub(crate) struct Authority {
    pub(crate) address: std::net::SocketAddr,
    asked: mpsc::Receiver<String>,
    _server: JoinSet<()>,
}

impl Authority {
    pub(crate) async fn saying(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = mpsc::channel(1024);
        let mut server = JoinSet::new();
        server.spawn(async move {
            for answer in answers.iter().chain(std::iter::repeat(answers.last().unwrap())) {
                let (mut stream, _) = listener.accept().await.unwrap();
                sender.send(read(&mut stream).await).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { address, asked, _server: server }
    }

    async fn asked(&mut self) -> String {
        tokio::time::timeout(Duration::from_secs(30), self.asked.recv()).await.unwrap().unwrap()
    }
}

/// One request, whole.
async fn read(stream: &mut tokio::net::TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if length.map_or(0, |length| length.parse().unwrap()) == body.len() {
            return text;
        }
    }
}

pub(crate) const GRANTED: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\
    {\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"first\"}";
pub(crate) const GRANTED_NEXT: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\
    {\"expires_in\":\"3599\",\"access_token\":\"second\"}";
const REFUSED: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n\
    {\"error\":\"invalid_client\",\"error_description\":\"AADSTS700213: No matching federated \
    identity record\\r\\nTrace ID: 1\"}";

/// The metadata service of a node, as `authority` plays it.
pub(crate) fn managed(authority: &Authority) -> AzureIdentity {
    let url = format!("http://{}", authority.address).parse().unwrap();
    AzureIdentity::Metadata { url, client_id: Some("a b".into()) }
}

fn with_token(settings: Settings, identity: AzureIdentity) -> Settings {
    let azure = Azure { identity, scope: "https://monitor.azure.com/.default".into() };
    let mut settings = settings;
    settings.token = Some(Arc::new(AzureToken::new(azure).unwrap()));
    let own = |to: taffrail::config::Receiver| taffrail::config::Receiver {
        headers: Vec::new(),
        ..receiver(to.url)
    };
    settings.otlp.metrics = settings.otlp.metrics.map(own);
    settings.otlp.logs = settings.otlp.logs.map(own);
    settings.otlp.traces = settings.otlp.traces.map(own);
    settings
}

#[tokio::test]
async fn a_federated_token_is_exchanged_for_the_one_that_is_sent() {
    let mut authority = Authority::saying(&[GRANTED]).await;
    let mut collector = Collector::answering(&[]).await;
    let directory = tempfile::tempdir().unwrap();
    let token_file = directory.path().join("token");
    std::fs::write(&token_file, "header.payload+/=.signature\n").unwrap();
    let identity = AzureIdentity::Workload {
        authority: format!("http://{}/", authority.address).parse().unwrap(),
        tenant_id: "tenant".into(),
        client_id: "client".into(),
        token_file,
    };
    let mut settings = with_token(settings(collector.address), identity);
    settings.otlp.temporality = Temporality::Delta;
    let running = Running::start(&settings, || families(10));
    running.spans.offer(&exchange(200, None), "/invocations");
    let address = authority.address;
    let body = "client_id=client&scope=https%3A%2F%2Fmonitor.azure.com%2F.default\
        &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
        &client_assertion=header.payload%2B%2F%3D.signature&grant_type=client_credentials";
    let length = body.len();
    assert_eq!(
        authority.asked().await,
        format!(
            "POST /tenant/oauth2/v2.0/token HTTP/1.1\r\n\
             content-type: application/x-www-form-urlencoded\r\naccept: application/json\r\n\
             host: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    );
    let counters = running.stop().await;
    for _ in 0..2 {
        assert_eq!(collector.next().await.1["authorization"], "Bearer first");
    }
    assert!(authority.asked.try_recv().is_err(), "all signals share a token");
    assert_eq!(counters.otlp(Signal::Metrics).sent.load(Relaxed), 3);
    assert_eq!(counters.otlp(Signal::Traces).sent.load(Relaxed), 2);
}

#[tokio::test]
async fn a_node_s_metadata_service_gives_the_token_of_a_managed_identity() {
    let mut authority = Authority::saying(&[GRANTED]).await;
    let mut collector = Collector::answering(&[]).await;
    let settings = with_token(spans_only(&collector), managed(&authority));
    let running = Running::start(&settings, Vec::new);
    running.spans.offer(&exchange(200, None), "/invocations");
    let address = authority.address;
    assert_eq!(
        authority.asked().await,
        format!(
            "GET /metadata/identity/oauth2/token?api-version=2018-02-01\
             &resource=https%3A%2F%2Fmonitor.azure.com&client_id=a%20b HTTP/1.1\r\n\
             metadata: true\r\nhost: {address}\r\nconnection: close\r\n\r\n"
        )
    );
    assert_eq!(collector.next().await.1["authorization"], "Bearer first");
    running.stop().await;
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_replaced_and_the_export_sent_again() {
    let mut authority = Authority::saying(&[GRANTED, GRANTED_NEXT]).await;
    let answers = [Answer::Status(StatusCode::UNAUTHORIZED)];
    let mut collector = Collector::answering(&answers).await;
    let settings = with_token(spans_only(&collector), managed(&authority));
    let running = Running::start(&settings, Vec::new);
    running.spans.offer(&exchange(200, None), "/invocations");
    let sent = [collector.next().await, collector.next().await];
    assert_eq!(
        sent.map(|(_, headers)| headers["authorization"].clone()),
        ["Bearer first", "Bearer second"]
    );
    for _ in 0..2 {
        authority.asked().await;
    }
    let counters = running.stop().await;
    let counts = counters.otlp(Signal::Traces);
    assert_eq!((counts.sent.load(Relaxed), counts.requests_failed.load(Relaxed)), (2, 0));
}

#[tokio::test]
async fn without_rights_an_export_waits_and_is_not_lost() {
    let authority = Authority::saying(&[GRANTED, GRANTED_NEXT]).await;
    let answers = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].map(Answer::Status);
    let mut collector = Collector::answering(&answers).await;
    let settings = with_token(spans_only(&collector), managed(&authority));
    let running = Running::start(&settings, Vec::new);
    running.spans.offer(&exchange(200, None), "/invocations");
    for _ in 0..3 {
        collector.next().await;
    }
    let counters = running.stop().await;
    let counts = counters.otlp(Signal::Traces);
    assert_eq!((counts.sent.load(Relaxed), counts.requests_failed.load(Relaxed)), (2, 1));
    assert!(Loss::ALL.iter().all(|loss| counts.lost(*loss) == 0));
}

#[tokio::test]
async fn while_no_token_is_to_be_had_exports_wait_and_failures_are_counted() {
    let mut authority = Authority::saying(&[REFUSED, GRANTED]).await;
    let mut collector = Collector::answering(&[]).await;
    let settings = with_token(spans_only(&collector), managed(&authority));
    let running = Running::start(&settings, Vec::new);
    running.spans.offer(&exchange(200, None), "/invocations");
    assert_eq!(collector.next().await.1["authorization"], "Bearer first");
    for _ in 0..2 {
        authority.asked().await;
    }
    let counters = running.stop().await;
    let counts = counters.otlp(Signal::Traces);
    assert!(counts.requests_failed.load(Relaxed) >= 1);
    assert_eq!(counts.sent.load(Relaxed), 2);
}
