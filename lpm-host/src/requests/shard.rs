//! A part of the table: slots that serve one request after the other, and what of them is vacant.

/// Why a request cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It was answered before.
    Answered,
    /// Its time was over.
    TimedOut,
    /// There never was such a request.
    Unknown,
    /// The table is closed.
    Closed,
}

/// How many slots a shard has at most: what a handle can name.
pub(super) const INDEX_BITS: u32 = 28;
const MAX_SLOTS: usize = 1 << INDEX_BITS;

/// Deadlines stand apart from the rest, so that looking for those that are over reads little.
pub(super) struct Shard<T> {
    chunks: Vec<Chunk<T>>,
    /// The slots that were ever used.
    used: usize,
    outstanding: usize,
    /// No deadline is earlier than this one.
    earliest: u32,
    /// Vacant slots: answered ones are used again first, timed-out ones last, so that a late answer
    /// is told as late for as long as can be.
    first_vacant: u32,
    last_vacant: u32,
    is_closed: bool,
}

#[cfg(not(all(test, loom)))]
pub(super) const CHUNK: usize = 1024;
/// The model checker's threads have small stacks.
#[cfg(all(test, loom))]
const CHUNK: usize = 4;

struct Chunk<T> {
    deadlines: Box<[u32]>,
    slots: Box<[Slot<T>]>,
}

struct Slot<T> {
    /// Of the request that is here, or was last; 0 before the first.
    generation: u32,
    place: Place<T>,
}

enum Place<T> {
    Outstanding(T),
    Vacant { next: u32, timed_out: bool },
}

const NONE: u32 = u32::MAX;

impl<T> Shard<T> {
    pub(super) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            used: 0,
            outstanding: 0,
            earliest: 0,
            first_vacant: NONE,
            last_vacant: NONE,
            is_closed: false,
        }
    }

    /// Puts a request into a slot: its index, and the generation it now has. When the shard is
    /// closed or full, the request comes back.
    #[inline]
    pub(super) fn issue(&mut self, request: T, deadline: u32) -> Result<(usize, u32), T> {
        if self.is_closed {
            return Err(request);
        }
        let Some(index) = self.vacant_slot() else {
            return Err(request);
        };
        Ok((index, self.fill(index, request, deadline)))
    }

    /// Takes a request out of its slot, as one that timed out if `is_over` says so of its deadline;
    /// whether it does is told besides.
    #[inline]
    pub(super) fn take(
        &mut self,
        index: usize,
        generation: u32,
        is_over: impl FnOnce(u32) -> bool,
    ) -> Result<(T, bool), Refused> {
        if self.is_closed {
            return Err(Refused::Closed);
        }
        let slot = self.slot(index).ok_or(Refused::Unknown)?;
        if generation == 0 || is_before(slot.generation, generation) {
            return Err(Refused::Unknown);
        }
        if slot.generation != generation {
            return Err(Refused::Answered);
        }
        match slot.place {
            Place::Vacant {
                timed_out: true, ..
            } => Err(Refused::TimedOut),
            Place::Vacant { .. } => Err(Refused::Answered),
            Place::Outstanding(_) => {
                let chunk = self.chunks.get(index / CHUNK).ok_or(Refused::Unknown)?;
                let is_late = is_over(chunk.deadlines[index % CHUNK]);
                let request = self.vacate(index, is_late).ok_or(Refused::Unknown)?;
                Ok((request, is_late))
            }
        }
    }

    /// Takes out what has a deadline of `now` or before.
    pub(super) fn expire(&mut self, now: u32, expired: &mut Vec<T>) {
        if self.outstanding == 0 || is_before(now, self.earliest) {
            return;
        }
        let mut earliest = None;
        for index in 0..self.used {
            let chunk = &self.chunks[index / CHUNK];
            let deadline = chunk.deadlines[index % CHUNK];
            if is_before(now, deadline) {
                // That of a vacant slot may make the next look come too early, and no more.
                if earliest.is_none_or(|earliest| is_before(deadline, earliest)) {
                    earliest = Some(deadline);
                }
            } else if let Place::Outstanding(_) = chunk.slots[index % CHUNK].place {
                expired.extend(self.vacate(index, true));
            }
        }
        self.earliest = earliest.unwrap_or(now);
    }

    /// Closes the shard: what was outstanding.
    pub(super) fn close(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.is_closed = true;
        self.outstanding = 0;
        let chunks = std::mem::take(&mut self.chunks);
        let slots = chunks.into_iter().flat_map(|chunk| chunk.slots);
        slots.filter_map(|slot| match slot.place {
            Place::Outstanding(request) => Some(request),
            Place::Vacant { .. } => None,
        })
    }

    pub(super) const fn outstanding(&self) -> usize {
        self.outstanding
    }

    fn slot(&mut self, index: usize) -> Option<&mut Slot<T>> {
        self.chunks
            .get_mut(index / CHUNK)?
            .slots
            .get_mut(index % CHUNK)
    }

    fn vacant_slot(&mut self) -> Option<usize> {
        let is_room = self.used < self.chunks.len() * CHUNK;
        if self.first_vacant != NONE {
            let index = self.first_vacant as usize;
            let Place::Vacant { next, timed_out } = self.slot(index)?.place else {
                return None;
            };
            if timed_out && is_room {
                // The late answer is to be told from one that was given twice, as long as it can
                // be.
                self.used += 1;
                return Some(self.used - 1);
            }
            self.first_vacant = next;
            if next == NONE {
                self.last_vacant = NONE;
            }
            return Some(index);
        }
        if self.used == MAX_SLOTS {
            return None;
        }
        if !is_room {
            self.chunks.push(Chunk::vacant());
        }
        self.used += 1;
        Some(self.used - 1)
    }

    fn fill(&mut self, index: usize, request: T, deadline: u32) -> u32 {
        if self.outstanding == 0 || is_before(deadline, self.earliest) {
            self.earliest = deadline;
        }
        self.outstanding += 1;
        let chunk = &mut self.chunks[index / CHUNK];
        chunk.deadlines[index % CHUNK] = deadline;
        let slot = &mut chunk.slots[index % CHUNK];
        // 0 is no generation, so that 0 is no handle.
        slot.generation = slot.generation.wrapping_add(1).max(1);
        slot.place = Place::Outstanding(request);
        slot.generation
    }

    /// Empties a slot, and puts it among the vacant ones.
    #[inline]
    fn vacate(&mut self, index: usize, timed_out: bool) -> Option<T> {
        let at = u32::try_from(index).ok()?;
        let (first, last) = (self.first_vacant, self.last_vacant);
        let to_front = !timed_out;
        let next = if to_front { first } else { NONE };
        let slot = self.slot(index)?;
        let before = std::mem::replace(&mut slot.place, Place::Vacant { next, timed_out });
        if to_front {
            self.first_vacant = at;
            if last == NONE {
                self.last_vacant = at;
            }
        } else {
            self.last_vacant = at;
            if first == NONE {
                self.first_vacant = at;
            } else if let Place::Vacant { next, .. } = &mut self.slot(last as usize)?.place {
                *next = at;
            }
        }
        self.outstanding -= 1;
        match before {
            Place::Outstanding(request) => Some(request),
            Place::Vacant { .. } => None,
        }
    }
}

impl<T> Chunk<T> {
    /// Not inlined: threads of LPMs may have small stacks.
    #[cold]
    #[inline(never)]
    fn vacant() -> Self {
        let slot = || Slot {
            generation: 0,
            place: Place::Vacant {
                next: NONE,
                timed_out: false,
            },
        };
        Self {
            deadlines: vec![0; CHUNK].into(),
            slots: std::iter::repeat_with(slot).take(CHUNK).collect(),
        }
    }
}

/// Whether one point comes before another on a circle of numbers: they are less than half of it
/// apart.
fn is_before(one: u32, other: u32) -> bool {
    one.wrapping_sub(other) > u32::MAX / 2
}
