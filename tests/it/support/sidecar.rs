//! A data path of one serving thread in this process, on a port of its own.

use super::wire::Peer;
use http::HeaderName;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use taffrail::capture::{Counters, Exchange, Fault, Limits, Queue, RouteTable, Totals};
use taffrail::config::{self, UpstreamProtocol};
use taffrail::latency::{self, Collector, Snapshot};
use taffrail::proxy::{self, Shutdown};
use taffrail::tap;
use tokio::sync::watch;

/// Far beyond what any step of a test takes; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Setup {
    client: config::Client,
    upstream: config::Upstream,
    tls: Option<config::ServerTls>,
    sample: f64,
    max_body_bytes: usize,
    room_bytes: usize,
    headers: Vec<HeaderName>,
    queue_items: usize,
    tracing: tap::Tracing,
}

pub(crate) struct Sidecar {
    pub(crate) address: SocketAddr,
    pub(crate) queue: Arc<Queue>,
    reloader: proxy::tls::Reloader,
    shutdown: watch::Sender<Shutdown>,
    collector: Collector,
    thread: JoinHandle<std::io::Result<()>>,
}

/// What a sidecar left behind.
pub(crate) struct Record {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) totals: Totals,
    pub(crate) latency: Snapshot,
}

impl Record {
    /// How often this was counted.
    pub(crate) fn count_of(&self, fault: Fault) -> u64 {
        let requests = self.latency.requests.iter();
        let faulty = requests.filter(|series| series.outcome.fault == Some(fault));
        faulty.map(|series| series.duration.count()).sum()
    }
}

/// A sidecar for `upstream` that keeps everything, to be changed before it starts.
pub(crate) fn before(upstream: SocketAddr) -> Setup {
    let upstream = config::Upstream {
        authority: upstream.to_string().parse().unwrap(),
        base_path: "/".parse().unwrap(),
        tls: None,
        protocol: UpstreamProtocol::Auto,
        connect_timeout: Duration::from_secs(5),
        response_timeout: None,
        request_timeout: None,
        max_idle_connections: 8,
        idle_timeout: Duration::from_secs(60),
        max_connection_age: None,
    };
    let client = config::Client {
        max_connections: NonZeroUsize::new(1000).unwrap(),
        max_streams: 256,
        max_headers: 100,
        max_header_bytes: 64 << 10,
        header_timeout: PATIENCE,
        idle_timeout: PATIENCE,
    };
    Setup {
        client,
        tls: None,
        upstream,
        sample: 1.0,
        max_body_bytes: 1 << 20,
        room_bytes: 1 << 30,
        headers: Vec::new(),
        queue_items: 1000,
        tracing: tap::Tracing::Off,
    }
}

impl Setup {
    pub(crate) fn client(mut self, change: impl FnOnce(&mut config::Client)) -> Self {
        change(&mut self.client);
        self
    }

    pub(crate) fn upstream(mut self, change: impl FnOnce(&mut config::Upstream)) -> Self {
        change(&mut self.upstream);
        self
    }

    /// Clients are to speak TLS. The upstream is where [`config::Upstream::tls`] is given.
    pub(crate) fn tls(self, tls: &config::ServerTls) -> Self {
        Self { tls: Some(tls.clone()), ..self }
    }

    pub(crate) fn sample(self, sample: f64) -> Self {
        Self { sample, ..self }
    }

    /// For the bodies of exchanges under way.
    pub(crate) fn room_bytes(self, room_bytes: usize) -> Self {
        Self { room_bytes, ..self }
    }

    pub(crate) fn max_body_bytes(self, max_body_bytes: usize) -> Self {
        Self { max_body_bytes, ..self }
    }

    pub(crate) fn keep_headers(self, names: &[&'static str]) -> Self {
        let headers = names.iter().map(|name| HeaderName::from_static(name)).collect();
        Self { headers, ..self }
    }

    pub(crate) fn queue_items(self, queue_items: usize) -> Self {
        Self { queue_items, ..self }
    }

    pub(crate) fn tracing(self, tracing: tap::Tracing) -> Self {
        Self { tracing, ..self }
    }

    fn live(self) -> proxy::Live {
        let tap = tap::Settings {
            enabled: true,
            sample: Arc::new(taffrail::capture::SampleRate::new(self.sample)),
            max_body_bytes: self.max_body_bytes,
            headers: self.headers.into(),
        };
        let Self { client, upstream, tracing, .. } = self;
        proxy::Live { client, upstream, tap, tracing }
    }

    pub(crate) fn start(self) -> Sidecar {
        let one = NonZeroUsize::MIN;
        let listener = proxy::bind(([127, 0, 0, 1], 0).into(), one).unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        let routes = Arc::new(RouteTable::new::<&str>(&[]).unwrap());
        let (mut recorders, collector) = latency::recorders(1, Arc::clone(&routes));
        let limits = Limits {
            items: NonZeroUsize::new(self.queue_items).unwrap(),
            bytes: NonZeroUsize::new(256 << 20).unwrap(),
        };
        let queue = Arc::new(Queue::new(limits, Arc::new(Counters::default())));
        let tls = proxy::tls::load(self.tls.as_ref(), self.upstream.tls.as_ref()).unwrap();
        let (shutdown, watching) = watch::channel(Shutdown::Serving);
        let max_connections = self.client.max_connections;
        let room = Arc::new(taffrail::capture::Room::new(self.room_bytes));
        let (_, live) = watch::channel(self.live());
        let thread = proxy::Thread {
            listener,
            live,
            acceptor: tls.acceptor,
            connector: tls.connector,
            connections: Arc::new(proxy::Connections::new(max_connections)),
            routes,
            queue: Arc::clone(&queue),
            room,
            recorder: recorders.remove(0),
            pulse: taffrail::pulse::Pulses::default().add("serving", Duration::MAX),
            shutdown: watching,
        };
        let thread = std::thread::spawn(move || thread.run());
        Sidecar { address, queue, reloader: tls.reloader, shutdown, collector, thread }
    }
}

impl Sidecar {
    /// A client's connection to the sidecar.
    pub(crate) fn client(&self) -> Peer {
        Peer::connect(self.address)
    }

    /// Looks at the files of certificates, often enough to believe what is there.
    pub(crate) fn reload(&mut self) {
        (0..3).for_each(|_| self.reloader.check());
    }

    /// As of now.
    pub(crate) fn latency(&mut self) -> Snapshot {
        self.collector.snapshot()
    }

    pub(crate) fn drain(&self) {
        self.shutdown.send(Shutdown::Draining).unwrap();
    }

    /// Closes, giving exchanges under way `grace`, and does not wait.
    pub(crate) fn close_within(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.shutdown.send(Shutdown::Closing { deadline }).unwrap();
    }

    /// Closes, waits for the thread, and collects what it recorded.
    pub(crate) fn stop(self) -> Record {
        self.close_within(PATIENCE);
        self.collect()
    }

    /// Waits for a thread that was told to close, and leaves the exchanges to another reader.
    pub(crate) fn collect_totals(self) -> Totals {
        self.thread.join().unwrap().unwrap();
        self.queue.counters().totals()
    }

    /// Waits for a thread that was told to close.
    pub(crate) fn collect(mut self) -> Record {
        self.thread.join().unwrap().unwrap();
        let mut exchanges = Vec::new();
        self.queue.drain(&mut exchanges, usize::MAX, usize::MAX);
        Record {
            exchanges: exchanges.into_iter().map(|exchange| *exchange).collect(),
            totals: self.queue.counters().totals(),
            latency: self.collector.snapshot(),
        }
    }
}
