//! Gets a page with `ureq`.
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

lpm_hazard::on_admit!(get);

fn get() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let _ = stream.read(&mut [0; 1024]).expect("a request");
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
        stream.write_all(answer).expect("written");
    });
    let mut response = ureq::get(format!("http://{address}/"))
        .call()
        .expect("an answer");
    assert_eq!(
        response.body_mut().read_to_string().expect("a body"),
        "hello"
    );
    server.join().expect("no panic");
}
