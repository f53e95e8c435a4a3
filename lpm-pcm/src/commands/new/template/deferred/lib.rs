//! An LPM that asks a server about each user, and answers when the server has.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lpm_api::lpm_rsvp::FlowDescriptor;
use lpm_api::{AdmitRequest, Answer, Decision, Deferral, DeinitError, DeinitReason};
use lpm_api::{InitError, InitInfo, Lpm, LpmPolicyError, Priority, tracing};

/// Admits the users whom the server knows; configured with its address, such as `127.0.0.1:7171`.
///
/// The server gets a user's name on a line, and answers `yes` or `no` on another.
struct AskServer {
    server: SocketAddr,
    questions: SyncSender<Question>,
    asking: JoinHandle<()>,
}

/// A request that waits for its answer.
struct Question {
    user: String,
    deferral: Deferral,
}

/// How many requests wait at most; those beyond are rejected at once.
const MOST_WAITING: usize = 1_000;

/// How long the server may take. Together with the time a request waits for its turn it has to be
/// less than the result time limit, after which the PCM rejects.
const PATIENCE: Duration = Duration::from_secs(1);

impl Lpm for AskServer {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        let server: SocketAddr = init.config().trim().parse().map_err(|_| {
            InitError::config(format!(
                "{}: expected the server's address such as `127.0.0.1:7171`, found `{}`",
                init.config_source(),
                init.config()
            ))
        })?;
        let (questions, asked) = mpsc::sync_channel(MOST_WAITING);
        let asking = thread::Builder::new().name("ask-server".to_owned());
        let asking = asking.spawn(move || answer_all(&asked, server))?;
        Ok(Self {
            server,
            questions,
            asking,
        })
    }

    /// Never waits: the PCM may call on the thread that receives messages.
    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        let Some(user) = request.user().map(|name| name.to_string()) else {
            return request.decide_all(Decision::DontCare);
        };
        let (deferral, answer) = request.defer();
        // When too many wait, the question is dropped, and with it the deferral, which rejects.
        if self
            .questions
            .try_send(Question { user, deferral })
            .is_err()
        {
            tracing::warn!("too many requests wait for the server: one is rejected");
        }
        answer
    }

    /// The operator sees this beside the error's code.
    fn explain(
        &self,
        request: &AdmitRequest<'_>,
        _: &FlowDescriptor<'_>,
        decision: Decision,
    ) -> Option<String> {
        let (user, server) = (request.user()?, self.server);
        let unknown = Decision::reject(LpmPolicyError::UnknownUser);
        match decision {
            Decision::Reject(_) if decision == unknown => {
                Some(format!("{user}: not known to the server {server}"))
            }
            Decision::Reject(_) => Some(format!("{user}: no answer from the server {server}")),
            _ => None,
        }
    }

    /// Without anybody who could send, the thread has no more questions to wait for; and it has to
    /// be gone when this returns, or the library stays mapped.
    fn deinitialize(self, _: DeinitReason) -> Result<(), DeinitError> {
        drop(self.questions);
        // It cannot have panicked but in a dependency; then there is nothing more to end.
        let _ = self.asking.join();
        Ok(())
    }
}

lpm_api::export_lpm!(AskServer);

fn answer_all(asked: &Receiver<Question>, server: SocketAddr) {
    for Question { user, deferral } in asked {
        let decision = match ask(server, &user) {
            Ok(true) => Decision::accept(Priority::MIN),
            Ok(false) => Decision::reject(LpmPolicyError::UnknownUser),
            Err(error) => {
                tracing::warn!(%server, %error, "the server cannot be asked about {user}");
                Decision::reject(LpmPolicyError::NoResources)
            }
        };
        // An error says that the answer came too late, or that the LPM is being stopped.
        if let Err(why) = deferral.complete_all(decision) {
            tracing::debug!(%why, "the answer was not taken");
        }
    }
}

fn ask(server: SocketAddr, user: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    writeln!(stream, "{user}")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    match line.trim() {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(io::Error::other(format!(
            "expected yes or no, found `{other}`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use lpm_host::testing::{TestPcm, messages};

    use super::*;

    /// A server that knows Ada.
    fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                let answer = if line == "CN=Ada\n" { "yes" } else { "no" };
                writeln!(stream, "{answer}").unwrap();
            }
        });
        address
    }

    #[test]
    fn users_are_admitted_whom_the_server_knows() {
        let pcm = TestPcm::<AskServer>::start(&server().to_string()).unwrap();
        let accept = Decision::accept(Priority::MIN);
        let unknown = Decision::reject(LpmPolicyError::UnknownUser);
        assert_eq!(
            pcm.admit(&messages::path().user("CN=Ada").build()),
            [accept]
        );
        assert_eq!(
            pcm.admit(&messages::path().user("CN=Eve").build()),
            [unknown]
        );
        assert_eq!(pcm.admit(&messages::path().build()), [Decision::DontCare]);
    }

    #[test]
    fn a_refusal_says_who_was_refused() {
        let server = server();
        let pcm = TestPcm::<AskServer>::start(&server.to_string()).unwrap();
        let eve = messages::path().user("CN=Eve").build();
        let why = format!("CN=Eve: not known to the server {server}");
        assert_eq!(pcm.explain(&eve, 0), Some(why));
        let ada = messages::path().user("CN=Ada").build();
        assert_eq!(pcm.explain(&ada, 0), None);
    }

    #[test]
    fn nobody_is_admitted_when_the_server_is_down() {
        let nobody = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let pcm = TestPcm::<AskServer>::start(&nobody.to_string()).unwrap();
        let failed = Decision::reject(LpmPolicyError::NoResources);
        assert_eq!(
            pcm.admit(&messages::path().user("CN=Ada").build()),
            [failed]
        );
    }
}
