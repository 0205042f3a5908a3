//! What HTTP demands of an intermediary, byte by byte (RFC 9110, 9112, 9113): raw peers on both
//! sides, tables of cases, and no knowledge of what is in between.

mod chunks;
mod connections;
mod faults;
mod fields;
mod flow;
mod framing;
mod grpc;
mod h2_answers;
mod h2_floods;
mod h2_flow;
mod h2_frames;
mod h2_heads;
mod h2_translation;
mod interim;
mod request_line;
mod responses;
mod transparent_requests;
mod transparent_responses;
mod upgrade;

use crate::support::message::shown;
use crate::support::raw::{End, Raw};
use crate::support::sidecar::{Sidecar, before};
use crate::support::witness::{Witness, response};
use std::time::Duration;

/// A request that is beyond doubt, and answered with 200.
const PROBE: &str = "GET /probe HTTP/1.1\r\nHost: m\r\n\r\n";
/// What may be said to a request that cannot be understood, or not be understood in one way only.
const REFUSALS: [u16; 2] = [400, 501];
/// The same, of one that is too long.
const TOO_LONG: [u16; 4] = [400, 413, 414, 431];

/// One of these is said, the connection closed, and the upstream sees not a byte.
fn refused_with(request: &[u8], allowed: &[u16]) -> Result<(), String> {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).start();
    let said = refusal(&sidecar, request, allowed);
    let probed = probe(&sidecar);
    stop(sidecar);
    let seen = witness.finish();
    said?;
    probed?;
    if seen.whole.len() == 1 && seen.whole[0].start.contains("/probe") && seen.broken.is_empty() {
        return Ok(());
    }
    Err(format!("the upstream saw {seen:?}"))
}

fn refused(request: &[u8]) -> Result<(), String> {
    refused_with(request, &REFUSALS)
}

fn refusal(sidecar: &Sidecar, request: &[u8], allowed: &[u16]) -> Result<(), String> {
    let mut client = Raw::connect(sidecar.address);
    let response = response(client.say(request))?;
    if !allowed.contains(&response.status()) {
        return Err(format!("answered {:?}", response.start));
    }
    match client.hear_all() {
        // A reset behind the answer is no more than unread bytes that were thrown away.
        (bytes, End::Closed | End::Reset) if bytes.is_empty() => {}
        (bytes, end) => return Err(format!("{end:?} with {} behind the answer", shown(&bytes))),
    }
    match response.field("connection") {
        Some(value) if value.eq_ignore_ascii_case("close") => Ok(()),
        other => Err(format!("refused, but with Connection: {other:?}")),
    }
}

/// The upstream never sees a whole request of it, and the client never a success.
fn never_whole(request: &[u8]) -> Result<(), String> {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    let (answer, end) = client.say(request).hear_all();
    drop(client);
    let probed = probe(&sidecar);
    stop(sidecar);
    let seen = witness.finish();
    if seen.whole.iter().any(|request| !request.start.contains("/probe")) {
        return Err(format!("the upstream saw a whole request: {:?}", seen.whole));
    }
    probed?;
    let is_refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4");
    if !is_refused || end == End::Silent {
        return Err(format!("{end:?} after {}", shown(&answer)));
    }
    Ok(())
}

/// Refused as above, or passed on as one request that is as expected.
fn refused_or(
    request: &[u8],
    is_expected: impl Fn(&crate::support::message::Message) -> bool,
) -> Result<(), String> {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    let answer = response(client.say(request));
    client.finish();
    let (behind, end) = client.hear_all();
    stop(sidecar);
    let seen = witness.finish();
    let answer = answer?;
    if !behind.is_empty() || end == End::Silent {
        return Err(format!("{end:?} after {} behind the answer", shown(&behind)));
    }
    let has_passed = seen.whole.len() == 1 && seen.broken.is_empty() && is_expected(&seen.whole[0]);
    match answer.status() {
        200 if has_passed => Ok(()),
        400..=499 | 501 | 505 if seen.whole.is_empty() && seen.broken.is_empty() => Ok(()),
        status => Err(format!("{status}, and the upstream saw {seen:?}")),
    }
}

/// Another client is served as if nothing had been.
fn probe(sidecar: &Sidecar) -> Result<(), String> {
    let answer = response(Raw::connect(sidecar.address).say(PROBE))?;
    if answer.status() == 200 { Ok(()) } else { Err(format!("then {:?}", answer.start)) }
}

/// All its connections are closed then.
fn stop(sidecar: Sidecar) {
    sidecar.close_within(Duration::from_secs(1));
    drop(sidecar.collect());
}
