//! What Kubernetes tells a pod of itself by its downward API, as resource attributes and as the
//! model's name, version and track.
//!
//! In: the variables `POD_NAME`, `POD_NAMESPACE`, `POD_UID`, `NODE_NAME`, `CONTAINER_NAME`, and the
//! files `labels` and `annotations` of a downward API volume. Out: attributes by the OpenTelemetry
//! conventions, weaker than any that are configured, and the words `label:KEY` and `annotation:KEY`
//! read out. Outside of Kubernetes there is none of it, and nothing is said.

use super::layers::Sources;
use super::reader::Reader;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const KEY: &str = "kubernetes.pod_info";

/// Variables of a manifest, and the attributes they become.
const VARIABLES: [(&str, &str); 5] = [
    ("POD_NAME", "k8s.pod.name"),
    ("POD_NAMESPACE", "k8s.namespace.name"),
    ("POD_UID", "k8s.pod.uid"),
    ("NODE_NAME", "k8s.node.name"),
    ("CONTAINER_NAME", "k8s.container.name"),
];

/// Annotations of this prefix are attributes, by the convention of the OpenTelemetry operator.
const ATTRIBUTE_PREFIX: &str = "resource.opentelemetry.io/";

/// The attribute that tells a canary from what is stable.
pub(super) const TRACK: &str = "taffrail.track";

/// Where a fact about the model is looked for when no key says it; the first that is there counts.
const MODEL_NAME: &[Place] =
    &[Place::annotation("taffrail.io/model-name"), Place::label("taffrail.io/model-name")];
const MODEL_VERSION: &[Place] = &[
    Place::annotation("taffrail.io/model-version"),
    Place::label("taffrail.io/model-version"),
    Place::label("app.kubernetes.io/version"),
];
const MODEL_TRACK: &[Place] = &[
    Place::annotation("taffrail.io/track"),
    Place::label("taffrail.io/track"),
    Place::label("track"),
];

#[derive(Debug, Default)]
pub(super) struct Pod {
    attributes: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    kind: Kind,
    name: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Label,
    Annotation,
}

impl Place {
    const fn label(name: &'static str) -> Self {
        Self { kind: Kind::Label, name }
    }

    const fn annotation(name: &'static str) -> Self {
        Self { kind: Kind::Annotation, name }
    }
}

impl Pod {
    /// A directory that was asked for must be there; the usual one may be.
    pub(super) fn read(reader: &mut Reader<'_>, sources: &Sources) -> Self {
        let mut pod = Self::default();
        let given = |name: &str| {
            let found = sources.variables.iter().find(|(variable, _)| variable == name);
            found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
        };
        for (variable, attribute) in VARIABLES {
            if let Some(value) = given(variable) {
                pod.attributes.insert(attribute.to_owned(), value.to_owned());
            }
        }
        let directory = PathBuf::from(reader.text(KEY));
        if reader.is_given(KEY) && !directory.is_dir() {
            let path = directory.display().to_string();
            let message = format!(
                "{path:?} is not a directory; mount a downwardAPI volume there, or remove the key"
            );
            reader.problem(KEY, message);
        }
        pod.labels = lines(&directory, "labels", reader);
        pod.annotations = lines(&directory, "annotations", reader);
        pod
    }

    /// The value of a key that may be a text, `label:KEY` or `annotation:KEY`; without a key, of the
    /// places it usually stands in. `None` is a problem, which was told.
    fn fact(&self, reader: &mut Reader<'_>, key: &str, usual: &[Place]) -> Option<String> {
        let text = reader.text(key);
        if !reader.is_given(key) {
            let found = usual.iter().find_map(|place| self.facts(place.kind).get(place.name));
            return Some(found.cloned().unwrap_or(text));
        }
        let (kind, name) = match text.split_once(':') {
            Some(("label", name)) => (Kind::Label, name),
            Some(("annotation", name)) => (Kind::Annotation, name),
            _ => return Some(text),
        };
        let found = self.facts(kind).get(name.trim()).cloned();
        if found.is_none() {
            let names: Vec<_> = self.facts(kind).keys().map(String::as_str).collect();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let directory = reader.text(KEY);
            let message = format!("{text:?} is not among those of the pod in {directory}: {there}");
            reader.problem(key, message);
        }
        found
    }

    pub(super) fn model_name(&self, reader: &mut Reader<'_>) -> Option<String> {
        self.fact(reader, "model.name", MODEL_NAME)
    }

    pub(super) fn model_version(&self, reader: &mut Reader<'_>) -> Option<String> {
        self.fact(reader, "model.version", MODEL_VERSION)
    }

    /// Empty where nobody says.
    pub(super) fn model_track(&self, reader: &mut Reader<'_>) -> Option<String> {
        self.fact(reader, "model.track", MODEL_TRACK)
    }

    fn facts(&self, kind: Kind) -> &BTreeMap<String, String> {
        match kind {
            Kind::Label => &self.labels,
            Kind::Annotation => &self.annotations,
        }
    }

    /// All that is known, under `configured`, which wins.
    pub(super) fn attributes(
        &self,
        track: &str,
        configured: Vec<(String, String)>,
    ) -> Vec<(String, String)> {
        let mut found = self.attributes.clone();
        found.extend(self.workload());
        let noted = self.annotations.iter().filter_map(|(name, value)| {
            Some((name.strip_prefix(ATTRIBUTE_PREFIX)?.to_owned(), value.clone()))
        });
        found.extend(noted.filter(|(name, _)| !name.is_empty()));
        if !track.is_empty() {
            found.insert(TRACK.to_owned(), track.to_owned());
        }
        found.extend(configured);
        if !found.contains_key("service.instance.id")
            && let Some(id) = instance_id(&found)
        {
            found.insert("service.instance.id".to_owned(), id);
        }
        found.into_iter().collect()
    }

    /// A pod of a Deployment is named after it, the hash of its template, and a suffix; one of a
    /// `StatefulSet` after it and its index.
    fn workload(&self) -> Vec<(String, String)> {
        let Some(pod) = self.attributes.get("k8s.pod.name") else { return Vec::new() };
        let attribute = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        if let Some(hash) = self.labels.get("pod-template-hash")
            && let Some((owner, _)) = pod.rsplit_once(&format!("-{hash}-"))
        {
            let replica_set = format!("{owner}-{hash}");
            return vec![
                attribute("k8s.deployment.name", owner),
                attribute("k8s.replicaset.name", &replica_set),
            ];
        }
        // Argo Rollouts names its replica sets like a Deployment does.
        if let Some(hash) = self.labels.get("rollouts-pod-template-hash")
            && let Some((owner, _)) = pod.rsplit_once(&format!("-{hash}-"))
        {
            return vec![attribute("k8s.replicaset.name", &format!("{owner}-{hash}"))];
        }
        if let Some(index) = self.labels.get("apps.kubernetes.io/pod-index")
            && let Some(owner) = pod.strip_suffix(&format!("-{index}"))
        {
            return vec![attribute("k8s.statefulset.name", owner)];
        }
        Vec::new()
    }
}

/// `namespace.pod.container`, as the conventions have it: the same after a restart of the container,
/// so that its series go on.
fn instance_id(attributes: &BTreeMap<String, String>) -> Option<String> {
    let value = |name: &str| attributes.get(name).map(String::as_str);
    match (value("k8s.namespace.name"), value("k8s.pod.name")) {
        (Some(namespace), Some(pod)) => {
            let container = value("k8s.container.name").unwrap_or("taffrail");
            Some(format!("{namespace}.{pod}.{container}"))
        }
        _ => value("k8s.pod.uid").map(str::to_owned),
    }
}

fn lines(directory: &Path, file: &str, reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    let path = directory.join(file);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => {
            reader.warn(KEY, format!("{:?} cannot be read: {error}", path.display().to_string()));
            return BTreeMap::new();
        }
    };
    let parsed: Vec<_> = text.lines().map(pair).collect();
    if parsed.iter().any(Option::is_none) {
        let path = path.display().to_string();
        reader
            .warn(KEY, format!("{path:?} has lines that are not key=\"value\"; they are ignored"));
    }
    parsed.into_iter().flatten().collect()
}

/// `key="value"`, the value quoted as Go does.
fn pair(line: &str) -> Option<(String, String)> {
    let (key, quoted) = line.split_once('=')?;
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    Some((key.to_owned(), unquoted(inner)?))
}

/// Undoes `strconv.Quote`.
fn unquoted(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter == '"' {
            return None;
        }
        if letter != '\\' {
            bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escaped = rest.next()?;
        let mut code = |digits: usize| {
            let hex: String = rest.by_ref().take(digits).collect();
            (hex.len() == digits).then_some(())?;
            u32::from_str_radix(&hex, 16).ok()
        };
        let character = match escaped {
            // A byte that is no UTF-8.
            'x' => {
                bytes.push(u8::try_from(code(2)?).ok()?);
                continue;
            }
            'u' => char::from_u32(code(4)?)?,
            'U' => char::from_u32(code(8)?)?,
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'v' => '\x0b',
            '\\' | '"' | '\'' => escaped,
            _ => return None,
        };
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
