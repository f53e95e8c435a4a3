//! The metrics over HTTP, as Prometheus fetches them: one `GET /metrics` a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::control::{Asked, Query, Reply};
use super::exposition::CONTENT_TYPE;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest request, in bytes.
const LONGEST: usize = 8 << 10;
/// How many connections there are at once; others wait.
const MOST: usize = 16;

/// The listener; it ends with this.
pub struct Http {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Http {
    /// The listener of a configuration, if it has one.
    ///
    /// # Errors
    /// Like [`open`](Self::open), with the address.
    pub fn configured(
        address: Option<SocketAddr>,
        queries: &UnboundedSender<Asked>,
    ) -> io::Result<Option<Self>> {
        let http = address.map(|address| {
            Self::open(address, queries.clone()).map_err(|error| {
                let what =
                    format!("metrics on {address}: {error}; give another `metrics` in [run]");
                io::Error::new(error.kind(), what)
            })
        });
        http.transpose()
    }

    /// Listens there.
    ///
    /// # Errors
    /// The address is taken, or none of this host's.
    pub fn open(address: SocketAddr, queries: UnboundedSender<Asked>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(MOST));
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let queries = queries.clone();
                        tokio::spawn(async move {
                            // Who does not ask, or goes away, gets no answer.
                            let _ = timeout(PATIENCE, serve(stream, &queries)).await;
                            drop(place);
                        });
                    }
                    // Too many files are open, say: that passes.
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, queries: &UnboundedSender<Asked>) -> io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    let is_whole = loop {
        let length = stream.read(&mut part).await?;
        request.extend_from_slice(&part[..length]);
        if request.windows(4).any(|end| end == b"\r\n\r\n") {
            break true;
        }
        if length == 0 || request.len() > LONGEST {
            break false;
        }
    };
    let request = String::from_utf8_lossy(&request);
    let line = request.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next());
    let path = target.map(|target| target.split('?').next().unwrap_or_default());
    let (status, body) = match (is_whole, method, path) {
        (false, ..) | (_, _, None) => (
            "400 Bad Request",
            "this is not an HTTP request\n".to_owned(),
        ),
        (_, "GET" | "HEAD", Some("/metrics")) => ("200 OK", metrics(queries).await?),
        (_, "GET" | "HEAD", _) => ("404 Not Found", "look at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "GET /metrics\n".to_owned()),
    };
    let allow = match status {
        "405 Method Not Allowed" => "Allow: GET, HEAD\r\n",
        _ => "",
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    if method != "HEAD" {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

/// Asks the loop.
async fn metrics(queries: &UnboundedSender<Asked>) -> io::Result<String> {
    let (answer, answered) = oneshot::channel();
    let _ = queries.send((Query::Metrics, answer));
    match answered.await.map_err(io::Error::other)? {
        Reply::Metrics(text) => Ok(text),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    /// What comes for this, from a server whose metrics are `x 1`.
    fn ask(request: &[u8]) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let (queries, mut asked) = unbounded_channel();
            let http = Http::open(([127, 0, 0, 1], 0).into(), queries).unwrap();
            let taken = Http::open(http.address(), unbounded_channel().0);
            assert_eq!(taken.err().unwrap().kind(), io::ErrorKind::AddrInUse);
            tokio::spawn(async move {
                while let Some((query, answer)) = asked.recv().await {
                    assert_eq!(query, Query::Metrics);
                    answer.send(Reply::Metrics("x 1\n".to_owned())).unwrap();
                }
            });
            let mut stream = TcpStream::connect(http.address()).await.unwrap();
            // It may have been answered, and closed, before all of it is sent.
            let _ = stream.write_all(request).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8(answer).unwrap()
        })
    }

    #[test]
    fn the_metrics_are_there_and_nothing_else() {
        let answer = ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("Content-Length: 4\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nx 1\n"), "{answer}");
        let answer = ask(b"HEAD /metrics?a=b HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        for (request, status) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"GET /metrics HTTP/1.1\r\n", "400"),
            (b"\r\n\r\n", "400"),
            (b"\xff\xfe", "400"),
        ] {
            let answer = ask(request);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
        }
    }

    #[test]
    fn a_request_without_an_end_is_not_kept() {
        let answer = ask(&vec![b'x'; LONGEST + 2_000]);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
}
