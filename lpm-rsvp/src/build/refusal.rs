//! The error message that answers a refused flow, from the message that asked.

use alloc::vec::Vec;

use super::writer::Writer;
use crate::class;
use crate::message::Message;
use crate::message_type::MessageType;
use crate::object::ObjectEntry;
use crate::objects::{ErrorSpec, ResvStyle, RsvpHop};

/// The TTL it is sent with: it goes to a neighbour.
const TTL: u8 = 64;

/// The PathErr or ResvErr about one flow of a Path or Resv, to be sent to the neighbour that the
/// message came from: the address in its RSVP_HOP (RFC 2205 §3.1.7, §3.1.8). `flow` is the flow's
/// position among the flow descriptors, `by` this node on the interface that the message came in
/// by; code and value are those of a decision, of which a code above 255 has no place and
/// becomes 255. `flags` are 0, or in a ResvErr [`ErrorSpec::IN_PLACE`] where the flow keeps what it
/// had reserved before, and [`ErrorSpec::NOT_GUILTY`] (RFC 2205 §A.5). Objects are passed on as
/// they came.
///
/// `None` where the message is neither a Path nor a Resv, or has no such flow. A Resv of an unknown
/// style has one, 0.
#[must_use]
pub fn refusal(
    message: &Message<'_>,
    flow: usize,
    by: RsvpHop,
    code: u16,
    value: u16,
    flags: u8,
) -> Option<Vec<u8>> {
    let descriptor = message.flow_descriptors().nth(flow);
    // A style that is not known tells no flows apart: such a Resv is refused as a whole.
    let is_whole = flow == 0 && matches!(message.style(), Some(ResvStyle::Unknown(_)));
    if descriptor.is_none() && !is_whole {
        return None;
    }
    let error = ErrorSpec {
        node: by.address,
        flags,
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
            match descriptor {
                Some(flow) => {
                    copy_flow(&mut writer, message, class::FLOWSPEC, flow.traffic_entry());
                    copy_flow(
                        &mut writer,
                        message,
                        class::FILTER_SPEC,
                        flow.filter_entries(),
                    );
                }
                None => {
                    let entries = message.entries();
                    copy_flow(&mut writer, message, class::FLOWSPEC, entries);
                    copy_flow(&mut writer, message, class::FILTER_SPEC, entries);
                }
            }
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

/// The objects of a class among these.
fn copy_flow<'a>(
    writer: &mut Writer,
    message: &Message<'_>,
    class: u8,
    entries: impl IntoIterator<Item = &'a ObjectEntry>,
) {
    for entry in entries {
        if entry.class == class {
            let object = entry.object(message.bytes());
            writer.object(class, object.c_type, |writer| writer.bytes(object.body));
        }
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
        let bytes = refusal(&message, flow, hop(1), 2, 50, ErrorSpec::IN_PLACE)?;
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
        let error = answer.error_spec().unwrap();
        assert_eq!(
            (error.node, error.flags, error.code, error.value),
            (hop(1).address, ErrorSpec::IN_PLACE, 2, 50)
        );
        let flows: Vec<_> = answer
            .flow_descriptors()
            .flat_map(|flow| flow.filters())
            .collect();
        assert_eq!(flows, [sender(8)]);
        assert_eq!(refused(&resv, 2), None);
        // An error is not answered with an error.
        assert_eq!(refused(&bytes, 0), None);
    }

    #[test]
    fn a_shared_reservation_is_refused_as_one() {
        let request = ServiceRequest::ControlledLoad(tspec());
        let flows = Flows::SharedExplicit(request, [sender(7), sender(8)].into());
        let resv = Resv::new(session(), hop(9), REFRESH, flows);
        let bytes = refused(&resv.build().unwrap(), 0).unwrap();
        let mut index = ObjectIndex::new();
        let answer = Message::parse(&bytes, &mut index).unwrap();
        let flow = answer.flow_descriptors().next().unwrap();
        assert_eq!(flow.filters().collect::<Vec<_>>(), [sender(7), sender(8)]);
        assert_eq!(flow.flow_spec().unwrap().service().unwrap(), request);
    }

    #[test]
    fn a_resv_of_an_unknown_style_is_refused_as_a_whole() {
        let request = ServiceRequest::ControlledLoad(tspec());
        let flows = Flows::FixedFilter([(request, sender(7)), (request, sender(8))].into());
        let resv = Resv::new(session(), hop(9), REFRESH, flows);
        let mut resv = resv.build().unwrap();
        let style = [0, 8, class::STYLE, 1, 0, 0, 0, 0b0_1010];
        let at = resv.windows(8).position(|object| object == style).unwrap();
        resv[at + 7] = 0b1_1111;
        resv[2..4].fill(0); // no checksum
        let mut index = ObjectIndex::new();
        let resv = Message::parse(&resv, &mut index).unwrap();
        let bytes = refusal(&resv, 0, hop(1), 6, 0, 0).unwrap();
        let mut index = ObjectIndex::new();
        let answer = Message::parse(&bytes, &mut index).unwrap();
        let classes = |message: &Message<'_>, class| {
            let entries = message.entries().iter();
            entries.filter(|entry| entry.class == class).count()
        };
        for class in [class::STYLE, class::FLOWSPEC, class::FILTER_SPEC] {
            assert_eq!(classes(&answer, class), classes(&resv, class), "{class}");
        }
        assert_eq!(refusal(&resv, 1, hop(1), 6, 0, 0), None);
    }
}
