//! Days of the calendar, without a clock and without time zones.

use crate::format::Record;
use crate::library::Photo;

/// A day of the proleptic Gregorian calendar; ordered by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day {
    /// 1 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

const MS_A_DAY: i64 = 86_400_000;

impl Day {
    /// The day of a time in milliseconds since 1970, both in UTC.
    pub fn of_ms(ms: i64) -> Self {
        Self::of_number(ms.div_euclid(MS_A_DAY))
    }

    /// The day so many days after 1970-01-01, by Hinnant's `civil_from_days` ("chrono-Compatible
    /// Low-Level Date Algorithms"), within the years 1 to 9999.
    pub fn of_number(days: i64) -> Self {
        let z = days.clamp(-719_162, 2_932_896) + 719_468;
        let era = z.div_euclid(146_097);
        let of_era = z.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        Self {
            year: (year_of_era + era * 400 + i64::from(month <= 2)) as u16,
            month: month as u8,
            day: (of_year - (153 * shifted + 2) / 5 + 1) as u8,
        }
    }

    /// Days after 1970-01-01, by `days_from_civil` of the same source.
    pub fn number(self) -> i64 {
        let month = i64::from(self.month);
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let shifted = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * shifted + 2) / 5 + i64::from(self.day) - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        era * 146_097 + of_era - 719_468
    }

    /// The day that a text like `2019-07-04T12:30:00` begins with.
    pub fn of_text(text: &str) -> Option<Self> {
        Self::of_bytes(text.as_bytes())
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let number = |from: usize, to: usize| {
            let digits = bytes.get(from..to)?;
            digits.iter().try_fold(0u16, |sum, byte| {
                byte.is_ascii_digit()
                    .then(|| sum * 10 + u16::from(byte - b'0'))
            })
        };
        let day = Self {
            year: number(0, 4)?,
            month: number(5, 7)? as u8,
            day: number(8, 10)? as u8,
        };
        let real = (1..=12).contains(&day.month) && (1..=31).contains(&day.day) && day.year > 0;
        (real && bytes[4] == b'-' && bytes[7] == b'-').then_some(day)
    }

    /// When a photo was taken: by its camera, else by the file's date.
    pub fn of_photo(photo: &Photo) -> Self {
        Self::of_record(&photo.record())
    }

    /// As [`Day::of_photo`].
    pub(crate) fn of_record(photo: &Record<'_>) -> Self {
        Self::of_camera_or_file(photo.taken.map(str::as_bytes), photo.modified_ms)
    }

    /// By the text of the camera, else by the file's time of change.
    pub(super) fn of_camera_or_file(taken: Option<&[u8]>, modified_ms: i64) -> Self {
        let taken = taken.and_then(Self::of_bytes);
        taken.unwrap_or_else(|| Self::of_ms(modified_ms))
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Days from the first to the last one, both counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateRange {
    /// The first day.
    pub from: Day,
    /// The last day; the 31st stands for the end of any month.
    pub to: Day,
}

impl DateRange {
    /// `2019`, `2019-05`, `2019-05-12`, or two of them around `..`, where one side may be left open.
    pub fn parse(text: &str) -> Option<Self> {
        let Some((from, to)) = text.split_once("..") else {
            return period(text);
        };
        let (first, last) = (bound(from, "0001")?, bound(to, "9999")?);
        (first.from <= last.to && !(from.is_empty() && to.is_empty())).then_some(Self {
            from: first.from,
            to: last.to,
        })
    }

    /// Whether a day lies in it.
    pub fn contains(&self, day: Day) -> bool {
        (self.from..=self.to).contains(&day)
    }
}

fn bound(text: &str, open: &str) -> Option<DateRange> {
    period(if text.is_empty() { open } else { text })
}

/// A year, a month or a day.
fn period(text: &str) -> Option<DateRange> {
    let fields: Vec<&str> = text.split('-').collect();
    let lengths = fields.iter().map(|field| field.len());
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-');
    if !plain || !lengths.eq([4, 2, 2].into_iter().take(fields.len())) {
        return None;
    }
    let first = format!("{text}{}", ["-01-01", "-01", ""][fields.len() - 1]);
    let last = format!("{text}{}", ["-12-31", "-31", ""][fields.len() - 1]);
    Some(DateRange {
        from: Day::of_text(&first)?,
        to: Day::of_text(&last)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> String {
        DateRange::parse(text).map_or("none".into(), |r| format!("{} {}", r.from, r.to))
    }

    #[test]
    fn ranges_are_read() {
        for (text, want) in [
            ("2019", "2019-01-01 2019-12-31"),
            ("2019-05", "2019-05-01 2019-05-31"),
            ("2019-05-12", "2019-05-12 2019-05-12"),
            ("2019..2020-05", "2019-01-01 2020-05-31"),
            ("..2018", "0001-01-01 2018-12-31"),
            ("2018-02..", "2018-02-01 9999-12-31"),
        ] {
            assert_eq!(range(text), want, "{text}");
        }
        for text in [
            "",
            "..",
            "19",
            "2019-13",
            "2019-00",
            "2020..2019",
            "2019-1-1",
            "next",
            "2019-05-12-1",
            "-",
            "２０１９",
        ] {
            assert_eq!(range(text), "none", "{text}");
        }
    }

    #[test]
    fn days_and_their_numbers_agree() {
        assert_eq!(Day::of_ms(0).to_string(), "1970-01-01");
        assert_eq!(Day::of_ms(-1).to_string(), "1969-12-31");
        assert_eq!(Day::of_ms(1_582_934_400_000).to_string(), "2020-02-29");
        for number in (-719_162..2_932_896).step_by(997) {
            assert_eq!(Day::of_number(number).number(), number);
        }
        assert_eq!(Day::of_ms(i64::MAX).to_string(), "9999-12-31");
        assert_eq!(Day::of_ms(i64::MIN).to_string(), "0001-01-01");
    }

    #[test]
    fn a_photo_has_its_cameras_date_or_its_files() {
        let photo = Photo {
            modified_ms: 1_582_934_400_000,
            taken: Some("2019-07-04T12:30:00".into()),
            ..Photo::default()
        };
        assert_eq!(Day::of_photo(&photo).to_string(), "2019-07-04");
        let without = Photo {
            taken: None,
            ..photo
        };
        assert_eq!(Day::of_photo(&without).to_string(), "2020-02-29");
    }
}
