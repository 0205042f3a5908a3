//! Whom a request is for: what is let pass names one host, which every reader of URLs finds in it too.
//! A target, and a Host a line.
#![no_main]

use http::{HeaderValue, Request, Uri, Version, header};
use libfuzzer_sys::fuzz_target;
use taffrail::proxy::fuzzing::host;

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Ok(uri) = Uri::try_from(lines.next().unwrap_or_default()) else { return };
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    for line in lines {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        request.headers_mut().append(header::HOST, value);
    }
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        *request.version_mut() = version;
        if let Some(named) = host(&request) {
            is_one_host(&request, named.as_ref());
        }
    }
});

fn is_one_host(request: &Request<()>, named: Option<&HeaderValue>) {
    let hosts: Vec<_> = request.headers().get_all(header::HOST).iter().collect();
    assert!(hosts.len() <= 1);
    let Some(named) = named else {
        assert!(request.version() != Version::HTTP_11, "a host is missing");
        return;
    };
    let text = named.to_str().expect("visible");
    if text.is_empty() {
        return;
    }
    assert!(!text.contains([' ', '\t', ',', '@', '/', '?', '#', '\\']), "{text:?}");
    let uri: Uri = format!("http://{text}/").parse().expect("an authority");
    assert_eq!(uri.authority().map(|authority| authority.as_str()), Some(text));
    if let Some(authority) = request.uri().authority() {
        let bare = |text: &str| text.strip_suffix(":80").unwrap_or(text).to_ascii_lowercase();
        assert_eq!(bare(authority.as_str()), bare(text));
    }
}
