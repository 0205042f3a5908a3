//! An OTLP collector in this process: decodes what it gets, over HTTP or gRPC, under TLS or not, and
//! answers as it was told to.

use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Accept,
    Reject(i64),
    Status(StatusCode),
    RetryAfter(StatusCode, &'static str),
    /// Over gRPC.
    Grpc(&'static str),
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

/// What a collector speaks.
#[derive(Clone, Default)]
pub(crate) struct Wire {
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) is_grpc: bool,
}

pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    arrivals: mpsc::Receiver<(Arrival, HeaderMap)>,
    _server: JoinSet<()>,
}

impl Collector {
    /// Gives `answers` in turn, and accepts once they are used up.
    pub(crate) async fn answering(answers: &[Answer]) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), answers).await
    }

    pub(crate) async fn at(address: SocketAddr, answers: &[Answer]) -> Self {
        Self::speaking(Wire::default(), address, answers).await
    }

    pub(crate) async fn speaking(wire: Wire, address: SocketAddr, answers: &[Answer]) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, arrivals) = mpsc::channel(1024);
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect()));
        let mut server = JoinSet::new();
        server.spawn(serve(wire, listener, sender, answers));
        Self { address, arrivals, _server: server }
    }

    pub(crate) fn url(&self, path: &str) -> http::Uri {
        url(self.address, path)
    }

    /// The next arrival; a test that waits in vain fails rather than hangs.
    pub(crate) async fn next(&mut self) -> (Arrival, HeaderMap) {
        tokio::time::timeout(PATIENCE, self.arrivals.recv()).await.unwrap().unwrap()
    }

    /// What has arrived already.
    pub(crate) fn try_next(&mut self) -> Option<(Arrival, HeaderMap)> {
        self.arrivals.try_recv().ok()
    }

    /// The next arrival, however long that takes.
    pub(crate) async fn any(&mut self) -> Option<(Arrival, HeaderMap)> {
        self.arrivals.recv().await
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
type Body = BoxBody<Bytes, Infallible>;

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

async fn serve(
    wire: Wire,
    listener: TcpListener,
    arrivals: mpsc::Sender<(Arrival, HeaderMap)>,
    answers: Answers,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (arrivals, answers, wire) = (arrivals.clone(), Arc::clone(&answers), wire.clone());
        let service = service_fn(move |request| answer(request, arrivals.clone(), answers.clone()));
        connections.spawn(async move {
            let stream: Box<dyn Io> = match &wire.tls {
                None => Box::new(stream),
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => Box::new(stream),
                    Err(_) => return,
                },
            };
            let stream = TokioIo::new(stream);
            if wire.is_grpc {
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = connection.serve_connection(stream, service).await;
            } else {
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(stream, service).await;
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    arrivals: mpsc::Sender<(Arrival, HeaderMap)>,
    answers: Answers,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let is_grpc = head.headers["content-type"] == "application/grpc";
    let body = if is_grpc { unframed(&body, &head.headers) } else { plain(body, &head.headers) };
    let arrival = match head.uri.path() {
        "/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
            Arrival::Metrics(Message::decode(body).unwrap())
        }
        "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
            Arrival::Traces(Message::decode(body).unwrap())
        }
        "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
            Arrival::Logs(Message::decode(body).unwrap())
        }
        other => panic!("{other}"),
    };
    let answer = answers.lock().unwrap().pop_front().unwrap_or(Answer::Accept);
    arrivals.send((arrival, head.headers)).await.unwrap();
    Ok(if is_grpc { grpc_response(answer).await } else { response(answer).await })
}

fn plain(body: Bytes, headers: &HeaderMap) -> Bytes {
    match headers.get("content-encoding").map(HeaderValue::as_bytes) {
        None => body,
        Some(b"gzip") => gunzip(&body),
        Some(other) => panic!("{other:?}"),
    }
}

fn unframed(body: &[u8], headers: &HeaderMap) -> Bytes {
    let (prefix, message) = body.split_at(5);
    let length = u32::from_be_bytes(prefix[1..].try_into().unwrap());
    assert_eq!(message.len(), length as usize);
    assert_eq!(headers["te"], "trailers");
    if prefix[0] == 0 {
        return Bytes::copy_from_slice(message);
    }
    assert_eq!(headers["grpc-encoding"], "gzip");
    gunzip(message)
}

fn gunzip(packed: &[u8]) -> Bytes {
    let mut message = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut message).unwrap();
    message.into()
}

fn empty() -> Body {
    Empty::new().boxed()
}

fn partial(rejected_spans: i64) -> Vec<u8> {
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: "too old".into() };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
}

async fn response(answer: Answer) -> Response<Body> {
    let response = Response::builder();
    match answer {
        Answer::Accept => response.body(empty()),
        Answer::Reject(rejected) => response.body(Full::from(partial(rejected)).boxed()),
        Answer::Status(status) => response.status(status).body(empty()),
        Answer::RetryAfter(status, after) => {
            response.status(status).header("retry-after", after).body(empty())
        }
        Answer::Grpc(_) => panic!("not over HTTP"),
        Answer::Silence => std::future::pending().await,
    }
    .unwrap()
}

async fn grpc_response(answer: Answer) -> Response<Body> {
    let framed = |message: &[u8]| {
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).unwrap());
        frame.put_slice(message);
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Full::new(frame.freeze()).with_trailers(async move { Some(Ok(trailers)) }).boxed()
    };
    let response = Response::builder().header("content-type", "application/grpc");
    match answer {
        Answer::Accept => response.body(framed(&[])),
        Answer::Reject(rejected) => response.body(framed(&partial(rejected))),
        Answer::Grpc(status) => response.header("grpc-status", status).body(empty()),
        Answer::Status(status) => Response::builder().status(status).body(empty()),
        Answer::RetryAfter(..) => panic!("not over gRPC"),
        Answer::Silence => std::future::pending().await,
    }
    .unwrap()
}
