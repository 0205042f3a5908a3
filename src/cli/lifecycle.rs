//! From a started sidecar to the exit code: waits for a signal, drains, and says how that went.

use crate::app::{Drained, Running};
use anyhow::Context;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Blocks until SIGINT or SIGTERM, then drains. A second signal ends the process at once.
pub(super) fn run_until_signal(
    running: Running,
    on_signal: impl FnOnce(),
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot wait for signals")?;
    runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot wait for signals")?;
        signals.next().await;
        on_signal();
        let drained = drain(running);
        tokio::select! {
            drained = drained => drained,
            () = signals.next() => {
                tracing::warn!("a second signal: not waiting for what is left");
                Ok(ExitCode::from(130))
            }
        }
    })
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { interrupt, terminate })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// On a thread of its own, since draining blocks and a second signal must be heard meanwhile.
async fn drain(running: Running) -> anyhow::Result<ExitCode> {
    let (done, drained) = oneshot::channel();
    std::thread::Builder::new()
        .name("drain".into())
        .spawn(move || done.send(running.shutdown()))
        .context("cannot start draining")?;
    Ok(report(drained.await.context("draining failed")?))
}

fn report(drained: Drained) -> ExitCode {
    if !drained.in_time {
        tracing::warn!("drain.timeout passed: exchanges that were still open were cut");
    }
    if !drained.clean {
        tracing::error!("a thread had panicked; see the messages above");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
