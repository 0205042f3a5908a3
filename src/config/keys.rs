//! The one table of keys. Flags, variables, YAML, defaults, help and JSON Schema all come from it.

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// As in YAML, with dots between the levels: `upstream.response_timeout`.
    pub name: &'static str,
    /// A shorter flag: `upstream` for `--upstream-url`.
    pub short: Option<&'static str>,
    pub form: Form,
    /// As it would be typed; empty if there is none.
    pub default: &'static str,
    pub help: &'static str,
    pub usual: Usual,
}

/// Whether a key belongs in the short help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usual {
    Yes,
    No,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    /// A text that is never shown.
    Secret,
    Path,
    Directory,
    Url,
    Address,
    Duration,
    /// A duration, or `none`.
    OptionalDuration,
    Size,
    Count,
    /// A size, or `auto`.
    AutoSize,
    /// A count, or `auto`.
    AutoCount,
    Number,
    Switch,
    OneOf(&'static [&'static str]),
    List,
    Map,
    /// A map whose values are never shown.
    SecretMap,
}

/// Whether a changed value is taken over while the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    Live,
    /// The value of the start stays in force until the next start.
    Restart,
}

impl Form {
    pub const fn value_name(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "TEXT",
            Self::Path => "FILE",
            Self::Directory => "DIR",
            Self::Url => "URL",
            Self::Address => "ADDRESS",
            Self::Duration => "DURATION",
            Self::OptionalDuration => "DURATION|none",
            Self::Size => "SIZE",
            Self::Count => "COUNT",
            Self::AutoSize => "SIZE|auto",
            Self::AutoCount => "COUNT|auto",
            Self::Number => "NUMBER",
            Self::Switch => "on|off",
            Self::OneOf(_) => "NAME",
            Self::List => "A,B",
            Self::Map | Self::SecretMap => "K=V,K=V",
        }
    }
}

impl Key {
    const fn new(
        name: &'static str,
        form: Form,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self { name, short: None, form, default, help, usual: Usual::No }
    }

    const fn usual(mut self) -> Self {
        self.usual = Usual::Yes;
        self
    }

    const fn short(mut self, short: &'static str) -> Self {
        self.short = Some(short);
        self
    }

    /// `upstream-response-timeout`, without the dashes before it.
    pub fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }

    /// `TAFFRAIL_UPSTREAM_RESPONSE_TIMEOUT`.
    pub fn variable(&self) -> String {
        variable_of(self.name)
    }

    /// The variable of the shorter flag, if there is one: `TAFFRAIL_UPSTREAM`.
    pub fn short_variable(&self) -> Option<String> {
        self.short.map(variable_of)
    }

    /// The level the key stands under: `export.otlp`; empty at the top.
    pub fn group(&self) -> &'static str {
        self.name.rsplit_once('.').map_or("", |(group, _)| group)
    }

    pub fn reload(&self) -> Reload {
        let is_live = LIVE.iter().any(|live| *live == self.name || is_under(self.name, live));
        if is_live { Reload::Live } else { Reload::Restart }
    }

    /// Whether it names a file whose content is taken at a start or a reload. Other files, those of
    /// certificates and tokens, are looked at by whoever uses them.
    pub(super) fn is_of_content(&self) -> bool {
        CONTENT.contains(&self.name)
    }
}

fn variable_of(name: &str) -> String {
    format!("TAFFRAIL_{}", name.replace(['.', '-'], "_").to_uppercase())
}

/// The key of that name, if there is one.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether keys stand under that name.
pub(super) fn is_group(name: &str) -> bool {
    KEYS.iter().any(|key| is_under(key.name, name)) || name == "export.prometheus"
}

/// Whether `name` is `group.…`.
pub(super) fn is_under(name: &str, group: &str) -> bool {
    name.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'))
}

/// Names that may stand directly under `group`, for "did you mean".
pub(super) fn names_under(group: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for key in KEYS {
        let rest = match group {
            "" => Some(key.name),
            group => key.name.strip_prefix(group).and_then(|rest| rest.strip_prefix('.')),
        };
        let Some(name) = rest.and_then(|rest| rest.split('.').next()) else { continue };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

pub(super) const UPSTREAM_PROTOCOLS: &[&str] = &["auto", "http1", "http2", "h2c"];
pub(super) const PAYLOAD_PROTOCOLS: &[&str] =
    &["auto", "open_inference_v2", "kserve_v1", "mlflow", "azure_ml", "csv", "pointers"];
pub(super) const OTLP_PROTOCOLS: &[&str] = &["http/protobuf", "grpc"];
pub(super) const COMPRESSIONS: &[&str] = &["none", "gzip"];
pub(super) const OTLP_AUTHS: &[&str] = &["none", "azure"];
pub(super) const AZURE_CREDENTIALS: &[&str] = &["auto", "workload_identity", "managed_identity"];
pub(super) const TEMPORALITIES: &[&str] = &["cumulative", "delta"];
pub(super) const SAMPLERS: &[&str] = &[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// Keys, and groups of keys, that a reload takes over: from each its stage is set or built anew. A
/// key that is not among them needs a restart, so that a new one promises nothing by itself.
const LIVE: &[&str] = &[
    "admin.token_file",
    "archive.max_bytes",
    "archive.rotate_bytes",
    "archive.rotate_interval",
    "baseline",
    "capture.cpu_budget",
    "capture.headers",
    "capture.max_body_bytes",
    "capture.sample",
    "client",
    "drain",
    "drift",
    "export",
    "features",
    "labels",
    "model.feature_names",
    "model.pointers",
    "model.protocol",
    "model.signature",
    "reload",
    "upstream.connect_timeout",
    "upstream.idle_timeout",
    "upstream.max_connection_age",
    "upstream.max_idle_connections",
    "upstream.protocol",
    "upstream.request_timeout",
    "upstream.response_timeout",
    "windows",
];

const CONTENT: &[&str] =
    &["admin.token_file", "baseline", "features.importance_file", "model.signature"];

pub static KEYS: &[Key] = &[
    Key::new("listen", Form::Address, "0.0.0.0:9000", "Where clients connect").usual(),
    Key::new("threads", Form::AutoCount, "auto", "Serving threads, one runtime each; auto is the CPU limit rounded up"),
    Key::new("data_dir", Form::Directory, "./taffrail-data", "Where records are kept").usual(),
    Key::new("state", Form::Switch, "on", "Whether open windows are saved under the data directory, to go on with after a restart"),
    Key::new("baseline", Form::Path, "", "Reference sketches that live data is compared with; without one, the first rows become the baseline").usual(),
    Key::new("baseline.learn.rows", Form::Count, "5000", "Rows of live traffic that become the baseline if no file is given").usual(),
    Key::new("windows", Form::List, "5m,1h,1d", "Lengths of the windows that are compared, ascending, each a multiple of the first").usual(),
    Key::new("routes", Form::List, "", "Route templates such as /tenants/{tenant}/score, beside the known ones"),
    Key::new("client.max_connections", Form::Count, "10000", "Connections of clients at a time; one more is refused with 503"),
    Key::new("client.max_streams", Form::Count, "256", "Requests at a time on one HTTP/2 connection"),
    Key::new("client.max_headers", Form::Count, "100", "Header fields of a request, at most; up to 256"),
    Key::new("client.max_header_bytes", Form::Size, "64KiB", "Size of a request's head, at most; over it the client gets 431"),
    Key::new("client.header_timeout", Form::Duration, "30s", "For a request's head; after it the client gets 408"),
    Key::new("client.idle_timeout", Form::Duration, "1h", "How long a client's connection may idle between two requests"),
    Key::new("upstream.url", Form::Url, "", "The model server, for instance http://127.0.0.1:8080; https:// speaks TLS").usual().short("upstream"),
    Key::new("upstream.protocol", Form::OneOf(UPSTREAM_PROTOCOLS), "auto", "HTTP version towards the model; auto is the client's own, h2c another word for http2"),
    Key::new("upstream.connect_timeout", Form::Duration, "1s", "For a connection to the model; after it the client gets 504").usual(),
    Key::new("upstream.response_timeout", Form::OptionalDuration, "none", "Until the head of the response; after it the client gets 504").usual(),
    Key::new("upstream.request_timeout", Form::OptionalDuration, "none", "Until the whole answer was passed on; after it the client gets 504, or a cut answer"),
    Key::new("upstream.max_connection_age", Form::OptionalDuration, "none", "How long a connection is used; then it is replaced, and a name resolved anew"),
    Key::new("upstream.max_idle_connections", Form::Count, "64", "Idle connections kept by each serving thread"),
    Key::new("upstream.idle_timeout", Form::Duration, "60s", "How long an idle connection is kept; keep it below the model server's own"),
    Key::new("upstream.tls.ca", Form::Path, "", "Authorities, in PEM, that the model's certificate must chain to; else the public ones"),
    Key::new("upstream.tls.certificate", Form::Path, "", "Taffrail's own certificate towards the model, with its chain, in PEM"),
    Key::new("upstream.tls.key", Form::Path, "", "The private key of that certificate, in PEM"),
    Key::new("upstream.tls.server_name", Form::Text, "", "Name that the model's certificate must be for; else the host of upstream.url"),
    Key::new("tls.certificate", Form::Path, "", "A certificate with its chain, in PEM; given, clients must speak TLS").usual(),
    Key::new("tls.key", Form::Path, "", "The private key of that certificate, in PEM").usual(),
    Key::new("tls.client_ca", Form::Path, "", "Authorities, in PEM; given, a client must show a certificate that chains to one"),
    Key::new("admin.address", Form::Address, "127.0.0.1:9464", "Where the page, /metrics, /healthz and /readyz are").usual().short("admin"),
    Key::new("admin.token_file", Form::Path, "", "A file with the token that lets a caller see payloads"),
    Key::new("model.name", Form::Text, "model", "Name that every signal carries").usual(),
    Key::new("model.version", Form::Text, "unknown", "Version that every signal carries").usual(),
    Key::new("model.track", Form::Text, "", "Track of this deployment, canary or stable; label:KEY and annotation:KEY, here as in model.name and model.version, are read from the pod"),
    Key::new("model.protocol", Form::OneOf(PAYLOAD_PROTOCOLS), "auto", "Dialect of the payloads; auto finds out"),
    Key::new("model.signature", Form::Path, "", "An MLmodel file that names and types the features"),
    Key::new("model.feature_names", Form::List, "", "Names for features that come without, in order"),
    Key::new("model.pointers.inputs", Form::Text, "", "JSON pointer to the rows of a request of no known dialect: /data/rows"),
    Key::new("model.pointers.outputs", Form::Text, "", "JSON pointer to the predictions of its response"),
    Key::new("capture.enabled", Form::Switch, "on", "Off passes traffic through and records latency only"),
    Key::new("capture.sample", Form::Number, "1.0", "Share of exchanges that are captured, from 0 to 1").usual(),
    Key::new("capture.max_body_bytes", Form::Size, "1MiB", "Kept of each body; the rest is passed on and counted").usual(),
    Key::new("capture.queue_items", Form::Count, "8192", "Exchanges waiting for analysis, at most"),
    Key::new("capture.queue_bytes", Form::AutoSize, "auto", "Bytes waiting for analysis, at most; auto is 64MiB, or a share of the memory limit"),
    Key::new("capture.cpu_budget", Form::Number, "0.2", "Cores that analysis may use; sampling falls before it uses more; a quarter of a CPU limit, where that is less").usual(),
    Key::new("capture.headers", Form::List, "", "Headers that are kept beside the payload"),
    Key::new("features.include", Form::List, "*", "Globs over the names of features to watch"),
    Key::new("features.exclude", Form::List, "", "Globs over the names of features to leave out"),
    Key::new("features.max", Form::AutoCount, "auto", "Features watched, at most; others are counted; auto is 1000, or a share of the memory limit"),
    Key::new("features.segments", Form::List, "", "Parts of the traffic that are judged by themselves: names of inputs, by their values, or header:NAME"),
    Key::new("features.max_segments", Form::Count, "20", "Values of each of those that are told apart; others are counted together"),
    Key::new("features.importance", Form::Map, "", "Weight of each feature in the model, by which drift is ranked"),
    Key::new("features.importance_file", Form::Path, "", "A JSON file of the same: {\"temp_max\": 0.4}"),
    Key::new("features.attribution_prefix", Form::List, "shap_,attribution.", "Outputs whose name begins so are attributions to the feature that the rest names"),
    Key::new("drift.min_rows", Form::Count, "50", "A window with fewer rows has no verdict").usual(),
    Key::new("drift.false_discovery_rate", Form::Number, "0.01", "Share of false alarms among alarms that is put up with, between 0 and 1").usual(),
    Key::new("drift.persistence", Form::Text, "1 of 1", "In how many of how many windows in a row a feature must be found to drift before it is called drifting: 2 of 3"),
    Key::new("drift.references", Form::List, "", "Earlier windows to compare with beside the baseline: previous, same_hour_yesterday, same_hour_last_week"),
    Key::new("drift.early_warning", Form::Switch, "on", "Whether a feature that changes fast is warned of before its window ends"),
    Key::new("drift.average_run_length", Form::Count, "10000", "False early warnings come at least so many of the shortest windows of traffic apart, on average, over all features"),
    Key::new("labels.max_delay", Form::Duration, "7d", "How long a prediction waits for its label"),
    Key::new("labels.max_pending", Form::AutoCount, "auto", "Predictions waiting for their label, at most; auto is 100000, or a share of the memory limit"),
    Key::new("labels.reference_rows", Form::Count, "1000", "First labelled rows, whose performance later windows are tested against where the baseline has none"),
    Key::new("labels.response_header", Form::Text, "", "Header of a response that tells labels of earlier requests, as id=label, several with commas between"),
    Key::new("labels.files", Form::List, "", "Files of labels, JSON lines or CSV, that are read as they grow; a name may have *"),
    Key::new("archive", Form::Switch, "on", "Whether exchanges are recorded in Parquet files").usual(),
    Key::new("archive.url", Form::Url, "", "A file:// URL of their directory; else `archive` under the data directory"),
    Key::new("archive.formats", Form::List, "parquet", "Formats of the record"),
    Key::new("archive.max_bytes", Form::Size, "1GiB", "Size of the record; over it the oldest files go").usual(),
    Key::new("archive.rotate_bytes", Form::Size, "64MiB", "A file is closed at this size"),
    Key::new("archive.rotate_interval", Form::Duration, "5m", "A file is closed at this age"),
    Key::new("export.service_name", Form::Text, "taffrail", "service.name of every signal"),
    Key::new("export.resource", Form::Map, "", "Further resource attributes of every signal"),
    Key::new("export.otlp.enabled", Form::Switch, "on", "Off sends nothing, endpoint or not"),
    Key::new("export.otlp.endpoint", Form::Url, "", "An OpenTelemetry collector, OTLP: http://127.0.0.1:4318, or https://").usual(),
    Key::new("export.otlp.protocol", Form::OneOf(OTLP_PROTOCOLS), "http/protobuf", "What it speaks: http/protobuf (usually on port 4318) or grpc (4317)").usual(),
    Key::new("export.otlp.compression", Form::OneOf(COMPRESSIONS), "none", "Of what is sent: none or gzip"),
    Key::new("export.otlp.headers", Form::SecretMap, "", "Headers sent with every export"),
    Key::new("export.otlp.timeout", Form::Duration, "10s", "For one export"),
    Key::new("export.otlp.tls.ca", Form::Path, "", "Authorities, in PEM, that the collector's certificate must chain to; else the public ones"),
    Key::new("export.otlp.tls.certificate", Form::Path, "", "Taffrail's own certificate towards the collector, with its chain, in PEM"),
    Key::new("export.otlp.tls.key", Form::Path, "", "The private key of that certificate, in PEM"),
    Key::new("export.otlp.auth", Form::OneOf(OTLP_AUTHS), "none", "azure sends a token of Microsoft Entra ID with every export: see export.azure"),
    Key::new("export.otlp.interval", Form::Duration, "60s", "Between two exports of metrics"),
    Key::new("export.otlp.temporality", Form::OneOf(TEMPORALITIES), "cumulative", "Of counters and histograms; delta unless given, where export.otlp.auth is azure"),
    Key::new("export.otlp.sampler", Form::OneOf(SAMPLERS), "parentbased_always_on", "Which exchanges become spans, for every receiver of them"),
    Key::new("export.otlp.sampler_ratio", Form::Number, "1.0", "For the samplers with a ratio, from 0 to 1"),
    Key::new("export.otlp.metrics_url", Form::Url, "", "Full URL for metrics, in place of <endpoint>/v1/metrics; none sends none"),
    Key::new("export.otlp.metrics_protocol", Form::OneOf(OTLP_PROTOCOLS), "", "For metrics, in place of export.otlp.protocol"),
    Key::new("export.otlp.metrics_compression", Form::OneOf(COMPRESSIONS), "", "For metrics, in place of export.otlp.compression"),
    Key::new("export.otlp.metrics_headers", Form::SecretMap, "", "For metrics, in place of export.otlp.headers"),
    Key::new("export.otlp.metrics_timeout", Form::Duration, "", "For metrics, in place of export.otlp.timeout"),
    Key::new("export.otlp.logs_url", Form::Url, "", "Full URL for log events, in place of <endpoint>/v1/logs; none sends none"),
    Key::new("export.otlp.logs_protocol", Form::OneOf(OTLP_PROTOCOLS), "", "For log events, in place of export.otlp.protocol"),
    Key::new("export.otlp.logs_compression", Form::OneOf(COMPRESSIONS), "", "For log events, in place of export.otlp.compression"),
    Key::new("export.otlp.logs_headers", Form::SecretMap, "", "For log events, in place of export.otlp.headers"),
    Key::new("export.otlp.logs_timeout", Form::Duration, "", "For log events, in place of export.otlp.timeout"),
    Key::new("export.otlp.traces_url", Form::Url, "", "Full URL for spans, in place of <endpoint>/v1/traces; none sends none"),
    Key::new("export.otlp.traces_protocol", Form::OneOf(OTLP_PROTOCOLS), "", "For spans, in place of export.otlp.protocol"),
    Key::new("export.otlp.traces_compression", Form::OneOf(COMPRESSIONS), "", "For spans, in place of export.otlp.compression"),
    Key::new("export.otlp.traces_headers", Form::SecretMap, "", "For spans, in place of export.otlp.headers"),
    Key::new("export.otlp.traces_timeout", Form::Duration, "", "For spans, in place of export.otlp.timeout"),
    Key::new("export.azure.credential", Form::OneOf(AZURE_CREDENTIALS), "auto", "Who asks Entra ID for a token: workload_identity, managed_identity, or what is there"),
    Key::new("export.azure.tenant_id", Form::Text, "", "Of the workload identity; else AZURE_TENANT_ID"),
    Key::new("export.azure.client_id", Form::Text, "", "Of the workload identity, or of a user-assigned managed one; else AZURE_CLIENT_ID"),
    Key::new("export.azure.token_file", Form::Path, "", "The workload's federated token; else AZURE_FEDERATED_TOKEN_FILE"),
    Key::new("export.azure.authority", Form::Url, "https://login.microsoftonline.com", "Where tokens of workload identities come from; else AZURE_AUTHORITY_HOST"),
    Key::new("export.azure.scope", Form::Text, "https://monitor.azure.com/.default", "What a token is for; another in clouds of their own"),
    Key::new("export.application_insights.enabled", Form::Switch, "on", "Off sends nothing, connection string or not"),
    Key::new("export.application_insights.connection_string", Form::Secret, "", "Of an Application Insights resource; APPLICATIONINSIGHTS_CONNECTION_STRING sets it too").usual(),
    Key::new("export.application_insights.interval", Form::Duration, "60s", "Between two exports of metrics"),
    Key::new("export.application_insights.max_series", Form::Count, "1000", "Series of metrics in one export, at most; others are counted"),
    Key::new("export.application_insights.buffer_bytes", Form::Size, "256MiB", "On disk, for what waits while Azure is away; over it the oldest goes"),
    Key::new("kubernetes.pod_info", Form::Directory, "/etc/podinfo", "A downward API volume with the pod's labels and annotations"),
    Key::new("reload.watch", Form::Switch, "on", "Whether changed files, this configuration among them, are taken over by themselves"),
    Key::new("drain.delay", Form::Duration, "0s", "How long new connections are still taken after the signal to stop"),
    Key::new("drain.timeout", Form::Duration, "30s", "How long exchanges in flight may take after that"),
];
