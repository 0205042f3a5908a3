//! Children of the bench, each the leader of a process group, none of which outlives it.
//!
//! They are ended by their own group when dropped, so by an error or a panic too; by
//! [`end_all`] on Ctrl-C; and by the kernel, through `setpriv`, if the bench itself is killed.

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(2);
const TERM_LIMIT: Duration = Duration::from_secs(1);
const LOG_LINES_SHOWN: usize = 8;

static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn groups() -> MutexGuard<'static, Vec<Pid>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn end_all() {
    for group in groups().drain(..) {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

pub(crate) struct Process {
    child: Child,
    pid: Pid,
    output: PathBuf,
}

impl Process {
    /// Runs `command`, a program and its arguments, on one core; what it says goes to the file
    /// `output`. To be called from the main thread: with the thread that called it ends the child.
    pub(crate) fn start<S: AsRef<std::ffi::OsStr>>(
        command: &[S],
        cpu: usize,
        output: &Path,
    ) -> anyhow::Result<Self> {
        let file = File::create(output).with_context(|| output.display().to_string())?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "taskset", "--cpu-list", &cpu.to_string()])
            .args(command)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .context("cannot run setpriv and taskset (package util-linux)")?;
        let pid = Pid::from_child(&child);
        groups().push(pid);
        Ok(Self { child, pid, output: output.to_owned() })
    }

    /// Of the process, which is also that of its group.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// To the leader only, as an orchestrator would.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process(self.pid, signal).context("cannot send a signal")
    }

    /// `None` if it still runs after `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Waits for the end of a command that ends by itself; gives what it said.
    pub(crate) fn finish(mut self, limit: Duration) -> anyhow::Result<String> {
        match self.wait(limit)? {
            None => bail!("did not end within {limit:?}: {}", self.last_words()),
            Some(status) if !status.success() => bail!("{status}: {}", self.last_words()),
            Some(_) => Ok(self.said()),
        }
    }

    /// Waits until `is_ready`, which is told what the child has said so far.
    pub(crate) fn wait_until(
        &mut self,
        limit: Duration,
        is_ready: impl Fn(&str) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        while !is_ready(&self.said()) {
            if let Some(status) = self.child.try_wait()? {
                bail!("ended with {status}: {}", self.last_words());
            }
            if Instant::now() >= deadline {
                bail!("was not ready within {limit:?}: {}", self.last_words());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn said(&self) -> String {
        std::fs::read(&self.output)
            .map_or_else(|_| String::new(), |said| String::from_utf8_lossy(&said).into_owned())
    }

    fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<_> = said.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself. If not, it first gets the chance to end its own children.
        let _ = kill_process(self.pid, Signal::TERM);
        let _ = self.wait(TERM_LIMIT);
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = self.child.wait();
        groups().retain(|&group| group != self.pid);
    }
}
