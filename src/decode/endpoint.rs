//! What a path says: who speaks there, about which model, and whether a payload is due at all.

use super::openai::Operation;
use smallvec::SmallVec;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    OpenInference,
    /// `ModelInfer` of its gRPC service.
    ModelInfer,
    /// `ModelStreamInfer` of that: any number of messages, each way.
    ModelStreamInfer,
    KserveV1,
    /// MLflow's scoring server, and SageMaker's.
    Invocations,
    /// Azure ML's scoring path.
    Score,
    OpenAi(Operation),
    Other,
    /// Health, metadata, metrics: nothing to decode.
    NoPayload,
}

/// The model that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NamedModel<'p> {
    pub(super) name: &'p str,
    pub(super) version: Option<&'p str>,
}

type Place<'p> = (Endpoint, Option<NamedModel<'p>>);

impl Endpoint {
    /// Reads a path, whatever stands before the part that a protocol defines.
    pub(super) fn of(path: &str) -> Place<'_> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let segments: SmallVec<[&str; 12]> =
            path.split('/').filter(|part| !part.is_empty()).collect();
        (0..segments.len())
            .find_map(|at| match segments[at] {
                "v2" => open_inference(&segments[at + 1..]),
                "v1" => kserve_v1(&segments[at + 1..]),
                "inference.GRPCInferenceService" => Some(grpc(&segments[at + 1..])),
                _ => None,
            })
            .or_else(|| Some((Self::OpenAi(Operation::of(&segments)?), None)))
            .unwrap_or_else(|| (by_last(segments.last().copied()), None))
    }

    /// Whether a request here without a body is worth a word.
    pub(super) const fn expects_payload(self) -> bool {
        matches!(
            self,
            Self::OpenInference
                | Self::KserveV1
                | Self::Invocations
                | Self::Score
                | Self::OpenAi(_)
        )
    }
}

fn open_inference<'p>(rest: &[&'p str]) -> Option<Place<'p>> {
    let place = |name, version| (Endpoint::OpenInference, Some(NamedModel { name, version }));
    match rest {
        ["models", name, "infer"] => Some(place(*name, None)),
        ["models", name, "versions", version, "infer"] => Some(place(*name, Some(*version))),
        [] | ["models" | "health" | "repository", ..] => Some((Endpoint::NoPayload, None)),
        _ => None,
    }
}

fn grpc<'p>(rest: &[&'p str]) -> Place<'p> {
    let endpoint = match rest {
        ["ModelInfer"] => Endpoint::ModelInfer,
        ["ModelStreamInfer"] => Endpoint::ModelStreamInfer,
        _ => Endpoint::NoPayload,
    };
    (endpoint, None)
}

const V1_VERBS: [&str; 4] = ["predict", "explain", "classify", "regress"];

fn kserve_v1<'p>(rest: &[&'p str]) -> Option<Place<'p>> {
    let verb = |text: &'p str| text.rsplit_once(':').filter(|(_, verb)| V1_VERBS.contains(verb));
    let place = |name, version| (Endpoint::KserveV1, Some(NamedModel { name, version }));
    match rest {
        ["models", last] if verb(last).is_some() => Some(place(verb(last)?.0, None)),
        ["models", name, "versions" | "labels", last] if verb(last).is_some() => {
            Some(place(*name, Some(verb(last)?.0)))
        }
        ["models", ..] => Some((Endpoint::NoPayload, None)),
        _ => None,
    }
}

fn by_last(segment: Option<&str>) -> Endpoint {
    match segment {
        Some("invocations") => Endpoint::Invocations,
        Some("score") => Endpoint::Score,
        Some(
            "ping" | "health" | "healthz" | "ready" | "readyz" | "live" | "livez" | "version"
            | "metrics" | "openapi.json" | "swagger.json",
        ) => Endpoint::NoPayload,
        _ => Endpoint::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_the_model_and_its_version() {
        let named = |path| Endpoint::of(path).1.map(|model| (model.name, model.version));
        assert_eq!(named("/v2/models/risk/infer"), Some(("risk", None)));
        assert_eq!(named("/v2/models/risk/versions/v1/infer?x=/v2"), Some(("risk", Some("v1"))));
        assert_eq!(named("/serving/a/v1/models/risk:predict"), Some(("risk", None)));
        assert_eq!(named("/v1/models/risk/versions/3:predict"), Some(("risk", Some("3"))));
        assert_eq!(named("/invocations"), None);
    }

    #[test]
    fn health_and_metadata_carry_no_payload() {
        for path in [
            "/v2",
            "/v2/",
            "/v2/health/live",
            "/v2/models/risk",
            "/v2/models/risk/ready",
            "/v2/repository/index",
            "/v1/models",
            "/v1/models/risk",
            "/ping",
            "/health",
            "/version",
        ] {
            assert_eq!(Endpoint::of(path).0, Endpoint::NoPayload, "{path}");
        }
    }

    #[test]
    fn openai_paths_are_known_by_their_end() {
        for (path, operation) in [
            ("/v1/chat/completions", Operation::Chat),
            ("/chat/completions", Operation::Chat),
            ("/openai/deployments/gpt/chat/completions?api-version=1", Operation::Chat),
            ("/v1/completions", Operation::Completion),
            ("/openai/v1/responses", Operation::Responses),
            ("/v1/embeddings/", Operation::Embeddings),
        ] {
            assert_eq!(Endpoint::of(path), (Endpoint::OpenAi(operation), None), "{path}");
        }
    }

    #[test]
    fn of_the_grpc_service_only_inference_carries_a_payload() {
        let of = |method: &str| {
            let path = format!("/inference.GRPCInferenceService/{method}");
            let (endpoint, model) = Endpoint::of(&path);
            (endpoint, model.is_some())
        };
        assert_eq!(of("ModelInfer"), (Endpoint::ModelInfer, false));
        assert_eq!(of("ModelStreamInfer"), (Endpoint::ModelStreamInfer, false));
        for method in ["ServerLive", "ModelReady", "ModelMetadata", "RepositoryIndex", ""] {
            assert_eq!(of(method), (Endpoint::NoPayload, false), "{method}");
        }
        assert_eq!(Endpoint::of("/other.Service/ModelInfer").0, Endpoint::Other);
    }

    #[test]
    fn other_paths_are_settled_by_the_payload() {
        for path in ["/", "/predict", "/v1/chat", "/v2beta/models/x/infer", ""] {
            assert_eq!(Endpoint::of(path).0, Endpoint::Other, "{path}");
        }
        assert_eq!(Endpoint::of("/endpoint/invocations").0, Endpoint::Invocations);
        assert_eq!(Endpoint::of("/score?size=1").0, Endpoint::Score);
    }
}
