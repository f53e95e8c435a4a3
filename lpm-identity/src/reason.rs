//! Why a flow was decided as it was, in a sentence for the operator.

use lpm_api::lpm_rsvp::{FlowDescriptor, MessageType};
use lpm_api::{Decision, Direction, LpmPolicyError};
use lpm_sample::identity::UserName;
use lpm_sample::reason::{Asked, Place};
use lpm_sample::rule::Outcome;

use crate::consider::Consideration;
use crate::policy::{Layer, Policy};
use crate::profile::Found;
use crate::subject::Subject;

impl Consideration<'_> {
    /// Why this was decided on a flow of the message, as the policy in force and what is held say
    /// now; `None` for messages that ask for nothing.
    #[must_use]
    pub fn reason(&self, flow: &FlowDescriptor<'_>, decision: Decision) -> Option<String> {
        let direction = match self.message().message_type() {
            MessageType::Path => Direction::Sends,
            MessageType::Resv => Direction::Receives,
            _ => return None,
        };
        let request = self.request(flow);
        let Ok(who) = &request.who else {
            return Some("one of the identities in the message cannot be read".to_owned());
        };
        let looked_up = who.unlisted_user.as_ref();
        let found = looked_up.and_then(|user| Some((user, self.directory()?.remembered(user))));
        let (subject, name) = match found {
            None => (who.subject.clone(), self.name(&who.subject)),
            Some((user, found)) => {
                let (UserName::Dn(name) | UserName::Id(name)) = &**user;
                let name = name.to_string();
                match found {
                    Some(Found::User(profile)) => (Subject::Directory(profile), name),
                    Some(Found::Nobody) => {
                        let name = format!("{name}, who is not in the directory");
                        (Subject::Unauthenticated, name)
                    }
                    Some(Found::Unusable) => {
                        return Some(format!("{name}: what the directory says cannot be used"));
                    }
                    Some(Found::Unreachable) | None => {
                        return Some(format!("{name}: no answer from the directory"));
                    }
                }
            }
        };
        let (policy, here) = (self.policy(), self.here());
        let mut layers: Vec<Layer<'_>> = Vec::new();
        policy.layers(&subject, here, |layer| layers.push(layer));
        let subnet = here.subnet().map(|place| &policy.subnets()[place]);
        let name_of_subnet = subnet.map_or("", |subnet| subnet.name.as_str());
        let traffic = request.ask.map(|ask| ask.traffic);
        let asked = |on_subnet: bool| {
            let held = self.held(&subject, on_subnet, direction);
            Asked {
                who: &name,
                rate: traffic.map(|traffic| traffic.rate),
                peak_rate: traffic.map(|traffic| traffic.peak_rate),
                flows: held.flows,
                sum_rate: Some(approximately(held.rate)),
                sum_peak_rate: Some(approximately(held.peak_rate)),
            }
        };
        let said = |layer: Option<&Layer<'_>>, say: &dyn Fn(Place<'_>) -> String| {
            let missing = match subject {
                Subject::Unauthenticated => "the missing [unauthenticated]",
                _ => "the missing [default]",
            };
            let heading = layer.map_or(missing.to_owned(), |it| it.heading(name_of_subnet));
            say(Place {
                heading: &heading,
                source: policy.source(),
                line: layer.map_or(0, Layer::line),
            })
        };
        let of_outcome = layers
            .iter()
            .find(|layer| layer.settings().outcome.is_some());
        let asked_everywhere = asked(false);
        Some(match (decision, policy.rule(&subject, here).outcome) {
            (Decision::Accept(priority), _) => said(of_outcome, &|place| {
                asked_everywhere.admitted(priority.value(), place)
            }),
            (_, Outcome::Reject(reason)) => {
                said(of_outcome, &|place| asked_everywhere.refused(reason, place))
            }
            _ => match LpmPolicyError::from_value(decision.error_value())? {
                LpmPolicyError::Limit(metric, scope) => {
                    let mut layers = layers.iter().filter(|layer| layer.scope == scope);
                    let (layer, allowed) =
                        layers.find_map(|layer| Some((layer, layer.settings().limit(metric)?)))?;
                    let asked = asked(crate::policy::is_of_subnet(scope));
                    said(Some(layer), &|place| asked.exceeds(metric, &allowed, place))
                }
                LpmPolicyError::NoResources => {
                    format!("{name}: no answer about what other PCMs have granted")
                }
                _ => asked_everywhere.makes_no_sense(),
            },
        })
    }

    /// Whose flow it is to be, in words.
    fn name(&self, subject: &Subject) -> String {
        let policy: &Policy = self.policy();
        let name = match subject {
            Subject::User(place) => &*policy.users().member(*place).name,
            Subject::Application(place) => &*policy.applications().member(*place).name,
            Subject::Directory(profile) => &*profile.name,
            Subject::Unlisted(name) => name.as_bytes(),
            Subject::Unauthenticated => b"somebody without a name",
        };
        String::from_utf8_lossy(name).into_owned()
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is only shown")]
fn approximately(sum: u64) -> f32 {
    sum as f32
}
