//! Builders: a sidecar in this process, and peers that show every byte.

pub(crate) mod cases;
pub(crate) mod frames;
pub(crate) mod h2;
pub(crate) mod message;
pub(crate) mod raw;
pub(crate) mod sidecar;
pub(crate) mod tls;
pub(crate) mod wire;
pub(crate) mod witness;
