//! Flows that were asked for, and are decided on later: their state may be deleted before.

use std::collections::BTreeMap;

use lpm_api::FlowKey;

/// The flows that are not decided on yet.
#[derive(Debug, Default)]
pub(super) struct Expected {
    flows: BTreeMap<FlowKey, Requests>,
    next: u64,
}

/// The requests for one flow since its state was last deleted.
#[derive(Clone, Copy, Debug)]
struct Requests {
    first: u64,
    outstanding: u32,
}

/// A request for a flow that is decided on later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    flow: FlowKey,
    number: u64,
}

impl Expected {
    pub(super) fn expect(&mut self, flow: FlowKey) -> Ticket {
        let number = self.next;
        self.next += 1;
        let requests = self.flows.entry(flow).or_insert(Requests {
            first: number,
            outstanding: 0,
        });
        requests.outstanding += 1;
        Ticket { flow, number }
    }

    /// Whether nothing was forgotten since the request.
    pub(super) fn settle(&mut self, ticket: Ticket) -> bool {
        let Some(requests) = self.flows.get_mut(&ticket.flow) else {
            return false;
        };
        if ticket.number < requests.first {
            return false;
        }
        requests.outstanding -= 1;
        if requests.outstanding == 0 {
            self.flows.remove(&ticket.flow);
        }
        true
    }

    pub(super) fn forget(&mut self, flow: &FlowKey) {
        if !self.flows.is_empty() {
            self.flows.remove(flow);
        }
    }

    /// Forgets a sender's Path and the reservations for that sender alone.
    pub(super) fn forget_sender(&mut self, path: &FlowKey) {
        if !self.flows.is_empty() {
            self.flows
                .retain(|flow, _| !flow.is_of_session(path) || flow.sender() != path.sender());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lpm_api::lpm_rsvp::{FilterSpec, Session};
    use std::net::Ipv4Addr;

    #[test]
    fn a_request_from_before_the_state_was_deleted_is_not_wanted() {
        let session = Session::new(Ipv4Addr::new(10, 0, 0, 1), 17, 5004).unwrap();
        let sender = FilterSpec::new(Ipv4Addr::new(10, 1, 0, 1), 4000);
        let path = FlowKey::path(session, sender);
        let resv = FlowKey::distinct(session, sender, Ipv4Addr::new(10, 2, 0, 1).into());
        let mut expected = Expected::default();

        let (one, two) = (expected.expect(path), expected.expect(path));
        assert!(expected.settle(two) && expected.settle(one));
        let before = expected.expect(path);
        expected.forget(&path);
        let after = expected.expect(path);
        assert!(!expected.settle(before) && expected.settle(after));
        let tickets = [expected.expect(path), expected.expect(resv)];
        expected.forget_sender(&path);
        assert!(tickets.into_iter().all(|ticket| !expected.settle(ticket)));
        assert!(expected.flows.is_empty());
    }
}
