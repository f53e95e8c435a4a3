//! Writing objects one after another, in network byte order.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::error::BuildError;
use crate::checksum::{self, checksum};
use crate::class;
use crate::header::CommonHeader;
use crate::message_type::MessageType;
use crate::objects::{
    ErrorSpec, FilterSpec, ResvConfirm, ResvStyle, RsvpHop, Session, SessionPort, SourceSelector,
    TimeValues,
};

/// Bytes in the making. Lengths that do not fit are remembered and reported at the end.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    fault: Option<BuildError>,
}

impl Writer {
    /// The header of a message, but for its length and checksum.
    pub(super) fn begin(&mut self, message_type: MessageType, flags: u8, send_ttl: u8) {
        let version_and_flags = 0x10 | flags & 0x0f;
        let message_type = message_type.number();
        self.bytes(&[version_and_flags, message_type, 0, 0, send_ttl, 0, 0, 0]);
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, BuildError> {
        self.fault.map_or(Ok(self.bytes), Err)
    }

    /// The bytes as a message: with its length and checksum.
    pub(super) fn finish_message(mut self) -> Result<Vec<u8>, BuildError> {
        let found = self.as_slice().len();
        let Ok(length) = u16::try_from(found) else {
            let limit = usize::from(u16::MAX);
            return Err(BuildError::TooLong {
                part: "a message",
                found,
                limit,
            });
        };
        self.patch(CommonHeader::LENGTH.saturating_sub(2), length);
        let sum = checksum(self.as_slice());
        self.patch(checksum::OFFSET, sum);
        self.finish()
    }

    /// Remembers a fault; the first one is reported.
    pub(super) fn fault(&mut self, fault: BuildError) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn f32(&mut self, value: f32) {
        self.bytes(&value.to_be_bytes());
    }

    /// A length field of two bytes, then the content. The length counts both; zeros that then
    /// fill up to a multiple of 4 do not count.
    pub(super) fn counted(&mut self, part: &'static str, content: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.u16(0);
        content(self);
        let length = self.bytes.len().saturating_sub(start);
        match u16::try_from(length) {
            Ok(length) => self.patch(start, length),
            Err(_) => {
                let limit = usize::from(u16::MAX);
                self.fault.get_or_insert(BuildError::TooLong {
                    part,
                    found: length,
                    limit,
                });
            }
        }
        self.pad(start);
    }

    /// Zeros up to a multiple of 4 bytes after `start`.
    fn pad(&mut self, start: usize) {
        while self.bytes.len().saturating_sub(start) % 4 != 0 {
            self.bytes.push(0);
        }
    }

    /// Writes `value` over the two bytes at `at`.
    pub(super) fn patch(&mut self, at: usize, value: u16) {
        let field = self
            .bytes
            .get_mut(at..)
            .and_then(<[u8]>::first_chunk_mut::<2>);
        if let Some(field) = field {
            *field = value.to_be_bytes();
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// An RSVP object; the content is filled up to a multiple of 4, which counts.
    pub(super) fn object(&mut self, class: u8, c_type: u8, content: impl FnOnce(&mut Self)) {
        let part = class::name(class).unwrap_or("object");
        self.counted(part, |writer| {
            let start = writer.bytes.len();
            writer.bytes(&[class, c_type]);
            content(writer);
            // The length field lies two bytes before `start`.
            while writer.bytes.len().saturating_sub(start) % 4 != 2 {
                writer.bytes.push(0);
            }
        });
    }

    pub(super) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.bytes(&address.octets()),
            IpAddr::V6(address) => self.bytes(&address.octets()),
        }
    }

    pub(super) fn session(&mut self, session: &Session) {
        let c_type = match (session.address(), session.port()) {
            (IpAddr::V4(_), SessionPort::Port(_)) => 1,
            (IpAddr::V6(_), SessionPort::Port(_)) => 2,
            (IpAddr::V4(_), SessionPort::Virtual(_)) => 3,
            (IpAddr::V6(_), SessionPort::Virtual(_)) => 4,
        };
        self.object(class::SESSION, c_type, |writer| {
            writer.address(session.address());
            writer.bytes(&[session.protocol(), session.flags()]);
            writer.u16(session.port().number());
        });
    }

    pub(super) fn hop(&mut self, hop: &RsvpHop) {
        self.object(class::RSVP_HOP, family(hop.address), |writer| {
            writer.address(hop.address);
            writer.u32(hop.logical_interface);
        });
    }

    pub(super) fn time_values(&mut self, time_values: &TimeValues) {
        self.object(class::TIME_VALUES, 1, |writer| {
            writer.u32(time_values.refresh_ms);
        });
    }

    pub(super) fn error_spec(&mut self, error: &ErrorSpec) {
        self.object(class::ERROR_SPEC, family(error.node), |writer| {
            writer.address(error.node);
            writer.bytes(&[error.flags, error.code]);
            writer.u16(error.value);
        });
    }

    pub(super) fn resv_confirm(&mut self, confirm: &ResvConfirm) {
        let receiver = confirm.receiver;
        self.object(class::RESV_CONFIRM, family(receiver), |writer| {
            writer.address(receiver);
        });
    }

    /// `addresses` ascending.
    pub(super) fn scope(&mut self, addresses: &[IpAddr]) {
        if let (Some(first), Some(last)) = (addresses.first(), addresses.last()) {
            if first.is_ipv4() != last.is_ipv4() {
                self.fault(BuildError::MixedScope);
            }
            self.object(class::SCOPE, family(*first), |writer| {
                for address in addresses {
                    writer.address(*address);
                }
            });
        }
    }

    pub(super) fn style(&mut self, style: ResvStyle) {
        self.object(class::STYLE, 1, |writer| writer.u32(style.option_vector()));
    }

    /// A FILTER_SPEC or a SENDER_TEMPLATE, by `class`.
    pub(super) fn sender(&mut self, class: u8, sender: &FilterSpec) {
        let c_type = match (sender.selector(), sender.address()) {
            (SourceSelector::Port(_), IpAddr::V4(_)) => 1,
            (SourceSelector::Port(_), IpAddr::V6(_)) => 2,
            (SourceSelector::FlowLabel(_), _) => 3,
            (SourceSelector::Gpi(_), IpAddr::V4(_)) => 4,
            (SourceSelector::Gpi(_), IpAddr::V6(_)) => 5,
        };
        self.object(class, c_type, |writer| {
            writer.address(sender.address());
            writer.u32(match sender.selector() {
                SourceSelector::Port(port) => port.into(),
                SourceSelector::FlowLabel(value) | SourceSelector::Gpi(value) => value,
            });
        });
    }
}

/// The C-Type of an address, where 1 is IPv4 and 2 is IPv6.
fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { 1 } else { 2 }
}

/// A SESSION object with its header.
#[cfg(feature = "integrity")]
pub(crate) fn session_object(session: &Session) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.session(session);
    writer.as_slice().to_vec()
}
