//! A date said in words, offered as a filter. Never applied by itself: "last summer" may be a song.

use super::date::{DateRange, Day};
use super::{Ask, Filter};

/// A query that a person may have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The words that say the date: `in 2019`.
    pub said: String,
    /// The whole query with a filter in their place: `beach date:2019`.
    pub query: String,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Meteorological seasons of the northern half of the earth, with the month that they begin in.
const SEASONS: [(&str, u8); 5] = [
    ("spring", 3),
    ("summer", 6),
    ("autumn", 9),
    ("fall", 9),
    ("winter", 12),
];
/// Words before a date that go with it.
const BEFORE: [&str; 6] = ["in", "from", "of", "on", "during", "since"];

/// Finds a date in the words of a query that has no date filter: `in 2019`, `May 2020`, `last summer`,
/// `yesterday`, `this year`. `today` is the day that relative ones are counted from.
pub fn suggest(text: &str, today: Day) -> Option<Suggestion> {
    let ask = Ask::parse(text).ok()?;
    if ask.parts.is_empty() || ask.filter.as_ref().is_some_and(has_date) {
        return None;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let plain: Vec<String> = words.iter().map(|word| plain(word)).collect();
    (0..words.len()).find_map(|at| {
        let (range, len) = said(&plain[at..], today)?;
        let before = at
            .checked_sub(1)
            .filter(|&b| BEFORE.contains(&plain[b].as_str()));
        let start = before.unwrap_or(at);
        // A bare number may be anything; a year is said with a word before it, or stands last.
        let bare = len == 1 && is_year(&plain[at]);
        if bare && before.is_none() && at + 1 < words.len() {
            return None;
        }
        let since = before.is_some_and(|b| plain[b] == "since");
        let rest = [&words[..start], &words[at + len..]].concat().join(" ");
        let query = format!("{rest} {}", written(range, since));
        // Words out of quotes or parentheses may leave a query that says something else, or nothing.
        let is_sound =
            Ask::parse(&query).is_ok_and(|ask| ask.filter.as_ref().is_some_and(has_date));
        is_sound.then(|| Suggestion {
            said: words[start..at + len].join(" "),
            query: query.trim().to_owned(),
        })
    })
}

fn has_date(filter: &Filter) -> bool {
    match filter {
        Filter::All(filters) | Filter::Any(filters) => filters.iter().any(has_date),
        Filter::Not(filter) => has_date(filter),
        filter => matches!(filter, Filter::Date(_)),
    }
}

fn plain(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric())
        .to_lowercase()
}

fn is_year(word: &str) -> bool {
    word.len() == 4
        && word
            .parse()
            .is_ok_and(|year: u16| (1900..2100).contains(&year))
}

/// The days that the words begin with, and how many words that takes.
fn said(words: &[String], today: Day) -> Option<(DateRange, usize)> {
    let first = words.first()?.as_str();
    let second = words.get(1).map(String::as_str);
    let year = |word: Option<&str>| word.filter(|word| is_year(word))?.parse::<u16>().ok();
    let month = |name: &str| {
        MONTHS
            .iter()
            .position(|m| *m == name)
            .map(|at| at as u8 + 1)
    };
    let days_ago = |days: i64| Day::of_number(today.number() - days);
    match (first, second) {
        ("today", _) => Some((days(today, today), 1)),
        ("yesterday", _) => Some((days(days_ago(1), days_ago(1)), 1)),
        ("last" | "this", Some(unit)) => {
            let back = u16::from(first == "last");
            relative(unit, back, today).map(|range| (range, 2))
        }
        _ if is_year(first) => year(Some(first)).map(|year| (whole_year(year), 1)),
        _ => {
            let year = year(second)?;
            let range = month(first)
                .map(|month| whole_month(year, month))
                .or_else(|| season(first, year))?;
            Some((range, 2))
        }
    }
}

fn relative(unit: &str, back: u16, today: Day) -> Option<DateRange> {
    match unit {
        "year" => Some(whole_year(today.year - back)),
        "month" => {
            let (year, month) = match (today.month, back) {
                (1, 1) => (today.year - 1, 12),
                (month, back) => (today.year, month - back as u8),
            };
            Some(whole_month(year, month))
        }
        "week" => {
            // 1970-01-01 was a Thursday; weeks begin on Mondays.
            let monday = today.number() - (today.number() + 3).rem_euclid(7) - 7 * i64::from(back);
            Some(days(Day::of_number(monday), Day::of_number(monday + 6)))
        }
        name => {
            let this = season(name, today.year)?;
            // The last one is the one that is over; this one has begun.
            let over = if back == 1 {
                this.to < today
            } else {
                this.from <= today
            };
            season(name, today.year - u16::from(!over))
        }
    }
}

fn days(from: Day, to: Day) -> DateRange {
    DateRange { from, to }
}

fn whole_year(year: u16) -> DateRange {
    let day = |month, day| Day { year, month, day };
    days(day(1, 1), day(12, 31))
}

fn whole_month(year: u16, month: u8) -> DateRange {
    let on = |day| Day { year, month, day };
    days(on(1), on(31))
}

/// Three months; a winter is named by the year that it begins in.
fn season(name: &str, year: u16) -> Option<DateRange> {
    let (_, first) = *SEASONS.iter().find(|(known, _)| *known == name)?;
    let last = if first == 12 {
        whole_month(year + 1, 2)
    } else {
        whole_month(year, first + 2)
    };
    Some(days(whole_month(year, first).from, last.to))
}

/// The filter, as short as it can be said.
fn written(range: DateRange, since: bool) -> String {
    let DateRange { from, to } = range;
    let month = |day: Day| format!("{:04}-{:02}", day.year, day.month);
    let whole_months = from.day == 1 && to.day == 31;
    let (from, to) = if whole_months && (from.month, to.month) == (1, 12) {
        (format!("{:04}", from.year), format!("{:04}", to.year))
    } else if whole_months {
        (month(from), month(to))
    } else {
        (from.to_string(), to.to_string())
    };
    match since {
        true => format!("date:{from}.."),
        false if from == to => format!("date:{from}"),
        false => format!("date:{from}..{to}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suggested(text: &str) -> Option<String> {
        let today = Day::of_text("2026-11-21").expect("a day");
        suggest(text, today).map(|suggestion| {
            assert!(
                Ask::parse(&suggestion.query)
                    .expect("valid")
                    .filter
                    .is_some()
            );
            format!("{} | {}", suggestion.said, suggestion.query)
        })
    }

    #[test]
    fn dates_in_words_are_offered() {
        for (text, want) in [
            ("a beach in 2019", "in 2019 | a beach date:2019"),
            ("in 2019 at the beach", "in 2019 | at the beach date:2019"),
            ("beach 2019", "2019 | beach date:2019"),
            (
                "snow in May 2020, at night",
                "in May 2020, | snow at night date:2020-05",
            ),
            (
                "beach last summer",
                "last summer | beach date:2026-06..2026-08",
            ),
            (
                "skiing last winter",
                "last winter | skiing date:2025-12..2026-02",
            ),
            (
                "skiing this winter",
                "this winter | skiing date:2025-12..2026-02",
            ),
            ("dogs yesterday", "yesterday | dogs date:2026-11-20"),
            (
                "cats last week",
                "last week | cats date:2026-11-09..2026-11-15",
            ),
            ("cats this month", "this month | cats date:2026-11"),
            ("cats last year", "last year | cats date:2025"),
            ("cats since 2018", "since 2018 | cats date:2018.."),
            ("summer 2018", "summer 2018 | date:2018-06..2018-08"),
        ] {
            assert_eq!(suggested(text).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn other_words_are_left_alone() {
        for text in [
            "a dog",
            "2019 roses in a vase",
            "may flowers",
            "last supper",
            "in 20195",
            "",
            "beach in 2019 date:2020",
            "the fall of a tree",
            "\"open quote in 2019",
        ] {
            assert_eq!(suggested(text), None, "{text}");
        }
    }
}
