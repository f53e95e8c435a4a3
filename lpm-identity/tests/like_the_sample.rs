//! The identity LPM goes on from the sample: what both can say, they say alike.

mod support;

use lpm_api::lpm_rsvp::{Message, ObjectIndex};
use lpm_api::{Decision, DeleteReason};
use lpm_identity::IdentityLpm;
use lpm_sample::{DEMO_POLICY, SampleLpm};
use proptest::prelude::*;
use support::*;

/// Those whom the demo policy lists, one way or another, and others.
const USERS: [(&str, &str); 8] = [
    ("", ""),
    ("", "ADA"),
    ("CN=Grace Hopper, OU=Engineering, O=Small Office, C=CH", ""),
    ("", "katherine"),
    (
        "UID=gboole+CN=\"Boole, George\",OU=Accounting,O=Small Office,C=CH",
        "",
    ),
    ("", "visitor"),
    (
        "CN=Charles Babbage,OU=Engineering,O=Small Office,C=CH",
        "charles",
    ),
    ("", "somebody"),
];
const APPLICATIONS: [(&str, &str); 4] = [
    ("", ""),
    ("APP=Office Phone, VER=2.1", ""),
    ("", "backup.exe"),
    ("APP=Unheard of", ""),
];

/// One message: of whom, for what, or that something ends.
#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    user: usize,
    application: usize,
    priority: Option<u16>,
    session: u8,
    sender: u8,
    rate: f32,
}

fn step() -> impl Strategy<Value = Step> {
    let rates = prop::sample::select(vec![0.0, 8e3, 62_500.0, 250_000.0, 1e6, 3e6, f32::NAN]);
    let who = (
        0..USERS.len(),
        0..APPLICATIONS.len(),
        prop::option::of(any::<u16>()),
    );
    (0..8_u8, who, 1..3_u8, 1..5_u8, rates).prop_map(
        |(kind, (user, application, priority), session, sender, rate)| Step {
            kind,
            user,
            application,
            priority,
            session,
            sender,
            rate,
        },
    )
}

impl Step {
    fn message(&self) -> Vec<u8> {
        let (user, application) = (USERS[self.user], APPLICATIONS[self.application]);
        let mut elements = Vec::new();
        if self.user > 0 {
            elements.push(auth_user(user.0, user.1));
        }
        if self.application > 0 {
            elements.push(auth_app(application.0, application.1));
        }
        elements.extend(self.priority.map(preemption));
        let policy = [policy_data(&elements)];
        let (both, one) = ([self.sender, 9], [self.sender]);
        let spec = || controlled_load(self.rate);
        match self.kind {
            0 | 1 => path(self.session, self.sender, self.rate, &policy),
            2 => resv(self.session, 1, FF, &[(spec(), &both)], &policy),
            3 => resv(self.session, 1, SE, &[(spec(), &both)], &policy),
            4 => resv(self.session, 1, WF, &[(spec(), &[])], &policy),
            5 => path_tear(self.session, self.sender),
            6 => resv_tear(self.session, 1, FF, &[(Vec::new(), &one)]),
            _ => resv_tear(self.session, 1, SE, &[(Vec::new(), &one)]),
        }
    }
}

proptest! {
    #[test]
    fn the_demo_policy_decides_alike(steps in prop::collection::vec(step(), 1..40)) {
        let sample = SampleLpm::new(lpm_sample::policy::Policy::parse("", DEMO_POLICY).unwrap());
        let policy = lpm_identity::policy::Policy::parse("", DEMO_POLICY).unwrap();
        let identity = IdentityLpm::new(policy);
        for step in steps {
            let bytes = step.message();
            let mut index = ObjectIndex::new();
            let message = Message::parse(&bytes, &mut index).unwrap();
            if step.kind < 5 {
                let consideration = identity.consider(message, anywhere());
                let decided: Vec<Decision> = message
                    .flow_descriptors()
                    .map(|flow| decided_at_once(consideration.decide(&flow)))
                    .collect();
                prop_assert_eq!(&sample.decide(&message)[..], &decided[..], "{:?}", step);
            } else {
                let reason = DeleteReason::StateTimeout;
                for flow in message.flow_descriptors() {
                    sample.release(reason, &message, &flow);
                    identity.release(reason, &message, &flow);
                }
            }
        }
    }
}
