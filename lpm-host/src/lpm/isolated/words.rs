//! What crosses between a PCM and its runner, as words of 64 bits in the order of this machine:
//! numbers, texts, and runs of plain values.
//!
//! What is read was written by a process that may do what it likes. So every length is checked
//! against what there is, and what does not fit is [`Malformed`].

use std::{mem, ptr, slice, str};

use lpm_abi::{AbiDecision, AbiObjectEntry};

/// What the other process wrote is not what it is to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what it wrote breaks off, or is none of what may stand there")]
pub(crate) struct Malformed;

/// Values that are nothing but their bytes.
///
/// # Safety
///
/// The type has no padding, any bytes are a value of it, and its alignment is at most that of a
/// word.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: a byte is one.
unsafe impl Plain for u8 {}
// SAFETY: two bytes, any of which are a value.
#[cfg(windows)]
unsafe impl Plain for u16 {}
// SAFETY: two numbers of 16 bits and two of 8, in this order: six bytes, which are checked below.
unsafe impl Plain for AbiObjectEntry {}
// SAFETY: a number of 32 bits and two of 16, in this order: eight bytes, which are checked below.
unsafe impl Plain for AbiDecision {}

const _: () = {
    assert!(size_of::<AbiObjectEntry>() == 6 && align_of::<AbiObjectEntry>() <= align_of::<u64>());
    assert!(size_of::<AbiDecision>() == 8 && align_of::<AbiDecision>() <= align_of::<u64>());
};

/// How many words so many bytes take.
const fn words(bytes: usize) -> usize {
    bytes.div_ceil(size_of::<u64>())
}

/// Bytes of a text that an LPM has put on record.
const LONGEST_DETAIL: usize = 4096;

/// Writes words.
pub(crate) struct Put<'a>(pub(crate) &'a mut Vec<u64>);

impl Put<'_> {
    pub(crate) fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.0.push(number.into());
        self
    }

    /// Several words, one after the other.
    pub(crate) fn words(&mut self, words: &[u64]) -> &mut Self {
        self.0.extend_from_slice(words);
        self
    }

    /// How many values follow, and these.
    pub(crate) fn plain<T: Plain>(&mut self, values: &[T]) -> &mut Self {
        let length = mem::size_of_val(values);
        let count = words(length);
        self.0.reserve(1 + count);
        self.0.push(values.len() as u64);
        let written = self.0.len();
        if let Some(last) = self
            .0
            .spare_capacity_mut()
            .get_mut(..count)
            .and_then(<[_]>::last_mut)
        {
            // The values may end within it.
            last.write(0);
        }
        // SAFETY: there is room for so many words, which nobody else has, and the values are no
        // longer; they have no padding, as `Plain` promises. So each of the words is written: the
        // last one above, the rest here.
        unsafe {
            let place = self.0.as_mut_ptr().add(written);
            ptr::copy_nonoverlapping(values.as_ptr().cast::<u8>(), place.cast(), length);
            self.0.set_len(written + count);
        }
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.plain(text.as_bytes())
    }

    /// Leaves room for a number that is known [later](Self::set): where that goes.
    pub(crate) fn place(&mut self) -> usize {
        let place = self.0.len();
        self.0.push(0);
        place
    }

    pub(crate) fn set(&mut self, place: usize, number: u64) {
        if let Some(word) = self.0.get_mut(place) {
            *word = number;
        }
    }
}

/// Reads words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Take<'a>(pub(crate) &'a [u64]);

impl<'a> Take<'a> {
    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let (number, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*number)
    }

    /// So many numbers.
    #[inline]
    pub(crate) fn numbers<const N: usize>(&mut self) -> Result<&'a [u64; N], Malformed> {
        let (numbers, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(numbers)
    }

    /// A number that is one of a narrower type.
    #[inline]
    pub(crate) fn narrow<N: TryFrom<u64>>(&mut self) -> Result<N, Malformed> {
        narrow(self.number()?)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Malformed> {
        flag(self.number()?)
    }

    #[inline]
    pub(crate) fn plain<T: Plain>(&mut self) -> Result<&'a [T], Malformed> {
        let count: usize = self.narrow()?;
        let length = count.checked_mul(size_of::<T>()).ok_or(Malformed)?;
        let (values, rest) = self.0.split_at_checked(words(length)).ok_or(Malformed)?;
        self.0 = rest;
        // SAFETY: so many bytes lie in these words, which are aligned for the type and borrowed as
        // long as the result; any bytes are values of it, as `Plain` promises.
        Ok(unsafe { slice::from_raw_parts(values.as_ptr().cast::<T>(), count) })
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.plain()?).map_err(|_| Malformed)
    }

    /// A list, whose length comes first.
    pub(crate) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count: usize = self.narrow()?;
        // Each takes a word at least, so that nobody makes room for more than there is.
        if count > self.0.len() {
            return Err(Malformed);
        }
        (0..count).map(|_| one(self)).collect()
    }
}

/// A number that is one of a narrower type.
#[inline]
pub(crate) fn narrow<N: TryFrom<u64>>(number: u64) -> Result<N, Malformed> {
    N::try_from(number).map_err(|_| Malformed)
}

#[inline]
pub(crate) const fn flag(number: u64) -> Result<bool, Malformed> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

/// Text of an LPM, as one line that is not too long.
pub(crate) fn line(text: &str) -> String {
    let mut text: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    if text.len() > LONGEST_DETAIL {
        let mut ends = (0..=LONGEST_DETAIL).rev();
        let end = ends.find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u64, bytes: Vec<u8>, text: String, decisions: Vec<(u32, u16, u16)>) {
            let decisions: Vec<_> = decisions
                .into_iter()
                .map(|(lpv, error_code, error_value)| AbiDecision { lpv, error_code, error_value })
                .collect();
            let mut words = Vec::new();
            Put(&mut words).number(number).plain(&bytes).text(&text).plain(&decisions);
            let mut take = Take(&words);
            prop_assert_eq!(take.number(), Ok(number));
            prop_assert_eq!(take.plain::<u8>(), Ok(&*bytes));
            prop_assert_eq!(take.text(), Ok(&*text));
            prop_assert_eq!(take.plain::<AbiDecision>(), Ok(&*decisions));
            prop_assert!(take.0.is_empty());
        }

        #[test]
        fn what_breaks_off_is_malformed(text in "[a-z]{1,40}", left in 0usize..6) {
            let mut words = Vec::new();
            Put(&mut words).text(&text);
            words.truncate(left.min(words.len() - 1));
            prop_assert_eq!(Take(&words).text(), Err(Malformed));
        }

        #[test]
        fn any_words_can_be_read(words: Vec<u64>) {
            let _ = Take(&words).plain::<AbiObjectEntry>();
            let _ = Take(&words).list(Take::text);
        }
    }

    #[test]
    fn a_length_beyond_all_is_malformed() {
        for length in [2, 1 << 32, 1 << 61, u64::MAX] {
            let words = [length, 0];
            assert_eq!(Take(&words).plain::<AbiDecision>(), Err(Malformed));
            assert_eq!(Take(&words).list(Take::number), Err(Malformed));
        }
    }

    #[test]
    fn what_an_lpm_says_is_one_line() {
        assert_eq!(line("a\nb\u{1b}[1m"), "a b [1m");
        let long = line(&"ä".repeat(LONGEST_DETAIL));
        assert!(long.len() < LONGEST_DETAIL + 4 && long.ends_with("ä…"));
    }
}
