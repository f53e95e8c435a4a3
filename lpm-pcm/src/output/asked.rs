//! Who asks with a message, and what for: read from the message only where it is shown.

use std::borrow::Cow;
use std::fmt::{self, Display};

use lpm_rsvp::{FlowDescriptor, Identity, Message, PolicyElement, ServiceRequest};
use serde::{Serialize, Serializer};
use smallvec::SmallVec;

use super::plain::Plain;

/// The identities in the POLICY_DATA of a message. What they claim is the sender's word.
#[derive(Clone, Copy, Debug, Default)]
pub struct Who<'a>(Option<Message<'a>>);

impl<'a> Who<'a> {
    /// Who asks with this message.
    #[must_use]
    pub const fn of(message: Message<'a>) -> Self {
        Self(Some(message))
    }

    /// The users and the applications: the ID of each, or else its DN, once.
    #[must_use]
    pub fn names(&self) -> (Names<'a>, Names<'a>) {
        let (mut users, mut applications) = (Names::new(), Names::new());
        let elements = self.0.iter().flat_map(Message::policy_elements);
        for element in elements.flatten() {
            let (names, identity) = match element {
                PolicyElement::AuthUser(identity) => (&mut users, identity),
                PolicyElement::AuthApp(identity) => (&mut applications, identity),
                _ => continue,
            };
            let name = name(&identity);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        (users, applications)
    }
}

/// Names as they stand in a message, or decoded.
pub type Names<'a> = SmallVec<[Cow<'a, str>; 1]>;

/// Users and applications in a line; `-` if there are none.
impl Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (users, applications) = self.names();
        let mut names = users.iter().chain(&applications);
        let Some(first) = names.next() else {
            return f.write_str("-");
        };
        Plain(first).fmt(f)?;
        names.try_for_each(|name| write!(f, ", {}", Plain(name)))
    }
}

/// Two fields: `users` and `applications`.
impl Serialize for Who<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            users: &'a [Cow<'a, str>],
            applications: &'a [Cow<'a, str>],
        }
        let (users, applications) = self.names();
        let fields = Fields {
            users: &users,
            applications: &applications,
        };
        fields.serialize(serializer)
    }
}

fn name<'a>(identity: &Identity<'a>) -> Cow<'a, str> {
    let credential = identity.credential();
    let id = credential.and_then(|credential| credential.text());
    let id = id.filter(|id| !id.is_empty());
    match id.or_else(|| identity.locator()) {
        Some(text) => match text.as_str() {
            Some(text) => text.into(),
            None => text.chars().collect(),
        },
        None => "(no name in clear text)".into(),
    }
}

/// What a flow asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a>(FlowDescriptor<'a>);

impl<'a> Asked<'a> {
    /// What this flow asks for.
    #[must_use]
    pub const fn of(flow: FlowDescriptor<'a>) -> Self {
        Self(flow)
    }

    /// `controlled_load`, `guaranteed` or `null`; `None` for a sender, and where it cannot be read.
    #[must_use]
    pub fn service(&self) -> Option<&'static str> {
        match self.0.flow_spec()?.service().ok()? {
            ServiceRequest::ControlledLoad(_) => Some("controlled_load"),
            ServiceRequest::Guaranteed(..) => Some("guaranteed"),
            ServiceRequest::Null { .. } => Some("null"),
            _ => None,
        }
    }

    /// The rate R that is to be reserved, or the token rate, in bytes per second.
    #[must_use]
    pub fn rate(&self) -> Option<f32> {
        self.0.rate()
    }

    /// The peak rate, in bytes per second; infinite where there is no bound.
    #[must_use]
    pub fn peak_rate(&self) -> Option<f32> {
        self.0.tspec().map(|tspec| tspec.peak_rate)
    }
}

/// Three fields: `service`, `rate` and `peak_rate`.
impl Serialize for Asked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields {
            service: Option<&'static str>,
            rate: Option<f32>,
            peak_rate: Option<f32>,
        }
        let fields = Fields {
            service: self.service(),
            rate: self.rate(),
            peak_rate: self.peak_rate().filter(|rate| rate.is_finite()),
        };
        fields.serialize(serializer)
    }
}
