//! Shakes hands with itself by `native-tls`, which is OpenSSL here.
#![forbid(unsafe_code)]

use std::net::{TcpListener, TcpStream};
use std::thread;

use native_tls::{Certificate, Identity, TlsAcceptor, TlsConnector};

lpm_hazard::on_admit!(shake_hands);

fn shake_hands() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let identity = Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes()).expect("a key");
    let acceptor = TlsAcceptor::new(identity).expect("an acceptor");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        acceptor.accept(stream).is_ok()
    });
    let root = Certificate::from_pem(certificate.as_bytes()).expect("a certificate");
    let connector = TlsConnector::builder().add_root_certificate(root).build();
    let stream = TcpStream::connect(address).expect("connects");
    let connected = connector.expect("a connector").connect("localhost", stream);
    assert!(connected.is_ok());
    assert!(server.join().expect("no panic"));
}
