//! Asks a server of gRPC, its own, for its health.
#![forbid(unsafe_code)]

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

lpm_hazard::on_admit!(ask);

fn ask() {
    let runtime = Runtime::new().expect("a runtime");
    let status = runtime.block_on(async {
        let (_reporter, service) = tonic_health::server::health_reporter();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = Server::builder().add_service(service);
        let server = tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel = endpoint
            .connect_timeout(Duration::from_secs(60))
            .connect()
            .await;
        let mut client = HealthClient::new(channel.expect("connects"));
        let answer = client
            .check(HealthCheckRequest::default())
            .await
            .expect("an answer");
        server.abort();
        answer.into_inner().status
    });
    assert_eq!(status, 1);
}
