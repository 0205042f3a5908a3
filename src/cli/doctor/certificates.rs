//! Our own certificates: do they belong to their keys, and for how long are they good?

use super::{Finding, chain};
use crate::config::{Config, IdentityFiles};
use crate::credentials::{Identity, Validity};
use jiff::{SignedDuration, Timestamp};

const CHECK: &str = "certificate";
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

pub(super) fn check(config: &Config, now: Timestamp, findings: &mut Vec<Finding>) {
    let clients = config.tls.as_ref().map(|tls| &tls.identity);
    let model = config.upstream.tls.as_ref().and_then(|tls| tls.identity.as_ref());
    let exporter = config.export.otlp.as_ref().and_then(|otlp| otlp.tls.identity.as_ref());
    let identities = [clients, model, exporter];
    findings.extend(identities.into_iter().flatten().map(|files| identity(files, now)));
}

fn identity(files: &IdentityFiles, now: Timestamp) -> Finding {
    let shown = files.certificate.display();
    match Identity::read(&files.certificate, &files.key) {
        Ok(Identity { validity: Some(validity), .. }) => dates(&shown.to_string(), validity, now),
        Ok(_) => Finding::ok(CHECK, format!("{shown} belongs to its key")),
        Err(error) => {
            let advice = "write the pair anew: what is served meanwhile is the pair before";
            Finding::fail(CHECK, chain(&error), advice)
        }
    }
}

fn dates(shown: &str, validity: Validity, now: Timestamp) -> Finding {
    const RENEW: &str = "renew it; the files are looked at once a second, no restart is needed";
    if let Some(untimely) = validity.untimely(now) {
        return Finding::fail(CHECK, format!("{shown} {untimely}"), RENEW);
    }
    let left = validity.not_after.duration_since(now);
    let seen = format!("{shown} is good for {} days more", left.as_hours() / 24);
    if left < SOON { Finding::warn(CHECK, seen, RENEW) } else { Finding::ok(CHECK, seen) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State;

    #[test]
    fn a_certificate_is_renewed_before_and_not_after_its_end() {
        let day = |number: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * number);
        let validity = Validity { not_before: day(100), not_after: day(200) };
        for (now, state) in [
            (day(99), State::Fail),
            (day(101), State::Ok),
            (day(185), State::Ok),
            (day(187), State::Warn),
            (day(201), State::Fail),
        ] {
            assert_eq!(dates("tls.crt", validity, now).state, state, "{now}");
        }
    }
}
