//! Objects of RFC 2814, 2961 and 2996 that travel in the messages of RFC 2205.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::error::BuildError;
use super::writer::Writer;
use crate::class;
use crate::message::Message;
use crate::objects::{L2Address, MessageId, MessageIdAck, TrafficClass};

/// The classes, in the order in which they come; those before DCLASS come before SESSION.
const ORDER: [u8; 8] = [
    class::MESSAGE_ID_ACK,
    class::MESSAGE_ID,
    class::RSVP_HOP_L2,
    class::LAN_NHOP_L2,
    class::LAN_NHOP_L3,
    class::LAN_LOOPBACK,
    class::TCLASS,
    class::DCLASS,
];

/// These objects of one message, with their headers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Extras {
    /// By position in [`ORDER`].
    objects: [Vec<u8>; ORDER.len()],
    fault: Option<BuildError>,
}

/// What a message tells the bridges and the subnet bandwidth managers of a shared layer 2
/// network (RFC 2814 §B.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer2 {
    /// RSVP_HOP_L2: the sending interface. Goes into Path only.
    pub hop: L2Address,
    /// LAN_NHOP_L2: the next layer 3 hop; zeros when it is not known.
    pub next_hop_l2: L2Address,
    /// LAN_NHOP_L3: the next layer 3 hop.
    pub next_hop: IpAddr,
    /// LAN_LOOPBACK: the sending interface; tells a sender its own messages.
    pub loopback: IpAddr,
}

impl Extras {
    pub(super) fn of(message: &Message<'_>) -> Self {
        let mut extras = Self::default();
        for object in message.objects() {
            extras.push(object.class, |writer| {
                writer.object(object.class, object.c_type, |w| w.bytes(object.body));
            });
        }
        extras
    }

    /// The objects that come before SESSION.
    pub(super) fn write_first(&self, writer: &mut Writer) {
        self.write(writer, |class| class != class::DCLASS);
    }

    pub(super) fn write_last(&self, writer: &mut Writer) {
        self.write(writer, |class| class == class::DCLASS);
    }

    pub(super) fn message_id(&mut self, id: &MessageId) {
        self.fault = self.fault.or(epoch_fault(id.epoch));
        self.push(class::MESSAGE_ID, |writer| writer.message_id(id));
    }

    pub(super) fn acknowledge(&mut self, ack: &MessageIdAck) {
        self.fault = self.fault.or(epoch_fault(ack.message.epoch));
        self.push(class::MESSAGE_ID_ACK, |writer| writer.message_id_ack(ack));
    }

    pub(super) fn hop_l2(&mut self, hop: L2Address) {
        self.push(class::RSVP_HOP_L2, |writer| {
            writer.l2(class::RSVP_HOP_L2, hop);
        });
    }

    pub(super) fn layer2(&mut self, layer2: &Layer2) {
        self.push(class::LAN_NHOP_L2, |writer| {
            writer.l2(class::LAN_NHOP_L2, layer2.next_hop_l2);
        });
        for (class, address) in [
            (class::LAN_NHOP_L3, layer2.next_hop),
            (class::LAN_LOOPBACK, layer2.loopback),
        ] {
            self.push(class, |writer| writer.sbm_address(class, address));
        }
    }

    pub(super) fn traffic_class(&mut self, traffic_class: TrafficClass) {
        let found = traffic_class.user_priority;
        if found > 7 {
            self.fault = Some(out_of_range("user_priority", found.into(), 7));
        }
        self.push(class::TCLASS, |writer| {
            writer.object(class::TCLASS, 1, |writer| writer.u32(found.into()));
        });
    }

    pub(super) fn dclass(&mut self, dscps: &[u8]) {
        if let Some(found) = dscps.iter().find(|dscp| **dscp > 63) {
            self.fault = Some(out_of_range("DSCP", (*found).into(), 63));
        }
        self.push(class::DCLASS, |writer| {
            writer.object(class::DCLASS, 1, |writer| {
                dscps
                    .iter()
                    .for_each(|dscp| writer.u32(u32::from(*dscp).wrapping_shl(2)));
            });
        });
    }

    /// Appends an object, if it is one of these; one of a class that occurs once replaces the
    /// one before.
    fn push(&mut self, class: u8, write: impl FnOnce(&mut Writer)) {
        let place = ORDER
            .iter()
            .zip(&mut self.objects)
            .find(|(known, _)| **known == class);
        let Some((_, objects)) = place else { return };
        let mut writer = Writer::default();
        write(&mut writer);
        if class != class::MESSAGE_ID_ACK {
            objects.clear();
        }
        match writer.finish() {
            Ok(object) => objects.extend_from_slice(&object),
            Err(fault) => self.fault = Some(fault),
        }
    }

    pub(super) fn clear(&mut self, class: u8) {
        let place = ORDER
            .iter()
            .zip(&mut self.objects)
            .find(|(known, _)| **known == class);
        if let Some((_, objects)) = place {
            objects.clear();
        }
    }

    fn write(&self, writer: &mut Writer, which: impl Fn(u8) -> bool) {
        if let Some(fault) = self.fault {
            writer.fault(fault);
        }
        for (class, objects) in ORDER.iter().zip(&self.objects) {
            if which(*class) {
                writer.bytes(objects);
            }
        }
    }
}

/// An epoch has 24 bits.
pub(super) fn epoch_fault(epoch: u32) -> Option<BuildError> {
    const LIMIT: u32 = 0x00ff_ffff;
    (epoch > LIMIT).then(|| out_of_range("Epoch", epoch, LIMIT))
}

fn out_of_range(field: &'static str, found: u32, limit: u32) -> BuildError {
    BuildError::OutOfRange {
        field,
        found,
        limit,
    }
}

impl Writer {
    pub(super) fn message_id(&mut self, id: &MessageId) {
        self.object(class::MESSAGE_ID, 1, |writer| writer.id(id));
    }

    pub(super) fn message_id_ack(&mut self, ack: &MessageIdAck) {
        let c_type = if ack.negative { 2 } else { 1 };
        self.object(class::MESSAGE_ID_ACK, c_type, |writer| {
            writer.id(&ack.message);
        });
    }

    pub(super) fn l2(&mut self, class: u8, address: L2Address) {
        self.object(class, 1, |writer| {
            writer.bytes(&address.octets);
            writer.u16(0);
        });
    }

    pub(super) fn sbm_address(&mut self, class: u8, address: IpAddr) {
        self.object(class, if address.is_ipv4() { 1 } else { 2 }, |writer| {
            writer.address(address);
        });
    }

    fn id(&mut self, id: &MessageId) {
        self.u32(u32::from(id.flags).wrapping_shl(24) | id.epoch & 0x00ff_ffff);
        self.u32(id.identifier);
    }
}
