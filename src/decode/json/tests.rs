use super::*;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Builds a tree from the reader's calls, to be compared with the tree `serde_json` builds itself.
struct Tree;

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Tree)? {
            values.push(value);
        }
        Ok(Value::from(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut members = serde_json::Map::new();
        while let Some(key) = list.next_key_seed(Tree)? {
            members.insert(key.as_str().unwrap().to_owned(), list.next_value_seed(Tree)?);
        }
        Ok(Value::from(members))
    }
}

fn tree(text: &str) -> Read<Value> {
    Reader::new(text, 64, &mut String::new()).read(Tree)
}

fn skipped(text: &str) -> Read<IgnoredAny> {
    Reader::new(text, 64, &mut String::new()).read(std::marker::PhantomData::<IgnoredAny>)
}

/// All numbers as doubles, as the reader has them.
fn doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.to_string().parse::<f64>().unwrap()),
        Value::Array(values) => values.into_iter().map(doubles).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, doubles(value))).collect()
        }
        other => other,
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1e12..1e12f64).prop_map(|number| Value::from((number * 100.0).round() / 100.0)),
        any::<i32>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_document_is_read_as_serde_json_reads_it(value in json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert_eq!(tree(&text).unwrap(), doubles(value));
        prop_assert!(skipped(&text).is_ok());
    }

    #[test]
    fn a_damaged_document_is_refused_when_serde_json_refuses_it(value in json(), at: prop::sample::Index, with in "[\\[\\]{},:\"\\\\0-9.eE+\\-a-z \u{1}]{0,2}") {
        let text = value.to_string();
        let mut cut = at.index(text.len() + 1);
        while !text.is_char_boundary(cut) { cut -= 1; }
        let end = (cut..=text.len()).skip(1).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
        let damaged = format!("{}{with}{}", &text[..cut], &text[end..]);
        let theirs = serde_json::from_str::<Value>(&damaged);
        let overflow = theirs.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
        prop_assume!(!overflow);
        prop_assert_eq!(tree(&damaged).is_ok(), theirs.is_ok(), "{}", damaged);
        prop_assert_eq!(skipped(&damaged).is_ok(), theirs.is_ok(), "{}", damaged);
    }

    #[test]
    fn every_proper_prefix_of_an_array_is_truncated(value in json(), at: prop::sample::Index) {
        let text = format!("[{value}]");
        let mut cut = at.index(text.len());
        while !text.is_char_boundary(cut) { cut -= 1; }
        prop_assert_eq!(tree(&text[..cut]), Err(JsonError::Truncated));
        prop_assert_eq!(skipped(&text[..cut]).err(), Some(JsonError::Truncated));
    }
}

#[test]
fn what_python_writes_for_no_number_is_one() {
    struct Sum;
    impl<'de> DeserializeSeed<'de> for &mut Sum {
        type Value = f64;
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
            deserializer.deserialize_any(self)
        }
    }
    impl Visitor<'_> for &mut Sum {
        type Value = f64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }
        fn visit_f64<E>(self, value: f64) -> Result<f64, E> {
            Ok(value)
        }
    }
    let read = |text| Reader::new(text, 8, &mut String::new()).read(&mut Sum);
    assert!(read(" NaN ").unwrap().is_nan());
    assert_eq!(read("Infinity"), Ok(f64::INFINITY));
    assert_eq!(read("-Infinity"), Ok(f64::NEG_INFINITY));
    assert_eq!(read("nan"), Err(JsonError::Syntax));
    assert_eq!(read("-Inf"), Err(JsonError::Truncated));
    assert_eq!(read("1e999"), Ok(f64::INFINITY));
}

#[test]
fn nesting_is_bounded_read_or_skipped() {
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    assert_eq!(tree(&deep), Err(JsonError::TooDeep));
    assert_eq!(skipped(&deep).err(), Some(JsonError::TooDeep));
    assert!(tree(&deep[1..130 - 1]).is_ok());
}

#[test]
fn half_a_surrogate_pair_is_no_text() {
    assert_eq!(tree(r#""😀""#), Ok(Value::from("😀")));
    assert_eq!(tree(r#""\ud83d""#), Err(JsonError::Syntax));
    assert_eq!(tree(r#""\ude00""#), Err(JsonError::Syntax));
}
