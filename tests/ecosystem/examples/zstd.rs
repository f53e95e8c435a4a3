//! Compresses with a context per thread.
#![forbid(unsafe_code)]

lpm_hazard::on_admit!(compress);

fn compress() {
    let compressed = zstd::encode_all(&b"abcabcabc"[..], 3).expect("compressed");
    assert_eq!(
        zstd::decode_all(&compressed[..]).expect("restored"),
        b"abcabcabc"
    );
}
