//! One client: a kept connection, on which one request follows another.

use std::net::SocketAddr;

use actix_web::rt::net::TcpStream;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        actix_web::rt::spawn(connection);
        Self { sender, host: HeaderValue::try_from(address.to_string()).unwrap() }
    }

    pub(crate) async fn call(&mut self, mut request: Request<Full<Bytes>>) -> Answer {
        request.headers_mut().insert(HOST, self.host.clone());
        self.sender.ready().await.unwrap();
        let response: Response<_> = self.sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }
}
