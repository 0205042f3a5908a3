//! A response header's value as labels: implicit feedback, as the model server tells it.
//!
//! `id=label`, several with commas between. The id is all before the last `=`, so one that ends in `==`
//! stays whole; `%2C` and its like stand for what the grammar needs.

use percent_encoding::percent_decode_str;

use super::parse::{BadLabel, Fault, Parsed, Place, truth_from_text};
use super::value::{Label, LabelValue};
use jiff::Timestamp;

/// Each element that can be read is a label of the time `at`; the others are told with their place.
pub fn parse_header(value: &str, at: Timestamp) -> Parsed {
    let mut parsed = Parsed::default();
    let elements = value.split(',').filter(|element| !element.trim().is_empty());
    for (index, element) in elements.enumerate() {
        parsed.push(Place::Element, index + 1, from_element(element, at));
    }
    if parsed.labels.is_empty() && parsed.bad_total == 0 {
        let fault = Fault::Missing("id");
        parsed.bad.push(BadLabel { place: Place::Element, number: 1, fault });
        parsed.bad_total = 1;
    }
    parsed
}

fn from_element(element: &str, at: Timestamp) -> Result<Label, Fault> {
    let (id, label) = element.rsplit_once('=').ok_or(Fault::Missing("label"))?;
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    let id = decoded(id);
    if id.is_empty() {
        return Err(Fault::Id("an empty text"));
    }
    let label = LabelValue::One(truth_from_text(&decoded(label))?);
    Ok(Label { id, label, at: Some(at) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Truth;

    fn read(value: &str) -> Vec<(String, String)> {
        let parsed = parse_header(value, Timestamp::UNIX_EPOCH);
        assert_eq!(parsed.bad, []);
        let pair = |label: Label| match label.label {
            LabelValue::One(Truth::Text(text)) => (label.id, text),
            other => panic!("{other:?}"),
        };
        parsed.labels.into_iter().map(pair).collect()
    }

    #[test]
    fn an_id_and_its_label_are_told_apart_at_the_last_sign() {
        let one = |id: &str, label: &str| (id.to_owned(), label.to_owned());
        assert_eq!(read("0198-ab#1=clicked"), [one("0198-ab#1", "clicked")]);
        assert_eq!(read("a=1, b = 0 ,c=x%2Cy"), [one("a", "1"), one("b", "0"), one("c", "x,y")]);
        assert_eq!(read("YWJj===1"), [one("YWJj==", "1")]);
    }

    #[test]
    fn what_cannot_be_read_costs_no_other() {
        let parsed = parse_header("a, =1, b=, c=2", Timestamp::UNIX_EPOCH);
        assert_eq!((parsed.labels.len(), parsed.bad_total), (1, 3));
        let told: Vec<_> = parsed.bad.iter().map(ToString::to_string).collect();
        assert_eq!(told[0], "element 1: `label` is missing");
        assert!(told[1].starts_with("element 2: `id` is an empty text"), "{}", told[1]);
        assert!(told[2].starts_with("element 3: `label` is an empty text"), "{}", told[2]);
        assert_eq!(parse_header(" , ", Timestamp::UNIX_EPOCH).bad_total, 1);
    }
}
