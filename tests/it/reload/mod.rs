//! A configuration that changes under a sidecar at work: what takes effect, what does not, and what
//! nobody notices.

mod exports;
mod keys;
mod labelled;
mod load;
mod rejected;
mod tally;
mod traffic;
mod watched;

use crate::support::sidecar::PATIENCE;
use crate::support::wire::{Message, Peer, Upstream, sized};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;
use taffrail::app::{Bound, Running, start};
use taffrail::config::{Config, Sources};
use taffrail::decode::{Column, Rows};
use taffrail::drift::{BaselineBuilder, BaselineSettings};
use taffrail::sketch::Role;
use tempfile::TempDir;

/// A sidecar whose configuration is a file, a line a key.
struct Sidecar {
    running: Running,
    directory: TempDir,
}

impl Sidecar {
    fn before(upstream: SocketAddr, keys: &[(&str, &str)]) -> Self {
        Self::before_url(&format!("http://{upstream}"), keys)
    }

    fn before_https(upstream: SocketAddr, keys: &[(&str, &str)]) -> Self {
        Self::before_url(&format!("https://{upstream}"), keys)
    }

    fn before_url(upstream: &str, keys: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("taffrail.yaml");
        write(&file, keys);
        let flag = |key, value: &str| (key, value.to_owned());
        let sources = Sources {
            file: Some(file),
            flags: vec![
                flag("upstream.url", upstream),
                flag("listen", "127.0.0.1:0"),
                flag("admin.address", "127.0.0.1:0"),
                flag("threads", "1"),
                flag("data_dir", &directory.path().display().to_string()),
            ],
            ..Sources::default()
        };
        Self::of(&sources, directory)
    }

    fn of(sources: &Sources, directory: TempDir) -> Self {
        let (config, _) = Config::load(sources).unwrap();
        let running = start(&config, Bound::default()).unwrap();
        Self { running, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts these keys in the place of those in the file.
    fn write(&self, keys: &[(&str, &str)]) {
        write(&self.path("taffrail.yaml"), keys);
    }

    /// Asks for a reload, and says what came of it.
    fn reload(&self) -> Message {
        let request = "POST /api/v1/reload HTTP/1.1\r\nhost: admin\r\nconnection: close";
        exchange(self.running.admin, &sized(request, b""))
    }

    /// With these keys, which have to be taken.
    fn reload_with(&self, keys: &[(&str, &str)]) -> Value {
        self.write(keys);
        let answer = self.reload();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        parsed(&answer)
    }

    fn predict(&self, id: &str, values: &[f64]) -> Message {
        let rows: Vec<_> = values.iter().map(|value| [value]).collect();
        self.send(id, "", json!({ "instances": rows }).to_string().as_bytes())
    }

    fn send(&self, id: &str, fields: &str, body: &[u8]) -> Message {
        exchange(self.running.listen, &request(id, fields, body))
    }

    fn get(&self, path: &str) -> Message {
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        exchange(self.running.admin, request.as_bytes())
    }

    fn json(&self, path: &str) -> Value {
        parsed(&self.get(path))
    }

    fn status(&self) -> Value {
        self.json("/api/v1/status")
    }

    /// Polls until `holds`: most of what a sidecar knows is published a few times a second.
    fn status_when(&self, holds: impl FnMut(&Value) -> bool) -> Value {
        until(|| self.status(), holds)
    }

    fn end(self) -> TempDir {
        assert!(self.running.shutdown().clean);
        self.directory
    }
}

fn write(path: &Path, keys: &[(&str, &str)]) {
    let lines: Vec<_> = keys.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
    std::fs::write(path, lines.concat()).unwrap();
}

fn request(id: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/models/twice:predict HTTP/1.1\r\nhost: model\r\nx-request-id: {id}\r\n\
         content-type: application/json{fields}"
    );
    sized(&head, body)
}

fn exchange(address: SocketAddr, request: &[u8]) -> Message {
    Peer::connect(address).send(request).receive()
}

fn parsed(answer: &Message) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn until<T: std::fmt::Debug>(mut look: impl FnMut() -> T, mut holds: impl FnMut(&T) -> bool) -> T {
    let since = Instant::now();
    loop {
        let seen = look();
        if holds(&seen) {
            return seen;
        }
        assert!(since.elapsed() < PATIENCE, "not reached: {seen:#?}");
        std::thread::yield_now();
    }
}

/// V1 rows of one number in, the same as predictions out.
fn model() -> Upstream {
    Upstream::answering(|request| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let rows = asked["instances"].as_array().cloned().unwrap_or_default();
        let predictions: Vec<_> = rows.iter().map(|row| row[0].clone()).collect();
        let body = json!({ "predictions": predictions }).to_string();
        sized("HTTP/1.1 200 OK\r\ncontent-type: application/json", body.as_bytes())
    })
}

/// Of one input `f0` with a thousand rows around `middle`.
fn baseline(path: &Path, middle: f64) {
    let mut column = Column::new("f0");
    for value in around(middle, 1000) {
        column.push_number(value);
    }
    let mut rows = Rows::new();
    rows.push(column);
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    builder.observe(Role::Input, &rows);
    std::fs::write(path, builder.finish().unwrap().to_json()).unwrap();
}

fn around(middle: f64, rows: i32) -> Vec<f64> {
    (0..rows).map(|n| middle + f64::from(n * 37 % 100) - 49.5).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
