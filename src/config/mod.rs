//! The configuration: as typed in YAML, flags and variables, then as checked.
//!
//! Only the checked type leaves this module. Every problem is reported, not the first, with the key,
//! the value and what is allowed. Texts come in by [`Sources`], layered by [`keys`], the one table.

mod application_insights;
mod azure;
mod check;
mod checked;
mod effective;
mod export;
pub mod keys;
mod labels;
mod later;
mod layers;
mod memory;
mod otel;
mod otlp;
mod pod;
mod problem;
mod quantity;
mod reader;
mod reload;
mod report;
mod schema;
mod tls;
mod tree;

#[cfg(test)]
mod tests;

pub use checked::*;
pub use effective::Effective;
pub use layers::{CONFIG_VARIABLE, Sources};
pub use memory::{Bounds, MemoryPart, MemoryPlan};
pub use problem::{Origin, Problem, Problems};
pub use quantity::{format_duration, parse_duration, parse_size};
pub use reload::Reread;
pub(crate) use reload::Said;
pub use report::{Cause, Change, Outcome, Rejected, Reloaded, Standing};
pub use schema::json_schema;

impl Config {
    /// Layers the sources and checks every key. What is ignored, or good for
    /// now only, is among the warnings.
    pub fn load(sources: &Sources) -> Result<(Self, Vec<Problem>), Problems> {
        Self::checked(sources, layers::Layers::gather(sources))
    }

    fn checked(
        sources: &Sources,
        layers: layers::Layers,
    ) -> Result<(Self, Vec<Problem>), Problems> {
        if layers.is_file_lost() {
            // What the file would have said is not known: its keys would all seem missing.
            return Err(Problems::in_order(layers.problems));
        }
        let mut reader =
            reader::Reader { layers: &layers, problems: Vec::new(), warnings: Vec::new() };
        let config = check::config(&mut reader, sources);
        let problems = [layers.problems.clone(), reader.problems].concat();
        let warnings = [layers.warnings.clone(), reader.warnings].concat();
        match config {
            Some(mut config) if problems.is_empty() => {
                config.effective = effective::listing(&layers);
                config.said = Said::new(sources, layers);
                Ok((config, warnings))
            }
            _ => Err(Problems::in_order(problems)),
        }
    }

    /// From keys and values alone, as flags would give them: for tests and the demo.
    pub fn from_pairs(pairs: &[(&'static str, &str)]) -> Result<Self, Problems> {
        let flags = pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Self::load(&Sources { flags, ..Sources::default() }).map(|(config, _)| config)
    }

    /// Every key with its value and who gave it; secrets are hidden.
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }
}
