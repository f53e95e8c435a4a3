//! State handed over, in parts that a place has room for: the PCM's side.

use lpm_api::LpmStatus;

use super::calls::Function;
use super::process::Process;
use super::words::{Malformed, Put, Take};

/// Bytes in a part.
pub(super) const PART: usize = 256 << 10;

/// A status other than `LPM_OK`, and what was said of it.
type Failed = (LpmStatus, String);

/// Has the LPM hand over not more than so many bytes, a part after the other; in which format, if
/// it has anything.
pub(super) fn give(
    process: &Process,
    limit: u64,
    mut part: impl FnMut(&[u8]),
) -> Result<Option<u32>, Failed> {
    let written = process.call(
        Function::HandOver,
        |put| {
            put.number(limit);
        },
        || 0,
        |take| {
            let outcome = outcome(take)?;
            let (has_any, format) = (take.flag()?, take.narrow()?);
            let length = take.number()?;
            // It knows the limit.
            if length > limit {
                return Err(Malformed);
            }
            Ok(outcome.map(|()| has_any.then_some((format, length))))
        },
    );
    let Some((format, length)) = written.map_err(ended)?? else {
        return Ok(None);
    };
    let mut read = 0;
    while read < length {
        let next = process.call(
            Function::HandOverPart,
            |put| {
                put.number(read);
            },
            || 0,
            |take| {
                let bytes = take.plain::<u8>()?;
                let count = bytes.len() as u64;
                if count == 0 || count > length - read {
                    return Err(Malformed);
                }
                part(bytes);
                Ok(count)
            },
        );
        read += next.map_err(ended)?;
    }
    Ok(Some(format))
}

/// Gives the LPM what another one handed over.
pub(super) fn take(process: &Process, format: u32, state: &[u8]) -> Result<(), Failed> {
    for part in state.chunks(PART) {
        let kept = process.call(
            Function::TakeOverPart,
            |put| {
                put.plain(part);
            },
            || 0,
            |_| Ok(()),
        );
        kept.map_err(ended)?;
    }
    let write = |put: &mut Put<'_>| {
        put.number(format);
    };
    let taken = process.call(Function::TakeOver, write, || 0, outcome);
    taken.map_err(ended)?
}

fn outcome(take: &mut Take<'_>) -> Result<Result<(), Failed>, Malformed> {
    let (status, message) = (LpmStatus(take.narrow()?), take.text()?);
    Ok(match status {
        LpmStatus::OK => Ok(()),
        status => Err((status, message.to_owned())),
    })
}

fn ended(status: LpmStatus) -> Failed {
    (status, "its process has ended".to_owned())
}
