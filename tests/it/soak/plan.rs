//! What happens to one request, on both sides of the proxy: a function of its token, so that client,
//! upstream and record agree on it without a word about it on the wire.

use super::wire::Framing;
use fastrand::Rng;
use std::sync::LazyLock;
use std::time::Duration;

pub(super) const SEED: u64 = 0x7af_f3a11;
const MOST_BYTES: usize = 300 << 10;
const EARLY_BYTES: usize = 8 << 10;
/// What the proxy keeps of a body that it may have to send again.
const REPEATABLE_BYTES: usize = 64 << 10;

pub(super) type Token = u64;

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) token: Token,
    pub(super) method: &'static str,
    pub(super) asked: Framing,
    pub(super) order: Order,
    question_bytes: usize,
    pub(super) answered: Framing,
    answer_bytes: usize,
    /// Of either body.
    pub(super) pieces: usize,
    /// Between the pieces of the answer.
    pub(super) pause: Option<Duration>,
    pub(super) ending: Ending,
    pub(super) afterwards: Afterwards,
    pub(super) client: Client,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    QuestionFirst,
    /// The answer comes while the question is still on its way, or never read to its end.
    AnswerFirst,
}

/// Of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Whole,
    /// Without its last piece.
    CutByClose,
    /// The same, and the kernel may take back what came before.
    CutByReset,
}

/// What the upstream does with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    Keeps,
    SaysClose,
    Closes,
    /// Having read the next request's head.
    ClosesOnNext,
    /// Having read nothing.
    ClosesOnNextUnread,
    Restarts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Stays,
    ReadsSlowly,
    LeavesInQuestion,
    LeavesInAnswer,
}

impl Plan {
    pub(super) fn of(token: Token) -> Self {
        let rng = &mut Rng::with_seed(SEED ^ token.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let question_bytes = size(rng);
        let ending = match rng.u8(0..50) {
            0 | 1 => Ending::CutByClose,
            2 => Ending::CutByReset,
            _ => Ending::Whole,
        };
        let answer_bytes = size(rng).max(usize::from(ending != Ending::Whole));
        let mut plan = Self {
            token,
            order: Order::QuestionFirst,
            method: match rng.u8(0..4) {
                _ if question_bytes == 0 => "GET",
                0 => "PUT",
                _ => "POST",
            },
            asked: if rng.bool() { Framing::Sized } else { Framing::Chunked },
            question_bytes,
            answered: framing(rng, ending),
            answer_bytes,
            pieces: rng.usize(1..=5),
            pause: (rng.u8(0..8) == 0).then(|| Duration::from_millis(rng.u64(1..=3))),
            ending,
            afterwards: afterwards(rng),
            client: client(rng),
        };
        if plan.may_be_answered_early() && rng.u8(0..8) == 0 {
            plan.order = Order::AnswerFirst;
        }
        plan
    }

    /// The answer has to fit between the peers, since neither may read before it has written. And the
    /// connection stays open: a next request that was read along with the question would else be lost.
    fn may_be_answered_early(&self) -> bool {
        let is_small = self.question_bytes > 0 && self.answer_bytes < EARLY_BYTES;
        let is_kept = !self.is_cut() && self.answered != Framing::UntilClose;
        is_small && is_kept && self.afterwards == Afterwards::Keeps
    }

    /// As a request's target.
    pub(super) fn target(&self) -> String {
        format!("/soak/{}", self.token)
    }

    pub(super) fn token_of(target: &str) -> Option<Token> {
        target.strip_prefix("/soak/")?.parse().ok()
    }

    pub(super) fn question(&self) -> Vec<u8> {
        noise(self.token, 0, self.question_bytes)
    }

    pub(super) fn answer(&self) -> Vec<u8> {
        noise(self.token, 1, self.answer_bytes)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.ending != Ending::Whole
    }

    /// Whether it can be sent once more as often as it takes.
    pub(super) fn is_repeatable(&self) -> bool {
        self.question_bytes <= REPEATABLE_BYTES
    }
}

fn size(rng: &mut Rng) -> usize {
    match rng.u8(0..10) {
        0 | 1 => 0,
        2..=5 => rng.usize(1..200),
        6..=8 => rng.usize(200..20_000),
        _ => rng.usize(20_000..=MOST_BYTES),
    }
}

/// A cut of what lasts until the connection closes could not be told from its end.
fn framing(rng: &mut Rng, ending: Ending) -> Framing {
    match rng.u8(0..9) {
        0 if ending == Ending::Whole => Framing::UntilClose,
        0..=4 => Framing::Chunked,
        _ => Framing::Sized,
    }
}

fn afterwards(rng: &mut Rng) -> Afterwards {
    match rng.u16(0..400) {
        0 => Afterwards::Restarts,
        1..=30 => Afterwards::Closes,
        31..=40 => Afterwards::SaysClose,
        41..=50 => Afterwards::ClosesOnNext,
        51..=60 => Afterwards::ClosesOnNextUnread,
        _ => Afterwards::Keeps,
    }
}

fn client(rng: &mut Rng) -> Client {
    match rng.u8(0..40) {
        0 | 1 => Client::LeavesInQuestion,
        2 | 3 => Client::LeavesInAnswer,
        4 | 5 => Client::ReadsSlowly,
        _ => Client::Stays,
    }
}

/// The token, then bytes that no other token has at that place.
fn noise(token: Token, side: u64, length: usize) -> Vec<u8> {
    static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut noise = vec![0; 1 << 20];
        Rng::with_seed(SEED).fill(&mut noise);
        noise
    });
    let mut bytes = (token * 2 + side).to_le_bytes().to_vec();
    let from = Rng::with_seed(token * 2 + side).usize(..NOISE.len() - MOST_BYTES);
    bytes.extend_from_slice(&NOISE[from..from + MOST_BYTES]);
    bytes.truncate(length);
    bytes
}
