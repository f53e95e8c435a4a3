//! Where LPMs are asked and told, off the loop.
//!
//! What is about one session is asked and told in order, one after the other; an answer that an LPM
//! puts off is waited for by nobody. Different sessions do not wait for each other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use lpm_api::{Decision, Interface, LpmPolicyError};
use lpm_host::error::PcmError;
use lpm_host::{
    CommittedResv, OutgoingMessage, OutgoingVerdict, Pcm, ReceivedMessage, StateGone, Verdict,
};
use lpm_rsvp::build::flow_spec_object;
use lpm_rsvp::{Message, ObjectIndex, Session};
use lpm_sbm::{About, News, Notice, Question};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::spawn_blocking;

use super::audit::Audit;

/// What comes from the desk.
#[derive(Debug)]
pub enum Answer {
    /// The LPMs have decided on a message.
    Decided(u64, Vec<Decision>),
    /// The LPMs have said what goes into a message.
    Supplied(u64, Option<Vec<u8>>),
    /// What is next about a session can be asked.
    Free(Session),
}

/// The desk.
pub struct Desk {
    pcm: Arc<Pcm>,
    audit: Option<Arc<Audit>>,
    answers: UnboundedSender<Answer>,
    /// Sessions that something is being asked about, and what comes after it.
    lines: HashMap<Session, VecDeque<Job>>,
}

enum Job {
    Ask(Question),
    Tell(Notice),
}

impl Desk {
    /// A desk whose answers go there. What is decided goes on record, where there is an audit.
    #[must_use]
    pub fn new(pcm: Arc<Pcm>, audit: Option<Arc<Audit>>, answers: UnboundedSender<Answer>) -> Self {
        Self {
            pcm,
            audit,
            answers,
            lines: HashMap::new(),
        }
    }

    /// Asks LPMs.
    pub fn ask(&mut self, question: Question) {
        self.line_up(question.session, Job::Ask(question));
    }

    /// Tells LPMs.
    pub fn tell(&mut self, notice: Notice) {
        self.line_up(notice.session, Job::Tell(notice));
    }

    fn line_up(&mut self, session: Session, job: Job) {
        match self.lines.get_mut(&session) {
            Some(line) => line.push_back(job),
            None => {
                self.lines.insert(session, VecDeque::new());
                self.start(session, job);
            }
        }
    }

    /// Goes on with a session.
    pub fn is_free(&mut self, session: Session) {
        match self.lines.get_mut(&session).and_then(VecDeque::pop_front) {
            Some(job) => self.start(session, job),
            None => drop(self.lines.remove(&session)),
        }
    }

    fn start(&self, session: Session, job: Job) {
        let (pcm, answers) = (Arc::clone(&self.pcm), self.answers.clone());
        let audit = self.audit.clone();
        spawn_blocking(move || {
            match job {
                Job::Ask(question) => ask(&pcm, audit, question, &answers),
                Job::Tell(notice) => tell(&pcm, &notice),
            }
            // Nobody is there only at the end of the program.
            let _ = answers.send(Answer::Free(session));
        });
    }
}

/// What is answered where no LPM can be asked.
const REFUSED: Decision = Decision::reject(LpmPolicyError::NoAccepts);

fn ask(
    pcm: &Arc<Pcm>,
    audit: Option<Arc<Audit>>,
    question: Question,
    answers: &UnboundedSender<Answer>,
) {
    let id = question.id;
    let mut index = ObjectIndex::new();
    match question.about {
        About::Received {
            bytes,
            interface,
            received,
            integrity_verified,
        } => {
            let Ok(message) = Message::parse(&bytes, &mut index) else {
                let _ = answers.send(Answer::Decided(id, Vec::new()));
                return;
            };
            let received = ReceivedMessage {
                message,
                interface,
                received,
                integrity_verified,
            };
            let then = answers.clone();
            let kept = audit.clone().map(|audit| Kept {
                audit,
                pcm: Arc::clone(pcm),
                began: Instant::now(),
                bytes: bytes.clone(),
                received: received.received,
                integrity_verified,
                interface,
            });
            let asked = pcm.admit_with(&received, move |verdict| {
                let decisions = match kept {
                    Some(kept) => kept.decided(&verdict),
                    None => verdict.flows().iter().map(|flow| flow.decision).collect(),
                };
                let _ = then.send(Answer::Decided(id, decisions));
            });
            if asked.is_err() {
                if let Some(audit) = audit {
                    audit.nobody(pcm, &received, REFUSED);
                }
                let flows = received.message.flow_descriptors().count();
                let _ = answers.send(Answer::Decided(id, vec![REFUSED; flows]));
            }
        }
        About::Outgoing {
            bytes,
            interface,
            room,
        } => {
            let objects = Message::parse(&bytes, &mut index).map(|message| {
                pcm.rsvp_objects(&OutgoingMessage {
                    message,
                    interface,
                    max_policy_data_size: room,
                })
            });
            let objects = match objects {
                Ok(Ok(OutgoingVerdict::Send(supplied))) => Some(supplied.policy_data),
                Ok(Ok(OutgoingVerdict::Drop { .. })) => None,
                // There is nobody to ask: it goes out as it is.
                _ => Some(Vec::new()),
            };
            let _ = answers.send(Answer::Supplied(id, objects));
        }
    }
}

/// A message that is being decided, for the record.
struct Kept {
    audit: Arc<Audit>,
    pcm: Arc<Pcm>,
    began: Instant,
    bytes: Vec<u8>,
    received: SystemTime,
    integrity_verified: bool,
    interface: Interface,
}

impl Kept {
    /// What holds, once it is on record.
    fn decided(&self, verdict: &Verdict) -> Vec<Decision> {
        let mut index = ObjectIndex::new();
        let Ok(message) = Message::parse(&self.bytes, &mut index) else {
            return Vec::new();
        };
        let received = ReceivedMessage {
            message,
            interface: self.interface,
            received: self.received,
            integrity_verified: self.integrity_verified,
        };
        let took = self.began.elapsed();
        self.audit.decided(&self.pcm, &received, verdict, took)
    }
}

/// Tells LPMs. Those that are stopped have nothing to know.
fn tell(pcm: &Pcm, notice: &Notice) {
    let mut index = ObjectIndex::new();
    let Ok(message) = Message::parse(&notice.bytes, &mut index) else {
        return;
    };
    let interface = notice.interface;
    let _ = match notice.news {
        News::Torn { received } => torn(pcm, message, interface, received),
        News::Gone(reason) => pcm.delete_state(&StateGone {
            reason,
            message,
            flow: None,
            interface: Some(interface),
        }),
        News::Committed { decision, merged } => {
            let merged = flow_spec_object(&merged);
            pcm.commit_resv(&CommittedResv {
                decision,
                message,
                flow: 0,
                interface,
                merged: Some(&merged),
            })
        }
    };
}

fn torn(
    pcm: &Pcm,
    message: Message<'_>,
    interface: Interface,
    received: SystemTime,
) -> Result<(), PcmError> {
    let received = ReceivedMessage {
        message,
        interface,
        received,
        integrity_verified: false,
    };
    pcm.admit(&received).map(drop)
}
