//! A form of several parts (RFC 7578) in; the part that holds the rows out, as it stands in the body.

use super::payload::Part;
use memchr::memmem;

/// Fields of a form that are looked through.
const MAX_PARTS: usize = 64;

/// The first part that is JSON or CSV, by its type, or without one by its first byte. Files beside it,
/// such as images, are passed over. `parameters` are those of the form's media type.
pub(super) fn rows<'a>(body: &'a [u8], parameters: &'a str) -> Option<Part<'a>> {
    let boundary = boundary(parameters)?;
    let mut parts = Parts { rest: body, delimiter: format!("--{boundary}").into_bytes() };
    parts.begin()?;
    std::iter::from_fn(|| parts.next()).take(MAX_PARTS).find(holds_rows)
}

fn boundary(parameters: &str) -> Option<&str> {
    let named = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let value = named.map(|(name, value)| (name.trim(), value.trim())).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"'))
    });
    // RFC 2046 has 70 at most; an empty one would be everywhere.
    value.filter(|boundary| (1..=70).contains(&boundary.len()))
}

fn holds_rows(part: &Part<'_>) -> bool {
    let essence = part.content_type.map(|it| it.split(';').next().unwrap_or_default().trim());
    match essence {
        Some(essence) => {
            let name = essence.to_ascii_lowercase();
            name.ends_with("/json") || name.ends_with("+json") || name.ends_with("/csv")
        }
        None => matches!(part.body.trim_ascii_start().first(), Some(b'{' | b'[')),
    }
}

struct Parts<'a> {
    /// Behind a delimiter.
    rest: &'a [u8],
    delimiter: Vec<u8>,
}

impl<'a> Parts<'a> {
    /// Passes over what stands before the first part.
    fn begin(&mut self) -> Option<()> {
        let at = memmem::find(self.rest, &self.delimiter)?;
        self.rest = &self.rest[at + self.delimiter.len()..];
        Some(())
    }

    fn next(&mut self) -> Option<Part<'a>> {
        let line = self.rest.strip_prefix(b"\r\n").or_else(|| self.rest.strip_prefix(b"\n"));
        // Behind the last delimiter stands `--`.
        let part = line?;
        let end = memmem::find(part, &self.delimiter)?;
        self.rest = &part[end + self.delimiter.len()..];
        let part = &part[..end];
        let part = part.strip_suffix(b"\n").unwrap_or(part);
        Some(read(part.strip_suffix(b"\r").unwrap_or(part)))
    }
}

/// One part, whose head may be empty.
fn read(part: &[u8]) -> Part<'_> {
    let mut content_type = None;
    let mut rest = part;
    loop {
        let (line, after) = match memchr::memchr(b'\n', rest) {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &[][..]),
        };
        let line = line.trim_ascii();
        rest = after;
        if line.is_empty() {
            return Part { content_type, body: rest, ..Part::default() };
        }
        let field = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':'));
        if let Some((name, value)) = field
            && name.trim().eq_ignore_ascii_case("content-type")
        {
            content_type = Some(value.trim());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(body: &'a str, parameters: &'a str) -> Option<(Option<&'a str>, &'a str)> {
        let part = rows(body.as_bytes(), parameters)?;
        Some((part.content_type, std::str::from_utf8(part.body).unwrap()))
    }

    #[test]
    fn the_part_with_rows_is_found_wherever_it_stands() {
        let form = "preamble\r\n--x y\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.png\"\r\n\
                    content-type: image/png\r\n\r\n\u{89}PNG{\r\n--x y\r\n\
                    Content-Disposition: form-data; name=\"rows\"\r\n\r\n{\"a\": 1}\r\n--x y--\r\n";
        assert_eq!(found(form, " boundary=\"x y\""), Some((None, "{\"a\": 1}")));
        let typed = "--b\nContent-Type: application/json\n\n[1]\n--b--";
        assert_eq!(
            found(typed, "charset=utf-8; Boundary=b"),
            Some((Some("application/json"), "[1]"))
        );
        assert_eq!(found("--b\r\n\r\n[1]\r\n--b--", "boundary=b"), Some((None, "[1]")), "no head");
    }

    #[test]
    fn what_is_no_form_holds_nothing() {
        for (body, parameters) in [
            ("--b\r\n\r\n[1]\r\n--b--", ""),
            ("--b\r\n\r\n[1]\r\n--b--", "boundary="),
            ("--b\r\n\r\n[1]\r\n", "boundary=b"),
            ("--b--", "boundary=b"),
            ("--b\r\nContent-Type: image/png\r\n\r\n[1]\r\n--b--", "boundary=b"),
            ("", "boundary=b"),
        ] {
            assert_eq!(found(body, parameters), None, "{body:?} {parameters:?}");
        }
    }
}
