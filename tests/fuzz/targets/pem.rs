//! PEM files: certificates and keys, or what is wrong with them; never a panic of who parses them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taffrail::credentials::{Identity, PemFile, Validity};

fuzz_target!(|data: &[u8]| {
    let file = PemFile::of(data);
    if let Ok(chain) = file.chain() {
        assert!(!chain.is_empty());
        let _ = chain.iter().map(|certificate| Validity::of(certificate)).count();
    }
    let _ = (file.authorities().is_ok(), file.key().is_ok());
    let _ = Identity::pair(&file, &file).is_ok();
});
