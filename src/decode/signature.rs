//! An `MLmodel` file in, the names and types of a model's inputs and outputs out.

use serde::Deserialize;
use std::sync::Arc;

/// What a model takes and gives, as its `MLmodel` file says. Empty where the file does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    pub inputs: Vec<Field>,
    pub outputs: Vec<Field>,
}

/// A column, or a tensor, of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// A lone tensor has none.
    pub name: Option<Arc<str>>,
    pub kind: FieldKind,
    /// Of a tensor; -1 stands for any length.
    pub shape: Option<Vec<i64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    Number,
    Boolean,
    Text,
    /// Dates, binary, arrays, objects.
    Other,
}

#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("the MLmodel file is not the YAML that MLflow writes")]
    Yaml(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "the MLmodel file has no `signature`: log the model with one, or list `model.feature_names`"
    )]
    Absent,
    #[error("`signature.{side}` of the MLmodel file is not the JSON that MLflow writes")]
    Json { side: &'static str, source: serde_json::Error },
}

#[derive(Deserialize)]
struct MlModel {
    signature: Option<Sides>,
}

/// JSON inside YAML strings.
#[derive(Deserialize)]
struct Sides {
    inputs: Option<String>,
    outputs: Option<String>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "type")]
    kind: String,
    name: Option<Arc<str>>,
    #[serde(rename = "tensor-spec")]
    tensor: Option<TensorSpec>,
}

#[derive(Deserialize)]
struct TensorSpec {
    dtype: String,
    shape: Vec<i64>,
}

impl Signature {
    /// Reads the text of an `MLmodel` file.
    pub fn from_mlmodel(yaml: &str) -> Result<Self, SignatureError> {
        let model: MlModel =
            serde_saphyr::from_str(yaml).map_err(|error| SignatureError::Yaml(Box::new(error)))?;
        let sides = model.signature.ok_or(SignatureError::Absent)?;
        Ok(Self {
            inputs: fields("inputs", sides.inputs)?,
            outputs: fields("outputs", sides.outputs)?,
        })
    }
}

fn fields(side: &'static str, json: Option<String>) -> Result<Vec<Field>, SignatureError> {
    let Some(json) = json else { return Ok(Vec::new()) };
    let specs: Vec<Spec> =
        serde_json::from_str(&json).map_err(|source| SignatureError::Json { side, source })?;
    Ok(specs.into_iter().map(Field::from).collect())
}

impl From<Spec> for Field {
    fn from(spec: Spec) -> Self {
        let kind = spec.tensor.as_ref().map_or(&spec.kind, |tensor| &tensor.dtype);
        Self {
            name: spec.name,
            kind: FieldKind::named(kind),
            shape: spec.tensor.map(|tensor| tensor.shape),
        }
    }
}

impl FieldKind {
    /// By MLflow's name of a type, or numpy's.
    fn named(name: &str) -> Self {
        match name {
            "boolean" | "bool" => Self::Boolean,
            "string" | "str" | "object" => Self::Text,
            "integer" | "long" | "float" | "double" => Self::Number,
            _ if ["int", "uint", "float"].iter().any(|kind| name.starts_with(kind)) => Self::Number,
            _ => Self::Other,
        }
    }
}

/// The names of columns. Tensors' names are the payload's own, so they name no columns.
pub(super) fn column_names(fields: &[Field]) -> Vec<Arc<str>> {
    let columns = fields.iter().map(|field| field.name.clone().filter(|_| field.shape.is_none()));
    columns.collect::<Option<_>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &str = include_str!("../../tests/fixtures/decode/MLmodel.columns.yaml");
    const TENSOR: &str = include_str!("../../tests/fixtures/decode/MLmodel.tensor.yaml");

    #[test]
    fn columns_have_names_and_types() {
        let signature = Signature::from_mlmodel(COLUMNS).unwrap();
        let names = column_names(&signature.inputs);
        assert_eq!(
            names.iter().map(|name| &**name).collect::<Vec<_>>(),
            ["age", "income", "ratio"]
        );
        assert!(signature.inputs.iter().all(|field| field.kind == FieldKind::Number));
        assert_eq!(signature.outputs[0].shape.as_deref(), Some(&[-1][..]));
        assert_eq!(column_names(&signature.outputs), []);
    }

    #[test]
    fn a_lone_tensor_has_a_shape_and_no_names() {
        let signature = Signature::from_mlmodel(TENSOR).unwrap();
        assert_eq!(signature.inputs[0].shape.as_deref(), Some(&[-1, 3][..]));
        assert_eq!(signature.inputs[0].kind, FieldKind::Number);
        assert_eq!(column_names(&signature.inputs), []);
    }

    #[test]
    fn arrays_and_dates_are_other_kinds() {
        let yaml = "signature:\n  inputs: '[{\"type\": \"array\", \"items\": {\"type\": \"double\"}, \"name\": \"e\"}, {\"type\": \"datetime\", \"name\": \"at\"}, {\"type\": \"string\", \"name\": \"s\"}]'\n";
        let kinds =
            Signature::from_mlmodel(yaml).unwrap().inputs.into_iter().map(|field| field.kind);
        assert_eq!(
            kinds.collect::<Vec<_>>(),
            [FieldKind::Other, FieldKind::Other, FieldKind::Text]
        );
    }

    #[test]
    fn a_file_without_a_signature_says_what_to_do() {
        let error = Signature::from_mlmodel("flavors: {}\n").unwrap_err();
        assert!(error.to_string().contains("model.feature_names"), "{error}");
        let error = Signature::from_mlmodel("signature: {inputs: '[{'}\n").unwrap_err();
        assert!(error.to_string().contains("signature.inputs"), "{error}");
    }
}
