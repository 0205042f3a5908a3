//! `taffrail demo`: no set-up at all.

use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn demo(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("the demo is not part of this build")
}
