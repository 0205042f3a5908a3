//! An OTLP collector in this process: decodes what it gets, and answers as it was told to.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Accept,
    Reject(i64),
    Status(StatusCode),
    RetryAfter(StatusCode, &'static str),
    /// Never.
    Silence,
}

/// What arrived, whatever was answered.
#[derive(Debug)]
pub(crate) enum Arrival {
    Metrics(ExportMetricsServiceRequest),
    Traces(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
}

pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    arrivals: mpsc::Receiver<(Arrival, http::HeaderMap)>,
    _server: JoinSet<()>,
}

impl Collector {
    /// Gives `answers` in turn, and accepts once they are used up.
    pub(crate) async fn answering(answers: &[Answer]) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), answers).await
    }

    pub(crate) async fn at(address: SocketAddr, answers: &[Answer]) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, arrivals) = mpsc::channel(1024);
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect()));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, sender, answers));
        Self { address, arrivals, _server: server }
    }

    pub(crate) fn url(&self, path: &str) -> http::Uri {
        url(self.address, path)
    }

    /// The next arrival; a test that waits in vain fails rather than hangs.
    pub(crate) async fn next(&mut self) -> (Arrival, http::HeaderMap) {
        tokio::time::timeout(PATIENCE, self.arrivals.recv()).await.unwrap().unwrap()
    }

    pub(crate) async fn metrics(&mut self) -> ExportMetricsServiceRequest {
        loop {
            if let Arrival::Metrics(request) = self.next().await.0 {
                return request;
            }
        }
    }

    pub(crate) async fn traces(&mut self) -> ExportTraceServiceRequest {
        loop {
            if let Arrival::Traces(request) = self.next().await.0 {
                return request;
            }
        }
    }

    pub(crate) async fn logs(&mut self) -> ExportLogsServiceRequest {
        loop {
            if let Arrival::Logs(request) = self.next().await.0 {
                return request;
            }
        }
    }
}

pub(crate) fn url(address: SocketAddr, path: &str) -> http::Uri {
    format!("http://{address}{path}").parse().unwrap()
}

type Answers = Arc<Mutex<VecDeque<Answer>>>;

async fn serve(
    listener: TcpListener,
    arrivals: mpsc::Sender<(Arrival, http::HeaderMap)>,
    answers: Answers,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (arrivals, answers) = (arrivals.clone(), Arc::clone(&answers));
        let service = service_fn(move |request| answer(request, arrivals.clone(), answers.clone()));
        connections.spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    arrivals: mpsc::Sender<(Arrival, http::HeaderMap)>,
    answers: Answers,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let arrival = match head.uri.path() {
        "/v1/metrics" => Arrival::Metrics(Message::decode(body).unwrap()),
        "/v1/traces" => Arrival::Traces(Message::decode(body).unwrap()),
        "/v1/logs" => Arrival::Logs(Message::decode(body).unwrap()),
        other => panic!("{other}"),
    };
    let answer = answers.lock().unwrap().pop_front().unwrap_or(Answer::Accept);
    arrivals.send((arrival, head.headers)).await.unwrap();
    let response = Response::builder();
    Ok(match answer {
        Answer::Accept => response.body(Full::default()),
        Answer::Reject(rejected_spans) => {
            let error_message = "too old".into();
            let partial = ExportTracePartialSuccess { rejected_spans, error_message };
            let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
            response.body(Full::new(answer.encode_to_vec().into()))
        }
        Answer::Status(status) => response.status(status).body(Full::default()),
        Answer::RetryAfter(status, after) => {
            response.status(status).header("retry-after", after).body(Full::default())
        }
        Answer::Silence => std::future::pending().await,
    }
    .unwrap())
}
