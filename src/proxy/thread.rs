//! A serving thread: one listener, one single-threaded runtime, everything on it owned by it.

use super::drain::{Drain, Member, Phase, TICK};
use super::limit::Connections;
use super::server::Server;
use super::tls::{Acceptor, Connector};
use super::upstream::Upstream;
use crate::capture::{Queue, Room, RouteTable};
use crate::config;
use crate::latency::Recorder;
use crate::pulse::Pulse;
use crate::tap::{Settings, Tap, Tracing};
use std::io;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// Clients over the limit that are being told so, at a time; more of them are only closed.
const MOST_REFUSALS: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// When no connection can be accepted, out of descriptors say, until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How far the shutdown of the process has come. It only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    Serving,
    /// Connections are still accepted; responses ask clients to go elsewhere (`Connection: close`,
    /// GOAWAY).
    Draining,
    /// Nothing is accepted; exchanges under way have until `deadline`.
    Closing {
        deadline: Instant,
    },
}

/// What a serving thread goes by, and follows while it serves. Of `upstream` only what does not say
/// where that is: the connections there stay.
#[derive(Debug, Clone)]
pub struct Live {
    pub client: config::Client,
    pub upstream: config::Upstream,
    pub tap: Settings,
    pub tracing: Tracing,
}

/// All that one serving thread is made of.
pub struct Thread {
    pub listener: std::net::TcpListener,
    /// A change holds for exchanges that begin after it, and of `client` for connections that do. A
    /// sender that is gone changes nothing any more.
    pub live: watch::Receiver<Live>,
    /// Where clients speak TLS.
    pub acceptor: Option<Acceptor>,
    /// Where the upstream speaks TLS.
    pub connector: Option<Connector>,
    /// Shared by all threads of the process.
    pub connections: Arc<Connections>,
    pub routes: Arc<RouteTable>,
    pub queue: Arc<Queue>,
    /// Shared by all threads of the process.
    pub room: Arc<Room>,
    pub recorder: Recorder,
    pub pulse: Pulse,
    /// A sender that is gone before it said `Closing` counts as closing at once.
    pub shutdown: watch::Receiver<Shutdown>,
}

impl Thread {
    /// Serves until the shutdown has come to its end. By then every exchange was recorded, and
    /// offered if it was sampled; those cut by the deadline as cancelled.
    pub fn run(self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())?;
        let Self { listener, mut live, acceptor, connector, connections, .. } = self;
        let Self { routes, queue, room, recorder, pulse, shutdown, .. } = self;
        let Live { client, upstream, tap, tracing } = live.borrow_and_update().clone();
        let tap = Rc::new(Tap::new(tap, routes, queue, room, recorder, tracing));
        let upstream = Rc::new(Upstream::new(upstream, connector));
        let server = Server::new(&client, acceptor, upstream, tap, Rc::new(Drain::new()));
        let doors = (listener, connections, pulse);
        runtime.block_on(run(Rc::new(server), doors, live, shutdown))
    }
}

async fn run(
    server: Rc<Server>,
    (listener, connections, pulse): (std::net::TcpListener, Arc<Connections>, Pulse),
    live: watch::Receiver<Live>,
    mut shutdown: watch::Receiver<Shutdown>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let accepting = accept(Rc::clone(&server), listener, connections, live.clone());
    let accepting = tokio::task::spawn_local(accepting);
    let ticking = tokio::task::spawn_local(tick(Rc::clone(&server), pulse));
    let following = tokio::task::spawn_local(follow(Rc::clone(&server), live));
    let mut deadline = drain(&server, &mut shutdown).await;
    accepting.abort();
    // The listening socket is closed once the task is gone, and only then do new clients go elsewhere.
    drop(accepting.await);
    server.drain.enter(Phase::Closing);
    loop {
        tokio::select! {
            () = server.drain.all_closed() => break,
            () = tokio::time::sleep_until(deadline.into()) => break,
            sooner = closing(&mut shutdown) => deadline = sooner,
        }
    }
    ticking.abort();
    following.abort();
    Ok(())
}

/// Serves until it is time to close, and says until when exchanges may go on.
async fn drain(server: &Server, shutdown: &mut watch::Receiver<Shutdown>) -> Instant {
    loop {
        match *shutdown.borrow_and_update() {
            Shutdown::Serving => {}
            Shutdown::Draining => server.drain.enter(Phase::Draining),
            Shutdown::Closing { deadline } => return deadline,
        }
        if shutdown.changed().await.is_err() {
            return Instant::now();
        }
    }
}

/// A new deadline, when one is given after the first.
async fn closing(shutdown: &mut watch::Receiver<Shutdown>) -> Instant {
    while shutdown.changed().await.is_ok() {
        if let Shutdown::Closing { deadline } = *shutdown.borrow_and_update() {
            return deadline;
        }
    }
    // The deadline that was given stands, though nobody is left to change it.
    std::future::pending().await
}

async fn accept(
    server: Rc<Server>,
    listener: TcpListener,
    connections: Arc<Connections>,
    mut live: watch::Receiver<Live>,
) {
    let refusals = Arc::new(Connections::new(MOST_REFUSALS));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Whoever connects after a change was told of may count on it.
                if live.has_changed().unwrap_or(false) {
                    server.follow(&live.borrow_and_update());
                }
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "a client left at once"
                    );
                    continue;
                }
                let member = Member::new(Rc::clone(&server.drain));
                let server = Rc::clone(&server);
                if let Some(place) = connections.admit() {
                    drop(tokio::task::spawn_local(server.serve(stream, member, place)));
                } else {
                    let place = refusals.admit();
                    drop(tokio::task::spawn_local(server.turn_away(stream, member, place)));
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "no connection could be accepted"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn follow(server: Rc<Server>, mut live: watch::Receiver<Live>) {
    while live.changed().await.is_ok() {
        server.follow(&live.borrow_and_update());
    }
}

async fn tick(server: Rc<Server>, pulse: Pulse) {
    let mut ticks = tokio::time::interval(TICK);
    // In phase with the start for good: whoever collects what is handed over counts on it.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let now = ticks.tick().await;
        pulse.beat();
        server.tap.flush();
        server.upstream.tick(now.into());
        server.drain.tick(now.into());
    }
}
