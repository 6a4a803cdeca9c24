//! Filters as Milvus's boolean expressions.
//!
//! What an expression cannot say is asked first and put in: the cameras that are there, the photos near a
//! place. What then cannot be said is an error, never left out.

use super::row;
use crate::error::{Error, Result};
use crate::library::ask::{Bounds, Fact, Filter, Shape};

/// What filters ask the server for before they can be written.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Needs {
    /// The names of all cameras.
    pub cameras: bool,
    /// The photos around these places: latitude, longitude, kilometres.
    pub near: Vec<([f64; 2], f64)>,
}

impl Needs {
    pub fn of(filter: &Filter) -> Self {
        let mut needs = Self::default();
        needs.gather(filter);
        needs
    }

    fn gather(&mut self, filter: &Filter) {
        match filter {
            Filter::All(filters) | Filter::Any(filters) => {
                filters.iter().for_each(|filter| self.gather(filter));
            }
            Filter::Not(filter) => self.gather(filter),
            Filter::Camera(_) => self.cameras = true,
            Filter::Near { centre, km } => self.near.push((*centre, *km)),
            _ => {}
        }
    }
}

/// What is known of the server and its photos.
#[derive(Debug, Default, Clone)]
pub(super) struct Known {
    /// Whether `like` finds a part anywhere in a text: not before 2.4.
    pub finds_parts: bool,
    /// All cameras, in lower case.
    pub cameras: Vec<String>,
    /// For each of [`Needs::near`], the keys of the photos there.
    pub near: Vec<Vec<i64>>,
}

/// The album that every photo of the filter is in, in lower case.
pub(super) fn album_of(filter: &Filter) -> Option<&str> {
    match filter {
        Filter::Album(name) => Some(name),
        Filter::All(filters) => filters.iter().find_map(album_of),
        _ => None,
    }
}

/// The expression of a filter.
///
/// # Errors
/// [`Error::NotInMilvus`] for what this server cannot be asked.
pub(super) fn expression(filter: &Filter, known: &Known) -> Result<String> {
    let mut near = known.near.iter();
    write(filter, known, &mut near)
}

/// `near` gives what stands for each place, in the order of [`Needs`].
fn write<'a>(
    filter: &Filter,
    known: &Known,
    near: &mut impl Iterator<Item = &'a Vec<i64>>,
) -> Result<String> {
    let mut join = |filters: &[Filter], word: &str, none: &str| -> Result<String> {
        let all = filters.iter().map(|filter| write(filter, known, near));
        let all: Vec<String> = all.collect::<Result<_>>()?;
        Ok(joined(&all, word, none))
    };
    Ok(match filter {
        Filter::All(filters) => join(filters, " and ", EVERYTHING)?,
        Filter::Any(filters) => join(filters, " or ", NOTHING)?,
        Filter::Not(filter) => format!("not ({})", write(filter, known, near)?),
        Filter::Date(range) => between("date", row::date(range.from), row::date(range.to)),
        Filter::Album(name) => has("album", name),
        Filter::Tag(name) => has("tag", name),
        Filter::Folder(name) => has("folder", name),
        Filter::Path(part) => path(part, known.finds_parts)?,
        Filter::Camera(part) => {
            let named = known.cameras.iter().filter(|camera| camera.contains(part));
            let named: Vec<String> = named.map(|camera| quoted(camera)).collect();
            one_of("camera", &named)
        }
        Filter::Near { .. } => {
            let ids = near.next().into_iter().flatten().map(i64::to_string);
            one_of("id", &ids.collect::<Vec<_>>())
        }
        Filter::Box {
            south_west,
            north_east,
        } => in_box(*south_west, *north_east),
        Filter::Format(format) => format!("format == {}", quoted(&row::format(*format))),
        Filter::Size(bounds) => within("bytes", *bounds),
        Filter::Width(bounds) => within("width", *bounds),
        Filter::Height(bounds) => within("height", *bounds),
        Filter::Favourite => "favourite == true".to_owned(),
        Filter::Shape(Shape::Portrait) => "shape == 1".to_owned(),
        Filter::Shape(Shape::Landscape) => "shape == 2".to_owned(),
        Filter::Shape(Shape::Square) => "shape == 3".to_owned(),
        Filter::Has(fact) => format!("{} == true", column_of(*fact)),
    })
}

fn column_of(fact: Fact) -> &'static str {
    match fact {
        Fact::Place => "has_place",
        Fact::Date => "has_date",
        Fact::Camera => "has_camera",
        Fact::Album => "has_album",
        Fact::Tag => "has_tag",
    }
}

/// Holds of every row: keys are not negative. Milvus has no constant.
pub(super) const EVERYTHING: &str = "id >= 0";
/// Holds of no row.
const NOTHING: &str = "id < 0";

/// Expressions joined by a word, each in parentheses.
pub(super) fn joined(all: &[String], word: &str, none: &str) -> String {
    match all {
        [] => none.to_owned(),
        [one] => one.clone(),
        _ => {
            let all: Vec<String> = all.iter().map(|one| format!("({one})")).collect();
            all.join(word)
        }
    }
}

/// Whether one of a row's texts is this one.
pub(super) fn has(column: &str, text: &str) -> String {
    format!("array_contains({column}, {})", quoted(text))
}

pub(super) fn one_of(column: &str, values: &[String]) -> String {
    if values.is_empty() {
        return NOTHING.to_owned();
    }
    format!("{column} in [{}]", values.join(", "))
}

/// A text in quotes, with what would end it escaped.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ => quoted.push(c),
        }
    }
    quoted + "\""
}

/// With a point, so that it is no integer.
pub(super) fn number(x: f64) -> String {
    format!("{x:?}")
}

fn between(column: &str, least: i64, most: i64) -> String {
    format!("({column} >= {least}) and ({column} <= {most})")
}

fn within(column: &str, bounds: Bounds) -> String {
    between(
        column,
        row::integer(bounds.least),
        row::integer(bounds.most),
    )
}

/// As `in_box` of the library's filters: over the date line where west is more than east.
pub(super) fn in_box([south, west]: [f64; 2], [north, east]: [f64; 2]) -> String {
    let word = if west <= east { "and" } else { "or" };
    format!(
        "(has_place == true) and (latitude >= {}) and (latitude <= {}) and \
         ((longitude >= {}) {word} (longitude <= {}))",
        number(south),
        number(north),
        number(west),
        number(east)
    )
}

/// Paths with a part, or like a pattern in which `*` stands for anything.
fn path(part: &str, finds_parts: bool) -> Result<String> {
    let parts: Vec<&str> = part.split('*').collect();
    match parts.as_slice() {
        // What begins with a text is a range of texts: every server knows that.
        [first, rest @ ..] if !rest.is_empty() && rest.iter().all(|part| part.is_empty()) => {
            Ok(beginning("path", first))
        }
        _ if !finds_parts => Err(Error::NotInMilvus {
            what: format!("path:{part}"),
            reason: "this server finds no text inside another one (2.4 and milvus-lite do): take \
                     folder:NAME or path:BEGINNING*"
                .to_owned(),
        }),
        [part] => Ok(like(&format!("%{}%", escaped(part)))),
        parts => {
            let parts: Vec<String> = parts.iter().map(|part| escaped(part)).collect();
            Ok(like(&parts.join("%")))
        }
    }
}

fn like(pattern: &str) -> String {
    format!("path like {}", quoted(pattern))
}

/// A text of which no sign stands for others.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Texts that begin with this one: from it on, and before the next one of its length.
fn beginning(column: &str, text: &str) -> String {
    if text.is_empty() {
        return EVERYTHING.to_owned();
    }
    let from = format!("{column} >= {}", quoted(text));
    let mut chars: Vec<char> = text.chars().collect();
    while let Some(last) = chars.pop() {
        // Texts are ordered by their UTF-8, which is the order of their characters.
        let next = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            let end: String = chars.into_iter().collect();
            return format!("({from}) and ({column} < {})", quoted(&end));
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::ask::Ask;

    fn told(query: &str, known: &Known) -> Result<String> {
        let filter = Ask::parse(query).expect(query).filter.expect(query);
        expression(&filter, known)
    }

    #[test]
    fn filters_are_expressions() {
        let known = Known {
            finds_parts: true,
            cameras: vec![
                "canon eos 5d".into(),
                "nikon d70".into(),
                "canon \"x\"".into(),
            ],
            near: vec![vec![3, 4], vec![]],
        };
        for (query, want) in [
            (
                "date:2019-05..2020",
                "(date >= 20190501) and (date <= 20201231)",
            ),
            ("album:Rome", r#"array_contains(album, "rome")"#),
            (
                "folder:Trips/Rome/",
                r#"array_contains(folder, "trips/rome")"#,
            ),
            ("path:IMG_1", r#"path like "%img\\_1%""#),
            ("path:a*b%*", r#"path like "a%b\\%%""#),
            (
                "path:Trips/*",
                r#"(path >= "trips/") and (path < "trips0")"#,
            ),
            (
                "camera:canon",
                r#"camera in ["canon eos 5d", "canon \"x\""]"#,
            ),
            ("camera:sony", "id < 0"),
            ("near:41.9,12.5,20", "id in [3, 4]"),
            (
                "near:41.9,12.5,20 or near:1,2,3",
                "(id in [3, 4]) or (id < 0)",
            ),
            (
                "box:-20,177,-12,-178",
                "(has_place == true) and (latitude >= -20.0) and (latitude <= -12.0) and \
                 ((longitude >= 177.0) or (longitude <= -178.0))",
            ),
            ("type:webp", r#"format == "webp""#),
            (
                "is:favourite not is:portrait",
                "(favourite == true) and (not (shape == 1))",
            ),
            (
                "has:place or has:tag",
                "(has_place == true) or (has_tag == true)",
            ),
            ("width:100..200", "(width >= 100) and (width <= 200)"),
        ] {
            assert_eq!(told(query, &known).expect(query), want, "{query}");
        }
    }

    #[test]
    fn texts_are_quoted() {
        let told = expression(&Filter::Tag("a\"b\\c\nd".into()), &Known::default());
        let want = r#"array_contains(tag, "a\"b\\c\nd")"#;
        assert_eq!(told.expect("known everywhere"), want);
    }

    #[test]
    fn open_bounds_are_those_of_the_column() {
        let told = told("height:>=1920", &Known::default()).expect("known everywhere");
        assert_eq!(
            told,
            format!("(height >= 1920) and (height <= {})", i64::MAX)
        );
    }

    #[test]
    fn what_a_server_cannot_find_is_told() {
        for query in ["path:beach", "path:*beach", "path:a*b*", "not path:x"] {
            let error = told(query, &Known::default()).expect_err(query);
            assert_eq!(error.code(), "not_in_milvus", "{error}");
        }
        assert!(told("path:beach*", &Known::default()).is_ok());
    }

    #[test]
    fn albums_that_all_photos_are_in_are_known() {
        for (query, want) in [
            ("album:Rome date:2019", Some("rome")),
            ("album:a or album:b", None),
            ("not album:a", None),
            ("date:2019 (album:b is:favourite)", Some("b")),
        ] {
            let filter = Ask::parse(query).expect(query).filter.expect(query);
            assert_eq!(album_of(&filter), want, "{query}");
        }
    }

    #[test]
    fn beginnings_end_before_the_next_text() {
        let last = char::MAX;
        let at_the_end = beginning("path", &format!("a{last}"));
        assert_eq!(
            at_the_end,
            format!(r#"(path >= "a{last}") and (path < "b")"#)
        );
        assert_eq!(
            beginning("path", &last.to_string()),
            format!(r#"path >= "{last}""#)
        );
        assert_eq!(
            beginning("path", "\u{d7ff}"),
            "(path >= \"\u{d7ff}\") and (path < \"\u{e000}\")"
        );
    }
}
