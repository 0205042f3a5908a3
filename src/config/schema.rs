//! The JSON Schema of the YAML file, from the table of keys: for editors and for validation in CI.

use super::keys::{Form, Key, Reload};
use schemars::{Schema, json_schema as schema};
use serde_json::{Map, Value, json};

const DURATION: &str = r"^([0-9.]+(ms|s|m|h|d)|0)$";
const OPTIONAL_DURATION: &str = r"^([0-9.]+(ms|s|m|h|d)|0|none)$";

/// Draft 2020-12.
pub fn json_schema() -> Schema {
    let mut root = schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Taffrail configuration",
    });
    let level = level("");
    level.into_iter().for_each(|(name, value)| {
        root.insert(name, value);
    });
    root
}

/// The object of the keys under `group`.
fn level(group: &str) -> Map<String, Value> {
    let mut properties = Map::new();
    for name in super::keys::names_under(group) {
        let full = if group.is_empty() { name.to_owned() } else { format!("{group}.{name}") };
        let leaf = super::keys::find(&full).map(leaf);
        let inner = super::keys::is_group(&full).then(|| Value::Object(level(&full)));
        let value = match (leaf, inner) {
            (Some(leaf), Some(inner)) => json!({ "anyOf": [leaf, inner] }),
            (leaf, inner) => leaf.or(inner).unwrap_or(Value::Bool(true)),
        };
        properties.insert(name.to_owned(), value);
    }
    if group == "export" {
        properties.insert("prometheus".to_owned(), json!({ "type": "object", "maxProperties": 0 }));
    }
    let Value::Object(object) = json!({
        "type": "object", "properties": properties, "additionalProperties": false,
    }) else {
        return Map::new();
    };
    object
}

fn leaf(key: &Key) -> Value {
    let mut value = match key.form {
        Form::Text => json!({ "type": ["string", "number"] }),
        Form::Secret | Form::Path | Form::Directory | Form::Url | Form::Address => {
            json!({ "type": "string" })
        }
        Form::Duration => json!({ "type": ["string", "number"], "pattern": DURATION }),
        Form::OptionalDuration => {
            json!({ "type": ["string", "number"], "pattern": OPTIONAL_DURATION })
        }
        Form::Size | Form::AutoSize => json!({ "type": ["string", "integer"] }),
        Form::Count => json!({ "type": "integer", "minimum": 0 }),
        Form::AutoCount => {
            json!({ "type": ["integer", "string"], "minimum": 0, "pattern": "^([0-9]+|auto)$" })
        }
        Form::Number => json!({ "type": "number" }),
        Form::Switch => json!({ "enum": ["on", "off", true, false] }),
        Form::OneOf(words) => json!({ "enum": words }),
        Form::List => {
            json!({ "type": ["array", "string"], "items": { "type": ["string", "number"] } })
        }
        Form::Map | Form::SecretMap => {
            json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } })
        }
    };
    value["description"] = json!(key.help);
    value["x-reload"] = json!(match key.reload() {
        Reload::Live => "live",
        Reload::Restart => "restart",
    });
    if !key.default.is_empty() {
        value["default"] = json!(key.default);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::KEYS;

    #[test]
    fn every_key_has_its_place() {
        let schema = serde_json::to_value(json_schema()).unwrap();
        for key in KEYS {
            let mut place = &schema;
            for name in key.name.split('.') {
                let inner = if place["anyOf"].is_array() { &place["anyOf"][1] } else { place };
                place = &inner["properties"][name];
            }
            let leaf = if place["anyOf"].is_array() { &place["anyOf"][0] } else { place };
            assert_eq!(leaf["description"], key.help, "{}", key.name);
            let is_live = leaf["x-reload"] == "live";
            assert_eq!(is_live, key.reload() == Reload::Live, "{}", key.name);
        }
    }
}
