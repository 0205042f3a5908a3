//! The workloads that are compared by CPU time per request.

/// The protocol on both sides of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    Http1,
    H2c,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// HTTP/1.1 by wrk: the next request as soon as the last is answered.
    Saturating { connections: u32 },
    /// HTTP/1.1 by h2load, at a constant rate.
    Paced { connections: u32, per_second_each: u32 },
    /// HTTP/2 by h2load: the next request of a stream as soon as the last is answered.
    Streams { connections: u32, streams: u32 },
}

#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) request_bytes: usize,
    pub(crate) response_bytes: usize,
    /// Columns of the tensor that the request carries; so wide that one label a row fits the response.
    pub(crate) columns: usize,
    pub(crate) load: Load,
    /// Whether haproxy also runs tuned for large bodies.
    pub(crate) tuned_haproxy: bool,
}

impl Workload {
    pub(crate) const fn protocol(&self) -> Protocol {
        match self.load {
            Load::Streams { .. } => Protocol::H2c,
            Load::Saturating { .. } | Load::Paced { .. } => Protocol::Http1,
        }
    }
}

pub(crate) const SMALL: Workload = Workload {
    name: "small",
    title: "POST 1 KiB → 300 B, HTTP/1.1, 64 connections, saturating",
    request_bytes: 1024,
    response_bytes: 300,
    columns: 12,
    load: Load::Saturating { connections: 64 },
    tuned_haproxy: false,
};

pub(crate) const MEDIUM: Workload = Workload {
    name: "medium",
    title: "POST 64 KiB → 4 KiB, HTTP/1.1, 64 connections, saturating",
    request_bytes: 64 << 10,
    response_bytes: 4096,
    columns: 12,
    load: Load::Saturating { connections: 64 },
    tuned_haproxy: false,
};

pub(crate) const LARGE: Workload = Workload {
    name: "large",
    title: "POST 1 MiB → 1 KiB, HTTP/1.1, 8 connections, saturating",
    request_bytes: 1 << 20,
    response_bytes: 1024,
    columns: 500,
    load: Load::Saturating { connections: 8 },
    tuned_haproxy: true,
};

pub(crate) const PACED: Workload = Workload {
    name: "paced",
    title: "POST 1 KiB → 300 B, HTTP/1.1, 2,000 requests/s over 16 connections",
    load: Load::Paced { connections: 16, per_second_each: 125 },
    ..SMALL
};

pub(crate) const H2C: Workload = Workload {
    name: "h2c",
    title: "POST 1 KiB → 300 B, h2c on both sides, 8 connections × 8 streams, saturating",
    load: Load::Streams { connections: 8, streams: 8 },
    ..SMALL
};
