//! What the decoder makes of whole exchanges.

mod fixtures;
mod properties;
