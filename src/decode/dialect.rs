//! What the known dialects call the members that hold rows.

use super::endpoint::Endpoint;
use super::problem::Side;
use std::fmt;

/// How payloads are to be read, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// By path, content type and shape.
    #[default]
    Auto,
    OpenInferenceV2,
    KserveV1,
    Mlflow,
    AzureMl,
    Csv,
    /// By [`super::Pointers`] alone.
    Pointers,
}

/// How a payload was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    OpenInferenceV2,
    OpenInferenceGrpc,
    KserveV1,
    Mlflow,
    AzureMl,
    Csv,
    /// A bare array of rows.
    Json,
    Pointers,
    /// Chat completions, completions, responses, embeddings.
    OpenAi,
}

impl Dialect {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenInferenceV2 => "open_inference_v2",
            Self::OpenInferenceGrpc => "open_inference_grpc",
            Self::KserveV1 => "kserve_v1",
            Self::Mlflow => "mlflow",
            Self::AzureMl => "azure_ml",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Pointers => "pointers",
            Self::OpenAi => "openai",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What settled the dialect of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    Configured,
    Path,
    ContentType,
    /// The member of this name holds rows.
    Member(&'static str),
    /// The body is rows.
    Shape,
    /// The answer, where the request could not be read.
    Answer,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured => f.write_str("the configuration says so"),
            Self::Path => f.write_str("its path"),
            Self::ContentType => f.write_str("its content-type"),
            Self::Member(name) => write!(f, "its member `{name}`"),
            Self::Shape => f.write_str("its body is rows"),
            Self::Answer => f.write_str("its answer"),
        }
    }
}

/// What the value of a member can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Tensors,
    TensorsOrRows,
    Frame,
    FrameOrRows,
    Rows,
}

/// The members of a document that matter. Where several are present, the first of these is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grammar {
    pub(super) keys: &'static [&'static str],
    pub(super) holds: &'static [Holds],
    pub(super) dialects: &'static [Dialect],
    /// A document that is no object is itself the rows.
    pub(super) bare_rows: bool,
    /// An object without any of the members is itself the rows.
    pub(super) bare_object: bool,
}

const OPEN_INFERENCE: Grammar = Grammar {
    keys: &["inputs"],
    holds: &[Holds::Tensors],
    dialects: &[Dialect::OpenInferenceV2],
    bare_rows: false,
    bare_object: false,
};

const KSERVE_V1: Grammar = Grammar {
    keys: &["instances", "inputs"],
    holds: &[Holds::Rows, Holds::Rows],
    dialects: &[Dialect::KserveV1, Dialect::KserveV1],
    bare_rows: false,
    bare_object: false,
};

const MLFLOW: Grammar = Grammar {
    keys: &["dataframe_split", "dataframe_records", "instances", "inputs"],
    holds: &[Holds::Frame, Holds::Rows, Holds::Rows, Holds::Rows],
    dialects: &[Dialect::Mlflow, Dialect::Mlflow, Dialect::Mlflow, Dialect::Mlflow],
    bare_rows: false,
    bare_object: false,
};

const AZURE_ML: Grammar = Grammar {
    keys: &["input_data", "data"],
    holds: &[Holds::FrameOrRows, Holds::FrameOrRows],
    dialects: &[Dialect::AzureMl, Dialect::AzureMl],
    bare_rows: true,
    bare_object: false,
};

const ANY: Grammar = Grammar {
    keys: &["dataframe_split", "dataframe_records", "input_data", "instances", "inputs", "data"],
    holds: &[
        Holds::Frame,
        Holds::Rows,
        Holds::FrameOrRows,
        Holds::Rows,
        Holds::TensorsOrRows,
        Holds::FrameOrRows,
    ],
    dialects: &[
        Dialect::Mlflow,
        Dialect::Mlflow,
        Dialect::AzureMl,
        Dialect::KserveV1,
        Dialect::KserveV1,
        Dialect::AzureMl,
    ],
    bare_rows: true,
    bare_object: false,
};

/// Responses are read tolerantly: by what they hold, whatever the request was.
const RESPONSE: Grammar = Grammar {
    keys: &["outputs", "predictions"],
    holds: &[Holds::TensorsOrRows, Holds::Rows],
    dialects: &[],
    bare_rows: true,
    bare_object: false,
};

impl Grammar {
    /// The dialect that read a request's member of this position.
    pub(super) fn dialect(&self, position: usize) -> Option<Dialect> {
        self.dialects.get(position).copied()
    }
}

impl Grammar {
    /// A path that only one dialect uses settles which members count.
    pub(super) const fn of_request(protocol: Protocol, endpoint: Endpoint) -> Self {
        match (protocol, endpoint) {
            (Protocol::OpenInferenceV2, _) | (Protocol::Auto, Endpoint::OpenInference) => {
                OPEN_INFERENCE
            }
            (Protocol::KserveV1, _) | (Protocol::Auto, Endpoint::KserveV1) => KSERVE_V1,
            (Protocol::Mlflow, _) | (Protocol::Auto, Endpoint::Invocations) => MLFLOW,
            (Protocol::AzureMl, _) => AZURE_ML,
            _ => ANY,
        }
    }

    /// What has bytes behind its JSON is no other dialect's.
    pub(super) const fn of_tensors(side: Side) -> Self {
        match side {
            Side::Request => OPEN_INFERENCE,
            Side::Response => Grammar { keys: &["outputs"], ..OPEN_INFERENCE },
        }
    }

    /// Servers whose answer the user's own code shapes may answer with any object; an Open Inference
    /// server answers with tensors.
    pub(super) const fn of_response(request: Option<Dialect>, endpoint: Endpoint) -> Self {
        match (request, endpoint) {
            (Some(Dialect::OpenInferenceV2 | Dialect::OpenInferenceGrpc), _)
            | (None, Endpoint::OpenInference) => {
                Grammar { holds: &[Holds::Tensors, Holds::Rows], bare_rows: false, ..RESPONSE }
            }
            (Some(Dialect::KserveV1 | Dialect::Mlflow | Dialect::OpenAi) | None, _) => RESPONSE,
            (Some(Dialect::AzureMl | Dialect::Json | Dialect::Csv | Dialect::Pointers), _) => {
                Grammar { bare_object: true, ..RESPONSE }
            }
        }
    }
}
