//! From what was said to the checked [`Config`]: every key is read, every problem kept.
//!
//! In each section all keys are read before the first `?`, so that one fault hides no other.

use super::checked::{
    Admin, Archive, BaselineSource, Capture, Client, Config, Drain, Drift, EarlierWindow, Model,
    PayloadProtocol, Persistence, Pointers, Reload, Secret, Upstream, UpstreamProtocol,
};
use super::export;
use super::features;
use super::keys::{PAYLOAD_PROTOCOLS, UPSTREAM_PROTOCOLS};
use super::labels;
use super::layers::Sources;
use super::memory;
use super::pod::Pod;
use super::quantity;
use super::reader::Reader;
use super::tls;
use crate::limits::Limits;
use http::HeaderName;
use http::uri::{Authority, PathAndQuery, Scheme};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) fn config(reader: &mut Reader<'_>, sources: &Sources) -> Option<Config> {
    let limits = &sources.limits;
    let listen = reader.address("listen");
    let threads = reader.non_zero_or_auto("threads");
    let data_dir = PathBuf::from(reader.text("data_dir"));
    let admin_address = reader.address("admin.address");
    if let (Some(listen), Some(admin)) = (listen, admin_address)
        && overlap(listen, admin)
    {
        let message = format!("\"{admin}\" is where listen takes its clients; give another port");
        reader.problem("admin.address", message);
    }
    let tls = tls::server(reader);
    let admin = admin(reader, admin_address);
    let client = client(reader);
    let upstream = upstream(reader);
    let pod = Pod::read(reader, sources);
    let model = model(reader, &pod);
    let routes = routes(reader);
    let capture = capture(reader, limits);
    let features = features::features(reader);
    let baseline = baseline(reader);
    let windows = windows(reader);
    let drift = drift(reader);
    let labels = labels::labels(reader);
    let archive = archive(reader, &data_dir);
    let export = export::export(reader, &pod, &data_dir);
    let drain = drain(reader);
    let segments =
        features.as_ref().map(|features| (features.segments.len(), features.max_segments));
    let refers_back = drift.as_ref().is_some_and(|drift| !drift.references.is_empty());
    let asked = memory::Asked { segments, refers_back };
    let memory = memory::fitted(reader, limits, capture.as_ref(), archive.as_ref(), asked);
    let state = reader.switch("state");
    let state = state.map(|on| on.then(|| data_dir.join("state")));
    let watch = reader.switch("reload.watch");
    Some(Config {
        listen: listen?,
        threads: threads?.unwrap_or_else(|| limits.threads()),
        tls: tls?,
        admin: admin?,
        client: client?,
        upstream: upstream?,
        model: model?,
        routes: routes?,
        capture: capture?,
        features: features?,
        baseline: baseline?,
        windows: windows?,
        drift: drift?,
        labels: labels?,
        archive: archive?,
        export: export?,
        drain: drain?,
        reload: Reload { watch: watch? },
        data_dir,
        state: state?,
        memory: memory?,
        effective: Vec::new(),
        said: super::Said::default(),
    })
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_ip
}

fn admin(reader: &mut Reader<'_>, address: Option<SocketAddr>) -> Option<Admin> {
    let token = match reader.file("admin.token_file")? {
        Some(path) => match std::fs::read_to_string(&path) {
            Ok(token) if token.trim().is_empty() => {
                reader.problem(
                    "admin.token_file",
                    format!("{:?} is empty", path.display().to_string()),
                );
                return None;
            }
            Ok(token) => Some(Secret::new(token.trim())),
            Err(error) => {
                let path = path.display().to_string();
                reader.problem("admin.token_file", format!("{path:?} cannot be read: {error}"));
                return None;
            }
        },
        None => None,
    };
    Some(Admin { address: address?, token })
}

/// One line of a head needs this much; more than the most, nobody means.
const LEAST_HEADER_BYTES: u64 = 1024;

fn client(reader: &mut Reader<'_>) -> Option<Client> {
    let max_connections = reader.count::<usize>("client.max_connections", 1);
    let max_streams = reader.count("client.max_streams", 1);
    let max_headers = max_headers(reader);
    let max_header_bytes = reader.size("client.max_header_bytes", LEAST_HEADER_BYTES);
    let header_timeout = reader.duration("client.header_timeout");
    let idle_timeout = reader.duration("client.idle_timeout");
    Some(Client {
        max_connections: max_connections?.try_into().ok()?,
        max_streams: max_streams?,
        max_headers: max_headers?,
        max_header_bytes: max_header_bytes?,
        header_timeout: header_timeout?,
        idle_timeout: idle_timeout?,
    })
}

fn max_headers(reader: &mut Reader<'_>) -> Option<usize> {
    let count = reader.count::<usize>("client.max_headers", 1)?;
    let most = Client::MOST_HEADERS;
    if count > most {
        let text = reader.text("client.max_headers");
        let message = format!("{text:?} is more than {most}, which is the most");
        reader.problem("client.max_headers", message);
        return None;
    }
    Some(count)
}

fn upstream(reader: &mut Reader<'_>) -> Option<Upstream> {
    let url = if reader.is_given("upstream.url") {
        reader.url_or_tls("upstream.url")
    } else {
        // Where the group itself is wrong, that is the problem to solve.
        if !reader.layers.problems.iter().any(|problem| problem.key == "upstream") {
            let message = "is missing; say where the model is: --upstream http://host:port";
            reader.problem("upstream.url", message);
        }
        None
    };
    let tls = tls::client(reader, url.as_ref());
    let protocols = [
        UpstreamProtocol::Auto,
        UpstreamProtocol::Http1,
        UpstreamProtocol::H2c,
        UpstreamProtocol::H2c,
    ];
    let protocol = reader.one_of("upstream.protocol", &named(UPSTREAM_PROTOCOLS, &protocols));
    let connect_timeout = reader.duration("upstream.connect_timeout");
    let response_timeout = reader.duration_or_none("upstream.response_timeout");
    let request_timeout = reader.duration_or_none("upstream.request_timeout");
    let max_connection_age = reader.duration_or_none("upstream.max_connection_age");
    let max_idle_connections = reader.count("upstream.max_idle_connections", 0);
    let idle_timeout = reader.duration("upstream.idle_timeout");
    let (authority, base_path) = target(&url?)?;
    Some(Upstream {
        authority,
        base_path,
        tls: tls?,
        protocol: protocol?,
        connect_timeout: connect_timeout?,
        response_timeout: response_timeout?,
        request_timeout: request_timeout?,
        max_connection_age: max_connection_age?,
        max_idle_connections: max_idle_connections?,
        idle_timeout: idle_timeout?,
    })
}

/// Host with its port, or the one of its scheme if none is given, and the path.
fn target(url: &http::Uri) -> Option<(Authority, PathAndQuery)> {
    let usual = if url.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let port = url.port_u16().unwrap_or(usual);
    let authority = format!("{}:{port}", url.host()?).parse().ok()?;
    let path = url.path_and_query().cloned();
    Some((authority, path.unwrap_or_else(|| PathAndQuery::from_static("/"))))
}

fn named<T: Copy>(words: &[&'static str], values: &[T]) -> Vec<(&'static str, T)> {
    words.iter().copied().zip(values.iter().copied()).collect()
}

fn model(reader: &mut Reader<'_>, pod: &Pod) -> Option<Model> {
    let protocols = [
        PayloadProtocol::Auto,
        PayloadProtocol::OpenInferenceV2,
        PayloadProtocol::KserveV1,
        PayloadProtocol::Mlflow,
        PayloadProtocol::AzureMl,
        PayloadProtocol::Csv,
        PayloadProtocol::Pointers,
    ];
    let protocol = reader.one_of("model.protocol", &named(PAYLOAD_PROTOCOLS, &protocols));
    let (name, version) = (pod.model_name(reader), pod.model_version(reader));
    let signature = reader.file("model.signature");
    let inputs = pointer(reader, "model.pointers.inputs");
    let outputs = pointer(reader, "model.pointers.outputs");
    let (protocol, pointers) = (protocol?, Pointers { inputs: inputs?, outputs: outputs? });
    let is_pointed = pointers.inputs.is_some() || pointers.outputs.is_some();
    if protocol == PayloadProtocol::Pointers && !is_pointed {
        let message = "\"pointers\" needs model.pointers.inputs or model.pointers.outputs";
        reader.problem("model.protocol", message);
        return None;
    }
    Some(Model {
        name: name?,
        version: version?,
        protocol,
        signature: signature?,
        feature_names: reader.list("model.feature_names"),
        pointers: is_pointed.then_some(pointers),
    })
}

#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no pointer")]
fn pointer(reader: &mut Reader<'_>, name: &str) -> Option<Option<String>> {
    match reader.given_text(name) {
        Some(text) if !text.starts_with('/') => {
            reader.problem(name, format!("{text:?} is not a JSON pointer; it begins with '/'"));
            None
        }
        pointer => Some(pointer),
    }
}

fn routes(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let routes = reader.list("routes");
    let problems_before = reader.problems.len();
    for route in routes.iter().filter(|route| !route.starts_with('/')) {
        reader.problem("routes", format!("{route:?} is not a route; it begins with '/'"));
    }
    (reader.problems.len() == problems_before).then_some(routes)
}

/// The default of `capture.cpu_budget`.
const USUAL_CPU_BUDGET: f64 = 0.2;

fn capture(reader: &mut Reader<'_>, limits: &Limits) -> Option<Capture> {
    let enabled = reader.switch("capture.enabled");
    let share = |share: f64| (0.0..=1.0).contains(&share);
    let sample = reader.number("capture.sample", "from 0 to 1", share);
    let max_body_bytes = reader.size::<usize>("capture.max_body_bytes", 0);
    let queue_items = reader.count::<usize>("capture.queue_items", 1);
    let cores = limits.cores();
    let allowed = format!("above 0, up to the {cores} cores there are");
    let budget = |budget: f64| budget > 0.0 && budget <= cores;
    let cpu_budget = match limits.cpus {
        // Analysis must not use up the time that serving is then made to wait for.
        Some(cpus) if !reader.is_given("capture.cpu_budget") => {
            Some(USUAL_CPU_BUDGET.min(cpus / 4.0))
        }
        _ => reader.number("capture.cpu_budget", &allowed, budget),
    };
    let headers = header_names(reader);
    Some(Capture {
        enabled: enabled?,
        sample: sample?,
        max_body_bytes: max_body_bytes?,
        queue_items: queue_items?.try_into().ok()?,
        cpu_budget: cpu_budget?,
        headers: headers?,
    })
}

fn header_names(reader: &mut Reader<'_>) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    let texts = reader.list("capture.headers");
    for text in &texts {
        match text.parse() {
            Ok(name) => names.push(name),
            Err(_) => reader.problem("capture.headers", format!("{text:?} is no name of a header")),
        }
    }
    (names.len() == texts.len()).then_some(names)
}

/// The file wins over learning, unless learning was asked for in a stronger place.
fn baseline(reader: &mut Reader<'_>) -> Option<BaselineSource> {
    let file = reader.file("baseline");
    let rows = reader.count::<u64>("baseline.learn.rows", 1).and_then(|rows| rows.try_into().ok());
    let learn_rank = reader.origin("baseline.learn.rows").rank();
    let learn_wins = learn_rank > reader.origin("baseline").rank();
    match (file?, rows?) {
        (Some(path), _) if !learn_wins => Some(BaselineSource::File(path)),
        (_, rows) => Some(BaselineSource::Learn { rows }),
    }
}

fn windows(reader: &mut Reader<'_>) -> Option<Vec<Duration>> {
    let problems_before = reader.problems.len();
    let mut windows = Vec::new();
    for text in reader.list("windows") {
        match quantity::parse_duration(&text) {
            Ok(window) if window >= Duration::from_secs(1) => windows.push(window),
            Ok(_) => reader.problem("windows", format!("{text:?} is too short; give at least 1s")),
            Err(why) => reader.problem("windows", format!("{text:?} {why}")),
        }
    }
    if reader.list("windows").is_empty() {
        reader.problem("windows", "is empty; give at least one, such as [5m, 1h, 1d]");
    }
    for pair in windows.windows(2) {
        let [shorter, longer] = [pair[0], pair[1]].map(quantity::format_duration);
        if pair[1] <= pair[0] {
            reader.problem(
                "windows",
                format!("{longer:?} comes after {shorter:?}; give them ascending"),
            );
        } else if !pair[1].as_millis().is_multiple_of(pair[0].as_millis()) {
            reader.problem(
                "windows",
                format!("{longer:?} is not a multiple of {shorter:?}, of which it is made"),
            );
        }
    }
    (reader.problems.len() == problems_before).then_some(windows)
}

fn drift(reader: &mut Reader<'_>) -> Option<Drift> {
    let min_rows = reader.count("drift.min_rows", 2);
    let within = |rate: f64| rate > 0.0 && rate < 1.0;
    let rate = reader.number("drift.false_discovery_rate", "between 0 and 1", within);
    let references = references(reader);
    let persistence = persistence(reader);
    let early_warning = reader.switch("drift.early_warning");
    let average_run_length = reader.count("drift.average_run_length", 1);
    Some(Drift {
        min_rows: min_rows?,
        false_discovery_rate: rate?,
        persistence: persistence?,
        references: references?,
        early_warning: early_warning?,
        average_run_length: average_run_length.and_then(NonZeroU64::new)?,
    })
}

fn references(reader: &mut Reader<'_>) -> Option<Vec<EarlierWindow>> {
    const KEY: &str = "drift.references";
    let known = [
        ("previous", EarlierWindow::Previous),
        ("same_hour_yesterday", EarlierWindow::SameHourYesterday),
        ("same_hour_last_week", EarlierWindow::SameHourLastWeek),
    ];
    let problems_before = reader.problems.len();
    let mut references = Vec::new();
    for text in reader.list(KEY) {
        match known.iter().find(|(name, _)| *name == text) {
            Some((_, earlier)) if references.contains(earlier) => {
                reader.problem(KEY, format!("{text:?} is named twice"));
            }
            Some((_, earlier)) => references.push(*earlier),
            None => {
                let names = known.map(|(name, _)| name).join(", ");
                let message = format!(
                    "{text:?} is none; give some of {names}: the baseline is always compared with"
                );
                reader.problem(KEY, message);
            }
        }
    }
    (reader.problems.len() == problems_before).then_some(references)
}

fn persistence(reader: &mut Reader<'_>) -> Option<Persistence> {
    let text = reader.text("drift.persistence");
    match text.parse() {
        Ok(persistence) => Some(persistence),
        Err(allowed) => {
            reader.problem("drift.persistence", format!("is {text:?}; {allowed}"));
            None
        }
    }
}

fn archive(reader: &mut Reader<'_>, data_dir: &Path) -> Option<Archive> {
    let enabled = reader.switch("archive");
    let directory = archive_directory(reader, data_dir);
    let formats = reader.list("archive.formats");
    if formats != ["parquet"] {
        let message =
            format!("{:?} is not what this version writes; it has only parquet", formats.join(","));
        reader.problem("archive.formats", message);
    }
    let max_bytes = reader.size::<u64>("archive.max_bytes", 1 << 20);
    let rotate_bytes = reader.size::<u64>("archive.rotate_bytes", 1 << 16);
    let rotate_interval = reader.duration("archive.rotate_interval");
    if let (Some(max), Some(rotate)) = (max_bytes, rotate_bytes)
        && rotate > max
        && reader.is_given("archive.rotate_bytes")
    {
        let text = reader.text("archive.rotate_bytes");
        reader.problem("archive.rotate_bytes", format!("{text:?} is more than archive.max_bytes"));
    }
    let local = Archive::Local {
        directory: directory?,
        max_bytes: max_bytes?,
        // A small record needs several files, so that the oldest can go.
        rotate_bytes: rotate_bytes?.min((max_bytes? / 4).max(1 << 16)),
        rotate_interval: rotate_interval?,
    };
    Some(if enabled? { local } else { Archive::Off })
}

fn archive_directory(reader: &mut Reader<'_>, data_dir: &Path) -> Option<PathBuf> {
    if !reader.is_given("archive.url") {
        return Some(data_dir.join("archive"));
    }
    reader.read("archive.url", |text| match text.split_once("://") {
        Some(("file", path)) if path.starts_with('/') => Ok(PathBuf::from(path)),
        Some(("file", _)) => Err("is not an absolute path; write file:///directory".to_owned()),
        Some(_) => Err("is no directory; this version records to file:/// only".to_owned()),
        None => Err("is not a URL; write file:///directory".to_owned()),
    })
}

fn drain(reader: &mut Reader<'_>) -> Option<Drain> {
    let delay = reader.duration_or_zero("drain.delay");
    let timeout = reader.duration_or_zero("drain.timeout");
    Some(Drain { delay: delay?, timeout: timeout? })
}
