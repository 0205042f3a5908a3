//! What a language model answers, whole or as a stream of events: how much, why it ended, what it cost.
//! No text of it is kept.

use super::super::rows::Cell;
use super::super::text::TextStats;
use super::super::walk::{Node, Only, Scalar, Walk, scalar};
use super::embedding::{Embeddings, Vectors};
use super::{Clipped, Operation, Row, TEXT_COLUMNS, number_or_null, text_or_null};
use serde::de::MapAccess;

#[derive(Debug, Default)]
pub(super) struct Answered {
    /// A member that only such answers have was there.
    pub(super) is_recognised: bool,
    pub(super) has_failed: bool,
    pub(super) model: Clipped,
    pub(super) is_stream: bool,
    finish_reason: Clipped,
    text: TextStats,
    /// Which choices' texts, by their index, are amid a word.
    in_words: u64,
    /// Events with content.
    chunks: u64,
    tool_calls: u64,
    vectors: Vectors,
    usage: Tokens,
    event: Event,
}

/// What one event of the responses protocol says, until its type is known.
#[derive(Debug, Default)]
struct Event {
    kind: Clipped,
    delta: TextStats,
    has_delta: bool,
    has_call: bool,
}

#[derive(Debug, Default)]
struct Tokens {
    input: Option<f64>,
    output: Option<f64>,
    cached: Option<f64>,
}

impl Answered {
    pub(super) fn clear(&mut self) {
        let words = [&mut self.model, &mut self.finish_reason, &mut self.event.kind];
        let [model, finish_reason, kind] = words.map(Clipped::take_emptied);
        let event = Event { kind, ..Event::default() };
        *self = Self { model, finish_reason, event, ..Self::default() };
    }

    /// Whether the model has said why it ended.
    pub(super) fn has_finished(&self) -> bool {
        self.has_failed || !self.finish_reason.is_empty()
    }

    /// `asked` are the tokens that the request is estimated to be, if it was read.
    pub(super) fn write(&self, operation: Operation, asked: Option<f64>, row: &mut Row<'_>) {
        let Tokens { input, output, cached } = self.usage;
        row.put("model", text_or_null(&self.model));
        if operation == Operation::Embeddings {
            row.put("embeddings", Cell::Number(self.vectors.count as f64));
            row.put("dimensions", number_or_null(self.vectors.dimensions()));
            row.put("norm", number_or_null(self.vectors.mean_norm()));
            row.put("input_tokens", number_or_null(input.or(asked)));
            return row.put("tokens_estimated", Cell::Bool(input.is_none()));
        }
        let is_estimated = input.is_none() || output.is_none();
        row.put("finish_reason", text_or_null(&self.finish_reason));
        row.put_all(&TEXT_COLUMNS.answer, &self.text.cells());
        row.put("tool_calls", Cell::Number(self.tool_calls as f64));
        row.put("input_tokens", number_or_null(input.or(asked)));
        row.put("output_tokens", number_or_null(output.or(Some(self.estimated_tokens()))));
        row.put("tokens_estimated", Cell::Bool(is_estimated));
        row.put("cached_tokens", number_or_null(cached));
    }

    /// Servers send an event a token, or close to it; of a whole text, four characters are one.
    fn estimated_tokens(&self) -> f64 {
        let whole = self.text.characters().div_ceil(4);
        (if self.is_stream { self.chunks } else { whole }) as f64
    }

    /// A piece of the text of the choice of this index.
    fn say(&mut self, index: u32, text: &str) {
        let bit = 1u64.checked_shl(index).unwrap_or(0);
        self.text.set_in_word(self.in_words & bit != 0);
        self.text.push(text);
        self.in_words &= !bit;
        self.in_words |= if self.text.in_word() { bit } else { 0 };
        self.chunks += u64::from(!text.is_empty());
    }

    /// An event that could not be read to its end counts as far as it was, but for its type.
    pub(super) fn forget_event(&mut self) {
        self.event.kind.clear();
        (self.event.has_delta, self.event.has_call) = (false, false);
    }

    fn end_event(&mut self) {
        let Event { kind, delta, has_delta, has_call } = &mut self.event;
        if *has_delta && matches!(kind.as_str(), OUTPUT_TEXT_DELTA | REFUSAL_DELTA) {
            self.text.merge(delta);
        }
        // What a model thinks and how it calls a tool costs tokens as well.
        self.chunks += u64::from(*has_delta);
        self.tool_calls += u64::from(*has_call && kind.as_str() == ITEM_DONE);
        self.has_failed |= kind.as_str() == "error";
        self.forget_event();
    }
}

const OUTPUT_TEXT_DELTA: &str = "response.output_text.delta";
const REFUSAL_DELTA: &str = "response.refusal.delta";
const ITEM_DONE: &str = "response.output_item.done";

/// A whole answer, or one event of it.
pub(super) struct Answer<'a> {
    pub(super) answered: &'a mut Answered,
    pub(super) operation: Operation,
}

impl Node for Answer<'_> {
    const KEYS: &'static [&'static str] = &[
        "choices",
        "output",
        "data",
        "model",
        "usage",
        "error",
        "type",
        "delta",
        "item",
        "response",
        "status",
        "incomplete_details",
    ];

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let answered = &mut *self.answered;
        match (key, self.operation) {
            ("choices", Operation::Chat | Operation::Completion) => {
                answered.is_recognised = true;
                map.next_value_seed(Walk(&mut Choices { answered, index: 0 }))
            }
            ("output", Operation::Responses) => {
                answered.is_recognised = true;
                map.next_value_seed(Walk(&mut Item(answered)))
            }
            ("data", Operation::Embeddings) => {
                answered.is_recognised = true;
                map.next_value_seed(Walk(&mut Embeddings(&mut answered.vectors)))
            }
            ("type" | "delta" | "item" | "response", Operation::Responses) => {
                event_member(answered, key, map)
            }
            _ => common_member(answered, self.operation, key, map),
        }
    }

    fn end_object(&mut self) {
        self.answered.end_event();
    }
}

/// What answers have, whole or finished with an event.
fn common_member<'de, A: MapAccess<'de>>(
    answered: &mut Answered,
    operation: Operation,
    key: &str,
    map: &mut A,
) -> Result<(), A::Error> {
    match key {
        "model" => map.next_value_seed(scalar(|value| answered.model.take(value))),
        "usage" => map.next_value_seed(Walk(&mut Usage(&mut answered.usage))),
        "error" => map.next_value_seed(scalar(|value| {
            answered.has_failed |= !matches!(value, Scalar::Null);
        })),
        "status" if operation == Operation::Responses => map.next_value_seed(scalar(|value| {
            let ended = value.text().filter(|status| !matches!(*status, "in_progress" | "queued"));
            if answered.finish_reason.is_empty() {
                answered.finish_reason.set(ended.unwrap_or_default());
            }
        })),
        "incomplete_details" => {
            let take = |reason: Scalar<'_>| answered.finish_reason.take(reason);
            map.next_value_seed(Walk(&mut Only { key: &["reason"], take }))
        }
        _ => map.next_value_seed(scalar(|_| ())),
    }
}

fn event_member<'de, A: MapAccess<'de>>(
    answered: &mut Answered,
    key: &str,
    map: &mut A,
) -> Result<(), A::Error> {
    match key {
        "type" => map.next_value_seed(scalar(|value| answered.event.kind.take(value))),
        "delta" => map.next_value_seed(scalar(|value| {
            if let Scalar::Text(text) = value {
                let mut delta = TextStats::default();
                delta.set_in_word(answered.text.in_word());
                delta.push(text);
                answered.is_recognised = true;
                (answered.event.delta, answered.event.has_delta) = (delta, !text.is_empty());
            }
        })),
        "item" => {
            let take = |kind: Scalar<'_>| answered.event.has_call = is_call(kind);
            map.next_value_seed(Walk(&mut Only { key: &["type"], take }))
        }
        _ => {
            answered.is_recognised = true;
            map.next_value_seed(Walk(&mut Finished(answered)))
        }
    }
}

/// The response that an event tells of. Its output has passed in pieces already.
struct Finished<'a>(&'a mut Answered);

impl Node for Finished<'_> {
    const KEYS: &'static [&'static str] =
        &["model", "usage", "error", "status", "incomplete_details"];

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        common_member(self.0, Operation::Responses, key, map)
    }
}

struct Choices<'a> {
    answered: &'a mut Answered,
    index: u32,
}

impl Node for Choices<'_> {
    const KEYS: &'static [&'static str] = &["index", "text", "message", "delta", "finish_reason"];

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let (answered, index) = (&mut *self.answered, self.index);
        match key {
            "index" => map.next_value_seed(scalar(|value| self.index = choice(value))),
            "text" => map.next_value_seed(scalar(|value| {
                answered.say(index, value.text().unwrap_or_default());
            })),
            "finish_reason" => map.next_value_seed(scalar(|value| {
                if answered.finish_reason.is_empty() {
                    answered.finish_reason.take(value);
                }
            })),
            _ => map.next_value_seed(Walk(&mut Message { answered, index })),
        }
    }

    fn begin_object(&mut self) {
        self.index = 0;
    }
}

/// Those beyond the last bit of [`Answered::in_words`] have a word start anew with each piece.
fn choice(value: Scalar<'_>) -> u32 {
    let index = value.number().unwrap_or_default();
    (0..u64::BITS).find(|known| f64::from(*known).total_cmp(&index).is_eq()).unwrap_or(u64::BITS)
}

/// A choice's message, or a piece of it.
struct Message<'a> {
    answered: &'a mut Answered,
    index: u32,
}

impl Node for Message<'_> {
    const KEYS: &'static [&'static str] =
        &["content", "refusal", "reasoning_content", "reasoning", "tool_calls", "function_call"];

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let answered = &mut *self.answered;
        match key {
            "content" | "refusal" => {
                map.next_value_seed(Walk(&mut Part::of_choice(answered, self.index)))
            }
            "tool_calls" | "function_call" => {
                let mut calls = ToolCalls { answered, is_named: false };
                map.next_value_seed(Walk(&mut calls))
            }
            _ => map.next_value_seed(scalar(|value| {
                answered.chunks += u64::from(is_said(value));
            })),
        }
    }
}

/// Calls of tools. In a stream one comes in pieces, of which the first names it.
struct ToolCalls<'a> {
    answered: &'a mut Answered,
    is_named: bool,
}

impl Node for ToolCalls<'_> {
    const KEYS: &'static [&'static str] = &["id", "name", "function"];

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "function" => {
                let take = |name: Scalar<'_>| self.is_named |= is_said(name);
                map.next_value_seed(Walk(&mut Only { key: &["name"], take }))
            }
            _ => map.next_value_seed(scalar(|value| self.is_named |= is_said(value))),
        }
    }

    fn begin_object(&mut self) {
        self.is_named = false;
    }

    fn end_object(&mut self) {
        self.answered.tool_calls += u64::from(self.is_named);
        self.answered.chunks += 1;
    }
}

/// An item of a whole response: a message, a call, a thought.
struct Item<'a>(&'a mut Answered);

impl Node for Item<'_> {
    const KEYS: &'static [&'static str] = &["type", "content"];

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "type" => map.next_value_seed(scalar(|value| {
                self.0.tool_calls += u64::from(is_call(value));
            })),
            _ => map.next_value_seed(Walk(&mut Part::of_choice(self.0, 0))),
        }
    }
}

fn is_said(value: Scalar<'_>) -> bool {
    value.text().is_some_and(|text| !text.is_empty())
}

fn is_call(kind: Scalar<'_>) -> bool {
    kind.text().is_some_and(|kind| kind.ends_with("_call"))
}

/// A message's content: a text, or a list of parts. What a part's text counts as is known at its end.
struct Part<'a> {
    answered: &'a mut Answered,
    index: u32,
    text: TextStats,
    is_thought: bool,
}

impl<'a> Part<'a> {
    fn of_choice(answered: &'a mut Answered, index: u32) -> Self {
        Self { answered, index, text: TextStats::default(), is_thought: false }
    }
}

impl Node for Part<'_> {
    const KEYS: &'static [&'static str] = &["type", "text", "refusal"];

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        map.next_value_seed(scalar(|value| match (key, value.text()) {
            ("type", Some(kind)) => {
                self.is_thought = kind.contains("reasoning") || kind.contains("summary");
            }
            (_, Some(text)) => self.text.push(text),
            _ => {}
        }))
    }

    fn begin_object(&mut self) {
        (self.text, self.is_thought) = (TextStats::default(), false);
    }

    fn end_object(&mut self) {
        if !self.is_thought {
            self.answered.text.merge(&self.text);
        }
        self.answered.chunks += u64::from(self.text.characters() > 0);
        self.answered.text.end_text();
    }

    fn scalar(&mut self, value: Scalar<'_>) {
        if let Scalar::Text(text) = value {
            self.answered.say(self.index, text);
        }
    }
}

/// What the server has counted, under either protocol's names.
struct Usage<'a>(&'a mut Tokens);

impl Node for Usage<'_> {
    const KEYS: &'static [&'static str] = &[
        "prompt_tokens",
        "input_tokens",
        "completion_tokens",
        "output_tokens",
        "prompt_tokens_details",
        "input_tokens_details",
        "cached_tokens",
    ];

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let count = |value: Scalar<'_>| value.number().filter(|count| *count >= 0.0);
        let tokens = &mut *self.0;
        match key {
            "prompt_tokens" | "input_tokens" => {
                map.next_value_seed(scalar(|value| tokens.input = count(value).or(tokens.input)))
            }
            "completion_tokens" | "output_tokens" => {
                map.next_value_seed(scalar(|value| tokens.output = count(value).or(tokens.output)))
            }
            "cached_tokens" => {
                map.next_value_seed(scalar(|value| tokens.cached = count(value).or(tokens.cached)))
            }
            _ => map.next_value_seed(Walk(self)),
        }
    }
}
