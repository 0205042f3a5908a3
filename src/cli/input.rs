//! What a verb was given to read and could not use: its fault is the caller's, exit code 2.

use crate::drift::Baseline;
use std::error::Error;
use std::fmt;
use std::path::Path;

/// The call was well formed, but what it names is not what it should be.
#[derive(Debug)]
pub(super) struct BadInput(Box<dyn Error + Send + Sync>);

impl BadInput {
    pub(super) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for BadInput {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

pub(super) fn read_baseline(path: &Path) -> Result<Baseline, BadInput> {
    let shown = path.display();
    let json = std::fs::read(path)
        .map_err(|error| BadInput::text(format!("{shown}: cannot be read: {error}")))?;
    Baseline::from_json(&json).map_err(|error| BadInput::text(format!("{shown}: {error}")))
}
