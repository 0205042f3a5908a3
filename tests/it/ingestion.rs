//! The ingestion endpoint of Application Insights, in this process: reads what it gets, and answers as
//! it was told to.

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Accept,
    /// Of these items, by place and status, the others being taken.
    Errors(Vec<(usize, u16)>),
    Status(u16),
    RetryAfter(u16, &'static str),
    Redirect(u16, String),
    /// Never.
    Silence,
}

/// What arrived, whatever was answered.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) path: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) items: Vec<Value>,
    /// The last of all bodies were said to be so many bytes as they came.
    pub(crate) wire_bytes: usize,
}

impl Arrival {
    pub(crate) fn base_types(&self) -> Vec<&str> {
        self.items.iter().map(|item| item["data"]["baseType"].as_str().unwrap()).collect()
    }
}

pub(crate) struct Ingestion {
    pub(crate) address: SocketAddr,
    arrivals: mpsc::Receiver<Arrival>,
    _server: JoinSet<()>,
}

impl Ingestion {
    /// Gives `answers` in turn, and accepts once they are used up.
    pub(crate) async fn answering(answers: &[Answer]) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), answers).await
    }

    pub(crate) async fn at(address: SocketAddr, answers: &[Answer]) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(64).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, arrivals) = mpsc::channel(4096);
        let answers = Arc::new(Mutex::new(answers.iter().cloned().collect()));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, sender, answers));
        Self { address, arrivals, _server: server }
    }

    /// The next arrival; a test that waits in vain fails rather than hangs.
    pub(crate) async fn next(&mut self) -> Arrival {
        tokio::time::timeout(PATIENCE, self.arrivals.recv()).await.unwrap().unwrap()
    }

    /// What has arrived and was not looked at.
    pub(crate) fn rest(&mut self) -> Vec<Arrival> {
        std::iter::from_fn(|| self.arrivals.try_recv().ok()).collect()
    }
}

type Answers = Arc<Mutex<VecDeque<Answer>>>;

async fn serve(listener: TcpListener, arrivals: mpsc::Sender<Arrival>, answers: Answers) {
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
    arrivals: mpsc::Sender<Arrival>,
    answers: Answers,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let wire_bytes = body.len();
    let text = match head.headers.get("content-encoding") {
        Some(_) => {
            let mut text = String::new();
            GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
            text
        }
        None => String::from_utf8(body.to_vec()).unwrap(),
    };
    let items: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let received = items.len();
    let path = head.uri.path().to_owned();
    let answer = answers.lock().unwrap().pop_front().unwrap_or(Answer::Accept);
    arrivals.send(Arrival { path, headers: head.headers, items, wire_bytes }).await.unwrap();
    let response = Response::builder();
    let judged = |errors: &[(usize, u16)]| {
        let error = |(index, code): &(usize, u16)| json!({ "index": index, "statusCode": code, "message": "no" });
        let errors: Vec<_> = errors.iter().map(error).collect();
        let accepted = received - errors.len();
        let body =
            json!({ "itemsReceived": received, "itemsAccepted": accepted, "errors": errors });
        Full::new(body.to_string().into())
    };
    Ok(match answer {
        Answer::Accept => response.body(judged(&[])),
        Answer::Errors(errors) => {
            response.status(StatusCode::PARTIAL_CONTENT).body(judged(&errors))
        }
        Answer::Status(status) => response.status(status).body(Full::default()),
        Answer::RetryAfter(status, after) => {
            response.status(status).header("retry-after", after).body(Full::default())
        }
        Answer::Redirect(status, to) => {
            response.status(status).header("location", to).body(Full::default())
        }
        Answer::Silence => std::future::pending().await,
    }
    .unwrap())
}
