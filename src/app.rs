//! app

use crate::config::Config;

pub fn run(_config: Config) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
