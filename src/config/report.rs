//! What a reload came to, for all who are told: the caller, the log, exporters and the page.

use super::problem::{Problem, Problems, Shown};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// Who asked for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// SIGHUP.
    Signal,
    /// A file changed.
    File,
    /// `POST /api/v1/reload`.
    Request,
}

impl Cause {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::File => "file",
            Self::Request => "request",
        }
    }
}

/// A key with another value; secrets are hidden on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    pub key: &'static str,
    pub before: String,
    pub after: String,
}

/// `drift.min_rows: 50 → 80`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spelled = |value: &str| if value.is_empty() { "none" } else { value }.to_owned();
        write!(f, "{}: {} → {}", self.key, spelled(&self.before), spelled(&self.after))
    }
}

/// A configuration that was taken, though nothing of it need be new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reloaded {
    pub at: Timestamp,
    pub cause: Cause,
    /// Of the configuration in force now.
    pub hash: String,
    /// In force.
    pub changed: Vec<Change>,
    /// Changed too, but not in force before a restart.
    pub restart_required: Vec<&'static str>,
    /// Neither of the two.
    pub unchanged: bool,
}

/// A configuration that was not taken: the one before stays in force, whole.
#[derive(Debug, Clone)]
pub struct Rejected {
    pub at: Timestamp,
    pub cause: Cause,
    /// Of the configuration that stays.
    pub hash: String,
    pub problems: Problems,
}

#[derive(Debug, Clone)]
pub enum Outcome {
    Reloaded(Reloaded),
    Rejected(Rejected),
}

/// How the configuration in force stands, since the start.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Standing {
    pub hash: String,
    /// When something of it last came into force.
    pub since: Timestamp,
    /// Reloads that brought something new, that brought nothing, and that were rejected.
    pub reloaded: u64,
    pub unchanged: u64,
    pub rejected: u64,
    /// Keys whose new value waits for a restart.
    pub restart_required: Vec<&'static str>,
    /// Until a configuration is taken.
    pub last_rejection: Option<Rejection>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Rejection {
    pub at: Timestamp,
    pub cause: Cause,
    #[schemars(with = "Vec<Shown<'_>>")]
    pub problems: Vec<Problem>,
}

impl Standing {
    pub fn new(hash: String, since: Timestamp) -> Self {
        Self {
            hash,
            since,
            reloaded: 0,
            unchanged: 0,
            rejected: 0,
            restart_required: Vec::new(),
            last_rejection: None,
        }
    }

    /// After one more reload.
    #[must_use]
    pub fn after(&self, outcome: &Outcome) -> Self {
        let mut next = self.clone();
        match outcome {
            Outcome::Reloaded(reloaded) => {
                next.hash.clone_from(&reloaded.hash);
                next.restart_required.clone_from(&reloaded.restart_required);
                next.last_rejection = None;
                if reloaded.changed.is_empty() {
                    next.unchanged += 1;
                } else {
                    next.reloaded += 1;
                    next.since = reloaded.at;
                }
            }
            Outcome::Rejected(Rejected { at, cause, problems, .. }) => {
                next.rejected += 1;
                let problems = problems.iter().cloned().collect();
                next.last_rejection = Some(Rejection { at: *at, cause: *cause, problems });
            }
        }
        next
    }
}
