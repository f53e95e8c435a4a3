//! What one object says by itself.

use crate::class::{self, UnknownClass};
use crate::error::{ErrorKind, ParseError};
use crate::intserv::{AdSpec, FlowSpec, ServiceRequest, Tspec};
use crate::object::RawObject;
use crate::objects::{
    Challenge, DClass, DsbmTimerIntervals, ErrorSpec, Integrity, L2Address, MessageId,
    MessageIdAck, MessageIdList, NonResvSendLimit, ResvConfirm, ResvStyle, RsvpHop, SbmAddress,
    SbmPriority, Scope, TimeValues, TrafficClass,
};
use crate::policy::{PolicyData, PolicyElement};

/// Checks an object; SESSION and senders, which are checked together, excepted. FLOWSPEC, ADSPEC
/// and POLICY_DATA are opaque to RSVP (RFC 2205 §3.10), as is the content of SENDER_TSPEC.
#[inline]
pub(super) fn check_object(object: RawObject<'_>, strict: bool) -> Result<(), ParseError> {
    if has_fixed_length(object) || !strict && is_opaque(object) {
        return Ok(());
    }
    read(object, strict)
}

#[inline]
fn is_opaque(object: RawObject<'_>) -> bool {
    match object.class {
        class::FLOWSPEC | class::ADSPEC | class::POLICY_DATA => true,
        class::SENDER_TSPEC => object.c_type == 2,
        _ => false,
    }
}

/// Whether the object has the length that its C-Type must have; `false` where the length is
/// not fixed. Content of that length is legal, but for SESSION and senders.
#[inline]
pub(super) fn has_fixed_length(object: RawObject<'_>) -> bool {
    usize::from(length(object.class, object.c_type)) == object.body.len()
}

/// Stands for no fixed length; no object has it, as all have a multiple of 4.
const NONE: u8 = 1;

#[inline]
fn length(class: u8, c_type: u8) -> u8 {
    let lengths = LENGTHS.get(usize::from(class));
    let length = lengths.and_then(|lengths| lengths.get(usize::from(c_type)));
    length.copied().unwrap_or(NONE)
}

/// Bytes of content by class and C-Type.
#[expect(clippy::indexing_slicing, reason = "checked by the compiler")]
static LENGTHS: [[u8; 8]; 16] = {
    const ADDRESS: [u8; 8] = [NONE, 8, 20, NONE, NONE, NONE, NONE, NONE];
    const SENDER: [u8; 8] = [NONE, 8, 20, 20, 8, 20, NONE, NONE];
    const WORD: [u8; 8] = [NONE, 4, NONE, NONE, NONE, NONE, NONE, NONE];
    let mut lengths = [[NONE; 8]; 16];
    lengths[class::SESSION as usize] = [NONE, 8, 20, 8, 20, NONE, NONE, NONE];
    lengths[class::RSVP_HOP as usize] = ADDRESS;
    // With HMAC-MD5; other digests are legal too.
    lengths[class::INTEGRITY as usize][1] = 32;
    lengths[class::TIME_VALUES as usize] = WORD;
    lengths[class::ERROR_SPEC as usize] = ADDRESS;
    lengths[class::STYLE as usize] = WORD;
    lengths[class::FILTER_SPEC as usize] = SENDER;
    lengths[class::SENDER_TEMPLATE as usize] = SENDER;
    lengths[class::RESV_CONFIRM as usize] = [NONE, 4, 16, NONE, NONE, NONE, NONE, NONE];
    lengths
};

/// Reads the object as what it is.
#[cold]
#[inline(never)]
fn read(object: RawObject<'_>, strict: bool) -> Result<(), ParseError> {
    match object.class {
        class::RSVP_HOP => object.read::<RsvpHop>().map(drop),
        class::TIME_VALUES => object.read::<TimeValues>().map(drop),
        class::ERROR_SPEC => object.read::<ErrorSpec>().map(drop),
        class::SCOPE => {
            let scope = object.read::<Scope<'_>>()?;
            if strict && !scope.is_ascending() {
                return Err(object.value(0, "SCOPE list", "ascending addresses", 0_u32));
            }
            Ok(())
        }
        class::STYLE => object.read::<ResvStyle>().map(drop),
        class::RESV_CONFIRM => object.read::<ResvConfirm>().map(drop),
        class::INTEGRITY => object.read::<Integrity<'_>>().map(drop),
        class::SENDER_TSPEC if object.c_type != 2 => Err(object.unknown_c_type()),
        class::SENDER_TSPEC if strict => {
            let tspec = object.read::<Tspec>()?;
            check_tspec(object, &tspec)
        }
        class::FLOWSPEC if strict => match object.read::<FlowSpec<'_>>()?.service()? {
            ServiceRequest::ControlledLoad(tspec) => check_tspec(object, &tspec),
            ServiceRequest::Guaranteed(tspec, _) if tspec.peak_rate < tspec.rate => {
                let peak = tspec.peak_rate.to_bits();
                Err(object.value(20, "peak rate p", "at least r", peak))
            }
            ServiceRequest::Guaranteed(tspec, _) => check_tspec(object, &tspec),
            ServiceRequest::Null { .. } => Ok(()),
        },
        class::ADSPEC if strict => object.read::<AdSpec<'_>>()?.general().map(drop),
        class::POLICY_DATA if strict => {
            let data = object.read::<PolicyData<'_>>()?;
            for option in data.options() {
                option?;
            }
            data.elements().try_for_each(|element| match element? {
                PolicyElement::AuthUser(identity) | PolicyElement::AuthApp(identity) => identity
                    .attributes()
                    .try_for_each(|attribute| attribute.map(drop)),
                _ => Ok(()),
            })
        }
        class::MESSAGE_ID => object.read::<MessageId>().map(drop),
        class::MESSAGE_ID_ACK => object.read::<MessageIdAck>().map(drop),
        class::MESSAGE_ID_LIST => object.read::<MessageIdList<'_>>().map(drop),
        class::DSBM_IP_ADDRESS | class::LAN_NHOP_L3 | class::LAN_LOOPBACK => {
            object.read::<SbmAddress>().map(drop)
        }
        class::RSVP_HOP_L2 | class::LAN_NHOP_L2 => object.read::<L2Address>().map(drop),
        class::SBM_PRIORITY => object.read::<SbmPriority>().map(drop),
        class::DSBM_TIMER_INTERVALS => object.read::<DsbmTimerIntervals>().map(drop),
        class::NON_RESV_SEND_LIMIT => object.read::<NonResvSendLimit>().map(drop),
        class::TCLASS => object.read::<TrafficClass>().map(drop),
        class::CHALLENGE => object.read::<Challenge>().map(drop),
        class::DCLASS => object.read::<DClass<'_>>().map(drop),
        other if !class::is_known(other) => match UnknownClass::rule(other) {
            UnknownClass::RejectMessage => Err(object.fault(2, ErrorKind::UnknownClass)),
            UnknownClass::Ignore | UnknownClass::Forward => Ok(()),
        },
        _ => Ok(()),
    }
}

/// What routers forgive each other (RFC 2210 §3.1: m is more than 0).
fn check_tspec(object: RawObject<'_>, tspec: &Tspec) -> Result<(), ParseError> {
    match tspec.min_policed {
        0 => Err(object.value(24, "minimum policed unit m", "more than 0", 0_u32)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{FilterSpec, Session};

    /// The table says "legal" only where the reader does.
    #[test]
    fn fixed_lengths_are_those_of_the_readers() {
        let body = [1; 40];
        for class in 0..=255 {
            for c_type in 0..=255 {
                for length in (0..=40).step_by(4) {
                    let object = RawObject {
                        offset: 8,
                        class,
                        c_type,
                        body: &body[..length],
                    };
                    let legal = match class {
                        class::SESSION => object.read::<Session>().map(drop),
                        class::FILTER_SPEC | class::SENDER_TEMPLATE => {
                            object.read::<FilterSpec>().map(drop)
                        }
                        _ => read(object, true),
                    };
                    if has_fixed_length(object) {
                        assert_eq!(legal, Ok(()), "{object:?}");
                    } else if matches!(class, 1 | 3 | 5 | 6 | 8 | 10 | 11 | 15) {
                        assert!(legal.is_err(), "{object:?}");
                    }
                }
            }
        }
    }
}
