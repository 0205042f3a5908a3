//! Taffrail from outside: real sockets, real files, one process.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod proxy;
mod support;
