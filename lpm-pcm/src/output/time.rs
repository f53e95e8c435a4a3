//! Times as people and programs read them.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// `time` as RFC 3339 has it, in UTC with microseconds. A time outside the years -9999 to 9999
/// becomes the nearest one inside.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let mut text = String::with_capacity("2000-02-29T12:34:56.000789Z".len());
    push_rfc3339(&mut text, time);
    text
}

/// Appends what [`rfc3339`] says.
pub(super) fn push_rfc3339(text: &mut String, time: SystemTime) {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) if push_seconds(text, since.as_secs()).is_some() => {
            push_microseconds(text, since.subsec_micros());
        }
        since => {
            let nearest = match since {
                Ok(_) => Timestamp::MAX,
                Err(_) => Timestamp::MIN,
            };
            let timestamp = Timestamp::try_from(time).unwrap_or(nearest);
            // A String takes everything.
            let _ = write!(text, "{timestamp:.6}");
        }
    }
}

/// The date of a time, in UTC.
pub(super) fn date(time: SystemTime) -> String {
    let mut text = rfc3339(time);
    let date = text.find('T').unwrap_or(text.len());
    text.truncate(date);
    text
}

/// The time of day in UTC, with microseconds, so long after the epoch.
pub(super) fn time_of_day(since: Duration) -> [u8; 15] {
    const DAY: u64 = 24 * 60 * 60;
    let mut clock = *b"00:00:00.000000";
    let seconds = since.as_secs() % DAY;
    let pairs = [
        (0, seconds / 3600),
        (3, seconds / 60 % 60),
        (6, seconds % 60),
    ];
    for (place, number) in pairs {
        clock[place..place + 2].copy_from_slice(&two_digits(number));
    }
    set_microseconds(&mut clock, since);
    clock
}

/// Makes another time within the same second of a [`time_of_day`].
pub(super) fn set_microseconds(clock: &mut [u8; 15], since: Duration) {
    let micros = u64::from(since.subsec_micros());
    for (place, number) in [(9, micros / 10_000), (11, micros / 100), (13, micros)] {
        clock[place..place + 2].copy_from_slice(&two_digits(number));
    }
}

/// The last two digits of a number.
#[inline]
pub(super) fn two_digits(number: u64) -> [u8; 2] {
    const DIGITS: [[u8; 2]; 100] = {
        let mut digits = [*b"00"; 100];
        let mut number: u8 = 0;
        while number < 100 {
            digits[number as usize] = [b'0' + number / 10, b'0' + number % 10];
            number += 1;
        }
        digits
    };
    DIGITS[(number % 100) as usize]
}

/// Appends the time of day in UTC, with microseconds.
pub(super) fn push_time_of_day(text: &mut String, time: SystemTime) {
    if let Ok(since) = time.duration_since(SystemTime::UNIX_EPOCH) {
        let clock = time_of_day(since);
        text.push_str(std::str::from_utf8(&clock).unwrap_or_default());
        return;
    }
    let whole = rfc3339(time);
    let time = whole.split_once('T').map_or("", |(_, time)| time);
    text.push_str(time.trim_end_matches('Z'));
}

/// Appends a time up to the seconds. `None` if it is too late for a [`Timestamp`].
///
/// The last one is remembered: in a capture, many packets come within a second.
fn push_seconds(text: &mut String, seconds: u64) -> Option<()> {
    thread_local!(static LAST: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) });

    LAST.with_borrow_mut(|(last, last_text)| {
        if *last != seconds || last_text.is_empty() {
            let timestamp = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
            *last = seconds;
            last_text.clear();
            let _ = write!(last_text, "{timestamp:.0}");
            last_text.pop();
        }
        text.push_str(last_text);
        Some(())
    })
}

fn push_microseconds(text: &mut String, microseconds: u32) {
    let mut fraction = *b".000000Z";
    add_digits(&mut fraction[1..7], microseconds.into());
    text.push_str(std::str::from_utf8(&fraction).unwrap_or_default());
}

/// Adds the digits of a number to zeros.
fn add_digits(zeros: &mut [u8], number: u64) {
    let mut rest = number;
    for place in zeros.iter_mut().rev() {
        let [.., digit] = (rest % 10).to_be_bytes();
        *place += digit;
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_microseconds_and_never_fail() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(951_827_696, 789_999);
        assert_eq!(rfc3339(time), "2000-02-29T12:34:56.000789Z");
        assert_eq!(
            rfc3339(SystemTime::UNIX_EPOCH),
            "1970-01-01T00:00:00.000000Z"
        );
        let last = SystemTime::UNIX_EPOCH + Duration::new(253_402_207_200, 999_999_999);
        assert!(rfc3339(last).ends_with(":00.999999Z"), "{}", rfc3339(last));
        // The year 19391; Windows has no time after 30828.
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 39);
        assert!(rfc3339(far).starts_with("9999-12-"));
        let before = SystemTime::UNIX_EPOCH - Duration::from_millis(1_500);
        assert_eq!(rfc3339(before), "1969-12-31T23:59:58.500000Z");
    }

    #[test]
    fn a_time_of_day_is_the_end_of_the_time() {
        for (seconds, micros) in [(0, 0), (951_827_696, 789), (1_772_495_999, 999_999)] {
            let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, micros * 1_000);
            let mut text = String::new();
            push_time_of_day(&mut text, time);
            assert_eq!(format!("{}T{text}Z", date(time)), rfc3339(time));
        }
        let mut text = String::new();
        let before = SystemTime::UNIX_EPOCH - Duration::from_millis(1_500);
        push_time_of_day(&mut text, before);
        assert_eq!(
            (date(before).as_str(), text.as_str()),
            ("1969-12-31", "23:59:58.500000")
        );
    }

    #[test]
    fn times_of_one_second_differ() {
        for micros in [0, 1, 999_999, 10, 500_000, 0] {
            for seconds in [1_772_438_400, 1_772_438_400, 1_772_438_401] {
                let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, micros * 1_000);
                let expected = format!("{:.6}", Timestamp::try_from(time).unwrap());
                assert_eq!(rfc3339(time), expected);
            }
        }
    }
}
