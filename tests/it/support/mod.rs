//! Builders: a sidecar in this process, and peers that show every byte.

pub(crate) mod h2;
pub(crate) mod sidecar;
pub(crate) mod wire;
