//! Why a baseline cannot be made, read or merged.

/// What to do is said where the user cannot see it from the fact itself.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    #[error("no rows were observed: a baseline needs at least one feature with rows")]
    Empty,
    #[error("not a baseline: {0}")]
    Json(serde_json::Error),
    #[error("baseline version {found} is not supported (this build reads version {supported})")]
    Version { found: u64, supported: u64 },
    #[error("baseline: feature `{feature}` ({role}): `{field}` {problem}")]
    Field { feature: String, role: crate::sketch::Role, field: &'static str, problem: String },
    #[error("baseline: `features` names `{feature}` ({role}) twice")]
    Duplicate { feature: String, role: crate::sketch::Role },
    #[error("baseline: `segments` {segment} {problem}")]
    Segment { segment: String, problem: String },
    #[error(
        "baseline: content hash is {found}, but the content gives {computed}: \
         the file was changed after it was written"
    )]
    Hash { found: String, computed: String },
    #[error(
        "feature `{feature}` ({role}) is numeric in one baseline and categorical in another: \
         they cannot be merged"
    )]
    Kinds { feature: String, role: crate::sketch::Role },
    #[error(
        "the labels of one baseline are classes and those of another numbers, or their predictions \
         are not of one output: their performance cannot be merged"
    )]
    Performance,
    #[error("baseline: `joint.{field}` {problem}")]
    Joint { field: &'static str, problem: String },
}
