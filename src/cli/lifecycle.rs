//! From a started sidecar to the exit code: waits for signals, reloads, drains, and says how that went.

use crate::app::{Drained, Running};
use crate::config::Cause;
use anyhow::Context;
use std::process::ExitCode;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Signals that are heard from when this is made: before the sidecar starts, so that none that comes
/// early ends the process as it would by itself.
pub(super) struct Lifecycle {
    runtime: Runtime,
    signals: Signals,
}

/// What SIGHUP is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hangup {
    Reloads,
    /// The terminal is gone, and with it whoever looked.
    Ends,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

enum Heard {
    Stop,
    Hangup,
}

impl Lifecycle {
    pub(super) fn listen() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .context("cannot wait for signals")?;
        let listening = runtime.block_on(async { Signals::listen() });
        let signals = listening.context("cannot wait for signals")?;
        Ok(Self { runtime, signals })
    }

    /// Blocks until SIGINT or SIGTERM, then drains. A second signal ends the process at once.
    pub(super) fn run_until_signal(
        self,
        running: Running,
        hangup: Hangup,
        on_signal: impl FnOnce(),
    ) -> anyhow::Result<ExitCode> {
        let Self { runtime, mut signals } = self;
        runtime.block_on(async {
            while let Heard::Hangup = signals.next().await
                && hangup == Hangup::Reloads
            {
                if running.reload(Cause::Signal).is_none() {
                    tracing::warn!("too many reloads wait already; this signal is ignored");
                }
            }
            on_signal();
            let drained = drain(running);
            tokio::select! {
                drained = drained => drained,
                () = signals.stop() => {
                    tracing::warn!("a second signal: not waiting for what is left");
                    Ok(ExitCode::from(130))
                }
            }
        })
    }
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        let hangup = signal(SignalKind::hangup())?;
        Ok(Self { interrupt, terminate, hangup })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.interrupt.recv() => Heard::Stop,
            _ = self.terminate.recv() => Heard::Stop,
            _ = self.hangup.recv() => Heard::Hangup,
        }
    }

    /// There is nothing to reload any more.
    async fn stop(&mut self) {
        while let Heard::Hangup = self.next().await {}
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
