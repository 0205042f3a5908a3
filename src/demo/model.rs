//! The model server. In: Open Inference V2 requests over HTTP/1.1 on a port of its own. Out: for each
//! row the class and its probability. The promise: it computes what it answers, on every request, and
//! adds no delay of its own. It refuses whatever is not JSON tensors of its four features.

use super::classifier::Classifier;
use super::{Day, DemoError, MODEL_NAME, MODEL_VERSION};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

const MAX_BODY_BYTES: usize = 1 << 20;

/// Bound to a free port of 127.0.0.1, not yet serving.
#[derive(Debug)]
pub struct Model {
    listener: std::net::TcpListener,
    address: SocketAddr,
    classifier: Classifier,
}

impl Model {
    pub fn bind() -> Result<Self, DemoError> {
        let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, classifier: Classifier::embedded()? })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves on this thread until `stop` is true or its sender is gone. Stop it last: connections
    /// still open are closed at once.
    pub fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), DemoError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => Ok(()),
                served = self.serve() => served,
            }
        })
    }

    async fn serve(self) -> Result<(), DemoError> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let classifier = Rc::new(self.classifier);
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            // An answer is small and whole: waiting to fill a segment would only delay it.
            stream.set_nodelay(true)?;
            let classifier = Rc::clone(&classifier);
            let service = service_fn(move |request| respond(Rc::clone(&classifier), request));
            connections
                .spawn_local(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            while connections.try_join_next().is_some() {}
        }
    }
}

async fn respond(
    classifier: Rc<Classifier>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let (status, answer) = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => answer(&classifier, &head.method, head.uri.path(), &body.to_bytes()),
        Err(fault) => refusal(StatusCode::BAD_REQUEST, &fault.to_string()),
    };
    let mut response = Response::new(Full::new(answer.to_string().into()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}

pub(super) fn answer(
    classifier: &Classifier,
    method: &Method,
    path: &str,
    body: &[u8],
) -> (StatusCode, Value) {
    match (method, path) {
        (&Method::GET, "/v2/health/live") => (StatusCode::OK, json!({ "live": true })),
        (&Method::GET, "/v2/health/ready") => (StatusCode::OK, json!({ "ready": true })),
        (&Method::GET, "/v2/models/seattle-weather") => (StatusCode::OK, metadata(classifier)),
        (&Method::POST, "/v2/models/seattle-weather/infer") => match infer(classifier, body) {
            Ok(answer) => (StatusCode::OK, answer),
            Err(fault) => refusal(StatusCode::BAD_REQUEST, &fault),
        },
        _ => refusal(StatusCode::NOT_FOUND, &format!("nothing is served at {method} {path}")),
    }
}

fn refusal(status: StatusCode, fault: &str) -> (StatusCode, Value) {
    (status, json!({ "error": fault }))
}

fn metadata(classifier: &Classifier) -> Value {
    let tensor =
        |name: &str, datatype| json!({ "name": name, "datatype": datatype, "shape": [-1] });
    let inputs: Vec<_> =
        classifier.feature_names().iter().map(|name| tensor(name, "FP64")).collect();
    json!({
        "name": MODEL_NAME,
        "versions": [MODEL_VERSION],
        "platform": "taffrail-demo",
        "inputs": inputs,
        "outputs": [tensor("weather", "BYTES"), tensor("probability", "FP64")],
    })
}

#[derive(Deserialize)]
struct InferRequest {
    id: Option<String>,
    inputs: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    data: Vec<f64>,
}

fn infer(classifier: &Classifier, body: &[u8]) -> Result<Value, String> {
    let request: InferRequest = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let rows = rows(classifier, &request.inputs)?;
    let predictions: Vec<_> = rows.iter().map(|row| classifier.predict(row)).collect();
    let weather: Vec<_> = predictions.iter().map(|prediction| &*prediction.weather).collect();
    let probability: Vec<_> = predictions.iter().map(|prediction| prediction.probability).collect();
    let shape = [rows.len()];
    let mut answer = json!({
        "model_name": MODEL_NAME,
        "model_version": MODEL_VERSION,
        "outputs": [
            { "name": "weather", "shape": shape, "datatype": "BYTES", "data": weather },
            { "name": "probability", "shape": shape, "datatype": "FP64", "data": probability },
        ],
    });
    if let Some(id) = request.id {
        answer["id"] = id.into();
    }
    Ok(answer)
}

/// One row from each position of the four tensors, which must be equally long.
fn rows(
    classifier: &Classifier,
    inputs: &[Tensor],
) -> Result<Vec<[f64; Day::FEATURES.len()]>, String> {
    let columns: Vec<&[f64]> = classifier
        .feature_names()
        .iter()
        .map(|name| {
            let tensor = inputs.iter().find(|tensor| tensor.name == *name);
            tensor.map(|tensor| &*tensor.data).ok_or_else(|| format!("input {name:?} is missing"))
        })
        .collect::<Result<_, _>>()?;
    let len = columns.first().map_or(0, |column| column.len());
    if columns.iter().any(|column| column.len() != len) {
        return Err("the inputs are not equally long".into());
    }
    Ok((0..len).map(|row| std::array::from_fn(|feature| columns[feature][row])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(body: &str) -> (StatusCode, Value) {
        let classifier = Classifier::embedded().unwrap();
        let path = "/v2/models/seattle-weather/infer";
        answer(&classifier, &Method::POST, path, body.as_bytes())
    }

    #[test]
    fn two_rows_get_two_answers() {
        let (status, answer) = post(
            r#"{"id": "a", "inputs": [
                {"name": "wind", "shape": [2], "datatype": "FP64", "data": [4.7, 2.0]},
                {"name": "temp_min", "shape": [2], "datatype": "FP64", "data": [5.6, 15.0]},
                {"name": "temp_max", "shape": [2], "datatype": "FP64", "data": [12.2, 30.0]},
                {"name": "precipitation", "shape": [2], "datatype": "FP64", "data": [20.3, 0.0]}
            ]}"#,
        );
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer["id"], "a");
        assert_eq!(answer["outputs"][0]["data"], json!(["rain", "sun"]));
        assert_eq!(answer["outputs"][1]["shape"], json!([2]));
    }

    #[test]
    fn what_is_not_four_equal_tensors_is_refused() {
        for body in [
            "",
            "{}",
            r#"{"inputs": []}"#,
            r#"{"inputs": [{"name": "wind", "data": ["x"]}]}"#,
            r#"{"inputs": [{"name": "wind", "data": [1]}, {"name": "temp_min", "data": [1, 2]},
                {"name": "temp_max", "data": [1]}, {"name": "precipitation", "data": [1]}]}"#,
        ] {
            assert_eq!(post(body).0, StatusCode::BAD_REQUEST, "{body}");
        }
    }

    #[test]
    fn the_model_says_that_it_is_ready_and_what_it_takes() {
        let classifier = Classifier::embedded().unwrap();
        let get = |path| answer(&classifier, &Method::GET, path, b"");
        assert_eq!(get("/v2/health/ready").0, StatusCode::OK);
        assert_eq!(get("/v2/models/seattle-weather").1["inputs"][1]["name"], "temp_max");
        assert_eq!(get("/").0, StatusCode::NOT_FOUND);
    }
}
