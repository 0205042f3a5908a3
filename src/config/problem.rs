//! What is wrong with a configuration, and where it was said.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;

/// Where a value was given. Later variants win over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// One of the variables of a platform: `OTEL_*`, `AZURE_*`.
    OtelVariable(String),
    File {
        path: PathBuf,
        line: Option<u64>,
    },
    /// One of the `TAFFRAIL_*` variables.
    Variable(String),
    /// Without its dashes.
    Flag(String),
}

impl Origin {
    /// Higher wins.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::OtelVariable(_) => 1,
            Self::File { .. } => 2,
            Self::Variable(_) => 3,
            Self::Flag(_) => 4,
        }
    }
}

impl Origin {
    /// Whether it says the same in every process that has the same file.
    pub(super) const fn is_shared(&self) -> bool {
        matches!(self, Self::Default | Self::File { .. })
    }

    /// The line of the file, where it is one.
    pub const fn line(&self) -> Option<u64> {
        match self {
            Self::File { line, .. } => *line,
            _ => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::OtelVariable(name) | Self::Variable(name) => f.write_str(name),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// One thing that is wrong: where, which key, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    /// Empty where the fault is not of one key.
    pub key: String,
    pub message: String,
}

/// A problem as whoever asked for a reload reads it; what is not known is null.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Shown<'a> {
    key: Option<&'a str>,
    message: &'a str,
    /// A file, a flag or a variable.
    source: String,
    line: Option<u64>,
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = Some(&*self.key).filter(|key| !key.is_empty());
        let (source, line) = (self.origin.to_string(), self.origin.line());
        Shown { key, message: &self.message, source, line }.serialize(serializer)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin != Origin::Default {
            write!(f, "{}: ", self.origin)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong, in the order of the file. Never empty.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Problems(pub(super) Vec<Problem>);

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        Self::in_order(problems.into_iter().collect())
    }
}

impl Problems {
    /// Those of the file by line; others keep their order.
    pub(super) fn in_order(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| match problem.origin {
            Origin::File { line, .. } => line,
            _ => None,
        });
        Self(problems)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}
