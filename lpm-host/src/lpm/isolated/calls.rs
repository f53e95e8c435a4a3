//! The calls into an LPM, and what comes back, in words.
//!
//! A call begins with the number of its [`Function`]. What comes back begins with how many frames
//! the runner had sent when the call returned, so that whatever it reported is on record first.

use abi_stable::std_types::RSlice;
use lpm_abi::{
    AbiAddressRow, AbiAnswer, AbiCommit, AbiDecision, AbiDeinitialize, AbiDeleteState,
    AbiInterface, AbiMessage, AbiObjectsRequest, LpmStatus,
};

use super::words::{Malformed, Put, Take, narrow};

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Function {
    Admit = 1,
    RsvpObjects,
    CommitResv,
    DeleteState,
    IpAddressTable,
    Statistics,
    Explain,
    Deinitialize,
    /// To write down what is handed over.
    HandOver,
    /// For a part of that.
    HandOverPart,
    /// To keep a part of what is handed over.
    TakeOverPart,
    /// To take over what was kept.
    TakeOver,
    /// [`Admit`](Self::Admit) for many messages.
    AdmitMany,
}

impl Function {
    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, Malformed> {
        Ok(match take.number()? {
            1 => Self::Admit,
            2 => Self::RsvpObjects,
            3 => Self::CommitResv,
            4 => Self::DeleteState,
            5 => Self::IpAddressTable,
            6 => Self::Statistics,
            7 => Self::Explain,
            8 => Self::Deinitialize,
            9 => Self::HandOver,
            10 => Self::HandOverPart,
            11 => Self::TakeOverPart,
            12 => Self::TakeOver,
            13 => Self::AdmitMany,
            _ => return Err(Malformed),
        })
    }
}

/// A request for objects.
pub(crate) struct ObjectsRequest<'a> {
    pub(crate) interface: AbiInterface,
    pub(crate) max_policy_data_size: u32,
    pub(crate) message: AbiMessage<'a>,
    /// Its handle, where it was given one before.
    pub(crate) handle: u64,
}

impl<'a> ObjectsRequest<'a> {
    pub(crate) fn put(put: &mut Put<'_>, request: &AbiObjectsRequest<'_>, handle: u64) {
        put_interface(put, &request.interface);
        put.number(request.max_policy_data_size);
        put_message(put, &request.message);
        put.number(handle);
    }

    pub(crate) fn take(take: &mut Take<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            interface: take_interface(take)?,
            max_policy_data_size: take.narrow()?,
            message: take_message(take)?,
            handle: take.number()?,
        })
    }
}

pub(crate) fn put_commit(put: &mut Put<'_>, commit: &AbiCommit<'_>) {
    put.number(commit.decision).number(commit.flow);
    put_interface(put, &commit.interface);
    put_message(put, &commit.message);
    put.plain(commit.merged.as_slice());
}

pub(crate) fn take_commit<'a>(take: &mut Take<'a>) -> Result<AbiCommit<'a>, Malformed> {
    Ok(AbiCommit {
        decision: take.narrow()?,
        flow: take.narrow()?,
        interface: take_interface(take)?,
        message: take_message(take)?,
        merged: RSlice::from_slice(take.plain()?),
    })
}

pub(crate) fn put_delete_state(put: &mut Put<'_>, state: &AbiDeleteState<'_>) {
    put.number(state.reason);
    put.number(state.flow.is_some());
    put.number(state.flow.into_option().unwrap_or_default());
    put.number(state.interface.is_some());
    if let Some(interface) = state.interface.as_ref().into_option() {
        put_interface(put, interface);
    }
    put_message(put, &state.message);
}

pub(crate) fn take_delete_state<'a>(take: &mut Take<'a>) -> Result<AbiDeleteState<'a>, Malformed> {
    let reason = take.narrow()?;
    let (has_flow, flow) = (take.flag()?, take.narrow()?);
    let interface = match take.flag()? {
        true => Some(take_interface(take)?),
        false => None,
    };
    Ok(AbiDeleteState {
        reason,
        flow: has_flow.then_some(flow).into(),
        interface: interface.into(),
        message: take_message(take)?,
    })
}

pub(crate) fn put_addresses(put: &mut Put<'_>, table: &[AbiAddressRow]) {
    put.number(table.len() as u64);
    for row in table {
        put_interface(put, &row.interface);
        put.number(row.media_type).number(row.prefix_length);
    }
}

pub(crate) fn take_addresses(take: &mut Take<'_>) -> Result<Vec<AbiAddressRow>, Malformed> {
    take.list(|take| {
        Ok(AbiAddressRow {
            interface: take_interface(take)?,
            media_type: take.narrow()?,
            prefix_length: take.narrow()?,
        })
    })
}

pub(crate) fn put_answer(put: &mut Put<'_>, answer: AbiAnswer) {
    put.words(&[answer.status().0.into(), answer.flags().into()]);
}

pub(crate) fn take_answer(take: &mut Take<'_>) -> Result<AbiAnswer, Malformed> {
    let [status, flags] = *take.numbers()?;
    answer(status, flags)
}

#[inline]
pub(super) fn answer(status: u64, flags: u64) -> Result<AbiAnswer, Malformed> {
    let (status, flags) = (LpmStatus(narrow(status)?), narrow(flags)?);
    Ok(match status.is_ok() {
        true => AbiAnswer::with_flags(flags),
        false => AbiAnswer::failed(status),
    })
}

pub(crate) fn take_decision(take: &mut Take<'_>) -> Result<AbiDecision, Malformed> {
    match take.plain()? {
        [decision] => Ok(*decision),
        _ => Err(Malformed),
    }
}

pub(crate) fn take_reason(take: &mut Take<'_>) -> Result<AbiDeinitialize, Malformed> {
    Ok(match take.number()? {
        1 => AbiDeinitialize::Demotion,
        2 => AbiDeinitialize::Shutdown,
        3 => AbiDeinitialize::Reconfiguration,
        _ => return Err(Malformed),
    })
}

pub(super) fn put_message(put: &mut Put<'_>, message: &AbiMessage<'_>) {
    put.plain(message.bytes.as_slice());
    put.plain(message.objects.as_slice());
}

pub(super) fn take_message<'a>(take: &mut Take<'a>) -> Result<AbiMessage<'a>, Malformed> {
    Ok(AbiMessage {
        bytes: RSlice::from_slice(take.plain()?),
        objects: RSlice::from_slice(take.plain()?),
    })
}

fn put_interface(put: &mut Put<'_>, interface: &AbiInterface) {
    put.words(&words_of_interface(interface));
}

pub(super) fn words_of_interface(interface: &AbiInterface) -> [u64; 4] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = interface.address;
    [
        interface.index.into(),
        interface.family.into(),
        u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        u64::from_ne_bytes(rest),
    ]
}

fn take_interface(take: &mut Take<'_>) -> Result<AbiInterface, Malformed> {
    interface(*take.numbers()?)
}

pub(super) fn interface(
    [index, family, first, second]: [u64; 4],
) -> Result<AbiInterface, Malformed> {
    let address = [first.to_ne_bytes(), second.to_ne_bytes()];
    let [[a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]] = address;
    Ok(AbiInterface {
        index: narrow(index)?,
        family: narrow(family)?,
        address: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p],
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use abi_stable::std_types::ROption;
    use lpm_abi::AbiObjectEntry;
    use proptest::prelude::*;

    use super::super::decide::Admit;
    use super::*;

    const INTERFACE: AbiInterface = AbiInterface {
        index: 7,
        family: 6,
        address: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    };

    proptest! {
        #[test]
        fn what_is_told_is_heard(bytes: Vec<u8>, merged: Vec<u8>, flow: Option<u16>, with_interface: bool) {
            let objects = [AbiObjectEntry { offset: 8, length: 12, class: 1, c_type: 2 }; 3];
            let message = AbiMessage { bytes: RSlice::from_slice(&bytes), objects: RSlice::from_slice(&objects) };
            let mut words = Vec::new();
            let commit = AbiCommit {
                decision: 2,
                flow: flow.unwrap_or(3),
                interface: INTERFACE,
                message,
                merged: RSlice::from_slice(&merged),
            };
            put_commit(&mut Put(&mut words), &commit);
            let state = AbiDeleteState {
                reason: 9,
                flow: flow.into(),
                interface: with_interface.then_some(INTERFACE).into(),
                message,
            };
            put_delete_state(&mut Put(&mut words), &state);
            let mut take = Take(&words);
            let heard = take_commit(&mut take).unwrap();
            prop_assert_eq!(format!("{heard:?}"), format!("{commit:?}"));
            let heard = take_delete_state(&mut take).unwrap();
            prop_assert_eq!(format!("{heard:?}"), format!("{state:?}"));
            prop_assert!(take.0.is_empty());
        }

        #[test]
        fn any_words_are_a_call_or_malformed(words: Vec<u64>) {
            let mut take = Take(&words);
            let _ = Function::take(&mut take);
            let _ = Admit::take(&mut take.clone());
            let _ = ObjectsRequest::take(&mut take.clone());
            let _ = take_commit(&mut take.clone());
            let _ = take_delete_state(&mut take.clone());
            let _ = take_addresses(&mut take.clone());
            let _ = take_answer(&mut take);
        }
    }

    #[test]
    fn addresses_are_heard_as_they_are_told() {
        let row = AbiAddressRow {
            interface: INTERFACE,
            media_type: 6,
            prefix_length: 24,
        };
        let mut words = Vec::new();
        put_addresses(&mut Put(&mut words), &[row, row]);
        let heard = take_addresses(&mut Take(&words)).unwrap();
        assert_eq!(format!("{heard:?}"), format!("{:?}", [row, row]));
        let none: ROption<u16> = ROption::RNone;
        assert!(none.is_none());
    }
}
