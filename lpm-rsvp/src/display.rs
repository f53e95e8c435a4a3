//! A message on one line, for operators.

use core::fmt;

use crate::flow::FlowDescriptor;
use crate::message::Message;
use crate::policy::{Identity, PolicyElement};

/// Flows and senders to show before "and more".
const SHOWN: usize = 4;

/// One line: type, session, flows, identities, error, hop.
///
/// ```text
/// Path 10.0.0.1:5004/udp: 10.0.0.7:4000 (125000 B/s, bucket 3000 B); user CN=Alice; via 10.0.0.254
/// Resv 10.0.0.1:5004/udp FF: 10.0.0.7:4000 (guaranteed 9000 B/s, …), 10.0.0.8:4000 (…); via 10.0.0.9
/// ```
impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message_type())?;
        if let Some(session) = self.session() {
            write!(f, " {session}")?;
        }
        if let Some(style) = self.style() {
            write!(f, " {style}")?;
        }
        for (position, flow) in self.flow_descriptors().enumerate().take(SHOWN) {
            f.write_str(if position == 0 { ": " } else { ", " })?;
            write_flow(f, &flow)?;
        }
        write_rest(f, self.flow_descriptors().count(), "flows")?;
        for element in self.policy_elements().take(SHOWN) {
            match element {
                Ok(PolicyElement::AuthUser(user)) => write_identity(f, "user", &user)?,
                Ok(PolicyElement::AuthApp(app)) => write_identity(f, "application", &app)?,
                Ok(PolicyElement::PreemptionPriority(priority)) => write!(f, "; {priority}")?,
                Ok(element) => write!(f, "; policy element {}", element.p_type())?,
                Err(error) => write!(f, "; bad policy data: {error}")?,
            }
        }
        if let Some(error) = self.error_spec() {
            write!(f, "; error {error}")?;
        }
        if let Some(confirm) = self.resv_confirm() {
            write!(f, "; confirm to {}", confirm.receiver)?;
        }
        if let Some(hop) = self.hop() {
            write!(f, "; via {hop}")?;
        }
        Ok(())
    }
}

fn write_flow(f: &mut fmt::Formatter<'_>, flow: &FlowDescriptor<'_>) -> fmt::Result {
    let mut senders = 0;
    for sender in flow.filters().take(SHOWN) {
        write!(f, "{}{sender}", if senders == 0 { "" } else { " + " })?;
        senders = 1;
    }
    write_rest(f, flow.filters().count(), "senders")?;
    if senders == 0 {
        f.write_str("all senders")?;
    }
    match (flow.flow_spec().map(|spec| spec.service()), flow.tspec()) {
        (Some(Ok(service)), _) => write!(f, " ({service})"),
        (_, Some(tspec)) => write!(f, " ({tspec})"),
        (Some(Err(_)), None) => f.write_str(" (unreadable FLOWSPEC)"),
        (None, None) => Ok(()),
    }
}

fn write_rest(f: &mut fmt::Formatter<'_>, count: usize, what: &str) -> fmt::Result {
    match count.saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(f, " and {more} more {what}"),
    }
}

fn write_identity(f: &mut fmt::Formatter<'_>, kind: &str, identity: &Identity<'_>) -> fmt::Result {
    write!(f, "; {kind}")?;
    let credential = identity
        .credential()
        .and_then(|credential| credential.text());
    match (identity.locator(), credential) {
        (Some(locator), Some(credential)) => write!(f, " {locator} ({credential})"),
        (Some(name), None) | (None, Some(name)) => write!(f, " {name}"),
        (None, None) => f.write_str(" without a name"),
    }
}
