//! Certificates for tests: an authority, and identities that it signs, as files in a directory.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::path::{Path, PathBuf};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// An identity that nobody else vouches for; `is_ca` is what OpenSSL makes it unless told not to.
pub(crate) fn self_signed(directory: &Path, name: &str, host: &str, is_ca: IsCa) -> Made {
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.is_ca = is_ca;
    let key = KeyPair::generate().unwrap();
    write(directory, name, &params.self_signed(&key).unwrap().pem(), &key)
}

/// An identity and its files.
pub(crate) struct Made {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn write(&self, directory: &Path, name: &str) -> PathBuf {
        put(directory, name, &self.0.pem())
    }

    /// An identity good for that host, in `<name>.crt` and `<name>.key`.
    pub(crate) fn identity(&self, directory: &Path, name: &str, host: &str) -> Made {
        self.identity_until(directory, name, host, 4000)
    }

    /// Good until the end of that year.
    pub(crate) fn identity_until(
        &self,
        directory: &Path,
        name: &str,
        host: &str,
        year: i32,
    ) -> Made {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        write(directory, name, &certificate.pem(), &key)
    }
}

fn write(directory: &Path, name: &str, certificate: &str, key: &KeyPair) -> Made {
    Made {
        certificate: put(directory, &format!("{name}.crt"), certificate),
        key: put(directory, &format!("{name}.key"), &key.serialize_pem()),
    }
}

pub(crate) fn put(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
