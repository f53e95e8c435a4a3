//! What servers are trusted for, and connections to them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection, whatever is below it.
pub(crate) type Stream = Box<dyn ReadWrite>;

/// Bytes in both directions.
pub(crate) trait ReadWrite: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> ReadWrite for S {}

/// Why a server cannot be spoken to in TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("the certificates in {}: {}", .0.display(), .1)]
    File(PathBuf, #[source] pem::Error),
    #[error("a certificate in {}: {}", .0.display(), .1)]
    Certificate(PathBuf, #[source] rustls::Error),
    #[error("there is no certificate by which to trust a server")]
    NoRoots,
    #[error("TLS: {0}")]
    Setup(#[from] rustls::Error),
    #[error("{0} is not the name of a server: {1}")]
    Name(String, #[source] InvalidDnsNameError),
    #[error("TLS: {0}")]
    Handshake(#[from] io::Error),
}

/// A client that trusts the certificates in a PEM file, or those of the system.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let unreadable = |error| TlsError::File(path.to_owned(), error);
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                let added = roots.add(certificate.map_err(unreadable)?);
                added.map_err(|error| TlsError::Certificate(path.to_owned(), error))?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
        }
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(client))
}

/// Goes on with TLS on a connection to this host.
pub(crate) async fn secured(
    stream: TcpStream,
    host: &str,
    ca_file: Option<&Path>,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let bare = host.trim_matches(['[', ']']).to_owned();
    let name =
        ServerName::try_from(bare).map_err(|error| TlsError::Name(host.to_owned(), error))?;
    let connector = TlsConnector::from(client(ca_file)?);
    Ok(connector.connect(name, stream).await?)
}
