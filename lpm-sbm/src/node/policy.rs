//! POLICY_DATA in messages that go out: what LPMs supply, and what others sent.

use lpm_rsvp::{Message, ObjectIndex, ObjectWalk, PolicyData, class};

use super::wire::{finished, object};

/// Whether an object is POLICY_DATA.
pub(crate) fn is_policy(object: &[u8]) -> bool {
    object.get(2) == Some(&class::POLICY_DATA)
}

/// The POLICY_DATA objects of a message.
pub(crate) fn objects_of(message: &Message<'_>) -> Vec<Vec<u8>> {
    let entries = message.entries().iter();
    let policy = entries.filter(|entry| entry.class == class::POLICY_DATA);
    policy
        .map(|entry| object(message, entry).to_vec())
        .collect()
}

/// What goes out: what LPMs supply, and of what others sent whatever has no element of a type that
/// LPMs supply (RFC 2750 §4.2).
pub(crate) fn combined(
    supplied: &[u8],
    received: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Vec<u8> {
    let types = types(supplied);
    let mut combined = supplied.to_vec();
    for object in received {
        let object = object.as_ref();
        let is_replaced = self::types(object)
            .iter()
            .any(|p_type| types.contains(p_type));
        if !is_replaced {
            combined.extend_from_slice(object);
        }
    }
    combined
}

/// The P-Types in whole objects.
fn types(objects: &[u8]) -> Vec<u16> {
    let walk = ObjectWalk::new(objects, 0).map_while(Result::ok);
    let policy = walk.filter_map(|object| object.read::<PolicyData<'_>>().ok());
    policy
        .flat_map(|data| data.elements().map_while(Result::ok))
        .map(|element| element.p_type())
        .collect()
}

/// A message with these objects where its grammar has POLICY_DATA. `None` if it gets too long.
pub(crate) fn with_policy(bytes: &[u8], objects: &[u8]) -> Option<Vec<u8>> {
    if objects.is_empty() {
        return Some(bytes.to_vec());
    }
    let mut index = ObjectIndex::new();
    let message = Message::parse(bytes, &mut index).ok()?;
    let mut entries = message.entries().iter();
    let is_behind = |class| matches!(class, class::STYLE | class::SENDER_TEMPLATE);
    let behind = entries.find(|entry| is_behind(entry.class));
    let place = behind.map_or(bytes.len(), |entry| usize::from(entry.offset));
    let (before, behind) = bytes.split_at_checked(place)?;
    finished([before, objects, behind].concat())
}
