//! What is offered to the archive: an exchange with what decoding made of it.

use crate::capture::Exchange;
use crate::decode::Rows;
use jiff::Timestamp;
use std::sync::Arc;

#[derive(Debug)]
pub struct Entry {
    pub exchange: Box<Exchange>,
    /// The route's template, as `http.route` shows it.
    pub route: Arc<str>,
    pub model_name: Arc<str>,
    pub model_version: Arc<str>,
    pub dialect: Option<&'static str>,
    pub inputs: Rows,
    pub outputs: Rows,
    /// When its rows were counted; the archive keeps microseconds. `None` where they were not.
    pub counted_at: Option<Timestamp>,
}

impl Entry {
    /// Memory an entry takes beside its bodies and its rows.
    const OVERHEAD_BYTES: usize = 1024;

    /// Roughly the memory it holds.
    pub fn held_bytes(&self) -> usize {
        let cells = |rows: &Rows| rows.columns().len() * rows.len() * size_of::<f64>() * 2;
        self.exchange.kept_bytes()
            + cells(&self.inputs)
            + cells(&self.outputs)
            + Self::OVERHEAD_BYTES
    }
}
