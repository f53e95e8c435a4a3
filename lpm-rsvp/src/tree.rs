//! A message as a tree of all its fields, for operators.

use core::fmt;

use crate::class;
use crate::error::ParseError;
use crate::intserv::{AdSpec, FlowSpec, Tspec};
use crate::message::Message;
use crate::object::{Object, RawObject};
use crate::objects::{
    Challenge, DClass, DsbmTimerIntervals, ErrorSpec, FilterSpec, Integrity, L2Address, MessageId,
    MessageIdAck, MessageIdList, NonResvSendLimit, ResvConfirm, ResvStyle, RsvpHop, SbmAddress,
    SbmPriority, Scope, Session, TimeValues, TrafficClass,
};
use crate::policy::{Attribute, Credential, Identity, Locator, PolicyData, PolicyElement};

/// Displays a message as a tree: a line for the header, one for each object, and below it its
/// parts. Flags are shown where they are not 0. Faults in opaque objects are lines of their own.
///
/// Of tickets and certificates only the length is shown: they are proofs of identity, which do
/// not belong into a log.
///
/// ```text
/// Path, 124 bytes, checksum 0x795c, TTL 64
///   SESSION (1/1): 10.0.0.1:5004/udp
///   …
///   POLICY_DATA (14/1):
///     AUTH_USER:
///       locator: CN=Alice
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a>(Message<'a>);

impl<'a> Message<'a> {
    /// The message as a tree of all its fields, to be displayed.
    #[must_use]
    pub const fn tree(&self) -> Tree<'a> {
        Tree(*self)
    }
}

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.0.header();
        write!(
            f,
            "{}, {} bytes, ",
            header.message_type,
            self.0.bytes().len()
        )?;
        match header.checksum {
            0 => f.write_str("no checksum")?,
            checksum => write!(f, "checksum {checksum:#06x}")?,
        }
        write!(f, ", TTL {}", header.send_ttl)?;
        write_flags(f, header.flags)?;
        for object in self.0.objects() {
            write!(f, "\n  {}:", object.id())?;
            write_object(f, object)?;
        }
        for part in self.0.bundled() {
            match part {
                Ok(message) => write!(f, "\n  message of {} bytes", message.len())?,
                Err(error) => write!(f, "\n  {error}")?,
            }
        }
        Ok(())
    }
}

fn write_object(f: &mut fmt::Formatter<'_>, object: RawObject<'_>) -> fmt::Result {
    match object.class {
        class::SESSION => read(f, object, |f, session: Session| {
            write!(f, " {session}")?;
            write_flags(f, session.flags())
        }),
        class::RSVP_HOP => leaf::<RsvpHop>(f, object),
        class::TIME_VALUES => leaf::<TimeValues>(f, object),
        class::ERROR_SPEC => read(f, object, |f, error: ErrorSpec| {
            write!(f, " {error}")?;
            write_flags(f, error.flags)
        }),
        class::STYLE => leaf::<ResvStyle>(f, object),
        class::FILTER_SPEC | class::SENDER_TEMPLATE => leaf::<FilterSpec>(f, object),
        class::RSVP_HOP_L2 | class::LAN_NHOP_L2 => leaf::<L2Address>(f, object),
        class::RESV_CONFIRM => read(f, object, |f, confirm: ResvConfirm| {
            write!(f, " {}", confirm.receiver)
        }),
        class::SCOPE => read(f, object, |f, scope: Scope<'_>| {
            scope
                .addresses()
                .try_for_each(|address| write!(f, " {address}"))
        }),
        class::SENDER_TSPEC => read(f, object, write_tspec),
        class::FLOWSPEC => read(f, object, |f, spec: FlowSpec<'_>| match spec.service() {
            Ok(service) => write!(f, " {service}"),
            Err(error) => write!(f, " {error}"),
        }),
        class::ADSPEC => read(f, object, write_adspec),
        class::POLICY_DATA => read(f, object, write_policy_data),
        class::INTEGRITY => read(f, object, |f, integrity: Integrity<'_>| {
            let Integrity {
                flags,
                key_id,
                sequence,
                digest,
            } = integrity;
            write!(
                f,
                " key {key_id:#x}, sequence {sequence}, flags {flags:#04x}, digest "
            )?;
            write_hex(f, digest)
        }),
        class::CHALLENGE => read(f, object, |f, challenge: Challenge| {
            write!(
                f,
                " key {:#x}, cookie {:#x}",
                challenge.key_id, challenge.cookie
            )
        }),
        class::MESSAGE_ID => read(f, object, |f, id: MessageId| {
            write!(
                f,
                " {} of epoch {}, flags {:#04x}",
                id.identifier, id.epoch, id.flags
            )
        }),
        class::MESSAGE_ID_ACK => read(f, object, |f, ack: MessageIdAck| {
            let kind = if ack.negative {
                "not known"
            } else {
                "acknowledged"
            };
            write!(
                f,
                " {} of epoch {} {kind}",
                ack.message.identifier, ack.message.epoch
            )?;
            write_flags(f, ack.message.flags)
        }),
        class::MESSAGE_ID_LIST => read(f, object, |f, list: MessageIdList<'_>| {
            write!(f, " epoch {}:", list.epoch())?;
            list.entries().try_for_each(|entry| {
                write!(f, " {}", entry.identifier)?;
                let addresses = [("from", entry.source), ("to", entry.destination)];
                for (word, address) in addresses {
                    if let Some(address) = address {
                        write!(f, " {word} {address}")?;
                    }
                }
                Ok(())
            })
        }),
        class::DSBM_IP_ADDRESS | class::LAN_NHOP_L3 | class::LAN_LOOPBACK => {
            read(f, object, |f, sbm: SbmAddress| {
                write!(f, " {}", sbm.address)
            })
        }
        class::SBM_PRIORITY => read(f, object, |f, priority: SbmPriority| {
            write!(f, " {}", priority.priority)
        }),
        class::DSBM_TIMER_INTERVALS => read(f, object, |f, timers: DsbmTimerIntervals| {
            let DsbmTimerIntervals {
                dead_interval,
                refresh_interval,
            } = timers;
            write!(f, " dead {dead_interval} s, refresh {refresh_interval} s")
        }),
        class::NON_RESV_SEND_LIMIT => read(f, object, |f, limit: NonResvSendLimit| {
            write_tspec(f, limit.limit)
        }),
        class::TCLASS => read(f, object, |f, tclass: TrafficClass| {
            write!(f, " {}", tclass.user_priority)
        }),
        class::DCLASS => read(f, object, |f, dclass: DClass<'_>| {
            dclass.dscps().try_for_each(|dscp| write!(f, " {dscp}"))
        }),
        _ => {
            f.write_str(" ")?;
            write_hex(f, object.body)
        }
    }
}

/// An object on its line.
fn leaf<'a, T: Object<'a> + fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    object: RawObject<'a>,
) -> fmt::Result {
    read(f, object, |f, value: T| write!(f, " {value}"))
}

fn read<'a, T: Object<'a>>(
    f: &mut fmt::Formatter<'_>,
    object: RawObject<'a>,
    write: impl FnOnce(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    match object.read() {
        Ok(value) => write(f, value),
        Err(error) => write_fault(f, &error),
    }
}

fn write_fault(f: &mut fmt::Formatter<'_>, error: &ParseError) -> fmt::Result {
    write!(
        f,
        " {} at offset {} ({})",
        error.kind,
        error.offset,
        error.rule()
    )
}

/// Flags, where there are any.
fn write_flags(f: &mut fmt::Formatter<'_>, flags: u8) -> fmt::Result {
    match flags {
        0 => Ok(()),
        flags => write!(f, ", flags {flags:#04x}"),
    }
}

fn write_tspec(f: &mut fmt::Formatter<'_>, tspec: Tspec) -> fmt::Result {
    let Tspec {
        rate,
        bucket,
        peak_rate,
        min_policed,
        max_packet,
    } = tspec;
    write!(
        f,
        " r {rate} B/s, b {bucket} B, p {peak_rate} B/s, m {min_policed} B, M {max_packet} B"
    )
}

fn write_adspec(f: &mut fmt::Formatter<'_>, adspec: AdSpec<'_>) -> fmt::Result {
    for block in adspec.blocks() {
        match block {
            Ok(block) => {
                let broken = if block.break_bit { ", broken" } else { "" };
                write!(f, "\n    service {}{broken}:", block.number)?;
                for parameter in block.parameters() {
                    match parameter {
                        Ok(parameter) => {
                            let invalid = if parameter.invalid { " (invalid)" } else { "" };
                            write!(f, "\n      parameter {}{invalid}: ", parameter.number)?;
                            match (parameter.number, parameter.f32(), parameter.u32()) {
                                (5 | 6, Ok(rate), _) => write!(f, "{rate} B/s")?,
                                (_, _, Ok(word)) => write!(f, "{word}")?,
                                _ => write_hex(f, parameter.value)?,
                            }
                        }
                        Err(error) => {
                            f.write_str("\n     ")?;
                            write_fault(f, &error)?;
                        }
                    }
                }
            }
            Err(error) => {
                f.write_str("\n   ")?;
                write_fault(f, &error)?;
            }
        }
    }
    Ok(())
}

fn write_policy_data(f: &mut fmt::Formatter<'_>, data: PolicyData<'_>) -> fmt::Result {
    for option in data.options() {
        match option {
            // An option is never a POLICY_DATA of its own, so this does not nest.
            Ok(option) if option.class != class::POLICY_DATA => {
                write!(f, "\n    option {}:", option.id())?;
                write_object(f, option)?;
            }
            Ok(option) => write!(f, "\n    option {}", option.id())?,
            Err(error) => {
                f.write_str("\n   ")?;
                write_fault(f, &error)?;
            }
        }
    }
    for element in data.elements() {
        f.write_str("\n    ")?;
        match element {
            Ok(PolicyElement::PreemptionPriority(priority)) => write!(
                f,
                "PREEMPTION_PRI: preemption {}, defending {}, {:?}, error {:?}",
                priority.preemption_priority,
                priority.defending_priority,
                priority.merge_strategy,
                priority.error
            )?,
            Ok(PolicyElement::AuthUser(user)) => write_identity(f, "AUTH_USER", &user)?,
            Ok(PolicyElement::AuthApp(app)) => write_identity(f, "AUTH_APP", &app)?,
            Ok(PolicyElement::Empty { p_type }) => write!(f, "P-Type {p_type}: empty")?,
            Ok(PolicyElement::Unknown { p_type, data }) => {
                write!(f, "P-Type {p_type}: ")?;
                write_hex(f, data)?;
            }
            Err(error) => write_fault(f, &error)?,
        }
    }
    Ok(())
}

fn write_identity(f: &mut fmt::Formatter<'_>, kind: &str, identity: &Identity<'_>) -> fmt::Result {
    write!(f, "{kind}:")?;
    for attribute in identity.attributes() {
        f.write_str("\n      ")?;
        match attribute {
            Ok(Attribute::PolicyLocator(Locator::Name(name))) => write!(f, "locator: {name}")?,
            Ok(Attribute::PolicyLocator(locator)) => {
                write!(f, "locator of subtype {}: ", locator.sub_type())?;
                match locator {
                    Locator::Name(_) => {}
                    Locator::Encrypted { value, .. } | Locator::Unknown { value, .. } => {
                        write_hex(f, value)?;
                    }
                }
            }
            Ok(Attribute::Credential(credential)) => match (credential.text(), credential) {
                (Some(name), _) => write!(f, "credential: {name}")?,
                (None, Credential::KerberosTicket(ticket)) => {
                    write!(f, "credential: Kerberos ticket of {} bytes", ticket.len())?;
                }
                (None, credential) => {
                    let length = match credential {
                        Credential::X509Certificate(value)
                        | Credential::PgpCertificate(value)
                        | Credential::Unknown { value, .. } => value.len(),
                        _ => 0,
                    };
                    let sub_type = credential.sub_type();
                    write!(f, "credential of subtype {sub_type}, {length} bytes")?;
                }
            },
            Ok(Attribute::DigitalSignature(signature)) => {
                f.write_str("signature: ")?;
                write_hex(f, signature)?;
            }
            Ok(Attribute::PolicyError(error)) => {
                write!(
                    f,
                    "error: {} {}",
                    error.error,
                    crate::policy::Text::ascii(error.detail)
                )?;
            }
            Ok(Attribute::Unknown {
                a_type,
                sub_type,
                value,
            }) => {
                write!(f, "attribute {a_type}/{sub_type}: ")?;
                write_hex(f, value)?;
            }
            Err(error) => write_fault(f, &error)?,
        }
    }
    Ok(())
}

/// All of the bytes.
fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
