//! What the terminal says while the demo runs. In: addresses, once, and every few seconds the numbers
//! that the sidecar measured. Out: text, one line a time.

use super::{Moment, Progress, Taken};
use crate::drift::Verdict;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(5);

/// Read from the sidecar at one moment; `None` where nothing was measured yet.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    pub requests_per_second: f64,
    pub p50: Option<Duration>,
    pub p99: Option<Duration>,
    /// In [0, 1].
    pub coverage: f64,
    /// Of the last closed window, with the features that drift in it, the furthest first.
    pub verdict: Option<(Verdict, Vec<Arc<str>>)>,
    /// Of the rows last labelled, in [0, 1].
    pub accuracy: Option<f64>,
}

/// The addresses, what will be seen, and the heads of the columns of [`Numbers::line`].
pub fn banner(
    admin: SocketAddr,
    sidecar: SocketAddr,
    model: SocketAddr,
    taken: &[Taken],
) -> String {
    let mut text = format!(
        "Taffrail demo: the weather of Seattle, through a sidecar. Ctrl-C drains and ends it.\n\
         \n\
         \x20 page     http://{admin}/\n\
         \x20 sidecar  http://{sidecar}\n\
         \x20 model    http://{model}\n\n"
    );
    for taken in taken {
        if let Taken::ByAnother { asked } = taken {
            let _ =
                writeln!(text, "  {asked} is taken by another process: a free port was chosen.");
        }
    }
    text.push_str(
        "The model was fitted on half the days of two summers, and first meets the other half.\n\
         A simulated day lasts 150 ms; autumn begins after 23 s.\n\n\
         date        season   req/s      p50      p99  coverage  accuracy  last window",
    );
    text
}

/// Writes a line every few seconds, until `stop` is true or its sender is gone.
pub async fn narrate(
    progress: &Progress,
    mut numbers: impl FnMut() -> Numbers,
    mut out: impl io::Write,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut ticks = interval_at(Instant::now() + PAUSE, PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            _ = ticks.tick() => writeln!(out, "{}", numbers().line(progress.moment()))?,
        }
    }
}

impl Numbers {
    pub fn line(&self, moment: Moment) -> String {
        format!(
            "{}  {:<6}  {:>6.0} {:>8} {:>8} {:>9} {:>9}  {}",
            moment.date,
            moment.season.as_str(),
            self.requests_per_second,
            milliseconds(self.p50),
            milliseconds(self.p99),
            percent(Some(self.coverage)),
            percent(self.accuracy),
            self.verdict_text(),
        )
    }

    fn verdict_text(&self) -> String {
        const SHOWN: usize = 2;
        let Some((verdict, features)) = &self.verdict else { return "not closed yet".into() };
        let mut text = verdict.as_str().replace('_', " ");
        let named: Vec<_> = features.iter().take(SHOWN).map(|feature| &**feature).collect();
        if !named.is_empty() {
            let _ = write!(text, ": {}", named.join(", "));
        }
        if features.len() > SHOWN {
            let _ = write!(text, ", +{}", features.len() - SHOWN);
        }
        text
    }
}

fn milliseconds(time: Option<Duration>) -> String {
    let Some(time) = time.map(|time| time.as_secs_f64() * 1e3) else { return "–".into() };
    let decimals = if time < 100.0 { 2 } else { 0 };
    format!("{time:.decimals$} ms")
}

fn percent(share: Option<f64>) -> String {
    share.map_or("–".into(), |share| format!("{:.0} %", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Calendar;

    #[test]
    fn a_line_stands_under_its_heads_and_fits_a_terminal() {
        let numbers = Numbers {
            requests_per_second: 299.7,
            p50: Some(Duration::from_micros(410)),
            p99: Some(Duration::from_micros(12_345)),
            coverage: 1.0,
            verdict: Some((Verdict::Drifting, ["a", "b", "c"].map(Arc::from).to_vec())),
            accuracy: Some(0.634),
        };
        assert_eq!(
            numbers.line(Calendar::at(Duration::ZERO)),
            "2013-05-01  summer     300  0.41 ms 12.35 ms     100 %      63 %  \
             drifting: a, b, +1"
        );
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let line = Numbers::default().line(Calendar::at(Duration::ZERO));
        assert!(line.contains('–') && line.ends_with("not closed yet"), "{line}");
    }

    #[test]
    fn a_taken_port_is_said_in_the_banner() {
        let [admin, sidecar, model] =
            [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let asked = SocketAddr::from(([127, 0, 0, 1], 9464));
        let text = banner(admin, sidecar, model, &[Taken::Free, Taken::ByAnother { asked }]);
        assert!(text.contains("http://127.0.0.1:1/"));
        assert!(text.contains("127.0.0.1:9464 is taken"));
    }
}
