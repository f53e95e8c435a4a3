//! Starting and stopping, over and over: what stays behind each time adds up.

use lpm_host::testing::messages;

use super::checked::{CheckEnded, CheckedLpm};
use super::finding::{Kind, THREADS_MORE};
use super::measure::InUse;
use super::task::UNMAPS;

/// The cycles are counted in so many parts. What grows in each but the first, grows.
const PARTS: u32 = 4;
/// How much memory a cycle, which loads the library twice, may take on average, in bytes. What the
/// host's own bookkeeping takes, and what thread-locals in threads that go on own, is far less.
const ROOM_PER_CYCLE: u64 = 32 << 10;

/// How much it may take in a part of a few cycles, in bytes: what is made once comes bit by bit.
const ROOM: u64 = 1 << 20;

pub(super) fn run(checked: &CheckedLpm, cycles: u32) -> Result<(), CheckEnded> {
    let per_part = (cycles / PARTS).max(1);
    let mut seen = Vec::new();
    for _ in 0..PARTS {
        for _ in 0..per_part {
            cycle(checked)?;
        }
        seen.push(InUse::now());
    }
    if !UNMAPS || checked.is_isolated() {
        // Every cycle leaves a library; or what it leaves has gone with a process.
        return checked.goes_on();
    }
    let per_part = u64::from(per_part);
    let grew = |what: fn(&InUse) -> Option<u64>, room: u64| grew(&seen, what, room);
    let room = (ROOM_PER_CYCLE * per_part).max(ROOM);
    if let Some(bytes) = grew(|in_use| in_use.memory, room) {
        let what = format!("{} KiB more after {} cycles", bytes >> 10, 3 * per_part);
        checked.found(Kind::LeaksMemory, what);
    }
    let handful = (per_part / 2).max(4);
    if let Some(count) = grew(|in_use| in_use.threads, handful) {
        let what = format!("{count}{THREADS_MORE}{} cycles", 3 * per_part);
        checked.found(Kind::LeaksThreads, what);
    }
    if let Some(count) = grew(|in_use| in_use.files, handful) {
        let what = format!("{count} open files more after {} cycles", 3 * per_part);
        checked.found(Kind::LeaksFiles, what);
    }
    checked.goes_on()
}

/// A PCM of its own each time, as when the program that embeds it is restarted in one process.
fn cycle(checked: &CheckedLpm) -> Result<(), CheckEnded> {
    let pcm = checked.pcm()?;
    checked.start(&pcm)?;
    let path = messages::path().user("CN=Alice").build();
    checked.admit(&pcm, &path)?;
    checked.admit(&pcm, &messages::resv().build())?;
    checked.demote(&pcm)?;
    checked.start(&pcm)?;
    checked.admit(&pcm, &path)?;
    checked.shut_down(&pcm)
}

/// How much more there was in the end than after the first part, if it grew by more than `room` in
/// every part.
fn grew(seen: &[InUse], what: fn(&InUse) -> Option<u64>, room: u64) -> Option<u64> {
    let values: Option<Vec<u64>> = seen.iter().map(what).collect();
    let values = values?;
    let grows = values.windows(2).all(|pair| pair[1] > pair[0] + room);
    let (first, last) = (values.first()?, values.last()?);
    grows.then(|| last - first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(memory: [u64; 4]) -> Vec<InUse> {
        let in_use = |memory| InUse {
            memory: Some(memory),
            threads: None,
            files: None,
        };
        memory.into_iter().map(in_use).collect()
    }

    #[test]
    fn only_what_grows_all_the_time_grows() {
        let memory = |in_use: &InUse| in_use.memory;
        assert_eq!(grew(&seen([9, 20, 31, 42]), memory, 10), Some(33));
        assert_eq!(grew(&seen([9, 20, 30, 42]), memory, 10), None);
        assert_eq!(grew(&seen([100, 0, 50, 70]), memory, 10), None);
        assert_eq!(
            grew(&seen([9, 20, 31, 42]), |in_use| in_use.threads, 10),
            None
        );
    }
}
