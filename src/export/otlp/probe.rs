//! Whether receivers take an export of nothing, sent as exports are: for `taffrail doctor`.

use super::OtlpError;
use super::transport::{Answer, Transport};
use crate::config;
use crate::export::azure_token::AzureToken;
use crate::export::counters::Signal;
use crate::export::http::{Client, SendError};
use bytes::Bytes;
use http::Uri;
use std::sync::Arc;
use std::time::Duration;

/// What one receiver said.
#[derive(Debug)]
pub struct Probed {
    pub signal: Signal,
    pub url: Uri,
    pub outcome: Outcome,
}

#[derive(Debug)]
pub enum Outcome {
    Taken,
    /// Not even a connection could be made.
    Unreached(SendError),
    /// It may take it later.
    Busy(String),
    Refused(String),
}

/// Asks the receiver of every signal that is on; none is waited for longer than `patience`.
pub async fn probe(
    otlp: &config::Otlp,
    token: Option<&Arc<AzureToken>>,
    patience: Duration,
) -> Result<Vec<Probed>, OtlpError> {
    let client = Arc::new(Client::new(otlp.tls.clone()).map_err(OtlpError::Tls)?);
    let signals = [
        (Signal::Metrics, &otlp.metrics),
        (Signal::Logs, &otlp.logs),
        (Signal::Traces, &otlp.traces),
    ];
    let mut probed = Vec::new();
    for (signal, receiver) in signals {
        let Some(receiver) = receiver.clone() else { continue };
        let url = receiver.url.clone();
        let receiver = config::Receiver { timeout: receiver.timeout.min(patience), ..receiver };
        let reached = tokio::time::timeout(patience, client.reach(&url)).await;
        let reached = reached.unwrap_or(Err(SendError::TimedOut(patience)));
        let outcome = if let Err(error) = reached {
            Outcome::Unreached(error)
        } else {
            let client = Arc::clone(&client);
            let transport = Transport::new(client, receiver, signal, token.cloned());
            // A request without anything in it is a message of no bytes.
            match transport.send(&Bytes::new()).await {
                Answer::Taken(_) => Outcome::Taken,
                Answer::Later { reason, .. } => Outcome::Busy(reason),
                Answer::Refused { reason } => Outcome::Refused(reason),
            }
        };
        probed.push(Probed { signal, url, outcome });
    }
    Ok(probed)
}
