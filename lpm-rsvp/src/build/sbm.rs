//! DSBM_WILLING and I_AM_DSBM: electing the subnet bandwidth manager (RFC 2814 §B.6).

use alloc::vec::Vec;
use core::net::IpAddr;

use super::error::BuildError;
use super::frame::{Frame, UnknownObject, optional, required};
use super::path::frame_methods;
use super::writer::Writer;
use crate::class;
use crate::error::ParseError;
use crate::message::Message;
use crate::message_type::MessageType;
use crate::objects::{
    DsbmTimerIntervals, L2Address, MessageId, MessageIdAck, NonResvSendLimit, SbmAddress,
    SbmPriority,
};

/// A DSBM_WILLING message: its sender wants to become the designated SBM.
#[derive(Clone, Debug, PartialEq)]
pub struct DsbmWilling {
    frame: Frame,
    candidate: Candidate,
}

/// An I_AM_DSBM message: its sender is the designated SBM.
#[derive(Clone, Debug, PartialEq)]
pub struct IAmDsbm {
    frame: Frame,
    dsbm: Candidate,
    timers: DsbmTimerIntervals,
    limit: Option<NonResvSendLimit>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    address: IpAddr,
    l2: L2Address,
    priority: SbmPriority,
}

impl Candidate {
    fn of(message: &Message<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            address: required::<SbmAddress>(message, class::DSBM_IP_ADDRESS)?.address,
            l2: required(message, class::RSVP_HOP_L2)?,
            priority: required(message, class::SBM_PRIORITY)?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.sbm_address(class::DSBM_IP_ADDRESS, self.address);
        writer.l2(class::RSVP_HOP_L2, self.l2);
        writer.object(class::SBM_PRIORITY, 1, |writer| {
            writer.u32(self.priority.priority.into());
        });
    }
}

impl DsbmWilling {
    /// A candidate. `l2` of zeros leaves the layer 2 address out; a priority of 0 takes the
    /// candidature back.
    pub fn new(address: impl Into<IpAddr>, l2: L2Address, priority: SbmPriority) -> Self {
        Self {
            frame: Frame::default(),
            candidate: Candidate {
                address: address.into(),
                l2,
                priority,
            },
        }
    }

    /// Reads a received DSBM_WILLING.
    ///
    /// # Errors
    /// A missing object, or one that cannot be read.
    pub fn from_message(message: &Message<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            frame: Frame::of(message).without_layer2(),
            candidate: Candidate::of(message)?,
        })
    }

    /// Builds the message, in network byte order with its checksum.
    ///
    /// # Errors
    /// Values that do not make a legal message.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        let candidate = |writer: &mut Writer| self.candidate.write(writer);
        self.frame
            .build(MessageType::DsbmWilling, candidate, |_| {})
    }
}

impl IAmDsbm {
    /// The designated SBM. `l2` of zeros leaves the layer 2 address out; intervals of 0 leave
    /// the intervals to the receivers.
    pub fn new(
        address: impl Into<IpAddr>,
        l2: L2Address,
        priority: SbmPriority,
        timers: DsbmTimerIntervals,
    ) -> Self {
        Self {
            frame: Frame::default(),
            dsbm: Candidate {
                address: address.into(),
                l2,
                priority,
            },
            timers,
            limit: None,
        }
    }

    /// Says how much may be sent without a reservation; otherwise anything.
    #[must_use]
    pub fn non_resv_send_limit(mut self, limit: NonResvSendLimit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Reads a received I_AM_DSBM.
    ///
    /// # Errors
    /// A missing object, or one that cannot be read.
    pub fn from_message(message: &Message<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            frame: Frame::of(message).without_layer2(),
            dsbm: Candidate::of(message)?,
            timers: required(message, class::DSBM_TIMER_INTERVALS)?,
            limit: optional(message, class::NON_RESV_SEND_LIMIT)?,
        })
    }

    /// Builds the message, in network byte order with its checksum.
    ///
    /// # Errors
    /// Values that do not make a legal message.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        let objects = |writer: &mut Writer| {
            self.dsbm.write(writer);
            writer.object(class::DSBM_TIMER_INTERVALS, 1, |writer| {
                writer.bytes(&[
                    0,
                    0,
                    self.timers.dead_interval,
                    self.timers.refresh_interval,
                ]);
            });
            if let Some(limit) = &self.limit {
                // A complete SENDER_TSPEC inside, as the text of RFC 2814 §B.3 has it.
                writer.object(class::NON_RESV_SEND_LIMIT, 1, |writer| {
                    writer.sender_tspec(&limit.limit);
                });
            }
        };
        self.frame.build(MessageType::IAmDsbm, objects, |_| {})
    }
}

frame_methods!(DsbmWilling, IAmDsbm);
