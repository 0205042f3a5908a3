//! One slice of load on one proxy, by wrk for HTTP/1.1 as fast as it goes, else by h2load.

use super::machine;
use super::payload;
use super::process::Process;
use super::stand::Stand;
use super::table::quantile;
use super::workload::{Load, Workload};
use anyhow::{Context, ensure};
use std::path::PathBuf;
use std::time::Duration;

/// How much longer than asked a load generator may take.
const GRACE: Duration = Duration::from_secs(20);

/// What the clients saw in one slice.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Answered with 2xx.
    pub(crate) good: u64,
    /// Answered otherwise, or not.
    pub(crate) failed: u64,
    pub(crate) elapsed: Duration,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
}

/// The files a load generator reads and writes.
pub(crate) struct Generator {
    workload: &'static Workload,
    program: PathBuf,
    body: PathBuf,
    script: PathBuf,
    log: PathBuf,
    output: PathBuf,
    seconds: u64,
    cpu: usize,
}

impl Generator {
    pub(crate) fn new(stand: &Stand, workload: &'static Workload) -> anyhow::Result<Self> {
        let program = match workload.load {
            Load::Saturating { .. } => machine::find_or_say("wrk", "wrk")?,
            Load::Paced { .. } | Load::Streams { .. } => {
                machine::find_or_say("h2load", "nghttp2-client")?
            }
        };
        let at = |name: &str| stand.directory().join(name);
        let (body, script) = (at("body.json"), at("wrk.lua"));
        let (text, _) = payload::request(workload.request_bytes, workload.columns)?;
        std::fs::write(&body, text)?;
        std::fs::write(&script, script_text(&body.display().to_string()))?;
        Ok(Self {
            workload,
            program,
            body,
            script,
            log: at("h2load.log"),
            output: at("load.out"),
            seconds: stand.options.seconds(),
            cpu: stand.options.load_cpu,
        })
    }

    /// Loads the proxy on `port` for the length of a slice.
    pub(crate) fn run(&self, port: u16) -> anyhow::Result<Slice> {
        let command = self.command(port);
        // h2load appends.
        if self.log.exists() {
            std::fs::remove_file(&self.log)?;
        }
        let process = Process::start(&command, self.cpu, &self.output)?;
        let said = process.finish(Duration::from_secs(self.seconds) + GRACE)?;
        match self.workload.load {
            Load::Saturating { .. } => wrk_slice(&said),
            Load::Paced { .. } | Load::Streams { .. } => {
                let log = std::fs::read_to_string(&self.log).context("h2load's log")?;
                h2load_slice(&log, Duration::from_secs(self.seconds))
            }
        }
    }

    fn command(&self, port: u16) -> Vec<String> {
        let url = format!("http://127.0.0.1:{port}{}", payload::PATH);
        let text = |path: &PathBuf| path.display().to_string();
        let program = text(&self.program);
        let seconds = self.seconds;
        let flags = match self.workload.load {
            Load::Saturating { connections } => {
                let flags = format!("-t1 -c{connections} -d{seconds}s --latency -s");
                return words(&program, &flags, [text(&self.script), url]);
            }
            Load::Paced { connections, per_second_each } => {
                format!("--h1 -t1 -c{connections} --rps={per_second_each} -D{seconds}")
            }
            Load::Streams { connections, streams } => {
                format!("-t1 -c{connections} -m{streams} -D{seconds}")
            }
        };
        let json = "content-type: application/json".to_owned();
        let log = format!("--log-file={}", text(&self.log));
        let rest = ["-d".to_owned(), text(&self.body), "-H".to_owned(), json, log, url];
        words(&program, &flags, rest)
    }
}

fn words<const N: usize>(program: &str, flags: &str, rest: [String; N]) -> Vec<String> {
    let flags = std::iter::once(program).chain(flags.split(' ')).map(str::to_owned);
    flags.chain(rest).collect()
}

/// For wrk: what to send, and to say at the end what it counted in one line.
fn script_text(body: &str) -> String {
    format!(
        r#"local body = io.open("{body}", "rb")
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = body:read("*a")
body:close()

function done(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  print("counted", summary.requests, summary.duration, errors.status, broken,
    latency:percentile(50), latency:percentile(99))
end
"#
    )
}

/// Times in microseconds.
fn wrk_slice(said: &str) -> anyhow::Result<Slice> {
    let line = said.lines().find_map(|line| line.strip_prefix("counted"));
    let numbers = line.with_context(|| format!("wrk counted nothing: {said}"))?.split_whitespace();
    let numbers: Vec<f64> = numbers.map(str::parse).collect::<Result<_, _>>()?;
    let &[requests, elapsed_us, status, broken, p50_us, p99_us] = numbers.as_slice() else {
        anyhow::bail!("wrk counted {numbers:?}");
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    let count = |number: f64| number as u64;
    let good = count(requests - status);
    let ms = |us: f64| (good > 0).then_some(us / 1000.0);
    Ok(Slice {
        good,
        failed: count(status + broken),
        elapsed: Duration::from_secs_f64(elapsed_us / 1e6),
        p50_ms: ms(p50_us),
        p99_ms: ms(p99_us),
    })
}

/// A line for each request: when it was sent, the status or -1, and microseconds until its answer.
fn h2load_slice(log: &str, elapsed: Duration) -> anyhow::Result<Slice> {
    let (mut latencies_ms, mut failed) = (Vec::new(), 0);
    for line in log.lines() {
        let fields: Vec<i64> = line.split('\t').map(str::parse).collect::<Result<_, _>>()?;
        ensure!(fields.len() >= 3, "a line of h2load's log: {line}");
        match fields[1] {
            200..300 => latencies_ms.push(fields[2] as f64 / 1000.0),
            _ => failed += 1,
        }
    }
    Ok(Slice {
        good: latencies_ms.len() as u64,
        failed,
        elapsed,
        p50_ms: quantile(&latencies_ms, 0.5),
        p99_ms: quantile(&latencies_ms, 0.99),
    })
}
