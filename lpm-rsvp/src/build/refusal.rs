//! The error message that answers a refused flow, from the message that asked.

use alloc::vec::Vec;

use super::writer::Writer;
use crate::class;
use crate::flow::FlowDescriptor;
use crate::message::Message;
use crate::message_type::MessageType;
use crate::objects::{ErrorSpec, RsvpHop};

/// The TTL it is sent with: it goes to a neighbour.
const TTL: u8 = 64;

/// The PathErr or ResvErr about one flow of a Path or Resv, to be sent to the neighbour that the message came from: the
/// address in its RSVP_HOP (RFC 2205 §3.1.7, §3.1.8). `flow` is the flow's position among the flow descriptors, `by`
/// this node on the interface that the message came in by; code and value are those of a decision, of which a code
/// above 255 has no place and becomes 255. Objects are passed on as they came.
///
/// `None` where the message is neither a Path nor a Resv, or has no such flow.
#[must_use]
pub fn refusal(
    message: &Message<'_>,
    flow: usize,
    by: RsvpHop,
    code: u16,
    value: u16,
) -> Option<Vec<u8>> {
    let flow = message.flow_descriptors().nth(flow)?;
    let error = ErrorSpec {
        node: by.address,
        flags: 0,
        code: u8::try_from(code).unwrap_or(u8::MAX),
        value,
    };
    let mut writer = Writer::default();
    match message.message_type() {
        MessageType::Path => {
            writer.begin(MessageType::PathErr, 0, TTL);
            copy(&mut writer, message, class::SESSION);
            writer.error_spec(&error);
            copy(&mut writer, message, class::SENDER_TEMPLATE);
            copy(&mut writer, message, class::SENDER_TSPEC);
        }
        MessageType::Resv => {
            writer.begin(MessageType::ResvErr, 0, TTL);
            copy(&mut writer, message, class::SESSION);
            writer.hop(&by);
            writer.error_spec(&error);
            copy(&mut writer, message, class::SCOPE);
            copy(&mut writer, message, class::STYLE);
            copy_flow(&mut writer, message, &flow);
        }
        _ => return None,
    }
    // The parts come from a message, which is longer.
    writer.finish_message().ok()
}

fn copy(writer: &mut Writer, message: &Message<'_>, class: u8) {
    if let Some(object) = message.find(class) {
        writer.object(class, object.c_type, |writer| writer.bytes(object.body));
    }
}

/// The FLOWSPEC, then the FILTER_SPECs.
fn copy_flow(writer: &mut Writer, message: &Message<'_>, flow: &FlowDescriptor<'_>) {
    for entry in flow
        .traffic_entry()
        .into_iter()
        .chain(flow.filter_entries())
    {
        let object = entry.object(message.bytes());
        writer.object(object.class, object.c_type, |writer| {
            writer.bytes(object.body);
        });
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::net::Ipv4Addr;

    use super::*;
    use crate::build::{Flows, Path, Resv};
    use crate::grammar::Strictness;
    use crate::index::ObjectIndex;
    use crate::intserv::{ServiceRequest, Tspec};
    use crate::objects::{FilterSpec, Session, TimeValues};

    const REFRESH: TimeValues = TimeValues { refresh_ms: 30_000 };

    fn hop(last: u8) -> RsvpHop {
        RsvpHop {
            address: Ipv4Addr::new(10, 0, 0, last).into(),
            logical_interface: u32::from(last),
        }
    }

    fn session() -> Session {
        Session::new(Ipv4Addr::new(10, 1, 2, 3), 17, 5004).unwrap()
    }

    fn sender(last: u8) -> FilterSpec {
        FilterSpec::new(Ipv4Addr::new(10, 0, 0, last), 4000)
    }

    fn tspec() -> Tspec {
        Tspec {
            rate: 1000.0,
            bucket: 1500.0,
            peak_rate: 2000.0,
            min_policed: 64,
            max_packet: 1500,
        }
    }

    /// The refusal of a flow, which a strict parser takes.
    fn refused(message: &[u8], flow: usize) -> Option<Vec<u8>> {
        let mut index = ObjectIndex::new();
        let message = Message::parse(message, &mut index).unwrap();
        let bytes = refusal(&message, flow, hop(1), 2, 50)?;
        let mut index = ObjectIndex::new();
        Message::parse_with(&bytes, &mut index, Strictness::Strict).unwrap();
        Some(bytes)
    }

    #[test]
    fn a_path_is_answered_with_a_path_err_to_its_sender() {
        let path = Path::new(session(), hop(7), REFRESH, sender(7), tspec());
        let path = path.build().unwrap();
        let bytes = refused(&path, 0).unwrap();
        let mut index = ObjectIndex::new();
        let answer = Message::parse(&bytes, &mut index).unwrap();
        assert_eq!(answer.message_type(), MessageType::PathErr);
        assert_eq!(answer.session(), Some(session()));
        assert_eq!(answer.sender_template(), Some(sender(7)));
        assert_eq!(answer.sender_tspec(), Some(tspec()));
        let error = answer.error_spec().unwrap();
        assert_eq!(
            (error.node, error.code, error.value),
            (hop(1).address, 2, 50)
        );
        assert_eq!(refused(&path, 1), None);
    }

    #[test]
    fn a_resv_is_answered_flow_by_flow() {
        let request = |rate: f32| ServiceRequest::ControlledLoad(Tspec { rate, ..tspec() });
        let flows = [(request(1000.0), sender(7)), (request(2000.0), sender(8))];
        let flows = Flows::FixedFilter(flows.into());
        let resv = Resv::new(session(), hop(9), REFRESH, flows)
            .build()
            .unwrap();
        let bytes = refused(&resv, 1).unwrap();
        let mut index = ObjectIndex::new();
        let answer = Message::parse(&bytes, &mut index).unwrap();
        assert_eq!(answer.message_type(), MessageType::ResvErr);
        assert_eq!(answer.hop(), Some(hop(1)));
        let flows: Vec<_> = answer
            .flow_descriptors()
            .flat_map(|flow| flow.filters())
            .collect();
        assert_eq!(flows, [sender(8)]);
        assert_eq!(refused(&resv, 2), None);
        // An error is not answered with an error.
        assert_eq!(refused(&bytes, 0), None);
    }
}
