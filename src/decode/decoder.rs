//! One exchange's payloads in, rows out.
//!
//! Never panics, never waits; memory is bounded by the body and by [`Limits`], and serves the next
//! exchange again where the caller hands the same [`Decoded`] in.

use super::coding::Codings;
use super::csv;
use super::dialect::{Because, Dialect, Grammar, Protocol};
use super::document::{Document, Found, Reading, Scratch, Source};
use super::endpoint::{Endpoint, NamedModel};
use super::grpc;
use super::json::{JsonError, Reader};
use super::naming::Naming;
use super::openai::{OpenAi, Operation};
use super::payload::{Content, Decoded, ModelRef, Part, Payload};
use super::pointer::Pointers;
use super::problem::{Limits, Problem, Side};
use super::rows::Rows;
use super::signature::{Field, Signature, column_names};
use super::table::Table;
use std::sync::Arc;

/// How payloads are read, and what their columns are called.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub protocol: Protocol,
    /// Names of inputs that come by position, for models without a signature.
    pub feature_names: Vec<Arc<str>>,
    pub signature: Option<Signature>,
    /// Where rows stand. A pointer goes before every dialect on its side.
    pub pointers: Pointers,
    pub limits: Limits,
}

/// Decodes exchanges, one after another, in memory of its own.
#[derive(Debug)]
pub struct Decoder {
    protocol: Protocol,
    pointers: Pointers,
    inputs: Half,
    outputs: Half,
    openai: OpenAi,
    codings: [Codings; 2],
    model: Option<ModelRef>,
}

/// What there is to read of an exchange: bodies with their codings undone.
struct Bodies<'a> {
    request: Result<Part<'a>, Problem>,
    /// Of one that succeeded.
    response: Option<Result<Part<'a>, Problem>>,
}

/// What one side of every exchange is read with.
#[derive(Debug)]
struct Half {
    side: Side,
    names: Vec<Arc<str>>,
    fields: Vec<Field>,
    table: Table,
    scratch: Scratch,
    unescaped: String,
}

/// Where a payload's rows were found, if it held anything.
type Read = Result<Option<Found>, Problem>;

impl Decoder {
    pub fn new(settings: Settings) -> Self {
        let Settings { protocol, feature_names, signature, pointers, limits } = settings;
        let signature = signature.unwrap_or_default();
        let named = column_names(&signature.inputs);
        let input_names = if named.is_empty() { feature_names } else { named };
        let output_names = column_names(&signature.outputs);
        Self {
            protocol,
            pointers,
            inputs: Half::new(Side::Request, input_names, signature.inputs, limits),
            outputs: Half::new(Side::Response, output_names, signature.outputs, limits),
            openai: OpenAi::default(),
            codings: Default::default(),
            model: None,
        }
    }

    /// Decodes one exchange into `decoded`, which loses what it held.
    pub fn decode(&mut self, payload: &Payload<'_>, decoded: &mut Decoded) {
        self.inputs.table.recycle(&mut decoded.inputs);
        self.outputs.table.recycle(&mut decoded.outputs);
        decoded.problems.clear();
        (decoded.dialect, decoded.because, decoded.model) = (None, None, None);
        let (endpoint, model) = Endpoint::of(payload.path);
        if endpoint == Endpoint::NoPayload || !carries_payload(payload.method) {
            return;
        }
        let mut codings = std::mem::take(&mut self.codings);
        let [of_request, of_response] = &mut codings;
        let limits = *self.inputs.table.limits();
        let succeeded = payload.status.is_some_and(|status| (200..300).contains(&status));
        let bodies = Bodies {
            request: of_request.undo(&payload.request, &limits),
            response: succeeded.then(|| of_response.undo(&payload.response, &limits)),
        };
        self.inputs.scratch.clear();
        self.outputs.scratch.clear();
        self.decode_bodies(&bodies, endpoint, model, decoded);
        codings.iter_mut().for_each(Codings::rest);
        self.codings = codings;
    }

    fn decode_bodies(
        &mut self,
        bodies: &Bodies<'_>,
        endpoint: Endpoint,
        model: Option<NamedModel<'_>>,
        decoded: &mut Decoded,
    ) {
        match endpoint {
            Endpoint::ModelInfer | Endpoint::ModelStreamInfer => {
                return self.decode_grpc(bodies, endpoint, decoded);
            }
            Endpoint::OpenAi(operation) if self.decode_openai(bodies, operation, decoded) => return,
            _ => {}
        }
        let rows = &mut decoded.inputs;
        match bodies.request.and_then(|part| self.read_request(&part, endpoint, rows)) {
            Ok(Some((dialect, because))) => decoded.is_of(dialect, because),
            Ok(None) => {}
            Err(problem) => decoded.problems.push((Side::Request, problem)),
        }
        match bodies.response {
            Some(Ok(part)) => self.decode_response(&part, endpoint, decoded),
            Some(Err(problem)) => decoded.problems.push((Side::Response, problem)),
            None => {}
        }
        decoded.model = self.named_model(model);
    }

    /// An answer without messages tells an error in its trailers, and is no problem.
    fn decode_grpc(&mut self, bodies: &Bodies<'_>, endpoint: Endpoint, decoded: &mut Decoded) {
        let is_streamed = endpoint == Endpoint::ModelStreamInfer;
        let Self { inputs, outputs, .. } = self;
        let asked = bodies.request.and_then(|part| {
            inputs.read_grpc(&part, is_streamed, &mut decoded.inputs)?;
            if part.body.is_empty() { Err(Problem::Empty) } else { Ok(()) }
        });
        if let Err(problem) = asked {
            decoded.problems.push((Side::Request, problem));
        }
        let answered = bodies.response.map(|part| {
            part.and_then(|part| outputs.read_grpc(&part, is_streamed, &mut decoded.outputs))
        });
        if let Some(Err(problem)) = answered {
            decoded.problems.push((Side::Response, problem));
        }
        if asked.is_ok() || !(decoded.inputs.is_empty() && decoded.outputs.is_empty()) {
            decoded.is_of(Dialect::OpenInferenceGrpc, Because::Path);
        }
        let (asked, answered) = (&inputs.scratch, &outputs.scratch);
        let said =
            |asked, answered| [asked, answered].into_iter().find(|text: &&str| !text.is_empty());
        let name = said(&asked.model_name, &answered.model_name);
        let version = said(&asked.model_version, &answered.model_version);
        decoded.model = name.map(|name| remembered(&mut self.model, name, version));
    }

    /// Whether the exchange is of that protocol: where nothing else is configured, and the request says so
    /// or cannot be read.
    fn decode_openai(
        &mut self,
        bodies: &Bodies<'_>,
        operation: Operation,
        decoded: &mut Decoded,
    ) -> bool {
        if self.protocol != Protocol::Auto || self.pointers != Pointers::default() {
            return false;
        }
        let Self { openai, inputs, outputs, .. } = self;
        let (table, rows) = (&mut inputs.table, &mut decoded.inputs);
        let asked =
            bodies.request.and_then(|part| openai.read_request(operation, &part, table, rows));
        match asked {
            Ok(true) => decoded.is_of(Dialect::OpenAi, Because::Path),
            Ok(false) => return false,
            Err(problem) => decoded.problems.push((Side::Request, problem)),
        }
        if let Some(response) = bodies.response {
            let (table, rows) = (&mut outputs.table, &mut decoded.outputs);
            let answered =
                response.and_then(|part| openai.read_response(operation, &part, table, rows));
            if let Err(problem) = answered {
                decoded.problems.push((Side::Response, problem));
            }
            outputs.scratch.model_name.push_str(openai.served());
        }
        decoded.model = self.named_model(None);
        true
    }

    fn decode_response(&mut self, part: &Part<'_>, endpoint: Endpoint, decoded: &mut Decoded) {
        let grammar = Grammar::of_response(decoded.dialect, endpoint);
        match self.read_response(part, &grammar, &mut decoded.outputs) {
            Ok(Some(Found::Tensors(_))) if decoded.dialect.is_none() => {
                decoded.is_of(Dialect::OpenInferenceV2, Because::Answer);
            }
            Ok(None) if endpoint.expects_payload() => {
                decoded.problems.push((Side::Response, Problem::Empty));
            }
            Ok(_) => {}
            Err(problem) => decoded.problems.push((Side::Response, problem)),
        }
    }

    fn read_request(
        &mut self,
        part: &Part<'_>,
        endpoint: Endpoint,
        rows: &mut Rows,
    ) -> Result<Option<(Dialect, Because)>, Problem> {
        let csv = self.protocol == Protocol::Csv;
        let grammar = Grammar::of_request(self.protocol, endpoint);
        match part.content(csv)? {
            Content::Nothing if endpoint.expects_payload() => Err(Problem::Empty),
            Content::Nothing => Ok(None),
            Content::Tensors { head, raw } => {
                self.inputs.read_tensors(head, raw, rows)?;
                Ok(Some((Dialect::OpenInferenceV2, Because::Member("inputs"))))
            }
            Content::Csv { text, no_header } => {
                self.inputs.read_csv(text, no_header, rows)?;
                let because = if csv { Because::Configured } else { Because::ContentType };
                Ok(Some((Dialect::Csv, because)))
            }
            Content::Json(text) => {
                let source = match &self.pointers.inputs {
                    Some(pointer) => Source::Pointer(pointer),
                    None if self.protocol == Protocol::Pointers => {
                        return Ok(Some((Dialect::Pointers, Because::Configured)));
                    }
                    None => Source::Grammar(&grammar),
                };
                let found = self.inputs.read_json(text, &source, rows)?;
                Ok(match found {
                    Found::Tensors(position) => {
                        Some((Dialect::OpenInferenceV2, Because::Member(grammar.keys[position])))
                    }
                    Found::Member(position) => grammar
                        .dialect(position)
                        .map(|dialect| (dialect, Because::Member(grammar.keys[position]))),
                    Found::Bare if self.protocol == Protocol::AzureMl => {
                        Some((Dialect::AzureMl, Because::Shape))
                    }
                    Found::Bare => Some((Dialect::Json, Because::Shape)),
                    Found::Pointed => Some((Dialect::Pointers, Because::Configured)),
                })
            }
        }
    }

    fn read_response(&mut self, part: &Part<'_>, grammar: &Grammar, rows: &mut Rows) -> Read {
        match part.content(false)? {
            Content::Nothing => Ok(None),
            Content::Tensors { head, raw } => self.outputs.read_tensors(head, raw, rows).map(Some),
            Content::Csv { text, no_header } => {
                self.outputs.read_csv(text, no_header, rows)?;
                Ok(Some(Found::Bare))
            }
            Content::Json(text) => {
                let source = match &self.pointers.outputs {
                    Some(pointer) => Source::Pointer(pointer),
                    None if self.protocol == Protocol::Pointers => return Ok(Some(Found::Pointed)),
                    None => Source::Grammar(grammar),
                };
                let encoded = json_in_json(text, grammar.bare_object, self.outputs.table.limits());
                self.outputs.read_json(encoded.as_deref().unwrap_or(text), &source, rows).map(Some)
            }
        }
    }

    /// The path's word goes before the response's; a version may come from either.
    fn named_model(&mut self, path: Option<NamedModel<'_>>) -> Option<ModelRef> {
        let scratch = &self.outputs.scratch;
        let said = |text: &'_ String| !text.is_empty();
        let name = path.map_or(scratch.model_name.as_str(), |model| model.name);
        let version = path.and_then(|model| model.version).or_else(|| {
            Some(scratch.model_version.as_str()).filter(|_| said(&scratch.model_version))
        });
        if name.is_empty() {
            return None;
        }
        Some(remembered(&mut self.model, name, version))
    }
}

/// A model's names, in the memory of the last exchange's if that was for the same model.
fn remembered(last: &mut Option<ModelRef>, name: &str, version: Option<&str>) -> ModelRef {
    let same = |model: &&ModelRef| *model.name == *name && model.version.as_deref() == version;
    if let Some(model) = last.as_ref().filter(same) {
        return model.clone();
    }
    last.insert(ModelRef { name: name.into(), version: version.map(Arc::from) }).clone()
}

/// Methods of requests that have, by their definition, nothing for a model to read.
fn carries_payload(method: &str) -> bool {
    !matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "DELETE" | "CONNECT")
}

/// Scoring scripts that return `json.dumps(…)` answer with JSON inside a JSON string.
fn json_in_json(text: &str, allowed: bool, limits: &Limits) -> Option<String> {
    if !allowed || !text.trim_ascii_start().starts_with('"') {
        return None;
    }
    let (mut inner, mut unescaped) = (String::new(), String::new());
    let seed = super::members::StringSeed(&mut inner);
    Reader::new(text, limits.max_depth, &mut unescaped).read(seed).ok()?;
    inner.trim_ascii_start().starts_with(['{', '[']).then_some(inner)
}

impl Half {
    fn new(side: Side, names: Vec<Arc<str>>, fields: Vec<Field>, limits: Limits) -> Self {
        let table = Table::new(limits);
        Self { side, names, fields, table, scratch: Scratch::default(), unescaped: String::new() }
    }

    fn read_csv(&mut self, text: &str, no_header: bool, rows: &mut Rows) -> Result<(), Problem> {
        self.table.begin();
        self.scratch.clear();
        let read = csv::read(&mut self.table, text, no_header, &self.fields);
        read.map_err(|_| self.table.stopped().unwrap_or(Problem::WrongShape))?;
        self.finish(rows);
        Ok(())
    }

    fn read_json(
        &mut self,
        text: &str,
        source: &Source<'_>,
        rows: &mut Rows,
    ) -> Result<Found, Problem> {
        self.scratch.tensors.expect_bytes(false);
        let mut reading = Reading::LIKELIEST;
        let found = loop {
            match self.read_once(text, source, reading) {
                Ok(found) => break found,
                Err(Failed::Otherwise(next)) => reading = next,
                Err(Failed::For(problem)) => return Err(problem),
            }
        };
        if let Found::Tensors(_) = found {
            self.place(&[])?;
        }
        self.finish(rows);
        Ok(found)
    }

    /// Tensors of which the raw bytes of some, or of all, stand behind the JSON.
    fn read_tensors(&mut self, head: &str, raw: &[u8], rows: &mut Rows) -> Result<Found, Problem> {
        self.scratch.tensors.expect_bytes(true);
        let grammar = Grammar::of_tensors(self.side);
        let read = self.read_once(head, &Source::Grammar(&grammar), Reading::LIKELIEST);
        let found = read.map_err(|failed| match failed {
            Failed::Otherwise(_) => Problem::WrongShape,
            Failed::For(problem) => problem,
        })?;
        let parts = self.scratch.tensors.part(raw)?;
        self.place(&parts)?;
        self.finish(rows);
        Ok(found)
    }

    /// The rows of every message, one after another; of a stream that breaks off, those before.
    fn read_grpc(
        &mut self,
        part: &Part<'_>,
        is_streamed: bool,
        rows: &mut Rows,
    ) -> Result<(), Problem> {
        let Some(messages) = part.messages()? else { return Ok(()) };
        for message in messages {
            let mut message = message?;
            if is_streamed && self.side == Side::Response {
                let Some(answer) = grpc::streamed(message)? else { continue };
                message = answer;
            }
            self.scratch.tensors.clear();
            self.scratch.listed.clear();
            self.table.begin();
            let limits = *self.table.limits();
            let parts = grpc::read(message, self.side, &limits, &mut self.scratch)?;
            self.place(&parts)?;
            if rows.columns().is_empty() {
                self.finish(rows);
                continue;
            }
            let mut more = Rows::new();
            self.finish(&mut more);
            if !more.columns().is_empty() {
                rows.append(&more, &limits)?;
                self.table.recycle(&mut more);
            }
        }
        Ok(())
    }

    fn place(&mut self, parts: &[&[u8]]) -> Result<(), Problem> {
        let one_name = self.names.len() == 1;
        let placed = self.scratch.tensors.place(&mut self.table, self.side, one_name, parts);
        placed.map_err(|_| self.table.stopped().unwrap_or(Problem::WrongShape))
    }

    fn read_once(
        &mut self,
        text: &str,
        source: &Source<'_>,
        reading: Reading,
    ) -> Result<Found, Failed> {
        self.table.begin();
        self.scratch.clear();
        let max_depth = self.table.limits().max_depth;
        let nowhere = match source {
            Source::Grammar(_) => Problem::Unrecognised,
            Source::Pointer(_) => Problem::PointerUnmatched,
        };
        let mut document = Document {
            table: &mut self.table,
            scratch: &mut self.scratch,
            source: *source,
            reading,
            found: None,
            otherwise: None,
        };
        let outcome = Reader::new(text, max_depth, &mut self.unescaped).read(&mut document);
        let (found, otherwise) = (document.found, document.otherwise);
        match (outcome, otherwise) {
            (Ok(()), _) => found.ok_or(Failed::For(nowhere)),
            (Err(JsonError::Refused), Some(next)) => Err(Failed::Otherwise(next)),
            (Err(error), _) => {
                let unread = if found.is_some() { Problem::WrongShape } else { nowhere };
                let problem = self.table.stopped().unwrap_or(match error {
                    JsonError::Truncated => Problem::Truncated,
                    JsonError::Syntax => Problem::InvalidJson,
                    JsonError::TooDeep => Problem::TooDeep,
                    JsonError::Refused => unread,
                });
                Err(Failed::For(problem))
            }
        }
    }

    fn finish(&mut self, rows: &mut Rows) {
        let naming = Naming { side: self.side, listed: &self.scratch.listed, given: &self.names };
        self.table.finish(&naming, rows);
    }
}

enum Failed {
    /// That reading does not hold; the next may.
    Otherwise(Reading),
    For(Problem),
}
