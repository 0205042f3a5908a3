//! Certificates and private keys: PEM files enter, what TLS is built from leaves.
//!
//! The check of the configuration and the TLS of the data path read by the same code, so that a file
//! which `taffrail check` finds good is one that serves. An error names the file and what to do.

mod error;
mod validity;

#[cfg(test)]
pub(crate) mod made;
#[cfg(test)]
mod tests;

pub use error::CredentialError;
pub use validity::{Untimely, Validity};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use xxhash_rust::xxh3::Xxh3;

/// Marks of a key under a passphrase: PKCS #8, and what OpenSSL wrote before it (RFC 1421).
const ENCRYPTED: [&[u8]; 2] = [b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED"];

/// The one provider of cryptography. It is passed along by hand: nothing is installed process-wide.
pub fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    &PROVIDER
}

/// Those of the file, or the public ones.
pub fn authorities(file: Option<&Path>) -> Result<RootCertStore, CredentialError> {
    match file {
        None => Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
        Some(path) => PemFile::read(path)?.authorities(),
    }
}

/// Of all contents, in order; a file that cannot be read has its error for a content.
pub fn fingerprint<'a>(files: impl IntoIterator<Item = &'a Path>) -> u128 {
    let mut all = Xxh3::new();
    let content = |file: &Path| std::fs::read(file).map_err(|error| error.kind().to_string());
    for file in files {
        let (mark, bytes) = match content(file) {
            Ok(bytes) => (0, bytes),
            Err(error) => (1, error.into_bytes()),
        };
        all.update(&[mark]);
        all.update(&bytes.len().to_le_bytes());
        all.update(&bytes);
    }
    all.digest128()
}

/// One file as it was when it was read.
pub struct PemFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl PemFile {
    pub fn read(path: &Path) -> Result<Self, CredentialError> {
        let path = path.to_owned();
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Self { path, bytes }),
            Err(source) => Err(CredentialError::Unreadable { path, source }),
        }
    }

    /// For the fuzz targets, see `tests/fuzz`.
    #[cfg(fuzzing)]
    pub fn of(bytes: &[u8]) -> Self {
        Self { path: PathBuf::new(), bytes: bytes.to_vec() }
    }

    /// A chain, the holder's own certificate first. Never empty.
    pub fn chain(&self) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
        let chain = self.certificates()?;
        for certificate in &chain {
            ParsedCertificate::try_from(certificate).map_err(|error| self.unusable(error))?;
        }
        Ok(chain)
    }

    /// Certificates that others must chain to. Never empty.
    pub fn authorities(&self) -> Result<RootCertStore, CredentialError> {
        let mut authorities = RootCertStore::empty();
        for certificate in self.certificates()? {
            authorities.add(certificate).map_err(|error| self.unusable(error))?;
        }
        Ok(authorities)
    }

    /// The first private key: PKCS #8, PKCS #1 or SEC 1.
    pub fn key(&self) -> Result<Arc<dyn SigningKey>, CredentialError> {
        let path = || self.path.clone();
        if ENCRYPTED.iter().any(|mark| self.bytes.windows(mark.len()).any(|at| at == *mark)) {
            return Err(CredentialError::EncryptedKey { path: path() });
        }
        let key = match PrivateKeyDer::from_pem_slice(&self.bytes) {
            Ok(key) => key,
            Err(pem::Error::NoItemsFound) => return Err(CredentialError::NoKey { path: path() }),
            Err(source) => return Err(CredentialError::DamagedPem { path: path(), source }),
        };
        let loaded = provider().key_provider.load_private_key(key);
        loaded.map_err(|source| CredentialError::UnusableKey { path: path(), source })
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        match found {
            Ok(found) if found.is_empty() => {
                Err(CredentialError::NoCertificate { path: self.path.clone() })
            }
            Ok(found) => Ok(found),
            Err(source) => Err(CredentialError::DamagedPem { path: self.path.clone(), source }),
        }
    }

    fn unusable(&self, source: Error) -> CredentialError {
        CredentialError::UnusableCertificate { path: self.path.clone(), source }
    }
}

/// A chain and the key it was made for: who one side of a connection says it is.
#[derive(Debug)]
pub struct Identity {
    pub certified: Arc<CertifiedKey>,
    /// Of the holder's own certificate; `None` where its dates cannot be read.
    pub validity: Option<Validity>,
}

impl Identity {
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, CredentialError> {
        Self::pair(&PemFile::read(certificate)?, &PemFile::read(key)?)
    }

    pub fn pair(certificate: &PemFile, key: &PemFile) -> Result<Self, CredentialError> {
        let certified = CertifiedKey::new(certificate.chain()?, key.key()?);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => {
                let (certificate, key) = (certificate.path.clone(), key.path.clone());
                return Err(CredentialError::KeyMismatch { certificate, key });
            }
        }
        let validity = certified.cert.first().and_then(|own| Validity::of(own));
        Ok(Self { certified: Arc::new(certified), validity })
    }
}
