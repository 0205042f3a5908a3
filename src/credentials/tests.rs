//! What each file comes to, and what is said of those that are of no use.

use super::made::{Authority, put};
use super::*;
use jiff::Timestamp;
use rcgen::KeyPair;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    PemFile::read(path).unwrap().chain()
}

fn key(path: &Path) -> Result<Arc<dyn SigningKey>, CredentialError> {
    PemFile::read(path).unwrap().key()
}

#[test]
fn an_identity_knows_until_when_it_is_good() {
    let directory = directory();
    let authority = Authority::new("ca");
    for (year, said) in [(2031, "2031-12-31T00:00:00Z"), (4000, "4000-12-31T00:00:00Z")] {
        let made = authority.identity_until(directory.path(), "a", "localhost", year);
        let identity = Identity::read(&made.certificate, &made.key).unwrap();
        let validity = identity.validity.unwrap();
        assert_eq!(validity.not_before.to_string(), "2020-01-01T00:00:00Z");
        assert_eq!(validity.not_after.to_string(), said);
    }
}

#[test]
fn a_certificate_is_untimely_before_and_after_its_dates() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let validity = Validity { not_before: at(10), not_after: at(20) };
    assert_eq!(validity.untimely(at(9)), Some(Untimely::NotYet(at(10))));
    assert_eq!(validity.untimely(at(10)), None);
    assert_eq!(validity.untimely(at(20)), None);
    assert_eq!(validity.untimely(at(21)), Some(Untimely::Expired(at(20))));
}

#[test]
fn bytes_that_are_no_certificate_have_no_dates() {
    let directory = directory();
    let made = Authority::new("ca").identity(directory.path(), "a", "localhost");
    let der = chain(&made.certificate).unwrap().remove(0);
    for end in 0..60 {
        assert_eq!(Validity::of(&der[..end]), None, "{end}");
    }
    assert_eq!(Validity::of(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]), None);
    assert!(Validity::of(&der).is_some());
}

#[test]
fn a_file_of_no_use_is_told_by_name_with_what_to_do() {
    let directory = directory();
    let path = directory.path();
    let made = Authority::new("ca").identity(path, "a", "localhost");
    let refusals = [
        (chain(&put(path, "empty", "")).map(drop), "holds no certificate in PEM"),
        (chain(&made.key).map(drop), "holds no certificate in PEM"),
        (key(&made.certificate).map(drop), "holds no private key in PEM"),
        (chain(&put(path, "cut", "-----BEGIN CERTIFICATE-----\nMA==\n")).map(drop), "damaged PEM"),
        (key(&put(path, "cut", "-----BEGIN PRIVATE KEY-----\nMA==\n")).map(drop), "damaged PEM"),
        (
            chain(&put(
                path,
                "odd",
                "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n",
            ))
            .map(drop),
            "a certificate that cannot be used",
        ),
        (
            key(&put(
                path,
                "odd",
                "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n",
            ))
            .map(drop),
            "ECDSA P-256",
        ),
        (
            key(&put(path, "locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n")).map(drop),
            "openssl pkey -in",
        ),
        (
            key(&put(path, "old", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"))
                .map(drop),
            "encrypted key",
        ),
    ];
    for (refused, said) in refusals {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
        assert!(refused.starts_with(format!("{path:?}").trim_end_matches('"')), "{refused}");
    }
}

#[test]
fn a_key_of_another_certificate_is_told_with_both_files() {
    let directory = directory();
    let authority = Authority::new("ca");
    let [a, b] = ["a", "b"].map(|name| authority.identity(directory.path(), name, "localhost"));
    let refused = Identity::read(&a.certificate, &b.key).unwrap_err().to_string();
    assert!(refused.contains("b.key\" is not the key of the first certificate"), "{refused}");
    assert!(refused.contains("a.crt"), "{refused}");
}

#[test]
fn a_key_may_stand_in_the_file_of_its_certificate() {
    let directory = directory();
    let made = Authority::new("ca").identity(directory.path(), "a", "localhost");
    let both = [&made.certificate, &made.key].map(|path| std::fs::read_to_string(path).unwrap());
    let both = put(directory.path(), "both", &both.concat());
    assert!(Identity::read(&both, &both).is_ok());
}

#[test]
fn every_certificate_of_a_file_is_an_authority() {
    let directory = directory();
    let pems = ["one", "two"].map(|name| {
        std::fs::read_to_string(Authority::new(name).write(directory.path(), name)).unwrap()
    });
    let both = put(directory.path(), "both", &pems.concat());
    assert_eq!(PemFile::read(&both).unwrap().authorities().unwrap().len(), 2);
    let key = put(directory.path(), "key", &KeyPair::generate().unwrap().serialize_pem());
    assert!(PemFile::read(&key).unwrap().authorities().is_err());
}
