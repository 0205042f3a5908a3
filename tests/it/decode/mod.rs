//! What the decoder makes of whole exchanges.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, in functions beside `#[test]` ones too"
)]

mod fixtures;
mod predictions;
mod properties;
mod tensors;
