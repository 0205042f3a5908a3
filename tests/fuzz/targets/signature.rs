//! `MLmodel` files: names and types, or an error that says what to do.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taffrail::decode::Signature;

fuzz_target!(|text: &str| {
    match Signature::from_mlmodel(text) {
        Ok(signature) => {
            let fields = signature.inputs.iter().chain(&signature.outputs);
            assert!(fields.count() <= text.len());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
