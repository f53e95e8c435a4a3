//! Uses timers, sockets, signals and child processes of `tokio`, and shuts it down.
#![forbid(unsafe_code)]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

lpm_hazard::on_admit!(run);

fn run() {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let _hangup = signal(SignalKind::hangup()).expect("a signal");
        sleep(Duration::from_millis(1)).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("connects");
            stream.write_all(b"x").await.expect("written");
        });
        let (mut stream, _) = listener.accept().await.expect("a client");
        assert_eq!(stream.read_u8().await.expect("a byte"), b'x');
        client.await.expect("no panic");
        let status = Command::new("true").status().await.expect("a child");
        assert!(status.success());
    });
}
