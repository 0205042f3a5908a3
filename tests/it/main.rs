//! Taffrail from outside: real sockets, real files, one process.

mod proxy;
mod support;
