//! The data path, driven over real sockets.

mod drain;
mod faults;
mod h2c;
mod learned;
mod limits;
mod pool;
mod strict;
mod tapped;
mod timeouts;
mod tls;
mod tls_upstream;
mod transparency;
