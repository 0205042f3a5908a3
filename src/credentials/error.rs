//! Why a file is of no use to TLS, and what to do about it.

use rustls::pki_types::pem;
use std::path::PathBuf;
use thiserror::Error;

/// Each begins with the file, so that it can stand behind the key that named it.
#[derive(Debug, Error)]
pub enum CredentialError {
    #[error("{path:?} cannot be read")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path:?} is damaged PEM; write the file anew")]
    DamagedPem { path: PathBuf, source: pem::Error },
    #[error(
        "{path:?} holds no certificate in PEM; give a file with a line \
         -----BEGIN CERTIFICATE----- (of DER, `openssl x509 -inform der` makes one)"
    )]
    NoCertificate { path: PathBuf },
    #[error("{path:?} holds a certificate that cannot be used; give one of X.509 version 3")]
    UnusableCertificate { path: PathBuf, source: rustls::Error },
    #[error(
        "{path:?} holds no private key in PEM; give a file with a line \
         -----BEGIN PRIVATE KEY----- (of DER, `openssl pkey -inform der` makes one)"
    )]
    NoKey { path: PathBuf },
    #[error(
        "{path:?} holds an encrypted key, and nobody is there to type its passphrase; \
         write it without, by `openssl pkey -in {} -out FILE`", path.display()
    )]
    EncryptedKey { path: PathBuf },
    #[error(
        "{path:?} holds a key that cannot be used; \
         give RSA of 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519"
    )]
    UnusableKey { path: PathBuf, source: rustls::Error },
    #[error(
        "{key:?} is not the key of the first certificate in {certificate:?}; \
         give that one's key, and put the holder's own certificate first"
    )]
    KeyMismatch { certificate: PathBuf, key: PathBuf },
}
