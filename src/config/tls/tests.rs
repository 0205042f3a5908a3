//! What is taken for TLS, and what is said of files and keys that do not fit.

use crate::config::{ClientTls, Config, Problems, Sources};
use crate::credentials::made::{Authority, Made, put};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

struct Place {
    directory: TempDir,
    authority: Authority,
    made: Made,
    ca: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("ca");
        let made = authority.identity(directory.path(), "a", "localhost");
        let ca = authority.write(directory.path(), "ca.crt");
        Self { directory, authority, made, ca }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

fn load(upstream: &str, pairs: &[(&'static str, &Path)]) -> Result<Config, Problems> {
    let mut flags = vec![("upstream.url", upstream.to_owned())];
    flags.extend(pairs.iter().map(|(key, path)| (*key, path.display().to_string())));
    Config::load(&Sources { flags, ..Sources::default() }).map(|(config, _)| config)
}

/// What is said of a configuration that has one problem.
fn refused(upstream: &str, pairs: &[(&'static str, &Path)]) -> String {
    let problems = load(upstream, pairs).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems}");
    problems.to_string()
}

fn client(upstream: &str, pairs: &[(&'static str, &Path)]) -> ClientTls {
    load(upstream, pairs).unwrap().upstream.tls.unwrap()
}

#[test]
fn without_its_keys_there_is_no_tls() {
    let config = load("http://model", &[]).unwrap();
    assert!(config.tls.is_none() && config.upstream.tls.is_none());
    assert_eq!((config.scheme(), config.upstream.scheme()), ("http", "http"));
}

#[test]
fn an_https_upstream_has_the_usual_port_and_the_hosts_name() {
    let upstream = load("https://model.example.com/base", &[]).unwrap().upstream;
    assert_eq!(upstream.authority.as_str(), "model.example.com:443");
    assert_eq!(upstream.scheme(), "https");
    let name = |url| client(url, &[]).server_name.to_str().into_owned();
    assert_eq!(name("https://model.example.com:8443"), "model.example.com");
    assert_eq!(name("https://10.0.0.1"), "10.0.0.1");
    assert_eq!(name("https://[::1]:8443"), "::1");
    let given = Path::new("other.example.com");
    let tls = client("https://10.0.0.1", &[("upstream.tls.server_name", given)]);
    assert_eq!(tls.server_name.to_str(), "other.example.com");
    assert!(tls.ca.is_none() && tls.identity.is_none());
}

#[test]
fn good_files_are_kept_by_their_paths() {
    let place = Place::new();
    let (certificate, key) = (&*place.made.certificate, &*place.made.key);
    let pairs = [("tls.certificate", certificate), ("tls.key", key), ("tls.client_ca", &*place.ca)];
    let config = load("http://model", &pairs).unwrap();
    assert_eq!((config.scheme(), config.upstream.scheme()), ("https", "http"));
    let server = config.tls.unwrap();
    assert_eq!(server.identity.certificate, certificate);
    assert_eq!(server.client_ca.as_ref(), Some(&place.ca));
    let pairs = [
        ("upstream.tls.certificate", certificate),
        ("upstream.tls.key", key),
        ("upstream.tls.ca", &*place.ca),
    ];
    let tls = client("https://model", &pairs);
    assert_eq!(tls.identity.unwrap().key, key);
    assert_eq!(tls.ca.as_ref(), Some(&place.ca));
}

#[test]
fn one_half_of_a_pair_names_the_other() {
    let place = Place::new();
    let (certificate, key) = (&*place.made.certificate, &*place.made.key);
    let said = refused("http://model", &[("tls.certificate", certificate)]);
    assert!(said.contains("tls.certificate: \"") && said.ends_with("give tls.key too"), "{said}");
    let said = refused("http://model", &[("tls.key", key)]);
    assert!(said.ends_with("is of no use alone; give tls.certificate too"), "{said}");
    let said = refused("https://model", &[("upstream.tls.key", key)]);
    assert!(said.ends_with("give upstream.tls.certificate too"), "{said}");
    let said = refused("http://model", &[("tls.client_ca", &*place.ca)]);
    assert!(said.ends_with("needs TLS; give tls.certificate and tls.key too"), "{said}");
}

#[test]
fn a_file_of_no_use_is_told_under_its_key() {
    let place = Place::new();
    let other = place.authority.identity(place.path(), "b", "localhost");
    let (certificate, key) = (&*place.made.certificate, &*place.made.key);
    let empty = put(place.path(), "empty", "");
    let locked = put(place.path(), "locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    let lost = place.path().join("lost");
    for (certificate, key, said) in [
        (certificate, &*other.key, "tls-key: tls.key: "),
        (certificate, &*other.key, "b.key\" is not the key of the first certificate in"),
        (key, key, "tls-certificate: tls.certificate: "),
        (&*empty, key, "empty\" holds no certificate in PEM"),
        (certificate, certificate, "a.crt\" holds no private key in PEM"),
        (certificate, &*locked, "locked\" holds an encrypted key"),
        (&*lost, key, "lost\" cannot be read: No such file"),
    ] {
        let found = refused("http://model", &[("tls.certificate", certificate), ("tls.key", key)]);
        assert!(found.contains(said), "{found}");
    }
    let said = refused("https://model", &[("upstream.tls.ca", key)]);
    assert!(said.contains("a.key\" holds no certificate in PEM"), "{said}");
}

#[test]
fn both_files_of_a_pair_are_told_at_once() {
    let place = Place::new();
    let empty = put(place.path(), "empty", "");
    let pairs = [("tls.certificate", &*empty), ("tls.key", &*empty), ("tls.client_ca", &*empty)];
    assert_eq!(load("http://model", &pairs).unwrap_err().len(), 3);
}

#[test]
fn keys_for_tls_need_an_https_upstream() {
    let place = Place::new();
    let name = Path::new("model.example.com");
    let key = &*place.made.key;
    let pairs = [("upstream.tls.key", key), ("upstream.tls.server_name", name)];
    let problems = load("http://model", &pairs).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems}");
    for problem in problems.iter() {
        let said = "is for TLS, but upstream.url is \"http://model\"; write https:// there";
        assert!(problem.message.contains(said), "{problem}");
    }
    let said = refused("https://model", &[("upstream.tls.server_name", Path::new("a b"))]);
    assert!(said.contains("\"a b\" is neither the name of a host nor an IP address"), "{said}");
}

#[test]
fn a_certificate_out_of_date_is_a_warning() {
    let place = Place::new();
    let old = place.authority.identity_until(place.path(), "old", "localhost", 2021);
    let paths = [("tls.certificate", &old.certificate), ("tls.key", &old.key)];
    let mut flags = vec![("upstream.url", "http://model".to_owned())];
    flags.extend(paths.map(|(key, path)| (key, path.display().to_string())));
    let (_, warnings) = Config::load(&Sources { flags, ..Sources::default() }).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let said = warnings[0].to_string();
    assert!(said.contains("tls.certificate: ") && said.contains("old.crt\" expired at"), "{said}");
}
