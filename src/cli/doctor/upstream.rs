//! The model: its name, its port, its certificate, and whether it answers.

use super::machine::Clock;
use super::peer::{self, Answer, Failure};
use super::{Finding, chain, millis};
use crate::config::{Config, Upstream, UpstreamProtocol};
use crate::proxy::tls::{self, Connector, Offer, Protocol};
use http::StatusCode;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// Where model servers say how they do: `KServe` and Triton, vLLM and `TorchServe`, `SageMaker`, MLflow.
const HEALTH: [&str; 6] = ["/v2/health/ready", "/v1/health", "/health", "/healthz", "/ping", "/"];
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(5);

const CHECK: &str = "upstream";

pub(super) async fn check(config: &Config, findings: &mut Vec<Finding>, clock: &mut Clock) {
    let upstream = &config.upstream;
    let Some(address) = resolve(upstream, findings).await else { return };
    let stream = connect(upstream, address).await;
    let took = match &stream {
        Ok((_, took)) => *took,
        Err(error) => {
            let advice = "start the model, or say where it is: upstream.url; in a pod it is usually \
                          at 127.0.0.1, on the port that its container listens on";
            let seen = format!("{address}: {error}");
            return findings.push(Finding::fail(CHECK, seen, advice));
        }
    };
    let connected = format!("{} accepts connections, {}", upstream.authority, millis(took));
    findings.push(Finding::ok(CHECK, connected));
    let Some(way) = handshake(upstream, address, findings).await else { return };
    answers(upstream, address, &way, findings, clock).await;
}

async fn resolve(upstream: &Upstream, findings: &mut Vec<Finding>) -> Option<SocketAddr> {
    let host = upstream.authority.host();
    let port = upstream.authority.port_u16().unwrap_or(80);
    let found = timeout(PATIENCE, lookup_host((host.trim_matches(['[', ']']), port))).await;
    let why = match found {
        Ok(Ok(mut addresses)) => match addresses.next() {
            Some(first) => return Some(first),
            None => "it has no address".to_owned(),
        },
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {PATIENCE:?}"),
    };
    let advice = "correct the host in upstream.url, or the DNS of this pod (/etc/resolv.conf)";
    findings.push(Finding::fail("dns", format!("{host} cannot be resolved: {why}"), advice));
    None
}

async fn connect(
    upstream: &Upstream,
    address: SocketAddr,
) -> Result<(TcpStream, Duration), String> {
    let began = Instant::now();
    match timeout(upstream.connect_timeout, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok((stream, began.elapsed())),
        Ok(Err(error)) => Err(format!("no connection: {error}")),
        Err(_) => Err(format!("no connection within {:?}", upstream.connect_timeout)),
    }
}

/// How connections are made, as far as it is known by now.
struct Way {
    connector: Option<Connector>,
    http2: bool,
}

async fn handshake(
    upstream: &Upstream,
    address: SocketAddr,
    findings: &mut Vec<Finding>,
) -> Option<Way> {
    const CHECK: &str = "upstream tls";
    let http2 = upstream.protocol == UpstreamProtocol::H2c;
    let Some(files) = &upstream.tls else { return Some(Way { connector: None, http2 }) };
    let shake = async {
        let connector = tls::load(None, Some(files)).map_err(|error| chain(&error))?.connector;
        let connector = connector.ok_or("no TLS is set up")?;
        let (stream, _) = connect(upstream, address).await?;
        let offer = match upstream.protocol {
            UpstreamProtocol::Auto => Offer::Either,
            UpstreamProtocol::Http1 => Offer::Http1,
            UpstreamProtocol::H2c => Offer::Http2,
        };
        let shaken = timeout(PATIENCE, connector.connect(stream, offer)).await;
        let connected = shaken
            .map_err(|_| format!("no handshake within {PATIENCE:?}"))?
            .map_err(|error| chain(&error))?;
        Ok::<_, String>((connector, connected.protocol))
    };
    match shake.await {
        Ok((connector, protocol)) => {
            let spoken = match protocol {
                Protocol::Http2 => "HTTP/2",
                Protocol::Http1 => "HTTP/1.1",
                Protocol::Unsaid => "no protocol by ALPN",
            };
            let seen = format!("its certificate is good; it chose {spoken}");
            findings.push(Finding::ok(CHECK, seen));
            let http2 = protocol == Protocol::Http2;
            Some(Way { connector: Some(connector), http2 })
        }
        Err(why) => {
            let advice = "name the authority that signed the model's certificate in upstream.tls.ca, \
                          and the name it is for in upstream.tls.server_name; write http:// where the \
                          model speaks no TLS";
            findings.push(Finding::fail(CHECK, why, advice));
            None
        }
    }
}

async fn answers(
    upstream: &Upstream,
    address: SocketAddr,
    way: &Way,
    findings: &mut Vec<Finding>,
    clock: &mut Clock,
) {
    const CHECK: &str = "upstream http";
    let base = upstream.base_path.path().trim_end_matches('/');
    let mut last = None;
    for path in HEALTH {
        let path = format!("{base}{path}");
        let asked = timeout(PATIENCE, get(upstream, address, way, &path)).await;
        let answer = match asked.unwrap_or_else(|_| Err(format!("none within {PATIENCE:?}").into()))
        {
            Ok(answer) => answer,
            Err(error) => {
                let advice = if way.http2 {
                    "if it speaks HTTP/1.1, set upstream.protocol to auto or http1"
                } else {
                    "if it speaks TLS, write https:// in upstream.url; if HTTP/2 only, set \
                              upstream.protocol to http2"
                };
                let seen = format!("GET {path}: no answer: {}", chain(&*error));
                return findings.push(Finding::fail(CHECK, seen, advice));
            }
        };
        clock.heard("the model", answer.date);
        if answer.status.is_success() {
            return findings.push(Finding::ok(CHECK, told(&path, &answer, way)));
        }
        let is_unready = answer.status == StatusCode::SERVICE_UNAVAILABLE;
        let seen = told(&path, &answer, way);
        if is_unready {
            let advice = "the model is not ready: it may still be loading; look at its log";
            return findings.push(Finding::warn(CHECK, seen, advice));
        }
        last = Some(seen);
    }
    let seen = format!("{}; it answers, at no known path of health", last.unwrap_or_default());
    findings.push(Finding::ok(CHECK, seen));
}

fn told(path: &str, answer: &Answer, way: &Way) -> String {
    let spoken = if way.http2 { "HTTP/2" } else { "HTTP/1.1" };
    format!("GET {path}: {} in {}, {spoken}", answer.status.as_u16(), millis(answer.took))
}

async fn get(
    upstream: &Upstream,
    address: SocketAddr,
    way: &Way,
    path: &str,
) -> Result<Answer, Failure> {
    let host = upstream.authority.as_str();
    let (stream, _) = connect(upstream, address).await?;
    let Some(connector) = &way.connector else {
        return asked(stream, "http", host, path, way).await;
    };
    let offer = if way.http2 { Offer::Http2 } else { Offer::Http1 };
    let stream = connector.connect(stream, offer).await?.stream;
    asked(stream, "https", host, path, way).await
}

async fn asked(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    scheme: &str,
    host: &str,
    path: &str,
    way: &Way,
) -> Result<Answer, Failure> {
    if way.http2 {
        peer::get_http2(stream, scheme, host, path).await
    } else {
        peer::get_http1(stream, host, path).await
    }
}
