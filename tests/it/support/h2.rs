//! HTTP/2 peers, by hyper, each on a thread or a runtime of its own.

use super::sidecar::PATIENCE;
use super::tls;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, ServerConfig};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// `data`, then `trailer: value`.
pub(crate) fn with_trailer(
    data: &'static [u8],
    trailer: &'static str,
    value: &'static str,
) -> Body {
    let mut fields = http::HeaderMap::new();
    fields.insert(trailer, value.parse().unwrap());
    let trailers = async move { Some(Ok(fields)) };
    whole(data).with_trailers(trailers).boxed_unsync()
}

/// The same, of a length that nobody is told.
pub(crate) fn streamed_with_trailer(
    data: &'static [u8],
    trailer: &'static str,
    value: &'static str,
) -> Body {
    let mut fields = http::HeaderMap::new();
    fields.insert(trailer, value.parse().unwrap());
    Frames([Frame::trailers(fields), Frame::data(Bytes::from_static(data))].into()).boxed_unsync()
}

/// Each in turn, the last first.
struct Frames(Vec<Frame<Bytes>>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(self.0.pop().map(Ok))
    }
}

/// `data`, and once `cut` is set the sender breaks off.
pub(crate) fn broken_after(data: &'static [u8], cut: &Arc<AtomicBool>) -> Body {
    Broken { data: Some(Bytes::from_static(data)), cut: Arc::clone(cut) }.boxed_unsync()
}

struct Broken {
    data: Option<Bytes>,
    cut: Arc<AtomicBool>,
}

impl hyper::body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.cut.load(Ordering::SeqCst) {
            return Poll::Ready(Some(Err(std::io::Error::other("broken"))));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// An upstream that speaks only HTTP/2, and answers with what `answer` makes of each request.
pub(crate) fn upstream<A>(answer: A) -> SocketAddr
where
    A: Fn(http::request::Parts, Bytes, Option<http::HeaderMap>) -> Response<Body>,
    A: Send + Sync + 'static,
{
    upstream_over(None, answer)
}

/// The same, under TLS if that is given.
pub(crate) fn upstream_over<A>(tls: Option<Arc<ServerConfig>>, answer: A) -> SocketAddr
where
    A: Fn(http::request::Parts, Bytes, Option<http::HeaderMap>) -> Response<Body>,
    A: Send + Sync + 'static,
{
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let tls = tls.clone().map(TlsAcceptor::from);
                let answer = Arc::clone(&answer);
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = Arc::clone(&answer);
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap();
                        let trailers = body.trailers().cloned();
                        Ok::<_, Infallible>(answer(head, body.to_bytes(), trailers))
                    }
                });
                let protocol = hyper::server::conn::http2::Builder::new(Local);
                tokio::task::spawn_local(async move {
                    let stream: Box<dyn Stream> = match tls {
                        None => Box::new(stream),
                        Some(tls) => Box::new(tls.accept(stream).await?),
                    };
                    let served = protocol.serve_connection(TokioIo::new(stream), service).await;
                    served.map_err(std::io::Error::other)
                });
            }
        });
    });
    address
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// A client's HTTP/2 connection; the runtime it was made in drives it.
pub(crate) async fn client(address: SocketAddr) -> SendRequest<Body> {
    client_over(TcpStream::connect(address).await.unwrap()).await
}

/// The same, under TLS.
pub(crate) async fn client_tls(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> SendRequest<Body> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::clone(config));
    client_over(connector.connect(tls::host(), tcp).await.unwrap()).await
}

async fn client_over(stream: impl Stream + 'static) -> SendRequest<Body> {
    let io = TokioIo::new(stream);
    let handshake = hyper::client::conn::http2::handshake(Local, io);
    let (sender, connection) = handshake.await.unwrap();
    tokio::task::spawn_local(connection);
    sender
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(tokio::runtime::LocalOptions::default());
    runtime.unwrap().block_on(future)
}

/// As [`block_on`], and fails rather than hang.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    block_on(async { tokio::time::timeout(PATIENCE, future).await.unwrap() })
}

#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        drop(tokio::task::spawn_local(future));
    }
}
