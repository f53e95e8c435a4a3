//! Excerpts: a Path or Resv with one of its flow descriptors, and nothing but what names the flow
//! and its traffic.
//!
//! A message is looked through once, whatever the number of its flows: an FF Resv may have
//! thousands.

use std::ops::Range;

use lpm_rsvp::{
    CommonHeader, FilterSpec, FlowDescriptor, Message, MessageType, Object, ObjectEntry, ResvStyle,
    class,
};
use smallvec::SmallVec;

/// What the excerpts of a message are made of.
pub(crate) struct Parts<'a> {
    message: Message<'a>,
    /// Of an FF Resv: what all its flows have in common. Any other message has one flow.
    common: Option<SmallVec<[&'a ObjectEntry; 4]>>,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(message: Message<'a>) -> Self {
        let is_path = message.message_type() == MessageType::Path;
        let has_many = !is_path && message.style() == Some(ResvStyle::FixedFilter);
        let is_common = |object: &&ObjectEntry| is_common(object.class);
        Self {
            message,
            common: has_many.then(|| message.entries().iter().filter(is_common).collect()),
        }
    }

    /// The excerpt with this flow descriptor, of which only these senders, in ascending order. (A
    /// WF flow has no senders.) It has no checksum.
    pub(crate) fn excerpt(
        &self,
        descriptor: &FlowDescriptor<'a>,
        senders: &[FilterSpec],
    ) -> Box<[u8]> {
        let bytes = self.message.bytes();
        let is_sender = |object: &ObjectEntry| {
            let sender = FilterSpec::parse(object.object(bytes));
            sender.is_ok_and(|sender| senders.binary_search(&sender).is_ok())
        };
        let mut objects = SmallVec::<[&[u8]; 8]>::new();
        self.select(descriptor, is_sender, |object| {
            objects.push(bytes.get(place(object)).unwrap_or_default());
        });
        let length =
            CommonHeader::LENGTH + objects.iter().map(|object| object.len()).sum::<usize>();
        let mut excerpt = Vec::with_capacity(length);
        excerpt.extend(header(bytes, length));
        for object in objects {
            excerpt.extend_from_slice(object);
        }
        excerpt.into()
    }

    /// Whether the excerpt with this flow descriptor and all its senders is `excerpt`.
    pub(crate) fn are_in(&self, excerpt: &[u8], descriptor: &FlowDescriptor<'a>) -> bool {
        let Some(mut comparison) = Comparison::new(excerpt, self.message.bytes()) else {
            return false;
        };
        self.select(descriptor, |_| true, |object| comparison.add(object));
        comparison.finish()
    }

    /// Takes, in order, the objects that name a flow and its traffic; of the FILTER_SPECs that
    /// senders share, those which `is_sender`.
    fn select(
        &self,
        descriptor: &FlowDescriptor<'a>,
        is_sender: impl Fn(&ObjectEntry) -> bool,
        mut take: impl FnMut(&'a ObjectEntry),
    ) {
        if let Some(common) = &self.common {
            common.iter().copied().for_each(&mut take);
            descriptor.traffic_entry().into_iter().for_each(&mut take);
            descriptor.filter_entries().iter().for_each(take);
            return;
        }
        let is_path = self.message.message_type() == MessageType::Path;
        for object in self.message.entries() {
            match object.class {
                class if is_common(class) => take(object),
                class::SENDER_TEMPLATE | class::SENDER_TSPEC if is_path => take(object),
                class::FLOWSPEC => take(object),
                class::FILTER_SPEC if is_sender(object) => take(object),
                _ => {}
            }
        }
    }
}

const fn is_common(class: u8) -> bool {
    matches!(
        class,
        class::SESSION | class::RSVP_HOP | class::TIME_VALUES | class::STYLE
    )
}

/// An excerpt's bytes next to the objects of a message, which are compared in as few pieces as can
/// be.
struct Comparison<'a> {
    message: &'a [u8],
    /// What of the excerpt the message does not have yet; `None` once they differ.
    rest: Option<&'a [u8]>,
    /// What of the message is to be compared with that next.
    piece: Range<usize>,
}

impl<'a> Comparison<'a> {
    /// `None` if they differ in their headers.
    fn new(excerpt: &'a [u8], message: &'a [u8]) -> Option<Self> {
        let [
            first,
            message_type,
            _,
            _,
            send_ttl,
            reserved,
            _,
            _,
            rest @ ..,
        ] = excerpt
        else {
            return None;
        };
        let [a, b, _, _, c, d, ..] = message else {
            return None;
        };
        ([first, message_type, send_ttl, reserved] == [a, b, c, d]).then_some(Comparison {
            message,
            rest: Some(rest),
            piece: 0..0,
        })
    }

    fn add(&mut self, object: &ObjectEntry) {
        let place = place(object);
        if place.start != self.piece.end {
            self.compare();
            self.piece.start = place.start;
        }
        self.piece.end = place.end;
    }

    /// Whether they are the same.
    fn finish(mut self) -> bool {
        self.compare();
        self.rest.is_some_and(<[u8]>::is_empty)
    }

    fn compare(&mut self) {
        let piece = self.message.get(self.piece.clone());
        self.rest = self
            .rest
            .zip(piece)
            .and_then(|(rest, piece)| rest.strip_prefix(piece));
    }
}

/// Where in its message an object is.
fn place(object: &ObjectEntry) -> Range<usize> {
    let start = usize::from(object.offset);
    start..start + usize::from(object.length)
}

/// The header of a message cut down to this length.
fn header(message: &[u8], length: usize) -> [u8; CommonHeader::LENGTH] {
    // Less than the message had, whose length has 16 bits.
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    match *message {
        [first, message_type, _, _, send_ttl, reserved, ..] => {
            [first, message_type, 0, 0, send_ttl, reserved, high, low]
        }
        // A message has a header.
        _ => [0; CommonHeader::LENGTH],
    }
}
