//! The identity policy, by the number of its users.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::SystemTime;

use cedar_policy::{
    Authorizer, Context as CedarContext, Decision as CedarDecision, Entities, Entity, EntityId,
    EntityTypeName, EntityUid, PolicySet, Request, RestrictedExpression,
};
use lpm_api::{Decision, Interface};
use lpm_bench::messages::{TSPEC, distinguished_name, path_with_identity};
use lpm_bench::policy::{MAX_FLOW_RATE, identity_policy};
use lpm_rsvp::{Message, ObjectIndex};
use lpm_identity::IdentityLpm;
use lpm_identity::consider::{Facts, Verdict};
use lpm_identity::policy::Policy;

use super::Context;
use crate::measure::{Contender, Effort, calls, compare};
use crate::report::{Comparison, Curve, Plot, Section};

/// How many of the users ask, in turn.
const ASKING: u32 = 1_000;

pub(super) fn measure(context: &Context) -> Result<Section, Box<dyn Error>> {
    let mut section = Section::new("policy", "The identity policy");
    section.notes.push(
        "Who is that user, and may a flow have this rate? The identity LPM reads the name from the message, and \
         counts the flow besides (a refresh of a flow that is counted already). Cedar gets name and rate as values, \
         and makes its request of them; its rule is one policy over the users' attributes, the form that suits it \
         best."
            .to_owned(),
    );
    let sizes: &[u32] = if context.quick {
        &[100, 10_000]
    } else {
        &[100, 10_000, 1_000_000]
    };
    for &users in sizes {
        section.comparisons.push(contest(users, context)?);
    }
    section.plots.push(plot(sizes, &section.comparisons));
    Ok(section)
}

fn contest(users: u32, context: &Context) -> Result<Comparison, Box<dyn Error>> {
    let asking: Vec<u32> = (0..ASKING)
        .map(|turn| turn * (users / ASKING).max(1) % users)
        .collect();
    let lpm = IdentityLpm::new(Policy::parse("benchmark", &identity_policy(users))?);
    let paths: Vec<_> = asking
        .iter()
        .map(|&user| path_with_identity(user, user))
        .collect();
    let mut indexes: Vec<_> = paths.iter().map(|_| ObjectIndex::new()).collect();
    let parsed: Vec<_> = paths
        .iter()
        .zip(&mut indexes)
        .map(|(bytes, index)| Message::parse(bytes, index))
        .collect::<Result<_, _>>()?;
    let cedar = Cedar::new(users)?;
    let names: Vec<_> = asking
        .iter()
        .map(|&user| distinguished_name(user))
        .collect();
    let mut turn = parsed.iter().cycle();
    let mut name = names.iter().cycle();
    let contenders = vec![
        Contender::single(
            "identity LPM",
            calls(|_| decide(&lpm, turn.next().expect("endless"))),
        ),
        Contender::single(
            "cedar-policy",
            calls(|_| cedar.decide(name.next().expect("endless"))),
        ),
    ];
    let case = format!("{} users", crate::report::figure(users.into()));
    Ok(compare(case, contenders, Effort::of_calls(context.quick)))
}

fn decide(lpm: &IdentityLpm, message: &Message<'_>) {
    let facts = Facts {
        interface: Interface {
            index: 1,
            address: Ipv4Addr::UNSPECIFIED.into(),
        },
        received: SystemTime::UNIX_EPOCH,
        integrity_verified: false,
    };
    let consideration = lpm.consider(*message, facts);
    for flow in message.flow_descriptors() {
        match consideration.decide(&flow) {
            Verdict::Decided(Decision::Accept(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The same rules in Cedar.
struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    user: EntityTypeName,
    action: EntityUid,
    resource: EntityUid,
}

impl Cedar {
    const POLICY: &str = r#"permit(principal is User, action == Action::"send", resource)
        when { context.rate <= principal.max_flow_rate };"#;

    fn new(users: u32) -> Result<Self, Box<dyn Error>> {
        let user = EntityTypeName::from_str("User")?;
        let entities = (0..users).map(|number| {
            let limit = RestrictedExpression::new_long(MAX_FLOW_RATE.into());
            let attributes = HashMap::from([("max_flow_rate".to_owned(), limit)]);
            Entity::new(
                uid(&user, &distinguished_name(number)),
                attributes,
                HashSet::new(),
            )
        });
        let entities: Vec<_> = entities.collect::<Result<_, _>>()?;
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: PolicySet::from_str(Self::POLICY)?,
            entities: Entities::from_entities(entities, None)?,
            user,
            action: EntityUid::from_str(r#"Action::"send""#)?,
            resource: EntityUid::from_str(r#"Server::"server""#)?,
        })
    }

    fn decide(&self, name: &str) {
        #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
        let rate = RestrictedExpression::new_long(TSPEC.rate as i64);
        let context = CedarContext::from_pairs([("rate".to_owned(), rate)]).expect("no repetition");
        let (user, action, resource) = (
            uid(&self.user, black_box(name)),
            self.action.clone(),
            self.resource.clone(),
        );
        let request = Request::new(user, action, resource, context, None).expect("no schema");
        let response = self
            .authorizer
            .is_authorized(&request, &self.policies, &self.entities);
        assert_eq!(response.decision(), CedarDecision::Allow);
    }
}

fn uid(kind: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name))
}

fn plot(sizes: &[u32], comparisons: &[Comparison]) -> Plot {
    let curves = comparisons[0].rows.iter().map(|row| Curve {
        what: row.what.clone(),
        points: sizes
            .iter()
            .zip(comparisons)
            .filter_map(|(size, comparison)| {
                Some((f64::from(*size), comparison.row(&row.what)?.value.median))
            })
            .collect(),
    });
    Plot {
        name: "policy",
        title: "A decision, by the number of users",
        x: "users",
        y: "nanoseconds a decision",
        curves: curves.collect(),
    }
}
