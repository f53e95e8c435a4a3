//! The IP option that makes routers look at a message which is not addressed to them
//! (RFC 2113; RFC 2205 §3.3).

use crate::error::{ErrorKind, ParseError};
use crate::grammar::Strictness;
use crate::message_type::MessageType;

/// Option type of Router Alert, with its "copied" flag.
const ROUTER_ALERT: u8 = 148;
/// Option type of the end of the list.
const END: u8 = 0;
/// Option type of one byte of padding.
const PADDING: u8 = 1;

impl MessageType {
    /// Whether messages of this type are sent with the Router Alert option: Path, PathTear and
    /// ResvConf, which are not addressed to the routers that must read them.
    #[must_use]
    pub const fn needs_router_alert(self) -> bool {
        matches!(self, Self::Path | Self::PathTear | Self::ResvConf)
    }

    /// Checks that the IPv4 options of a datagram (behind its 20 bytes of header) have Router
    /// Alert where this type of message needs it. There are senders without it, so that only
    /// [`Strictness::Strict`] asks for it.
    ///
    /// # Errors
    /// [`ErrorKind::RouterAlert`].
    pub fn check_router_alert(
        self,
        ip_options: &[u8],
        strictness: Strictness,
    ) -> Result<(), ParseError> {
        let lacks = self.needs_router_alert() && !has_router_alert(ip_options);
        if lacks && strictness == Strictness::Strict {
            let kind = ErrorKind::RouterAlert { message: self };
            return Err(ParseError::message(0, kind));
        }
        Ok(())
    }
}

fn has_router_alert(options: &[u8]) -> bool {
    let mut rest = options;
    while let [kind, behind @ ..] = rest {
        rest = match *kind {
            END => return false,
            ROUTER_ALERT => return true,
            PADDING => behind,
            _ => match behind
                .first()
                .and_then(|length| rest.get(usize::from(*length).max(2)..))
            {
                Some(behind) => behind,
                None => return false,
            },
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asked_for_only_where_it_belongs_and_strictly() {
        const ALERT: [u8; 4] = [148, 4, 0, 0];
        let strict = |message: MessageType, options: &[u8]| {
            assert_eq!(
                message.check_router_alert(options, Strictness::Lenient),
                Ok(())
            );
            message
                .check_router_alert(options, Strictness::Strict)
                .is_ok()
        };
        assert!(strict(MessageType::Path, &ALERT));
        assert!(strict(MessageType::Path, &[1, 7, 3, 4, 148, 4, 0, 0]));
        assert!(strict(MessageType::Resv, &[]));
        for options in [
            &[][..],
            &[0, 148, 4, 0],
            &[7],
            &[7, 9, 148],
            &[7, 0, 0, 0],
            &[1, 1],
        ] {
            assert!(!strict(MessageType::PathTear, options), "{options:?}");
        }
    }
}
