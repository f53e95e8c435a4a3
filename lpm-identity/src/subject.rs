//! Whom a request is decided for.

use std::sync::Arc;

use lpm_api::Name;
use lpm_sample::identity;

use crate::profile::Profile;

/// Whom a request is decided for, and whose flow it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject<N = Box<Name>> {
    /// A listed user: its place in the policy.
    User(usize),
    /// A listed application: its place in the policy.
    Application(usize),
    /// A user whom the policy does not list, but the directory knows.
    Directory(Arc<Profile>),
    /// Somebody with a name that is not listed. Users and applications are not told apart, nor
    /// DNs and IDs: the same name is the same subject.
    Unlisted(N),
    /// Nobody in particular.
    Unauthenticated,
}

impl From<identity::Subject> for Subject {
    fn from(subject: identity::Subject) -> Self {
        match subject {
            identity::Subject::User(place) => Self::User(place),
            identity::Subject::Application(place) => Self::Application(place),
            identity::Subject::Unlisted(name) => Self::Unlisted(name),
            identity::Subject::Unauthenticated => Self::Unauthenticated,
        }
    }
}
