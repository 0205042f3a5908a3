//! What this process may read and write, and who it is.

use super::Finding;
use crate::config::{Archive, Config};
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const MIB: u64 = 1 << 20;

pub(super) fn check(config: &Config, findings: &mut Vec<Finding>) {
    if let Archive::Local { directory, max_bytes, .. } = &config.archive {
        findings.push(data(directory, *max_bytes));
    }
    findings.extend(token(config));
    findings.push(user(rustix::process::geteuid().is_root(), is_root_read_only()));
}

/// Written where the archive would write, and removed again.
fn data(directory: &Path, max_bytes: u64) -> Finding {
    const CHECK: &str = "data";
    let shown = directory.display();
    let missing: Vec<_> = directory.ancestors().take_while(|place| !place.exists()).collect();
    let made = fs::create_dir_all(directory).and_then(|()| try_write(directory));
    let space = statvfs(directory);
    let held = held(directory);
    for place in missing {
        // A sidecar may have begun to use it meanwhile: then it is not empty.
        let _ = fs::remove_dir(place);
    }
    if let Err(error) = made {
        let advice = "mount a volume there that the container's user may write (fsGroup), choose \
                      another data_dir, or set archive to off";
        return Finding::fail(CHECK, format!("{shown} cannot be written: {error}"), advice);
    }
    let Ok(space) = space else {
        return Finding::ok(CHECK, format!("{shown} can be written"));
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let room = free + held;
    let seen = format!(
        "{shown} can be written; {} MiB are free, the record takes up to {} MiB",
        free / MIB,
        max_bytes / MIB
    );
    if room < max_bytes {
        let advice = "lower archive.max_bytes, or make the volume larger: on a full disk what is \
                      recorded is lost and counted";
        return Finding::warn(CHECK, seen, advice);
    }
    Finding::ok(CHECK, seen)
}

fn try_write(directory: &Path) -> std::io::Result<()> {
    let path = directory.join(format!(".doctor-{}", std::process::id()));
    let written = fs::File::create_new(&path).and_then(|mut file| {
        file.write_all(b"taffrail doctor")?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.and(removed)
}

/// What the record takes already.
fn held(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum()
}

fn token(config: &Config) -> Option<Finding> {
    const CHECK: &str = "token";
    let given = config.effective().iter().find(|entry| entry.key == "admin.token_file")?;
    let path = PathBuf::from(&given.value);
    let mode = fs::metadata(&path).ok()?.permissions().mode();
    let seen = format!("{} has mode {:o}", path.display(), mode & 0o777);
    Some(if mode & 0o004 == 0 {
        Finding::ok(CHECK, seen)
    } else {
        let advice = "any user of this host may read it: chmod o-r, or defaultMode: 0440 for a \
                      mounted secret";
        Finding::warn(CHECK, seen, advice)
    })
}

fn is_root_read_only() -> bool {
    statvfs("/").is_ok_and(|root| root.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn user(is_root: bool, is_root_read_only: bool) -> Finding {
    const CHECK: &str = "user";
    let file_system = if is_root_read_only { "read-only" } else { "writable" };
    if is_root {
        let seen = format!("runs as root; the root file system is {file_system}");
        let advice = "nothing here needs root: runAsNonRoot: true, readOnlyRootFilesystem: true";
        return Finding::warn(CHECK, seen, advice);
    }
    Finding::ok(CHECK, format!("does not run as root; the root file system is {file_system}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State;

    #[test]
    fn a_directory_that_takes_files_is_left_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let finding = data(&directory.path().join("new/archive"), 1);
        assert_eq!(finding.state, State::Ok, "{finding:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        let small = data(directory.path(), u64::MAX);
        assert_eq!(small.state, State::Warn, "{small:?}");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_a_failure_whoever_asks() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let finding = data(&file.path().join("below"), 1);
        assert_eq!(finding.state, State::Fail, "{finding:?}");
        assert!(finding.advice.unwrap().contains("fsGroup"));
    }

    #[test]
    fn root_is_warned_of() {
        assert_eq!(user(true, true).state, State::Warn);
        assert_eq!(user(false, false).state, State::Ok);
    }
}
