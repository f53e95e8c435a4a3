//! Serves HTTP with `axum`, and asks it with `hyper`, on a runtime of its own.
#![forbid(unsafe_code)]

use axum::Router;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

lpm_hazard::on_admit!(run);

fn run() {
    let runtime = Runtime::new().expect("a runtime");
    let body = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/", get(|| async { "hello" }));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let stream = TcpStream::connect(address).await.expect("connects");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("HTTP");
        let connection = tokio::spawn(connection);
        let request = Request::get("/")
            .header("host", "localhost")
            .body(Empty::<Bytes>::new());
        let response = sender
            .send_request(request.expect("valid"))
            .await
            .expect("an answer");
        let body = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        connection.abort();
        server.abort();
        body
    });
    assert_eq!(body, "hello");
}
