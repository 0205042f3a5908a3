//! The two ports: free, or held by a sidecar that is already at work, which is then asked how it does.

use super::Finding;
use super::peer;
use crate::app::reachable;
use crate::config::Config;
use http::StatusCode;
use serde_json::Value;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(3);
/// Of the exchanges, below which a verdict rests on little.
const FAIR_COVERAGE: f64 = 0.5;

/// What a sidecar at work says of itself.
pub(super) struct Running {
    pub(super) status: Value,
    pub(super) features: Value,
}

/// `None` where no sidecar is at work.
pub(super) async fn check(config: &Config, findings: &mut Vec<Finding>) -> Option<Running> {
    let admin = config.admin.address;
    let running = ask(reachable(admin)).await;
    for (check, key, address) in
        [("listen", "listen", config.listen), ("admin", "admin.address", admin)]
    {
        findings.push(port(check, key, address, running.is_some()));
    }
    if let Some(running) = &running {
        health(reachable(admin), findings).await;
        at_work(&running.status, findings);
    }
    running
}

fn port(check: &'static str, key: &str, address: SocketAddr, has_sidecar: bool) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) if has_sidecar => {
            let seen = format!("{address} is free, though a sidecar is at work");
            let advice = format!("it was started with another {key}: give the same settings here");
            Finding::warn(check, seen, advice)
        }
        Ok(_) => Finding::ok(check, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && has_sidecar => {
            Finding::ok(check, format!("{address} is held by the sidecar at work"))
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let seen = format!("{address} is taken by another process");
            Finding::fail(check, seen, format!("end that process, or choose another port: {key}"))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let seen = format!("{address} may not be listened on: {error}");
            Finding::fail(check, seen, format!("choose a port from 1024 on: {key}"))
        }
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
            let seen = format!("{address} is no address of this host");
            Finding::fail(check, seen, format!("use 0.0.0.0, 127.0.0.1 or the pod's own IP: {key}"))
        }
        Err(error) => Finding::fail(check, format!("{address}: {error}"), format!("correct {key}")),
    }
}

async fn ask(admin: SocketAddr) -> Option<Running> {
    let status = get(admin, "/api/v1/status").await?;
    // Somebody else's answer has no such fields.
    let is_ours = status.get("version").is_some() && status.get("reference").is_some();
    if !is_ours {
        return None;
    }
    Some(Running { status, features: get(admin, "/api/v1/features").await? })
}

async fn get(admin: SocketAddr, path: &str) -> Option<Value> {
    let asked = async {
        let stream = TcpStream::connect(admin).await.ok()?;
        peer::get_http1(stream, &admin.to_string(), path).await.ok()
    };
    let answer = timeout(PATIENCE, asked).await.ok()??;
    serde_json::from_slice(&answer.body).ok()
}

async fn health(admin: SocketAddr, findings: &mut Vec<Finding>) {
    let asked = async {
        let stream = TcpStream::connect(admin).await.ok()?;
        peer::get_http1(stream, &admin.to_string(), "/healthz").await.ok()
    };
    let answer = timeout(PATIENCE, asked).await.ok().flatten();
    if let Some(answer) = answer.filter(|answer| answer.status != StatusCode::OK) {
        let seen = String::from_utf8_lossy(&answer.body).into_owned();
        findings.push(Finding::fail("sidecar", seen, "it hangs: restart its container"));
    }
}

fn at_work(status: &Value, findings: &mut Vec<Finding>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let count = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let version = text(&status["version"]);
    let seen = format!(
        "taffrail {version} has been at work for {} s and carried {} requests",
        count("/uptime_seconds"),
        count("/traffic/requests")
    );
    let own = env!("CARGO_PKG_VERSION");
    findings.push(if version == own {
        Finding::ok("sidecar", seen)
    } else {
        Finding::warn("sidecar", seen, format!("this is taffrail {own}: use one version for both"))
    });
    readiness(&status["readiness"], findings);
    let coverage = status.pointer("/capture/coverage").and_then(Value::as_f64).unwrap_or(1.0);
    let dropped = count("/capture/dropped_items") + count("/capture/dropped_bytes");
    let seen = format!(
        "analysis received {:.1} % of the exchanges; {} sampled out, {dropped} dropped",
        coverage * 100.0,
        count("/capture/sampled_out")
    );
    findings.push(if coverage < FAIR_COVERAGE {
        let advice = "raise capture.cpu_budget where exchanges are sampled out, capture.queue_bytes \
                      or the memory limit where they are dropped";
        Finding::warn("coverage", seen, advice)
    } else {
        Finding::ok("coverage", seen)
    });
    archive(&status["archive"], findings);
}

fn readiness(readiness: &Value, findings: &mut Vec<Finding>) {
    let state = readiness["state"].as_str().unwrap_or("unknown");
    if state == "ready" {
        return findings.push(Finding::ok("readiness", "ready"));
    }
    let reason = readiness["reason"].as_str().map(|reason| format!(": {reason}"));
    let seen = format!("{state}{}", reason.unwrap_or_default());
    let advice = "no traffic is sent here until this is over; see the checks of upstream";
    findings.push(Finding::warn("readiness", seen, advice));
}

fn archive(archive: &Value, findings: &mut Vec<Finding>) {
    if let Some(error) = archive["last_error"].as_str() {
        let advice = "what is recorded meanwhile is lost and counted; make room, or see data_dir";
        findings.push(Finding::fail("archive", error, advice));
    }
}
