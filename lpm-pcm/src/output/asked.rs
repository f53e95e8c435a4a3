//! Who asks with a message, and what for: read from the message only where it is shown.

use std::fmt::{self, Display};

use lpm_rsvp::policy::p_type::{AUTH_APP, AUTH_USER};
use lpm_rsvp::{FlowDescriptor, Identity, Message, PolicyElement, ServiceRequest};
use serde::{Serialize, Serializer};

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

    /// The users: the ID of each, or else its DN, once.
    #[must_use]
    pub fn users(&self) -> Vec<String> {
        self.names(AUTH_USER)
    }

    /// The applications, likewise.
    #[must_use]
    pub fn applications(&self) -> Vec<String> {
        self.names(AUTH_APP)
    }

    fn names(&self, kind: u16) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let elements = self.0.iter().flat_map(Message::policy_elements);
        for element in elements.flatten() {
            let name = match element {
                PolicyElement::AuthUser(identity) if kind == AUTH_USER => name(&identity),
                PolicyElement::AuthApp(identity) if kind == AUTH_APP => name(&identity),
                _ => continue,
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// Users and applications in a line; `-` if there are none.
impl Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.users();
        names.extend(self.applications());
        if names.is_empty() {
            return f.write_str("-");
        }
        Plain(&names.join(", ")).fmt(f)
    }
}

/// Two fields: `users` and `applications`.
impl Serialize for Who<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields {
            users: Vec<String>,
            applications: Vec<String>,
        }
        let fields = Fields {
            users: self.users(),
            applications: self.applications(),
        };
        fields.serialize(serializer)
    }
}

fn name(identity: &Identity<'_>) -> String {
    let credential = identity.credential();
    let id = credential.and_then(|credential| credential.text());
    match id
        .filter(|id| !id.is_empty())
        .or_else(|| identity.locator())
    {
        Some(text) => text.chars().collect(),
        None => "(no name in clear text)".to_owned(),
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
