//! Messages put together from whole objects: a node passes on most of them as they came.

use std::net::IpAddr;
use std::ops::Range;

use lpm_api::Interface;
use lpm_rsvp::build::flow_spec_object;
use lpm_rsvp::{
    CommonHeader, FilterSpec, Message, MessageId, MessageIdAck, MessageType, ObjectEntry,
    RawObject, ResvStyle, RsvpHop, ServiceRequest, SourceSelector, checksum, class,
};

/// The flag of the common header by which a node says that it knows RFC 2961 (§2).
pub(crate) const CAPABLE: u8 = 0x01;

/// A message that is being written.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(message_type: MessageType, send_ttl: u8) -> Self {
        Self(vec![0x10, message_type.number(), 0, 0, send_ttl, 0, 0, 0])
    }

    /// Whole objects.
    pub(crate) fn raw(mut self, objects: &[u8]) -> Self {
        self.0.extend_from_slice(objects);
        self
    }

    /// The first object of a class in a message, as it is there.
    pub(crate) fn copy(self, message: &Message<'_>, wanted: u8) -> Self {
        let mut entries = message.entries().iter();
        match entries.find(|entry| entry.class == wanted) {
            Some(entry) => self.raw(object(message, entry)),
            None => self,
        }
    }

    pub(crate) fn hop(self, hop: RsvpHop) -> Self {
        let interface = hop.logical_interface.to_be_bytes();
        self.with_address(class::RSVP_HOP, hop.address, &interface)
    }

    /// This node as the hop of what goes out by an interface.
    pub(crate) fn own_hop(self, interface: Interface) -> Self {
        self.hop(RsvpHop {
            address: interface.address,
            logical_interface: interface.index,
        })
    }

    pub(crate) fn time_values(self, refresh_ms: u32) -> Self {
        self.object(class::TIME_VALUES, 1, &refresh_ms.to_be_bytes())
    }

    pub(crate) fn error_spec(self, node: IpAddr, flags: u8, code: u16, value: u16) -> Self {
        let code = u8::try_from(code).unwrap_or(u8::MAX);
        let [high, low] = value.to_be_bytes();
        self.with_address(class::ERROR_SPEC, node, &[flags, code, high, low])
    }

    pub(crate) fn resv_confirm(self, receiver: IpAddr) -> Self {
        self.with_address(class::RESV_CONFIRM, receiver, &[])
    }

    /// These addresses, which are in ascending order; nothing for none.
    pub(crate) fn scope(self, addresses: &[IpAddr]) -> Self {
        let Some(first) = addresses.first() else {
            return self;
        };
        let octets: Vec<u8> = addresses.iter().copied().flat_map(octets).collect();
        self.object(class::SCOPE, family(*first), &octets)
    }

    pub(crate) fn style(self, style: ResvStyle) -> Self {
        let vector = style.option_vector().to_be_bytes();
        self.object(class::STYLE, 1, &vector)
    }

    pub(crate) fn flow_spec(self, service: &ServiceRequest) -> Self {
        self.raw(&flow_spec_object(service))
    }

    pub(crate) fn filter_spec(self, filter: &FilterSpec) -> Self {
        let word = match filter.selector() {
            SourceSelector::Port(port) => u32::from(port),
            SourceSelector::FlowLabel(value) | SourceSelector::Gpi(value) => value,
        };
        let c_type = match (filter.selector(), filter.address()) {
            (SourceSelector::Port(_), IpAddr::V4(_)) => 1,
            (SourceSelector::Port(_), IpAddr::V6(_)) => 2,
            (SourceSelector::FlowLabel(_), _) => 3,
            (SourceSelector::Gpi(_), IpAddr::V4(_)) => 4,
            (SourceSelector::Gpi(_), IpAddr::V6(_)) => 5,
        };
        let mut body = octets(filter.address());
        body.extend(word.to_be_bytes());
        self.object(class::FILTER_SPEC, c_type, &body)
    }

    pub(crate) fn acknowledge(self, ack: &MessageIdAck) -> Self {
        self.object(
            class::MESSAGE_ID_ACK,
            1 + u8::from(ack.negative),
            &id_body(&ack.message),
        )
    }

    fn with_address(self, class: u8, address: IpAddr, rest: &[u8]) -> Self {
        let mut body = octets(address);
        body.extend_from_slice(rest);
        self.object(class, family(address), &body)
    }

    fn object(mut self, class: u8, c_type: u8, body: &[u8]) -> Self {
        let length = u16::try_from(body.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_be_bytes());
        self.0.extend([class, c_type]);
        self.0.extend_from_slice(body);
        self
    }

    /// The message with its length and checksum; `None` if it is too long for one.
    pub(crate) fn finish(self) -> Option<Vec<u8>> {
        finished(self.0)
    }
}

/// A message whose header says its length and what this node knows of, with the checksum.
pub(crate) fn finished(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let length = u16::try_from(bytes.len()).ok()?;
    *bytes.first_mut()? |= CAPABLE;
    bytes
        .get_mut(6..CommonHeader::LENGTH)?
        .copy_from_slice(&length.to_be_bytes());
    let sum = checksum(&bytes);
    bytes.get_mut(2..4)?.copy_from_slice(&sum.to_be_bytes());
    Some(bytes)
}

/// A message with a MESSAGE_ID. `None` if it gets too long.
pub(crate) fn with_message_id(bytes: &[u8], id: &MessageId) -> Option<Vec<u8>> {
    let (header, objects) = bytes.split_at_checked(CommonHeader::LENGTH)?;
    let writer = Writer(header.to_vec()).object(class::MESSAGE_ID, 1, &id_body(id));
    writer.raw(objects).finish()
}

fn id_body(id: &MessageId) -> [u8; 8] {
    let [_, epoch @ ..] = id.epoch.to_be_bytes();
    let [a, b, c] = epoch;
    let [d, e, f, g] = id.identifier.to_be_bytes();
    [id.flags, a, b, c, d, e, f, g]
}

/// An object that was found by walking, its header included.
pub(crate) fn whole(object: &RawObject<'_>) -> Vec<u8> {
    Writer(Vec::new())
        .object(object.class, object.c_type, object.body)
        .0
}

/// An object, its header included.
pub(crate) fn object<'a>(message: &Message<'a>, entry: &ObjectEntry) -> &'a [u8] {
    let start = usize::from(entry.offset);
    let place: Range<usize> = start..start + usize::from(entry.length);
    message.bytes().get(place).unwrap_or_default()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use lpm_rsvp::build::{Flows, Resv};
    use lpm_rsvp::{ObjectIndex, Session, TimeValues, Tspec};

    use super::*;

    #[test]
    fn what_is_put_together_is_what_the_builder_makes() {
        let tspec = Tspec {
            rate: 1000.0,
            bucket: 1500.0,
            peak_rate: f32::INFINITY,
            min_policed: 64,
            max_packet: 1500,
        };
        let service = ServiceRequest::ControlledLoad(tspec);
        for (destination, source) in [
            (IpAddr::from([10, 0, 1, 1]), IpAddr::from([10, 0, 0, 7])),
            (
                Ipv6Addr::LOCALHOST.into(),
                IpAddr::from(Ipv6Addr::from_bits(7)),
            ),
        ] {
            let session = Session::new(destination, 17, 5004).unwrap();
            let hop = RsvpHop {
                address: source,
                logical_interface: 0x0102_0304,
            };
            let filter = FilterSpec::new(source, 4000);
            let flows = Flows::SharedExplicit(service, vec![filter]);
            let mut built = Resv::new(session, hop, TimeValues::DEFAULT, flows)
                .confirm(source)
                .scope(&[source])
                .send_ttl(9)
                .build()
                .unwrap();
            built = finished(built).unwrap();
            let mut index = ObjectIndex::new();
            let message = Message::parse(&built, &mut index).unwrap();
            let written = Writer::new(MessageType::Resv, 9)
                .copy(&message, class::SESSION)
                .hop(hop)
                .time_values(30_000)
                .resv_confirm(source)
                .scope(&[source])
                .style(ResvStyle::SharedExplicit)
                .flow_spec(&service)
                .filter_spec(&filter)
                .finish();
            assert_eq!(written.as_deref(), Some(&built[..]));
        }
    }

    #[test]
    fn what_is_too_long_is_no_message() {
        let writer = Writer::new(MessageType::Resv, 9);
        assert_eq!(writer.raw(&vec![0; 1 << 16]).finish(), None);
    }
}
