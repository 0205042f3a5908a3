//! An HTTP/1.1 client of one address. In: a path and a JSON body. Out: the status, once the whole
//! answer was read. Keeps its connection; opens another after a fault; waits [`TIMEOUT`] at most.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Error)]
pub(super) enum ClientError {
    #[error("no connection")]
    Connect(#[from] std::io::Error),
    #[error("the exchange failed")]
    Exchange(#[from] hyper::Error),
    #[error("the request could not be made")]
    Request(#[from] http::Error),
    #[error("no answer in time")]
    Timeout(#[from] tokio::time::error::Elapsed),
}

#[derive(Debug)]
pub(super) struct Client {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Drives the connection; dropped with the client.
    connection: JoinSet<hyper::Result<()>>,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, sender: None, connection: JoinSet::new() }
    }

    /// Must be called on a `LocalSet`.
    pub(super) async fn post(
        &mut self,
        path: &str,
        id: Option<&str>,
        body: Bytes,
    ) -> Result<StatusCode, ClientError> {
        let request = self.request(path, id, body)?;
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.connect().await?,
        };
        let status = tokio::time::timeout(TIMEOUT, exchange(&mut sender, request)).await??;
        // Kept only after a whole exchange: a failed one leaves nothing behind to trip over.
        self.sender = Some(sender);
        Ok(status)
    }

    fn request(
        &self,
        path: &str,
        id: Option<&str>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::post(path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json");
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        request.body(Full::new(body))
    }

    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let stream = tokio::time::timeout(TIMEOUT, TcpStream::connect(self.address)).await??;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        self.connection.abort_all();
        while self.connection.try_join_next().is_some() {}
        self.connection.spawn_local(connection);
        Ok(sender)
    }
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, hyper::Error> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    response.into_body().collect().await?;
    Ok(status)
}
