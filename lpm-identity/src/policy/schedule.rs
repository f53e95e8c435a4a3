//! When a setting holds: days of the week and hours of the day.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

/// The days as they are written, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_OF_DAY: u16 = 24 * 60;

/// Days of the week, and hours on them. Hours that end before they begin go on past midnight, and
/// belong to the day on which they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// A bit per day, Monday the lowest.
    days: u8,
    /// Minutes of the day: the first that belongs, and the first that does not any more.
    begin: u16,
    end: u16,
}

/// A point in the week, on the clock of the policy's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekTime {
    /// Days since Monday.
    day: u8,
    minute: u16,
}

impl Schedule {
    /// Every day, all day.
    pub(super) const ALWAYS: Self = Self {
        days: 0x7f,
        begin: 0,
        end: MINUTES_OF_DAY,
    };

    /// Whether the schedule takes in this time.
    #[must_use]
    pub fn contains(&self, time: WeekTime) -> bool {
        let on = |day: u8| self.days & (1 << day) != 0;
        let (before_end, from_begin) = (time.minute < self.end, time.minute >= self.begin);
        if self.begin < self.end {
            on(time.day) && from_begin && before_end
        } else {
            (on(time.day) && from_begin) || (on((time.day + 6) % 7) && before_end)
        }
    }

    /// The same hours on other days: `mon-fri`, or `sat, sun`, or `mon-wed, fri`.
    pub(super) fn on_days(self, text: &str) -> Result<Self, ScheduleError> {
        let fault = || ScheduleError::Days(text.to_owned());
        let mut days = 0;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first = day(first).ok_or_else(fault)?;
            let last = day(last).ok_or_else(fault)?;
            let mut current = first;
            loop {
                days |= 1 << current;
                if current == last {
                    break;
                }
                current = (current + 1) % 7;
            }
        }
        Ok(Self { days, ..self })
    }

    /// The same days with other hours: `08:00-18:00`, or over midnight `22:00-06:00`.
    pub(super) fn in_hours(self, text: &str) -> Result<Self, ScheduleError> {
        let hours = text.split_once('-').and_then(|(begin, end)| {
            let (begin, end) = (minute_of_day(begin)?, minute_of_day(end)?);
            (begin != end && begin < MINUTES_OF_DAY && end > 0).then_some((begin, end))
        });
        let (begin, end) = hours.ok_or_else(|| ScheduleError::Hours(text.to_owned()))?;
        Ok(Self { begin, end, ..self })
    }
}

/// As the policy file has it: `mon-fri 08:00-18:00`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<_> = (0..7)
            .filter(|day| self.days & (1 << day) != 0)
            .map(|day| DAYS[day])
            .collect();
        let days = if days.len() == 7 {
            "every day".to_owned()
        } else {
            days.join(",")
        };
        let (begin, end) = (self.begin, self.end);
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        write!(f, "{days} {}-{}", clock(begin), clock(end))
    }
}

impl WeekTime {
    /// The point in the week of an instant. A time that no calendar has, beyond the year 9999,
    /// is taken for the last one.
    #[must_use]
    pub fn of(instant: SystemTime, zone: &TimeZone) -> Self {
        let instant = Timestamp::try_from(instant).unwrap_or(Timestamp::MAX);
        let local = zone.to_datetime(instant);
        let minute = u16::from(local.hour().unsigned_abs()) * 60;
        Self {
            day: day_of(local.weekday()),
            minute: minute + u16::from(local.minute().unsigned_abs()),
        }
    }
}

/// As `wed 14:30`.
impl fmt::Display for WeekTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = DAYS[usize::from(self.day) % DAYS.len()];
        write!(f, "{day} {:02}:{:02}", self.minute / 60, self.minute % 60)
    }
}

/// Why a text names no days or hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Not a list of days.
    #[error(
        "{0:?} are not days: expected mon, tue, wed, thu, fri, sat, sun, as in \"mon-fri\" or \"sat, sun\""
    )]
    Days(String),
    /// Not a range of hours.
    #[error(
        "{0:?} are not hours: expected two different times of day, as in \"08:00-18:00\" or, over midnight, \"22:00-06:00\""
    )]
    Hours(String),
}

fn day_of(weekday: Weekday) -> u8 {
    weekday.to_monday_zero_offset().unsigned_abs()
}

fn day(text: &str) -> Option<u8> {
    let text = text.trim();
    let day = DAYS.iter().position(|day| text.eq_ignore_ascii_case(day))?;
    u8::try_from(day).ok()
}

/// The minute of a time of day, up to 24:00.
fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= MINUTES_OF_DAY).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(day: u8, hour: u16, minute: u16) -> WeekTime {
        let minute = hour * 60 + minute;
        WeekTime { day, minute }
    }

    fn schedule(days: &str, hours: &str) -> Schedule {
        Schedule::ALWAYS
            .on_days(days)
            .and_then(|schedule| schedule.in_hours(hours))
            .unwrap()
    }

    #[test]
    fn hours_of_one_day_begin_and_end_there() {
        let office = schedule("mon-fri", "08:00-18:00");
        assert!(office.contains(at(0, 8, 0)) && office.contains(at(4, 17, 59)));
        assert!(!office.contains(at(0, 7, 59)) && !office.contains(at(4, 18, 0)));
        assert!(!office.contains(at(5, 12, 0)));
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_they_begin_on() {
        let friday_night = schedule("fri", "22:00-06:00");
        assert!(friday_night.contains(at(4, 22, 0)));
        assert!(friday_night.contains(at(5, 5, 59)));
        assert!(!friday_night.contains(at(5, 6, 0)));
        assert!(!friday_night.contains(at(4, 5, 0)));
        let sunday_night = schedule("sun", "22:00-06:00");
        assert!(sunday_night.contains(at(0, 1, 0)));
    }

    #[test]
    fn days_may_be_listed_and_wrap_around_the_week() {
        let days = |text| Schedule::ALWAYS.on_days(text).unwrap().days;
        assert_eq!(days("mon-fri"), 0b001_1111);
        assert_eq!(days("Sat, SUN"), 0b110_0000);
        assert_eq!(days("fri-mon"), 0b111_0001);
        assert_eq!(days("wed"), 0b000_0100);
    }

    #[test]
    fn what_names_no_days_or_hours_is_refused() {
        for text in ["", "someday", "mon-", "mon,,tue", "montag"] {
            assert!(Schedule::ALWAYS.on_days(text).is_err(), "{text:?}");
        }
        for text in [
            "",
            "8-18",
            "08:00",
            "08:00-08:00",
            "08:60-09:00",
            "24:00-01:00",
            "08:00-00:00",
            "08:00-24:01",
            "8:00-18:00",
            "+8:00-18:00",
        ] {
            assert!(Schedule::ALWAYS.in_hours(text).is_err(), "{text:?}");
        }
        assert!(Schedule::ALWAYS.in_hours("22:00-24:00").is_ok());
    }

    #[test]
    fn the_clock_is_that_of_the_time_zone() {
        // Saturday, 1 July 2023, 22:30 UTC; half past midnight on Sunday in Zurich.
        let instant = SystemTime::UNIX_EPOCH + Duration::from_secs(1_688_250_600);
        assert_eq!(WeekTime::of(instant, &TimeZone::UTC), at(5, 22, 30));
        let zurich = TimeZone::get("Europe/Zurich").unwrap();
        assert_eq!(WeekTime::of(instant, &zurich), at(6, 0, 30));
    }
}
