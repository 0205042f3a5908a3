//! The beginning of the end: from now on no new traffic should come here, and what comes is served.
//!
//! Asked for by the signal that ends the process, or ahead of it by `taffrail drain`.

use super::readiness::Readiness;
use crate::proxy::Shutdown;
use std::sync::Arc;
use tokio::sync::watch;

#[derive(Clone)]
pub(super) struct Draining {
    pub(super) readiness: Arc<Readiness>,
    pub(super) traffic: watch::Sender<Shutdown>,
}

impl Draining {
    /// Once is enough; a second time, or when connections are being closed already, changes nothing.
    pub(super) fn start(&self) {
        self.readiness.start_draining();
        let started = self.traffic.send_if_modified(|phase| {
            let is_serving = *phase == Shutdown::Serving;
            if is_serving {
                *phase = Shutdown::Draining;
            }
            is_serving
        });
        if started {
            tracing::info!("draining");
        }
    }
}
