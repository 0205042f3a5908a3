//! The one table of names: metrics, their attributes, and events. Users' dashboards hang on it, so
//! a name here is kept; what is new is added. HTTP names are the OpenTelemetry semantic conventions'.

/// What a metric is called, counted in, and told apart by.
#[derive(Debug)]
pub struct Metric {
    /// The OTLP name. Prometheus spells it with underscores, unit and `_total`.
    pub name: &'static str,
    /// UCUM.
    pub unit: &'static str,
    pub kind: Kind,
    pub description: &'static str,
    /// Keys that a point may carry beside the resource's.
    pub attributes: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Gauge,
    Counter,
    UpDownCounter,
    /// Bounds are for exporters that need explicit buckets; OTLP gets exponential ones.
    Histogram {
        bounds: &'static [f64],
    },
}

/// Keys of attributes, in OTLP spelling.
pub mod key {
    pub const BIN: &str = "bin";
    pub const BOUND: &str = "bound";
    pub const CHECK: &str = "check";
    pub const CLASS: &str = "class";
    pub const ERROR_TYPE: &str = "error.type";
    pub const EXPORTER: &str = "exporter";
    pub const FEATURE: &str = "feature";
    pub const HASH: &str = "hash";
    pub const MEASURE: &str = "measure";
    pub const METHOD: &str = "method";
    pub const MODEL_NAME: &str = "model.name";
    pub const MODEL_VERSION: &str = "model.version";
    pub const OUTCOME: &str = "outcome";
    pub const PHASE: &str = "phase";
    pub const QUANTILE: &str = "quantile";
    pub const REASON: &str = "reason";
    pub const REFERENCE: &str = "reference";
    pub const REQUEST_ID: &str = "taffrail.request.id";
    pub const REQUEST_METHOD: &str = "http.request.method";
    pub const ROLE: &str = "role";
    pub const ROUTE: &str = "http.route";
    pub const SCHEME: &str = "url.scheme";
    pub const SEGMENT: &str = "segment";
    pub const SERVER_ADDRESS: &str = "server.address";
    pub const SERVER_PORT: &str = "server.port";
    pub const SIGNAL: &str = "signal";
    pub const SOURCE: &str = "source";
    pub const STATE: &str = "state";
    pub const STATUS_CODE: &str = "http.response.status_code";
    pub const URL_FULL: &str = "url.full";
    pub const URL_PATH: &str = "url.path";
    pub const URL_TEMPLATE: &str = "url.template";
    pub const VERDICT: &str = "verdict";
    pub const WINDOW: &str = "window";

    /// Keys whose values the conventions type as whole numbers.
    pub const INTEGERS: &[&str] = &[SERVER_PORT, STATUS_CODE];
}

/// Log events and the attributes that only they carry.
pub mod event {
    pub const DRIFT_CHANGED: &str = "taffrail.drift.changed";
    pub const EARLY_WARNING: &str = "taffrail.drift.early_warning";
    pub const BASELINE_CHANGED: &str = "taffrail.baseline.changed";
    pub const OPERATION_CHANGED: &str = "taffrail.operation.changed";
    pub const PERFORMANCE_CHANGED: &str = "taffrail.performance.changed";
    pub const PERFORMANCE_REVISED: &str = "taffrail.performance.revised";
    pub const QUALITY_CHANGED: &str = "taffrail.quality.changed";
    pub const CONFIG_RELOADED: &str = "taffrail.config.reloaded";
    pub const CONFIG_REJECTED: &str = "taffrail.config.rejected";
    pub const SEGMENTS_CHANGED: &str = "taffrail.drift.segments_changed";

    pub const VERDICT_BASELINE_HASH: &str = "taffrail.verdict.baseline_hash";
    pub const BASELINE_ROWS: &str = "taffrail.baseline.rows";
    pub const BASELINE_STATE: &str = "taffrail.baseline.state";
    pub const CONFIG_CAUSE: &str = "taffrail.config.cause";
    pub const CONFIG_CHANGED: &str = "taffrail.config.changed";
    pub const CONFIG_HASH: &str = "taffrail.config.hash";
    pub const CONFIG_PROBLEMS: &str = "taffrail.config.problems";
    pub const CONFIG_PROBLEMS_COUNT: &str = "taffrail.config.problems_count";
    pub const CONFIG_RESTART_REQUIRED: &str = "taffrail.config.restart_required";
    pub const CHANGE: &str = "taffrail.change";
    pub const COVERAGE: &str = "taffrail.window.coverage";
    pub const EXPLANATIONS: &str = "taffrail.features.explanations";
    pub const EXAMPLES: &str = "taffrail.window.examples";
    pub const END: &str = "taffrail.window.end";
    pub const FEATURES_DETECTED: &str = "taffrail.features.detected";
    pub const FEATURES_IMPORTANT: &str = "taffrail.features.important";
    pub const ATTRIBUTION_NDCG: &str = "taffrail.attribution.ndcg";
    pub const SEGMENTS_DRIFTING: &str = "taffrail.segments.drifting";
    pub const SEGMENTS_DRIFTING_COUNT: &str = "taffrail.segments.drifting_count";
    pub const FEATURES_DETECTED_COUNT: &str = "taffrail.features.detected_count";
    pub const LABELLED: &str = "taffrail.labels.rows";
    pub const LABELLED_BEFORE: &str = "taffrail.labels.rows_before";
    pub const MEASURES: &str = "taffrail.performance.measures";
    pub const MEASURES_BEFORE: &str = "taffrail.performance.measures_before";
    pub const MEASURES_DETECTED: &str = "taffrail.performance.detected_measures";
    pub const PREDICTIONS: &str = "taffrail.labels.predicted_rows";
    pub const REFERENCE_ROWS: &str = "taffrail.performance.reference_rows";
    pub const REVISION: &str = "taffrail.window.revision";
    pub const QUALITY_BEGAN: &str = "taffrail.quality.began";
    pub const QUALITY_ENDED: &str = "taffrail.quality.ended";
    pub const QUALITY_FAILED_COUNT: &str = "taffrail.quality.failed_count";
    pub const ROWS: &str = "taffrail.window.rows";
    pub const SKETCH_HASH: &str = "taffrail.verdict.sketch_hash";
    pub const COURSE_AFTER: &str = "taffrail.course.after";
    pub const COURSE_BEFORE: &str = "taffrail.course.before";
    pub const LEVEL: &str = "taffrail.level";
    pub const SINCE: &str = "taffrail.since";
    pub const START: &str = "taffrail.window.start";
    pub const STATE: &str = "taffrail.state";
    pub const USUAL: &str = "taffrail.usual";
    pub const NOW: &str = "taffrail.now";
    pub const VERDICT_AFTER: &str = "taffrail.verdict.after";
    pub const VERDICT_CONFIG_HASH: &str = "taffrail.verdict.config_hash";
    pub const VERDICT_BEFORE: &str = "taffrail.verdict.before";
    pub const WINDOW: &str = "taffrail.window";
}

/// Seconds; the bounds the HTTP conventions advise.
const HTTP_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bytes: 256 to 64 MiB by fours. The conventions advise none.
const BODY_BYTES: &[f64] = &[
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Seconds: one second to a month, for truth that comes late.
const LABEL_SECONDS: &[f64] =
    &[1.0, 10.0, 60.0, 600.0, 3600.0, 21600.0, 86400.0, 259_200.0, 604_800.0, 2_592_000.0];

const SERVER: &[&str] =
    &[key::REQUEST_METHOD, key::SCHEME, key::STATUS_CODE, key::ERROR_TYPE, key::ROUTE];
const CLIENT: &[&str] = &[
    key::REQUEST_METHOD,
    key::SCHEME,
    key::SERVER_ADDRESS,
    key::SERVER_PORT,
    key::STATUS_CODE,
    key::ERROR_TYPE,
    key::URL_TEMPLATE,
];
const FEATURE: &[&str] = &[key::FEATURE, key::ROLE];
const FEATURE_BIN: &[&str] = &[key::FEATURE, key::ROLE, key::BIN];
const FEATURE_WINDOW: &[&str] = &[key::FEATURE, key::ROLE, key::WINDOW];
const SEGMENT_WINDOW: &[&str] = &[key::SEGMENT, key::WINDOW];
const FEATURE_CHECK: &[&str] = &[key::FEATURE, key::ROLE, key::CHECK];
const FEATURE_CHECK_WINDOW: &[&str] = &[key::FEATURE, key::ROLE, key::CHECK, key::WINDOW];
const FEATURE_REFERENCE: &[&str] = &[key::FEATURE, key::ROLE, key::WINDOW, key::REFERENCE];
const EXPORT: &[&str] = &[key::EXPORTER, key::SIGNAL];

type Text = &'static str;
type Keys = &'static [&'static str];

const fn of(kind: Kind, name: Text, unit: Text, attributes: Keys, description: Text) -> Metric {
    Metric { name, unit, kind, description, attributes }
}

const fn gauge(name: Text, unit: Text, attributes: Keys, description: Text) -> Metric {
    of(Kind::Gauge, name, unit, attributes, description)
}

const fn counter(name: Text, unit: Text, attributes: Keys, description: Text) -> Metric {
    of(Kind::Counter, name, unit, attributes, description)
}

const fn level(name: Text, unit: Text, attributes: Keys, description: Text) -> Metric {
    of(Kind::UpDownCounter, name, unit, attributes, description)
}

const fn seconds(name: Text, bounds: &'static [f64], keys: Keys, description: Text) -> Metric {
    of(Kind::Histogram { bounds }, name, "s", keys, description)
}

const fn bytes(name: Text, attributes: Keys, description: Text) -> Metric {
    of(Kind::Histogram { bounds: BODY_BYTES }, name, "By", attributes, description)
}

/// A measure of the model against ground truth. The unit is the label's own, so none is named.
const fn measure(name: Text, description: Text) -> Metric {
    gauge(name, "", &[key::SEGMENT], description)
}

/// One that scores tell before labels do, of the last closed window.
const fn estimated(name: Text, description: Text) -> Metric {
    gauge(name, "", &[key::SEGMENT, key::WINDOW], description)
}

macro_rules! table {
    ($($id:ident = $metric:expr;)*) => {
        $(pub static $id: Metric = $metric;)*

        /// Every metric there is, in the order it is exported.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
}

#[rustfmt::skip]
mod table {
    use super::{
        CLIENT, EXPORT, FEATURE, FEATURE_BIN, FEATURE_CHECK, FEATURE_CHECK_WINDOW, FEATURE_REFERENCE,
        FEATURE_WINDOW, HTTP_SECONDS, LABEL_SECONDS, Metric, SEGMENT_WINDOW, SERVER, bytes, counter,
        estimated, gauge, key, level, measure, seconds,
    };

    table! {
        HTTP_SERVER_REQUEST_DURATION = seconds("http.server.request.duration", HTTP_SECONDS, SERVER, "Duration of HTTP server requests.");
        HTTP_CLIENT_REQUEST_DURATION = seconds("http.client.request.duration", HTTP_SECONDS, CLIENT, "Duration of HTTP client requests: the calls to the model.");
        HTTP_SERVER_ACTIVE_REQUESTS = level("http.server.active_requests", "{request}", &[key::SCHEME], "Number of active HTTP server requests.");
        HTTP_SERVER_REQUEST_BODY_SIZE = bytes("http.server.request.body.size", SERVER, "Size of HTTP server request bodies.");
        HTTP_SERVER_RESPONSE_BODY_SIZE = bytes("http.server.response.body.size", SERVER, "Size of HTTP server response bodies.");
        CONNECTIONS = level("taffrail.server.connections", "{connection}", &[], "Client connections open now.");
        REQUEST_LATENCY = gauge("taffrail.request.latency", "s", &[key::QUANTILE, key::PHASE, key::ROUTE], "Quantiles of recent requests by phase, within 1 %.");

        OPERATION_CHANGE = gauge("taffrail.operation.change", "", &[key::SIGNAL], "1 from when a signal of the service (error_ratio, latency_p50, latency_p95) is seen to have risen, -1 to have fallen, 0 while it is as usual.");

        CAPTURE_EXCHANGES = counter("taffrail.capture.exchanges", "{exchange}", &[key::OUTCOME, key::REASON], "What became of each exchange; truncated and undecodable ones are among the kept.");
        CAPTURE_COVERAGE = gauge("taffrail.capture.coverage", "1", &[], "Share of exchanges since start that analysis received.");
        CAPTURE_QUEUE_LENGTH = gauge("taffrail.capture.queue.length", "{exchange}", &[], "Exchanges waiting for analysis.");
        CAPTURE_QUEUE_LENGTH_LIMIT = gauge("taffrail.capture.queue.length_limit", "{exchange}", &[], "Exchanges that may wait before the newest are dropped.");
        CAPTURE_QUEUE_SIZE = gauge("taffrail.capture.queue.size", "By", &[], "Bytes waiting for analysis.");
        CAPTURE_QUEUE_SIZE_LIMIT = gauge("taffrail.capture.queue.size_limit", "By", &[], "Bytes that may wait before the newest exchanges are dropped.");
        DECODE_EXCHANGES = counter("taffrail.decode.exchanges", "{exchange}", &[], "Exchanges whose payloads were read.");
        DECODE_ROWS = counter("taffrail.decode.rows", "{row}", &[key::ROLE], "Rows found in payloads.");

        FEATURE_ROWS = counter("taffrail.feature.rows", "{row}", FEATURE_BIN, "Live rows in each of the baseline's bins.");
        FEATURES_OVER_LIMIT = gauge("taffrail.features.over_limit", "{feature}", &[], "Features that were seen but are over features.max, and so not watched.");
        BASELINE_SHARE = gauge("taffrail.baseline.share", "1", FEATURE_BIN, "The baseline's share of rows in each of its bins.");
        BASELINE_STATE = gauge("taffrail.baseline.state", "", &[key::STATE], "1 for the state the baseline is in: learning from live rows, learned from them, or given as a file.");
        BASELINE_ROWS = gauge("taffrail.baseline.rows", "{row}", &[key::STATE], "Rows in the baseline; while it is learned, those so far.");
        BASELINE_PROGRESS = gauge("taffrail.baseline.progress", "1", &[], "Share of the rows needed for a baseline that are in; 1 once there is one.");
        BASELINE_HASH = gauge("taffrail.baseline.hash", "", &[key::HASH], "1, with the hash of the baseline in force: pods that differ here cannot be added up.");
        QUALITY_NULL_RATIO = gauge("taffrail.quality.null_ratio", "1", FEATURE, "Share of live rows where the feature is null.");
        QUALITY_TYPE_ERROR_RATIO = gauge("taffrail.quality.type_error_ratio", "1", FEATURE, "Share of live rows where the feature has the wrong type.");
        QUALITY_OUT_OF_BOUNDS_RATIO = gauge("taffrail.quality.out_of_bounds_ratio", "1", FEATURE, "Share of live rows outside the baseline's range.");
        QUALITY_NEW_CATEGORY_RATIO = gauge("taffrail.quality.new_category_ratio", "1", FEATURE, "Share of live rows with a level the baseline never saw.");
        QUALITY_ROWS_CHECKED = counter("taffrail.quality.rows.checked", "{row}", FEATURE, "Live rows whose quality was looked at: what a share over any time divides by.");
        QUALITY_ROWS_FLAGGED = counter("taffrail.quality.rows.flagged", "{row}", FEATURE_CHECK, "Live rows that a check found: null, type_error, out_of_bounds or new_category.");
        QUALITY_BASELINE_RATIO = gauge("taffrail.quality.baseline_ratio", "1", FEATURE_CHECK, "The baseline's share of rows that a check finds.");
        QUALITY_WINDOW_RATIO = gauge("taffrail.quality.window_ratio", "1", FEATURE_CHECK_WINDOW, "Share of the last closed window's rows that a check found; checks that found nothing, in the baseline too, are left out.");
        QUALITY_P_VALUE = gauge("taffrail.quality.p_value", "", FEATURE_CHECK_WINDOW, "p-value of that share against the baseline's, before correction for many checks.");
        QUALITY_DETECTED = gauge("taffrail.quality.detected", "", FEATURE_CHECK_WINDOW, "1 if a check found more than in the baseline, beyond chance and worth acting on: null, type_error, out_of_bounds, new_category, missing_feature, constant, frozen, unit_change, or, without a feature, extra_feature.");
        QUALITY_EXTRA_FEATURES = gauge("taffrail.quality.extra_features", "{feature}", &[key::ROLE, key::WINDOW], "Features in the last closed window that the baseline lacks.");
        DRIFT_DISTANCE = gauge("taffrail.drift.distance", "1", &[key::FEATURE, key::ROLE, key::METHOD, key::WINDOW], "Distance between the last closed window and the baseline.");
        DRIFT_P_VALUE = gauge("taffrail.drift.p_value", "", FEATURE_WINDOW, "p-value of the last closed window against the baseline, before correction for many features.");
        DRIFT_SIGNIFICANT = gauge("taffrail.drift.significant", "", FEATURE_WINDOW, "1 if the difference is not chance, at drift.false_discovery_rate.");
        DRIFT_DETECTED = gauge("taffrail.drift.detected", "", FEATURE_WINDOW, "1 if the feature drifts: significant, and of a size worth acting on.");
        DRIFT_EFFECT = gauge("taffrail.drift.effect", "1", FEATURE_WINDOW, "Size of the difference of the last closed window: PSI less what chance alone would give at this number of rows.");
        DRIFT_DESIGN_EFFECT = gauge("taffrail.drift.design_effect", "1", FEATURE_WINDOW, "Rows of the last closed window over independent rows that would tell as much: 1 where rows are independent.");
        DRIFT_SEASONAL = gauge("taffrail.drift.seasonal", "", FEATURE_WINDOW, "1 if the feature differs from the baseline as a whole, but not from the baseline at the same hours of the day.");
        DRIFT_REFERENCE_DISTANCE = gauge("taffrail.drift.reference.distance", "1", &[key::FEATURE, key::ROLE, key::METHOD, key::WINDOW, key::REFERENCE], "Distance between the last closed window and an earlier one of drift.references: psi and jensen_shannon.");
        DRIFT_REFERENCE_P_VALUE = gauge("taffrail.drift.reference.p_value", "", FEATURE_REFERENCE, "p-value of the last closed window against an earlier one, before correction for many features.");
        DRIFT_REFERENCE_SIGNIFICANT = gauge("taffrail.drift.reference.significant", "", FEATURE_REFERENCE, "1 if the difference to the earlier window is not chance, at drift.false_discovery_rate.");
        DRIFT_REFERENCE_DETECTED = gauge("taffrail.drift.reference.detected", "", FEATURE_REFERENCE, "1 if the feature differs from the earlier window: significant, and of a size worth acting on.");
        DRIFT_REFERENCE_ROWS = gauge("taffrail.drift.reference.rows", "{row}", FEATURE_REFERENCE, "Rows of the feature in the earlier window.");
        DRIFT_REFERENCE_SIZE = gauge("taffrail.drift.reference.size", "By", &[], "Bytes of earlier windows held for drift.references.");
        DRIFT_REFERENCE_SIZE_LIMIT = gauge("taffrail.drift.reference.size_limit", "By", &[], "Bytes of earlier windows that may be held.");
        DRIFT_REFERENCE_FORGOTTEN = counter("taffrail.drift.reference.forgotten", "{window}", &[], "Earlier windows let go before their time, to stay under the bound.");
        DRIFT_EARLY_WARNING = gauge("taffrail.drift.early_warning", "", FEATURE, "1 from when a feature is seen to have changed, before its window ends, until it is seen to be as before.");
        DRIFT_VERDICT = gauge("taffrail.drift.verdict", "", &[key::WINDOW, key::VERDICT], "1 for the verdict on the last closed window.");
        DRIFT_JOINT_P_VALUE = gauge("taffrail.drift.joint.p_value", "", &[key::WINDOW], "p-value of how inputs go together in the last closed window, against the baseline.");
        DRIFT_JOINT_DETECTED = gauge("taffrail.drift.joint.detected", "", &[key::WINDOW], "1 if inputs go together in another way: significant, and of a size worth acting on.");
        DRIFT_ROWS = gauge("taffrail.drift.rows", "{row}", &[key::WINDOW], "Rows in the last closed window.");
        DRIFT_COVERAGE = gauge("taffrail.drift.coverage", "1", &[key::WINDOW], "Share of the last closed window's exchanges that its verdict saw.");

        DRIFT_SEGMENT_VERDICT = gauge("taffrail.drift.segment.verdict", "", SEGMENT_WINDOW, "1 if the segment drifts in the last closed window, 0 if it is stable; none with too few rows.");
        DRIFT_SEGMENT_FEATURES_DETECTED = gauge("taffrail.drift.segment.features_detected", "{feature}", SEGMENT_WINDOW, "Features that drift in the segment.");
        DRIFT_SEGMENT_ROWS = gauge("taffrail.drift.segment.rows", "{row}", SEGMENT_WINDOW, "Rows of the segment in the last closed window.");
        DRIFT_ATTRIBUTION_NDCG = gauge("taffrail.drift.attribution_ndcg", "1", &[key::WINDOW], "NDCG of the ranking of features by mean absolute attribution in the last closed window, against the reference's; 1 is the same ranking.");
        DRIFT_ATTRIBUTION_DETECTED = gauge("taffrail.drift.attribution_detected", "", &[key::WINDOW], "1 if that ranking is another one, beyond chance.");

        PERFORMANCE_ACCURACY = measure("taffrail.performance.accuracy", "Share of labelled rows predicted right.");
        PERFORMANCE_PRECISION = measure("taffrail.performance.precision", "Precision, mean over classes.");
        PERFORMANCE_RECALL = measure("taffrail.performance.recall", "Recall, mean over classes.");
        PERFORMANCE_F1 = measure("taffrail.performance.f1", "F1, mean over classes.");
        PERFORMANCE_AUROC = measure("taffrail.performance.auroc", "Area under the ROC curve.");
        PERFORMANCE_LOG_LOSS = measure("taffrail.performance.log_loss", "Mean negative logarithm of the probability that was given to the truth.");
        PERFORMANCE_CALIBRATION_ERROR = measure("taffrail.performance.calibration_error", "Expected calibration error over ten bins of scores.");
        PERFORMANCE_MAE = measure("taffrail.performance.mae", "Mean absolute error, in the label's unit.");
        PERFORMANCE_MSE = measure("taffrail.performance.mse", "Mean squared error.");
        PERFORMANCE_RMSE = measure("taffrail.performance.rmse", "Root mean squared error, in the label's unit.");
        PERFORMANCE_MAPE = measure("taffrail.performance.mape", "Mean absolute error as a share of the label, over labels that are not 0.");
        PERFORMANCE_R2 = measure("taffrail.performance.r2", "Coefficient of determination.");
        PERFORMANCE_INTERVAL = gauge("taffrail.performance.interval", "", &[key::SEGMENT, key::MEASURE, key::BOUND], "The low and the high end of each measure's 95 % interval.");
        PERFORMANCE_CLASS_SHARE = gauge("taffrail.performance.class.share", "1", &[key::CLASS, key::MEASURE], "Precision, recall and F1 of the twenty classes with most labelled rows.");
        PERFORMANCE_CLASS_ROWS = gauge("taffrail.performance.class.rows", "{row}", &[key::CLASS], "Labelled rows of those classes.");
        PERFORMANCE_WINDOW_VALUE = gauge("taffrail.performance.window.value", "", &[key::WINDOW, key::MEASURE], "Each measure of the last window of labelled rows that was emitted.");
        PERFORMANCE_WINDOW_INTERVAL = gauge("taffrail.performance.window.interval", "", &[key::WINDOW, key::MEASURE, key::BOUND], "The ends of its 95 % interval.");
        PERFORMANCE_WINDOW_ROWS = gauge("taffrail.performance.window.rows", "{row}", &[key::WINDOW], "Labelled rows of that window.");
        PERFORMANCE_REFERENCE = gauge("taffrail.performance.reference", "", &[key::MEASURE], "Each measure of the labelled rows that windows are tested against.");
        PERFORMANCE_P_VALUE = gauge("taffrail.performance.p_value", "", &[key::WINDOW, key::MEASURE], "p-value of the last judged window against the reference, before correction for many measures.");
        PERFORMANCE_SIGNIFICANT = gauge("taffrail.performance.significant", "", &[key::WINDOW, key::MEASURE], "1 if the change is not chance, at drift.false_discovery_rate.");
        PERFORMANCE_DETECTED = gauge("taffrail.performance.detected", "", &[key::WINDOW, key::MEASURE], "1 if the concept drifts: significant, and of a size worth acting on.");
        PERFORMANCE_VERDICT = gauge("taffrail.performance.verdict", "", &[key::WINDOW, key::VERDICT], "1 for the verdict on the last window of labelled rows that was judged.");
        PERFORMANCE_REVISIONS = counter("taffrail.performance.revisions", "{window}", &[], "Windows of labelled rows that were emitted again, after late labels.");
        PERFORMANCE_FORGOTTEN = counter("taffrail.performance.forgotten_windows", "{window}", &[], "Windows given up over a bound of memory before their labels had come.");
        PERFORMANCE_ESTIMATED_ACCURACY = estimated("taffrail.performance.estimated_accuracy", "Accuracy estimated without labels.");
        PERFORMANCE_ESTIMATED_PRECISION = estimated("taffrail.performance.estimated_precision", "Precision estimated without labels.");
        PERFORMANCE_ESTIMATED_RECALL = estimated("taffrail.performance.estimated_recall", "Recall estimated without labels.");
        PERFORMANCE_ESTIMATED_F1 = estimated("taffrail.performance.estimated_f1", "F1 estimated without labels.");
        PERFORMANCE_ESTIMATED_AUROC = estimated("taffrail.performance.estimated_auroc", "Area under the ROC curve estimated without labels.");
        PERFORMANCE_ESTIMATED_INTERVAL = gauge("taffrail.performance.estimated_interval", "", &[key::SEGMENT, key::WINDOW, key::MEASURE, key::BOUND], "The low and the high end between which each realised figure should lie, 95 times of 100.");
        PERFORMANCE_ESTIMATED_ROWS = gauge("taffrail.performance.estimated_rows", "{row}", &[key::WINDOW], "Predicted rows with scores in the last window that was estimated.");
        PERFORMANCE_ESTIMATED_CALIBRATION_ROWS = gauge("taffrail.performance.estimated_calibration_rows", "{row}", &[key::SOURCE], "Labelled rows that tell what a score means: of the reference, or of labels so far.");
        PERFORMANCE_ESTIMATED_ERROR = gauge("taffrail.performance.estimated_error", "", &[key::MEASURE], "Mean distance of estimates from the realised figures, over the windows compared.");
        PERFORMANCE_ESTIMATED_INSIDE = gauge("taffrail.performance.estimated_inside", "1", &[key::MEASURE], "Share of the windows compared whose realised figure lay in the interval.");
        PERFORMANCE_ESTIMATED_TRUST = gauge("taffrail.performance.estimated_trust", "", &[key::STATE], "1 for what comparing says of estimates: untested, trusted or not_trusted.");
        LABELS_COVERAGE = gauge("taffrail.labels.coverage", "1", &[], "Share of predictions whose label has come.");
        LABELS_DELAY = seconds("taffrail.labels.delay", LABEL_SECONDS, &[], "Time from a prediction to its label.");
        LABELS_PREDICTIONS = counter("taffrail.labels.predictions", "{row}", &[], "Predicted rows that a label may join.");
        LABELS_RECEIVED = counter("taffrail.labels.received", "{label}", &[key::OUTCOME], "Labels by what became of them: joined, unknown_id, duplicate, late.");
        LABELS_READ = counter("taffrail.labels.read", "{label}", &[key::SOURCE], "Labels read from the API, files, and headers.");
        LABELS_UNREADABLE = counter("taffrail.labels.unreadable", "{label}", &[key::SOURCE], "Labels, or lines, that could not be read.");
        LABELS_EXPIRED = counter("taffrail.labels.expired", "{row}", &[], "Predictions forgotten without a label, after labels.max_delay or over the bound.");

        ARCHIVE_EXCHANGES = counter("taffrail.archive.exchanges", "{exchange}", &[key::OUTCOME], "Exchanges offered to the archive: written or lost.");
        ARCHIVE_SIZE = gauge("taffrail.archive.size", "By", &[], "Bytes the archive holds.");
        ARCHIVE_FILES = gauge("taffrail.archive.files", "{file}", &[], "Files the archive holds.");
        ARCHIVE_EXPIRED_FILES = counter("taffrail.archive.expired_files", "{file}", &[], "Files removed to stay under archive.max_bytes.");
        ARCHIVE_ABANDONED_FILES = counter("taffrail.archive.abandoned_files", "{file}", &[], "Files that a killed process had left unfinished, and with them their exchanges; removed at the start.");
        ARCHIVE_HEALTHY = gauge("taffrail.archive.healthy", "", &[], "0 from a failed write until one succeeds.");

        STATE_SAVES = counter("taffrail.state.saves", "{save}", &[key::OUTCOME], "Saves of open windows, to go on with after a restart: ok or failed.");
        STATE_SIZE = gauge("taffrail.state.size", "By", &[], "Bytes of saved windows on disk.");
        STATE_HEALTHY = gauge("taffrail.state.healthy", "", &[], "0 from a failed save until one succeeds.");
        STATE_LAST_SAVE = gauge("taffrail.state.last_save_timestamp", "s", &[], "When what is saved was last true, in seconds since 1970.");
        STATE_REJECTED = counter("taffrail.state.rejected", "{state}", &[], "Saved windows found at the start that could not be gone on with, and were set aside.");
        STATE_UNWATCHED = gauge("taffrail.state.unwatched", "s", &[], "Time between the last save of the process before and the start of this one, in which nobody watched.");

        CONFIG_HASH = gauge("taffrail.config.hash", "", &[key::HASH], "1, with the hash of what the file says that is in force: pods that differ here run with another.");
        CONFIG_LAST_RELOAD = gauge("taffrail.config.last_reload_timestamp", "s", &[], "When something of the configuration last came into force, in seconds since 1970.");
        CONFIG_HEALTHY = gauge("taffrail.config.healthy", "", &[], "0 from a rejected configuration until one is taken.");
        CONFIG_RESTART_REQUIRED = gauge("taffrail.config.restart_required", "{key}", &[], "Keys whose new value waits for a restart.");
        CONFIG_RELOADS = counter("taffrail.config.reloads", "{reload}", &[key::OUTCOME], "Reloads of the configuration: reloaded, unchanged or rejected.");

        EXPORT_REQUESTS = counter("taffrail.export.requests", "{request}", &[key::EXPORTER, key::SIGNAL, key::OUTCOME], "Attempts to hand telemetry over: ok or failed.");
        EXPORT_SENT = counter("taffrail.export.sent", "{item}", EXPORT, "Spans, events and metric points that were accepted.");
        EXPORT_DROPPED = counter("taffrail.export.dropped", "{item}", &[key::EXPORTER, key::SIGNAL, key::REASON], "Spans, events and metric points lost: queue_full, rejected, refused or shutdown; to Application Insights also buffer_full, expired, damaged, over_limit or unfit.");
        EXPORT_REFUSED = counter("taffrail.export.refused", "{item}", &[key::EXPORTER, key::SIGNAL, key::STATUS_CODE], "Items among the rejected and refused ones, by the status that the receiver gave; 0 is none.");
        EXPORT_CUT = counter("taffrail.export.cut", "{text}", EXPORT, "Texts cut, and properties left out, to fit what the receiver takes.");
        EXPORT_BUFFER_SIZE = gauge("taffrail.export.buffer.size", "By", &[key::EXPORTER], "Bytes on disk that wait for a receiver that is away.");
        EXPORT_BUFFER_SIZE_LIMIT = gauge("taffrail.export.buffer.size_limit", "By", &[key::EXPORTER], "Bytes that may wait on disk before the oldest go.");
        EXPORT_BUFFER_HEALTHY = gauge("taffrail.export.buffer.healthy", "", &[key::EXPORTER], "0 from a failed use of the disk until one succeeds.");
        EXPORT_QUEUE_LENGTH = gauge("taffrail.export.queue.length", "{item}", EXPORT, "Items waiting to be exported.");
    }
}

pub use table::*;

/// The metric that shows a measure of [`crate::labels::Performance`].
pub fn performance(measure: &str) -> Option<&'static Metric> {
    ALL.iter()
        .copied()
        .find(|metric| metric.name.strip_prefix("taffrail.performance.") == Some(measure))
}

#[cfg(test)]
mod tests;
