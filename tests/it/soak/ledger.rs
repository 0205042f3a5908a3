//! What was asked against what was recorded: each once, and each with its own bodies.

use super::Faults;
use super::plan::{Order, Plan, Token};
use super::wire::Framing;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use taffrail::capture::{BodyEnd, CapturedBody, Exchange};

pub(super) struct Ledger {
    asked: Mutex<HashMap<Token, Certainty>>,
    faults: Arc<Faults>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    WillBeRecorded,
    MayBeRecorded,
}

impl Ledger {
    pub(super) fn new(faults: Arc<Faults>) -> Self {
        Self { asked: Mutex::default(), faults }
    }

    /// Before it is.
    pub(super) fn asked(&self, token: Token, certainty: Certainty) {
        self.asked.lock().unwrap().insert(token, certainty);
    }

    pub(super) fn recorded(&self, exchange: &Exchange) {
        let target = exchange.target.as_str();
        let plan = Plan::token_of(target).map(Plan::of);
        let Some(plan) = plan.filter(|plan| self.take(plan.token)) else {
            return self.faults.add(format!("{target} was recorded, but not asked, or twice"));
        };
        if let Err(why) = check(exchange, &plan) {
            let (status, fault) = (exchange.status, exchange.fault);
            self.faults.add(format!("recorded: {why}, {status:?}, {fault:?} for {plan:?}"));
        }
    }

    fn take(&self, token: Token) -> bool {
        self.asked.lock().unwrap().remove(&token).is_some()
    }

    /// Once nothing is under way any more.
    pub(super) fn close(&self) {
        for (token, certainty) in self.asked.lock().unwrap().drain() {
            if certainty == Certainty::WillBeRecorded {
                self.faults.add(format!("never recorded: {:?}", Plan::of(token)));
            }
        }
    }
}

fn check(exchange: &Exchange, plan: &Plan) -> Result<(), String> {
    let is_whole = exchange.fault.is_none();
    let is_in_order = plan.order == Order::QuestionFirst;
    fits(&exchange.request.body, &plan.question(), is_whole && is_in_order)
        .map_err(|why| format!("question {why}"))?;
    match (exchange.status.map(|status| status.as_u16()), exchange.fault) {
        (Some(200), None) if plan.is_cut() => Err("a cut answer without a fault".into()),
        // An end of the connection is an end of such a body, whoever was the cause of it.
        (Some(200), _) if plan.answered == Framing::UntilClose => {
            fits(&exchange.response.body, &plan.answer(), false)
        }
        (Some(200), _) => fits(&exchange.response.body, &plan.answer(), is_whole),
        (_, None) => Err("no answer, and no fault".into()),
        (_, Some(_)) => Ok(()),
    }
}

fn fits(body: &CapturedBody, expected: &[u8], is_whole: bool) -> Result<(), String> {
    let kept = body.to_bytes();
    if !expected.starts_with(&kept) {
        return Err(format!("body of another, {} bytes", kept.len()));
    }
    if is_whole && (kept.len() != expected.len() || body.end != BodyEnd::Complete) {
        return Err(format!("body {:?} with {} of {}", body.end, kept.len(), expected.len()));
    }
    Ok(())
}
