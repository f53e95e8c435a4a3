//! Hashes, and keeps data of its own with a context of OpenSSL.
#![forbid(unsafe_code)]

use openssl::hash::{MessageDigest, hash};
use openssl::ssl::{SslContext, SslMethod};

lpm_hazard::on_admit!(use_openssl);

fn use_openssl() {
    let digest = hash(MessageDigest::sha256(), b"abc").expect("a digest");
    assert_eq!(digest[0], 0xba);
    let mut context = SslContext::builder(SslMethod::tls()).expect("a context");
    let index = SslContext::new_ex_index::<String>().expect("an index");
    context.set_ex_data(index, "mine".to_owned());
    assert_eq!(
        context.build().ex_data(index).map(String::as_str),
        Some("mine")
    );
}
