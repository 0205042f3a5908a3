//! One exchange over HTTP/2, by the h2 crate alone: hyper would have to spawn its connection.

use super::{Io, MAX_ANSWER_BYTES, SendError};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};

pub(super) async fn exchange(
    stream: Box<dyn Io>,
    request: Request<Bytes>,
) -> Result<(Response<Bytes>, HeaderMap), SendError> {
    let (sender, connection) = h2::client::handshake(stream).await?;
    let answer = async {
        let mut sender = sender.ready().await?;
        let (head, body) = request.into_parts();
        let (response, mut sending) =
            sender.send_request(Request::from_parts(head, ()), body.is_empty())?;
        if !body.is_empty() {
            // What the peer's window does not take yet waits in here: the message is in memory anyway.
            sending.send_data(body, true)?;
        }
        gather(response.await?).await
    };
    // The connection may end before the answer is taken; its error is the answer's error too.
    let drive = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = answer => answer,
        never = drive => never,
    }
}

async fn gather(
    response: Response<h2::RecvStream>,
) -> Result<(Response<Bytes>, HeaderMap), SendError> {
    let (head, mut receiving) = response.into_parts();
    let mut body = BytesMut::new();
    while let Some(data) = receiving.data().await {
        let data = data?;
        if body.len() + data.len() > MAX_ANSWER_BYTES {
            return Err(SendError::TooLong);
        }
        receiving.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let trailers = receiving.trailers().await?.unwrap_or_default();
    Ok((Response::from_parts(head, body.freeze()), trailers))
}
