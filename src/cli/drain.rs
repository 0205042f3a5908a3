//! `taffrail drain`: for the preStop hook of the sidecar's container. Clients that keep a connection
//! are told to leave while the model still answers; nothing else tells them, and the sidecar itself is
//! signalled only when the model has ended.

use crate::app::reachable;
use anyhow::{Context, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

pub(super) const AFTER_HELP: &str = "\
For the preStop hook of the sidecar's container in Kubernetes:
  lifecycle: { preStop: { exec: { command: [\"/usr/local/bin/taffrail\", \"drain\"] } } }
Readiness turns false, answers say `Connection: close` or GOAWAY, and connections that ask nothing for two
seconds are closed. New connections are still served, until the process is ended.";

const ADDRESS_VARIABLE: &str = "TAFFRAIL_ADMIN_ADDRESS";
const DEFAULT_ADDRESS: &str = "127.0.0.1:9464";
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The sidecar's admin address; else `TAFFRAIL_ADMIN_ADDRESS`, else 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
}

pub(super) fn drain(args: &Args) -> anyhow::Result<ExitCode> {
    let (written, from) = address(args);
    let address = written.parse::<SocketAddr>().with_context(|| {
        format!("{from}: {written:?} is not an address and a port, such as {DEFAULT_ADDRESS}")
    })?;
    let answer = ask(reachable(address)).with_context(|| {
        format!(
            "no sidecar answers at {address} ({from}); give its admin.address with --admin ADDRESS"
        )
    })?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        let told = answer.split_once("\r\n\r\n").map_or(answer.as_str(), |(_, body)| body);
        bail!("the sidecar at {address} did not start to drain: {status} {told}");
    }
    Ok(ExitCode::SUCCESS)
}

/// And where it is from.
fn address(args: &Args) -> (String, &'static str) {
    if let Some(given) = &args.admin {
        return (given.clone(), "--admin");
    }
    match std::env::var(ADDRESS_VARIABLE) {
        Ok(set) => (set, ADDRESS_VARIABLE),
        Err(_) => (DEFAULT_ADDRESS.to_owned(), "the default"),
    }
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /api/v1/drain HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
