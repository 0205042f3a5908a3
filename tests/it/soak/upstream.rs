//! The model's side: answers each request as its plan says, and breaks what the plan says to break.
//!
//! Its port stays reserved while it is down, by a socket that is bound and does not listen: nobody else
//! can get it, and who connects is refused.

use super::Faults;
use super::plan::{Afterwards, Ending, Order, Plan, Token};
use super::wire::{self, Framing, Wire};
use socket2::{Domain, SockRef, Socket, Type};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Long enough that requests meet it.
const DOWN: Duration = Duration::from_millis(15);

pub(super) struct Upstream {
    pub(super) state: Arc<State>,
    accepting: JoinHandle<()>,
    _reserved: Socket,
}

pub(super) struct State {
    pub(super) address: SocketAddr,
    pub(super) faults: Arc<Faults>,
    /// Odd while it is down.
    epoch: AtomicU64,
    is_restart_due: AtomicBool,
    is_over: AtomicBool,
    /// A second handle of each, by which they are severed.
    open: Mutex<HashMap<u64, TcpStream>>,
    /// Requests whose head was read, and no more done about them.
    dropped: Mutex<HashSet<Token>>,
}

/// A moment in the upstream's life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epoch(u64);

impl Upstream {
    pub(super) fn start(faults: Arc<Faults>) -> Self {
        let reserved = bound(([127, 0, 0, 1], 0).into());
        let state = Arc::new(State {
            address: reserved.local_addr().unwrap().as_socket().unwrap(),
            faults,
            epoch: AtomicU64::new(0),
            is_restart_due: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            open: Mutex::default(),
            dropped: Mutex::default(),
        });
        let (listener, shared) = (listening(state.address), Arc::clone(&state));
        let accepting = std::thread::spawn(move || live(listener, &shared));
        Self { state, accepting, _reserved: reserved }
    }

    pub(super) fn stop(self) {
        self.state.is_over.store(true, SeqCst);
        self.state.wake();
        self.accepting.join().unwrap();
    }
}

impl State {
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(SeqCst))
    }

    pub(super) fn restarts(&self) -> u64 {
        self.epoch.load(SeqCst) / 2
    }

    pub(super) fn was_down_since(&self, Epoch(before): Epoch) -> bool {
        before % 2 == 1 || self.epoch.load(SeqCst) != before
    }

    /// Whether it read this request and left it without an answer, for the first time of asking.
    pub(super) fn has_dropped(&self, token: Token) -> bool {
        self.dropped.lock().unwrap().remove(&token)
    }

    fn restart(&self) {
        self.is_restart_due.store(true, SeqCst);
        self.wake();
    }

    /// Lets the accepting thread look at what is due. If it is down, it will look anyway.
    fn wake(&self) {
        drop(TcpStream::connect(self.address));
    }

    fn sever_all(&self) {
        for stream in self.open.lock().unwrap().values() {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// One listener after the other, until it is over.
fn live(mut listener: TcpListener, state: &Arc<State>) {
    for id in 0.. {
        let (stream, _) = listener.accept().unwrap();
        if state.is_over.load(SeqCst) {
            return state.sever_all();
        }
        if state.is_restart_due.swap(false, SeqCst) {
            state.epoch.fetch_add(1, SeqCst);
            drop((listener, stream));
            state.sever_all();
            // Being down is to be so for a while.
            std::thread::sleep(DOWN);
            listener = listening(state.address);
            state.epoch.fetch_add(1, SeqCst);
            continue;
        }
        let handle = stream.try_clone().unwrap();
        state.open.lock().unwrap().insert(id, handle);
        let state = Arc::clone(state);
        std::thread::spawn(move || {
            let mut wire = Wire::of(stream);
            // Who breaks off has closed the connection, which is all there is to do about it.
            if let Err(error) = serve(&mut wire, &state)
                && error.kind() == io::ErrorKind::Other
            {
                state.faults.add(format!("the upstream could not read: {error}"));
            }
            state.open.lock().unwrap().remove(&id);
            drop(wire);
        });
    }
}

fn serve(wire: &mut Wire, state: &State) -> io::Result<()> {
    let mut before = Afterwards::Keeps;
    loop {
        if before == Afterwards::ClosesOnNextUnread {
            wire.stream().peek(&mut [0])?;
            return Ok(());
        }
        let head = wire.head()?;
        let target = head.start.split(' ').nth(1).unwrap_or_default();
        let Some(plan) = Plan::token_of(target).map(Plan::of) else {
            state.faults.add(format!("the upstream was asked {:?}", head.start));
            return Ok(());
        };
        if before == Afterwards::ClosesOnNext {
            state.dropped.lock().unwrap().insert(plan.token);
            return Ok(());
        }
        if plan.order == Order::AnswerFirst {
            answer(wire, &plan)?;
        }
        let Some(question) = wire.body(&head, |_| ControlFlow::Continue(()))? else {
            return Ok(());
        };
        if head.token != Some(plan.token) || question != plan.question() {
            let (token, length) = (head.token, question.len());
            state.faults.add(format!("the upstream got {token:?}, {length} bytes for {plan:?}"));
        }
        if plan.order == Order::QuestionFirst {
            answer(wire, &plan)?;
        }
        match plan.afterwards {
            _ if plan.is_cut() || plan.answered == Framing::UntilClose => return Ok(()),
            Afterwards::SaysClose | Afterwards::Closes => return Ok(()),
            Afterwards::Restarts => state.restart(),
            Afterwards::Keeps | Afterwards::ClosesOnNext | Afterwards::ClosesOnNextUnread => {}
        }
        before = plan.afterwards;
    }
}

fn answer(wire: &mut Wire, plan: &Plan) -> io::Result<()> {
    let body = plan.answer();
    let close = if plan.afterwards == Afterwards::SaysClose { "connection: close\r\n" } else { "" };
    let head = wire::head_of("HTTP/1.1 200 OK", plan.answered, body.len(), plan, close);
    let mut pieces = wire::pieces(&body, plan.answered, plan.pieces);
    if plan.is_cut() {
        pieces.pop();
    }
    wire.say(&head, &pieces, plan.pause)?;
    if plan.ending == Ending::CutByReset {
        SockRef::from(wire.stream()).set_linger(Some(Duration::ZERO))?;
    }
    Ok(())
}

fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

fn listening(address: SocketAddr) -> TcpListener {
    let socket = bound(address);
    socket.listen(1024).unwrap();
    socket.into()
}
