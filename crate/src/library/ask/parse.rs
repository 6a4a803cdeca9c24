//! Text → [`Ask`], by recursive descent.
//!
//! ```text
//! query  = { filter | sign | weight | words }
//! filter = both { "or" both }
//! both   = one { ["and"] one }
//! one    = ("not" | "-") one | "(" filter ")" | name ":" value
//! ```
//! Everything that does not begin a filter is words, so that plain words stay what they are.

use super::value::{self, FILTERS};
use super::{Ask, Filter, Part};
use crate::error::{Error, QueryProblem, Result};

/// Parentheses in one another, at most: a stack is no place for a stranger's text.
const MAX_DEPTH: usize = 64;
/// Weights beyond it say nothing that this one does not.
const MAX_WEIGHT: f32 = 100.0;

pub(super) fn parse(text: &str) -> Result<Ask> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    let (mut words, mut filters) = (Words::default(), Vec::new());
    while parser.skip_spaces() {
        if let Some(joiner) = parser.joiner() {
            let (at, word) = (parser.at, parser.word());
            parser.at += word.len();
            let joins = joiner == "and" || words.is_empty();
            if !joins {
                return Err(parser.error(at, QueryProblem::NothingToJoin { word: word.into() }));
            }
        } else if parser.begins_filter(parser.at)? {
            filters.push(parser.either()?);
        } else {
            parser.words(&mut words)?;
        }
    }
    Ok(Ask {
        parts: words.finish(),
        filter: all(filters),
    })
}

fn all(mut filters: Vec<Filter>) -> Option<Filter> {
    match filters.len() {
        0 | 1 => filters.pop(),
        _ => Some(Filter::All(filters)),
    }
}

/// Words by weight, in the order in which they came.
#[derive(Default)]
struct Words {
    parts: Vec<Part>,
    /// Which part plain words go to.
    open: Option<usize>,
}

impl Words {
    fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    fn start(&mut self, weight: f32) -> usize {
        let words = String::new();
        self.parts.push(Part { weight, words });
        self.parts.len() - 1
    }

    fn push(&mut self, part: usize, word: &str) {
        let words = &mut self.parts[part].words;
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }

    fn plain(&mut self, word: &str) {
        let part = match self.open {
            Some(part) => part,
            None => self.start(1.0),
        };
        self.open = Some(part);
        self.push(part, word);
    }

    fn finish(self) -> Vec<Part> {
        let said = |part: &Part| !part.words.trim().is_empty() && part.weight != 0.0;
        self.parts.into_iter().filter(said).collect()
    }
}

struct Parser<'a> {
    text: &'a str,
    /// A byte, always at the start of a character.
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self, at: usize, problem: QueryProblem) -> Error {
        let at = self.text[..at].chars().count();
        Error::Query { at, problem }
    }

    /// Whether something is left.
    fn skip_spaces(&mut self) -> bool {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.at < self.text.len()
    }

    /// What stands here up to the next space.
    fn word(&self) -> &'a str {
        word(self.rest())
    }

    /// `and` or `or` before a filter.
    fn joiner(&self) -> Option<&'static str> {
        let word = self.word();
        let joiner = ["and", "or"]
            .into_iter()
            .find(|known| word.eq_ignore_ascii_case(known))?;
        let next = self.text.len() - self.text[self.at + word.len()..].trim_start().len();
        matches!(self.begins_filter(next), Ok(true) | Err(_)).then_some(joiner)
    }

    /// Whether a filter begins at a place, with the signs before it.
    fn begins_filter(&self, mut at: usize) -> Result<bool> {
        // More signs than that are none: the look ahead has an end.
        for _ in 0..4 * MAX_DEPTH {
            let rest = &self.text[at..];
            let rest = rest.trim_start();
            at = self.text.len() - rest.len();
            if let Some(inner) = rest.strip_prefix(['(', '-']) {
                // A sign that stands alone is one for words.
                if rest.starts_with('-') && inner.starts_with(char::is_whitespace) {
                    return Ok(false);
                }
                at += 1;
            } else if word(rest).eq_ignore_ascii_case("not") {
                at += 3;
            } else {
                return Ok(self.name(at)?.is_some());
            }
        }
        Ok(false)
    }

    /// The filter that is named at a place, and where its value begins.
    fn name(&self, at: usize) -> Result<Option<(&'static str, usize)>> {
        let rest = &self.text[at..];
        let len = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let Some(value) = rest[len..].strip_prefix(':').filter(|_| len > 0) else {
            return Ok(None);
        };
        let name = rest[..len].to_ascii_lowercase();
        if let Some((known, _)) = FILTERS.iter().find(|(known, _)| *known == name) {
            return Ok(Some((known, at + len + 1)));
        }
        // A colon at the end of a word, or an address, is no filter.
        if value.is_empty() || value.starts_with(|c: char| c.is_whitespace() || c == '/') {
            return Ok(None);
        }
        Err(self.error(at, QueryProblem::UnknownFilter { name }))
    }

    fn either(&mut self) -> Result<Filter> {
        let mut filters = vec![self.both()?];
        while self.takes("or")? {
            filters.push(self.both()?);
        }
        Ok(match filters.pop() {
            Some(only) if filters.is_empty() => only,
            last => Filter::Any(filters.into_iter().chain(last).collect()),
        })
    }

    fn both(&mut self) -> Result<Filter> {
        let mut filters = vec![self.one()?];
        while self.takes("and")? || self.goes_on()? {
            filters.push(self.one()?);
        }
        Ok(match filters.pop() {
            Some(only) if filters.is_empty() => only,
            last => Filter::All(filters.into_iter().chain(last).collect()),
        })
    }

    /// Passes over a word that joins two filters.
    fn takes(&mut self, joiner: &str) -> Result<bool> {
        self.skip_spaces();
        let word = self.word();
        if !word.eq_ignore_ascii_case(joiner) {
            return Ok(false);
        }
        let after = self.at + word.len();
        if !self.begins_filter(after)? {
            if self.depth == 0 && joiner == "and" {
                return Ok(false);
            }
            let problem = QueryProblem::NothingToJoin { word: word.into() };
            return Err(self.error(self.at, problem));
        }
        self.at = after;
        Ok(true)
    }

    /// Whether another filter stands beside this one.
    fn goes_on(&mut self) -> Result<bool> {
        Ok(self.skip_spaces() && self.begins_filter(self.at)?)
    }

    fn one(&mut self) -> Result<Filter> {
        self.skip_spaces();
        let start = self.at;
        let rest = self.rest();
        if self.depth >= MAX_DEPTH {
            return Err(self.error(start, QueryProblem::TooDeep));
        }
        self.depth += 1;
        let filter = if rest.starts_with('-') {
            self.at += 1;
            Filter::Not(Box::new(self.one()?))
        } else if self.word().eq_ignore_ascii_case("not") {
            self.at += 3;
            Filter::Not(Box::new(self.one()?))
        } else if rest.starts_with('(') {
            self.at += 1;
            self.group(start)?
        } else {
            self.depth -= 1;
            return self.named();
        };
        self.depth -= 1;
        Ok(filter)
    }

    /// What stands between parentheses, and the closing one.
    fn group(&mut self, start: usize) -> Result<Filter> {
        let filter = self.either()?;
        if !self.skip_spaces() {
            return Err(self.error(start, QueryProblem::OpenParenthesis));
        }
        if !self.rest().starts_with(')') {
            return Err(self.error(self.at, QueryProblem::WordsAmongFilters));
        }
        self.at += 1;
        Ok(filter)
    }

    fn named(&mut self) -> Result<Filter> {
        let start = self.at;
        let Some((name, value_at)) = self.name(start)? else {
            return Err(self.error(start, QueryProblem::WordsAmongFilters));
        };
        self.at = value_at;
        self.skip_spaces();
        let at = self.at;
        let value = self.value()?;
        value::filter(name, &value).ok_or_else(|| {
            let expected = FILTERS
                .iter()
                .find(|(known, _)| *known == name)
                .map_or("", |(_, expected)| expected);
            let problem = QueryProblem::BadValue {
                filter: name,
                value,
                expected,
            };
            self.error(at, problem)
        })
    }

    fn value(&mut self) -> Result<String> {
        if let Some(quoted) = self.quoted()? {
            return Ok(quoted.to_owned());
        }
        let mut value = self.word();
        if self.depth > 0 {
            value = &value[..value.find(')').unwrap_or(value.len())];
        }
        // A number may stand apart from its sign: `size:> 2mb`.
        if matches!(value, ">" | "<" | ">=" | "<=") {
            let spaces = self.rest()[value.len()..].trim_start();
            let number_at = self.text.len() - spaces.len();
            let number = word(spaces);
            let number = number.trim_end_matches(')');
            let both = format!("{value}{number}");
            self.at = number_at + number.len();
            return Ok(both);
        }
        self.at += value.len();
        Ok(value.to_owned())
    }

    /// What is between quotes here, where there are some.
    fn quoted(&mut self) -> Result<Option<&'a str>> {
        let rest = self.rest();
        let Some(inner) = rest.strip_prefix(['"', '“', '”']) else {
            return Ok(None);
        };
        let Some((quoted, after)) = inner.split_once(['"', '“', '”']) else {
            return Err(self.error(self.at, QueryProblem::OpenQuote));
        };
        self.at = self.text.len() - after.len();
        Ok(Some(quoted))
    }

    /// A sign, a weight, or some words.
    fn words(&mut self, words: &mut Words) -> Result<()> {
        let sign = match self.rest().chars().next() {
            Some('-' | '−') => Some(-1.0),
            Some('+') => Some(1.0),
            _ => None,
        };
        let Some(sign) = sign else {
            return self.weighted(1.0, words);
        };
        let len = self.rest().chars().next().map_or(0, char::len_utf8);
        let after = self.rest()[len..].chars().next();
        match after {
            // Alone: for all that follows.
            None | Some(' ' | '\t' | '\n' | '\r') => {
                self.at += len;
                self.skip_spaces();
                if !self.begins_filter(self.at)? {
                    words.open = Some(words.start(sign));
                    if self.weight().is_some() {
                        self.weighted(sign, words)?;
                    }
                }
                Ok(())
            }
            // A number below zero, or dashes for their own sake.
            Some(c) if !c.is_alphabetic() && !matches!(c, '"' | '“' | '”') => {
                words.plain(self.take_word());
                Ok(())
            }
            // For the one word that it stands at.
            Some(_) => {
                self.at += len;
                let part = words.start(sign);
                match self.quoted()? {
                    Some(quoted) => words.push(part, quoted),
                    None => words.push(part, self.take_word()),
                }
                Ok(())
            }
        }
    }

    fn weighted(&mut self, sign: f32, words: &mut Words) -> Result<()> {
        if let Some((weight, len)) = self.weight() {
            self.at += len;
            words.open = Some(words.start(sign * weight));
            return Ok(());
        }
        match self.quoted()? {
            Some(quoted) => words.plain(quoted),
            None => words.plain(self.take_word()),
        }
        Ok(())
    }

    /// A weight such as `2:` or `0.5:`, and its length; `12:30` is none.
    fn weight(&self) -> Option<(f32, usize)> {
        let rest = self.rest();
        let len = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
            .count();
        let after = rest[len..].strip_prefix(':')?;
        let weight: f32 = rest[..len].parse().ok()?;
        let plain = after.starts_with(|c: char| c.is_ascii_digit());
        (!plain && weight.is_finite()).then_some((weight.min(MAX_WEIGHT), len + 1))
    }

    fn take_word(&mut self) -> &'a str {
        let word = self.word();
        self.at += word.len();
        word
    }
}

fn word(text: &str) -> &str {
    text.split(char::is_whitespace).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
