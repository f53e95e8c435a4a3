//! Where the sections of a policy stand, to say why something was decided.

use lpm_api::Scope;

use crate::identity::Subject;
use crate::reason::Place;

/// Where the sections of a policy stand.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// What the policy is called in errors, such as its file.
    pub(crate) source: Box<str>,
    /// Lines, from 1; 0 for a section that is missing.
    pub(crate) default: u32,
    pub(crate) unauthenticated: u32,
    pub(crate) users: Vec<Member>,
    pub(crate) applications: Vec<Member>,
}

/// Where the section of a user or an application stands.
#[derive(Debug)]
pub(crate) struct Member {
    /// The ID or the DN, as it is written.
    pub(crate) name: Box<str>,
    pub(crate) line: u32,
    /// The heading of its group, and the line of that.
    pub(crate) group: Option<(Box<str>, u32)>,
    /// Whose section says whether flows are admitted.
    pub(crate) outcome: Scope,
}

impl Places {
    /// Who a subject is, in words.
    pub(crate) fn who(&self, subject: &Subject) -> String {
        match (self.member(subject), subject) {
            (Some((member, _)), _) => member.name.to_string(),
            (None, Subject::Unlisted(name)) => name.to_string(),
            (None, _) => "somebody without a name".to_owned(),
        }
    }

    /// The section that says whether flows of this subject are admitted.
    pub(crate) fn of_outcome(&self, subject: &Subject) -> Place<'_> {
        let scope = self.member(subject).map(|(member, _)| member.outcome);
        self.of(subject, scope.unwrap_or(Scope::GlobalDefault))
    }

    /// The section that has a limit of this scope for this subject.
    pub(crate) fn of(&self, subject: &Subject, scope: Scope) -> Place<'_> {
        let (heading, line) = match (self.member(subject), scope) {
            (Some((member, heading)), Scope::GlobalUser) => (heading, member.line),
            (Some((member, _)), Scope::GlobalGroup) => match &member.group {
                Some((heading, line)) => (&**heading, *line),
                None => ("[default]", self.default),
            },
            _ if *subject == Subject::Unauthenticated => {
                let is_missing = self.unauthenticated == 0;
                let heading = if is_missing {
                    "the missing [unauthenticated]"
                } else {
                    "[unauthenticated]"
                };
                (heading, self.unauthenticated)
            }
            _ if self.default == 0 => ("the missing [default]", 0),
            _ => ("[default]", self.default),
        };
        Place {
            heading,
            source: &self.source,
            line,
        }
    }

    fn member(&self, subject: &Subject) -> Option<(&Member, &'static str)> {
        match subject {
            Subject::User(place) => Some((self.users.get(*place)?, "[[user]]")),
            Subject::Application(place) => {
                Some((self.applications.get(*place)?, "[[application]]"))
            }
            Subject::Unlisted(_) | Subject::Unauthenticated => None,
        }
    }
}
