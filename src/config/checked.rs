//! The configuration after every check: what the stages are built from. Nothing here can be wrong.

use http::HeaderName;
use http::uri::{Authority, PathAndQuery};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    /// Serving threads.
    pub threads: NonZeroUsize,
    /// `None` takes clients in plain text.
    pub tls: Option<ServerTls>,
    pub admin: Admin,
    pub client: Client,
    pub upstream: Upstream,
    pub model: Model,
    /// Route templates beside the known ones.
    pub routes: Vec<String>,
    pub capture: Capture,
    pub features: Features,
    pub baseline: BaselineSource,
    /// Lengths of tumbling windows, ascending, each a multiple of the first.
    pub windows: Vec<Duration>,
    pub drift: Drift,
    pub labels: Labels,
    pub archive: Archive,
    pub export: Export,
    pub drain: Drain,
    pub reload: Reload,
    pub data_dir: PathBuf,
    /// Where open windows are saved; `None` saves none.
    pub state: Option<PathBuf>,
    /// Where memory goes, and the bounds that keep it so.
    pub memory: super::MemoryPlan,
    pub(super) effective: Vec<super::Effective>,
    pub(super) said: super::Said,
}

impl Config {
    /// Of the URLs that clients use: `https`, or `http`.
    pub fn scheme(&self) -> &'static str {
        scheme(self.tls.is_some())
    }
}

#[derive(Debug, Clone)]
pub struct Admin {
    pub address: SocketAddr,
    /// Without a token, payloads are shown to nobody.
    pub token: Option<Secret>,
}

/// Shown as `***` wherever the configuration is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What a client may ask of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Of the whole process, over all threads; one more is refused.
    pub max_connections: NonZeroUsize,
    /// Streams of one HTTP/2 connection at a time.
    pub max_streams: u32,
    pub max_headers: usize,
    /// Of a request's whole head.
    pub max_header_bytes: usize,
    /// For a request's head, and from connecting to the first.
    pub header_timeout: Duration,
    /// Between two exchanges.
    pub idle_timeout: Duration,
}

/// A certificate with its chain, and its key: two PEM files that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// TLS for clients. The files were good when they were checked; they may change at any time.
#[derive(Debug, Clone)]
pub struct ServerTls {
    pub identity: IdentityFiles,
    /// If given, a client must show a certificate that chains to one of these.
    pub client_ca: Option<PathBuf>,
}

/// TLS towards the model. The files were good when they were checked; they may change at any time.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// `None` trusts the public authorities.
    pub ca: Option<PathBuf>,
    /// Shown to a model that asks for a certificate.
    pub identity: Option<IdentityFiles>,
    /// What the model's certificate must be for.
    pub server_name: ServerName<'static>,
}

/// TLS towards receivers of telemetry. The files were good when they were checked; they may change at
/// any time.
#[derive(Debug, Clone, Default)]
pub struct OutboundTls {
    /// `None` trusts the public authorities.
    pub ca: Option<PathBuf>,
    /// Shown to a receiver that asks for a certificate.
    pub identity: Option<IdentityFiles>,
}

impl Client {
    /// What the parser of heads has room for.
    pub const MOST_HEADERS: usize = 256;
}

#[derive(Debug, Clone)]
pub struct Upstream {
    /// Host and port, as connected to.
    pub authority: Authority,
    /// What `upstream.url` has after the authority; requests' own paths are appended. `/` is none.
    pub base_path: PathAndQuery,
    /// Given if, and only if, the URL is https.
    pub tls: Option<ClientTls>,
    pub protocol: UpstreamProtocol,
    pub connect_timeout: Duration,
    /// Until the response's head; `None` waits for as long as the client does.
    pub response_timeout: Option<Duration>,
    /// Until the exchange is over, its body included; `None` for as long as it is alive.
    pub request_timeout: Option<Duration>,
    /// Idle connections kept a serving thread.
    pub max_idle_connections: usize,
    pub idle_timeout: Duration,
    /// An older connection is not used again; `None` uses it for as long as it lives.
    pub max_connection_age: Option<Duration>,
}

impl Upstream {
    /// `https`, or `http`.
    pub fn scheme(&self) -> &'static str {
        scheme(self.tls.is_some())
    }
}

fn scheme(is_tls: bool) -> &'static str {
    if is_tls { "https" } else { "http" }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/2 for requests that came over HTTP/2, HTTP/1.1 for those that came over HTTP/1.
    Auto,
    Http1,
    /// HTTP/2 for all, with TLS or without.
    H2c,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub name: String,
    pub version: String,
    pub protocol: PayloadProtocol,
    /// An `MLmodel` file that names and types the features.
    pub signature: Option<PathBuf>,
    /// Names for positional features: `f0` becomes the first.
    pub feature_names: Vec<String>,
    /// Where rows stand in JSON of no known dialect.
    pub pointers: Option<Pointers>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadProtocol {
    Auto,
    OpenInferenceV2,
    KserveV1,
    Mlflow,
    AzureMl,
    Csv,
    /// By [`Pointers`] alone.
    Pointers,
}

/// JSON pointers (RFC 6901) to the rows of a request and the predictions of a response.
#[derive(Debug, Clone)]
pub struct Pointers {
    pub inputs: Option<String>,
    pub outputs: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Capture {
    pub enabled: bool,
    /// In [0, 1].
    pub sample: f64,
    pub max_body_bytes: usize,
    pub queue_items: NonZeroUsize,
    /// Cores that analysis may use; sampling falls before it uses more.
    pub cpu_budget: f64,
    /// Request and response headers that are kept beside the payload.
    pub headers: Vec<HeaderName>,
}

#[derive(Debug, Clone)]
pub struct Features {
    /// Globs over feature names; `*` matches any run of characters.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    pub segments: Vec<Segment>,
    /// Values of each that are told apart.
    pub max_segments: usize,
    /// Weight of features in the model; not negative, each name once.
    pub importance: Vec<(String, f64)>,
    /// Outputs whose name begins with one of them are attributions.
    pub attribution_prefixes: Vec<String>,
}

/// What rows are told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    Feature(String),
    Header(HeaderName),
}

impl Features {
    /// Headers that segments are told by.
    pub fn segment_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Header(name) => Some(name),
            Segment::Feature(_) => None,
        })
    }
}

#[derive(Debug, Clone)]
pub enum BaselineSource {
    File(PathBuf),
    /// The first rows of live traffic become the baseline.
    Learn {
        rows: NonZeroU64,
    },
}

#[derive(Debug, Clone)]
pub struct Drift {
    /// Windows with fewer rows are `insufficient_data`.
    pub min_rows: u64,
    /// In (0, 1).
    pub false_discovery_rate: f64,
    pub persistence: Persistence,
    pub early_warning: bool,
    /// In windows of the shortest length.
    pub average_run_length: NonZeroU64,
    /// Earlier windows to compare with, beside the baseline.
    pub references: Vec<EarlierWindow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlierWindow {
    Previous,
    SameHourYesterday,
    SameHourLastWeek,
}

/// Found in at least `least` of the last `of` windows; `least` is not above `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persistence {
    pub least: NonZeroUsize,
    pub of: NonZeroUsize,
}

impl Persistence {
    const MOST: usize = 1000;
}

impl std::str::FromStr for Persistence {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pair = text.split_once(" of ");
        let count = |text: &str| text.trim().parse::<NonZeroUsize>().ok();
        let numbers = pair.and_then(|(least, of)| Some((count(least)?, count(of)?)));
        match numbers {
            Some((least, of)) if least <= of && of.get() <= Self::MOST => Ok(Self { least, of }),
            _ => Err("write how many of how many windows, up to 1000, such as 2 of 3"),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Labels {
    pub max_delay: Duration,
    /// Labelled rows that later windows are tested against, where the baseline has none.
    pub reference_rows: NonZeroU64,
    /// Of a response that tells labels of earlier exchanges.
    pub response_header: Option<HeaderName>,
    /// Files that are read as they grow; the last part of a path may have `*`.
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Clone)]
pub enum Archive {
    Off,
    Local {
        directory: PathBuf,
        max_bytes: u64,
        /// A file is closed, and so readable, at this size or age, whichever comes first.
        rotate_bytes: u64,
        rotate_interval: Duration,
    },
}

#[derive(Debug, Clone)]
pub struct Export {
    pub otlp: Option<Otlp>,
    pub application_insights: Option<ApplicationInsights>,
    /// Given where a receiver wants a token.
    pub azure: Option<Azure>,
    /// Key and value pairs of the resource, from configuration and `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource: Vec<(String, String)>,
    pub service_name: String,
}

/// OTLP, in binary protobuf.
#[derive(Debug, Clone)]
pub struct Otlp {
    /// `None` turns a signal off.
    pub metrics: Option<Receiver>,
    pub logs: Option<Receiver>,
    pub traces: Option<Receiver>,
    /// For the URLs that are https.
    pub tls: OutboundTls,
    pub auth: OtlpAuth,
    pub interval: Duration,
    pub temporality: Temporality,
    pub sampler: TraceSampler,
}

/// Application Insights, by its own ingestion protocol.
#[derive(Debug, Clone)]
pub struct ApplicationInsights {
    pub connection: Connection,
    pub interval: Duration,
    /// Of metrics, in one push.
    pub max_series: usize,
    /// The directory of what waits while the endpoint is away.
    pub buffer: PathBuf,
    pub buffer_bytes: u64,
    pub sampler: TraceSampler,
}

/// What a connection string says.
#[derive(Debug, Clone)]
pub struct Connection {
    pub instrumentation_key: Secret,
    /// Without the path of the protocol.
    pub ingestion: http::Uri,
    pub authorization: IngestionAuthorization,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IngestionAuthorization {
    /// The key in each item is enough.
    InstrumentationKey,
    /// A token of Microsoft Entra ID beside it, for the scope of [`Azure`] or another.
    EntraId { scope: Option<String> },
}

impl Otlp {
    /// Of every signal that is on.
    pub fn receivers(&self) -> impl Iterator<Item = &Receiver> {
        [&self.metrics, &self.logs, &self.traces].into_iter().flatten()
    }
}

/// Where one signal goes, and how.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Whole; over gRPC without a path.
    pub url: http::Uri,
    pub protocol: OtlpProtocol,
    pub compression: Compression,
    pub headers: Vec<(HeaderName, Secret)>,
    /// For one attempt.
    pub timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtlpProtocol {
    #[default]
    Http,
    Grpc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    #[default]
    None,
    Gzip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpAuth {
    /// Beside the headers that are given.
    None,
    /// A bearer token of Microsoft Entra ID, see [`Azure`].
    Azure,
}

/// Whose tokens are sent, and what they are good for.
#[derive(Debug, Clone)]
pub struct Azure {
    pub identity: AzureIdentity,
    /// Ends with `/.default`; without that it is the resource.
    pub scope: String,
}

/// Who asks Microsoft Entra ID for a token.
#[derive(Debug, Clone)]
pub enum AzureIdentity {
    /// A federated token of the pod's is exchanged for one of Entra ID.
    Workload { authority: http::Uri, tenant_id: String, client_id: String, token_file: PathBuf },
    /// App Service, Functions and Container Apps.
    AppService { url: http::Uri, header: Secret, client_id: Option<String> },
    /// Computes and endpoints of Azure Machine Learning.
    MachineLearning { url: http::Uri, secret: Secret, client_id: Option<String> },
    /// The metadata service of virtual machines, and so of the nodes of a cluster.
    Metadata { url: http::Uri, client_id: Option<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temporality {
    Cumulative,
    Delta,
}

/// `OTEL_TRACES_SAMPLER`. Ratio in [0, 1]; 1 is always on, 0 always off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TraceSampler {
    Ratio(f64),
    /// The caller's decision if there is one, else the ratio.
    ParentBased(f64),
}

#[derive(Debug, Clone, Copy)]
pub struct Reload {
    /// Files that changed are taken over by themselves.
    pub watch: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// How long the listener stays open after the signal.
    pub delay: Duration,
    pub timeout: Duration,
}
