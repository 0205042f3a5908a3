//! What a request asks a language model: how much, and with which parameters. No text of it is kept.

use super::super::rows::Cell;
use super::super::text::TextStats;
use super::super::walk::{Node, Scalar, Walk, scalar};
use super::{Clipped, Operation, Row, TEXT_COLUMNS, number_or_null, text_or_null};
use serde::de::MapAccess;

#[derive(Debug, Default)]
pub(super) struct Asked {
    /// A member that only such requests have was there.
    pub(super) is_recognised: bool,
    pub(super) stream: Option<bool>,
    pub(super) text: TextStats,
    /// Given as numbers instead of text.
    tokens: u64,
    model: Clipped,
    /// Messages, prompts or inputs.
    count: u64,
    images: u64,
    tools: u64,
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_tokens: Option<f64>,
    dimensions: Option<f64>,
}

impl Asked {
    pub(super) fn clear(&mut self) {
        let model = self.model.take_emptied();
        *self = Self { model, ..Self::default() };
    }

    /// Where nobody has counted: those that came as such, and one for four characters.
    pub(super) fn estimated_tokens(&self) -> f64 {
        (self.tokens + self.text.characters().div_ceil(4)) as f64
    }

    pub(super) fn write(&self, operation: Operation, row: &mut Row<'_>) {
        row.put("model", text_or_null(&self.model));
        row.put(operation.counted(), Cell::Number(self.count as f64));
        row.put_all(&TEXT_COLUMNS.prompt, &self.text.cells());
        if operation == Operation::Embeddings {
            return row.put("dimensions", number_or_null(self.dimensions));
        }
        row.put("images", Cell::Number(self.images as f64));
        row.put("temperature", number_or_null(self.temperature));
        row.put("top_p", number_or_null(self.top_p));
        row.put("max_tokens", number_or_null(self.max_tokens));
        row.put("stream", Cell::Bool(self.stream.unwrap_or(false)));
        row.put("tools", Cell::Number(self.tools as f64));
    }

    fn say(&mut self, text: &str) {
        self.text.push(text);
        self.text.end_text();
    }
}

/// The request's own members.
pub(super) struct Request<'a> {
    pub(super) asked: &'a mut Asked,
    pub(super) operation: Operation,
}

impl Node for Request<'_> {
    const KEYS: &'static [&'static str] = &[
        "model",
        "messages",
        "prompt",
        "input",
        "instructions",
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "stream",
        "tools",
        "functions",
        "dimensions",
    ];

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let asked = &mut *self.asked;
        match key {
            "model" => map.next_value_seed(scalar(|value| asked.model.take(value))),
            "messages" | "prompt" | "input" if key == self.operation.holds() => {
                asked.is_recognised = true;
                let mut said = Messages { asked, has_tokens: false };
                map.next_value_seed(Walk(&mut said))?;
                said.end_list();
                Ok(())
            }
            "instructions" => map.next_value_seed(Walk(&mut Content(asked))),
            "temperature" => {
                map.next_value_seed(scalar(|value| asked.temperature = value.number()))
            }
            "top_p" => map.next_value_seed(scalar(|value| asked.top_p = value.number())),
            "stream" => map.next_value_seed(scalar(|value| asked.stream = value.truth())),
            "dimensions" => map.next_value_seed(scalar(|value| asked.dimensions = value.number())),
            "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
                map.next_value_seed(scalar(|value| {
                    asked.max_tokens = value.number().or(asked.max_tokens);
                }))
            }
            "tools" | "functions" => map.next_value_seed(Walk(&mut Count(&mut asked.tools))),
            _ => map.next_value_seed(scalar(|_| ())),
        }
    }
}

/// Messages, or texts, or tokens; one or a list of them.
struct Messages<'a> {
    asked: &'a mut Asked,
    /// The list so far is one text, as tokens.
    has_tokens: bool,
}

impl Node for Messages<'_> {
    const KEYS: &'static [&'static str] = &Content::KEYS;

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        Content(self.asked).member(key, map)
    }

    fn end_object(&mut self) {
        self.asked.count += 1;
    }

    fn end_list(&mut self) {
        self.asked.count += u64::from(self.has_tokens);
        self.has_tokens = false;
    }

    fn scalar(&mut self, value: Scalar<'_>) {
        match value {
            Scalar::Text(text) => {
                self.asked.count += 1;
                self.asked.say(text);
            }
            Scalar::Number(_) => {
                self.asked.tokens += 1;
                self.has_tokens = true;
            }
            _ => {}
        }
    }
}

/// A message's content: a text, or a list of parts, each of which has its type.
struct Content<'a>(&'a mut Asked);

impl Content<'_> {
    const KEYS: [&'static str; 4] = ["type", "content", "text", "output"];
}

impl Node for Content<'_> {
    const KEYS: &'static [&'static str] = &Content::KEYS;

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "type" => map.next_value_seed(scalar(|value| {
                let is_image = value.text().is_some_and(|kind| kind.contains("image"));
                self.0.images += u64::from(is_image);
            })),
            _ => map.next_value_seed(Walk(self)),
        }
    }

    fn scalar(&mut self, value: Scalar<'_>) {
        if let Scalar::Text(text) = value {
            self.0.say(text);
        }
    }
}

/// How many objects there are.
struct Count<'a>(&'a mut u64);

impl Node for Count<'_> {
    const KEYS: &'static [&'static str] = &[];

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        _key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        map.next_value_seed(scalar(|_| ()))
    }

    fn end_object(&mut self) {
        *self.0 += 1;
    }
}
