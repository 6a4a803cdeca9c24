//! An inverted index of the words in names: files, folders, albums and tags.
//!
//! ```text
//! word ─▶ rows that have it in their path │ rows that have it in an album or a tag
//! ```
//! Words are folded: lower case, without accents, without a plural's last `s`. Made when it is first
//! asked for, and kept up to date from then on.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::format::Record;

/// Words of a query that say nothing of a name.
const IDLE: &[&str] = &[
    "a",
    "an",
    "and",
    "are",
    "at",
    "by",
    "for",
    "from",
    "image",
    "in",
    "is",
    "it",
    "my",
    "of",
    "on",
    "or",
    "photo",
    "photograph",
    "pic",
    "picture",
    "some",
    "that",
    "the",
    "thi",
    "to",
    "with",
];
/// Query words that are looked up, at most.
const MAX_WORDS: usize = 64;
/// A word in more than one path in so many tells photos apart no more; a word of a tag always does.
const COMMON_ONE_IN: usize = 5;
/// Fewer photos than this are never too many.
const COMMON_AT_LEAST: usize = 10;

/// The words of a segment's photos.
#[derive(Debug, Default)]
pub(super) struct Words {
    rows: HashMap<Box<str>, Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    paths: Vec<u32>,
    labels: Vec<u32>,
}

impl Words {
    /// The words of photos, whose rows they are in the order of.
    pub fn of<'a>(photos: impl Iterator<Item = Record<'a>>) -> Self {
        let mut words = Self::default();
        for (row, photo) in photos.enumerate() {
            words.add(row, &photo);
        }
        words
    }

    /// Adds the photo of a row that is greater than all before.
    pub fn add(&mut self, row: usize, photo: &Record<'_>) {
        let row = row as u32;
        for word in path_words(photo) {
            push(&mut self.rows.entry(word.into()).or_default().paths, row);
        }
        for word in label_words(photo) {
            push(&mut self.rows.entry(word.into()).or_default().labels, row);
        }
    }
}

/// The words of a photo's path, folded.
pub(crate) fn path_words(photo: &Record<'_>) -> Vec<String> {
    let (stem, _) = photo.path.rsplit_once('.').unwrap_or((photo.path, ""));
    fold(stem)
}

/// The words of a photo's albums and tags, folded.
pub(crate) fn label_words(photo: &Record<'_>) -> Vec<String> {
    let names = photo.albums.iter().chain(&photo.tags);
    names.flat_map(|name| fold(name)).collect()
}

/// The words of a query that are looked up.
pub(crate) fn wanted(query: &str) -> Vec<String> {
    let mut wanted = fold(query);
    wanted.retain(|word| !IDLE.contains(&word.as_str()));
    wanted.dedup();
    wanted.truncate(MAX_WORDS);
    wanted
}

/// A word in more paths than this tells photos apart no more.
pub(crate) fn common(photos: usize) -> usize {
    (photos / COMMON_ONE_IN).max(COMMON_AT_LEAST)
}

/// A word that comes twice in a name has its row once.
fn push(rows: &mut Vec<u32>, row: u32) {
    if rows.last() != Some(&row) {
        rows.push(row);
    }
}

/// How much of a query is found in the names of each photo: (segment, row) ─▶ shares in [0, 1].
pub(super) fn look_up(
    query: &str,
    segments: &[&Words],
    photos: usize,
) -> HashMap<(usize, usize), Share> {
    let wanted = wanted(query);
    let common = common(photos);
    let in_paths = |word: &str| {
        let lengths = segments.iter().filter_map(|words| words.rows.get(word));
        lengths.map(|rows| rows.paths.len()).sum::<usize>()
    };
    let tells: Vec<bool> = wanted.iter().map(|word| in_paths(word) <= common).collect();
    let mut seen: HashMap<(usize, usize), [u64; 2]> = HashMap::new();
    for (at, word) in wanted.iter().enumerate() {
        for (segment, words) in segments.iter().enumerate() {
            let Some(rows) = words.rows.get(word.as_str()) else {
                continue;
            };
            let paths = rows.paths.iter().filter(|_| tells[at]);
            for &row in paths {
                seen.entry((segment, row as usize)).or_default()[0] |= 1 << at;
            }
            for &row in &rows.labels {
                seen.entry((segment, row as usize)).or_default()[1] |= 1 << at;
            }
        }
    }
    let share = |bits: u64| bits.count_ones() as f32 / wanted.len() as f32;
    seen.into_iter()
        .map(|(place, [paths, labels])| {
            let share = Share {
                names: share(paths | labels),
                labels: share(labels),
            };
            (place, share)
        })
        .collect()
}

/// How much of a query's words a photo's names have.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Share {
    /// In its path, its albums or its tags.
    pub names: f32,
    /// In its albums or tags alone.
    pub labels: f32,
}

impl Share {
    /// What the names are worth, in deviations of the query's cosines over the library: half of the
    /// words count a quarter, a tag more than a file's name.
    pub fn worth(self) -> f32 {
        (4.0 * self.names * self.names).max(6.0 * self.labels * self.labels)
    }
}

/// The words of a text, folded. Letters and digits are told apart: `IMG_1234` has two words, as has
/// `beach2019`.
fn fold(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let plain = text
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase);
    for c in plain {
        let joins = word
            .chars()
            .last()
            .is_none_or(|last| last.is_numeric() == c.is_numeric());
        if !c.is_alphanumeric() || !joins {
            finish(&mut words, &mut word);
        }
        if c.is_alphanumeric() {
            word.push(c);
        }
    }
    finish(&mut words, &mut word);
    words
}

fn finish(words: &mut Vec<String>, word: &mut String) {
    let is_plural = word.len() > 3 && word.ends_with('s') && !word.ends_with("ss");
    if is_plural {
        word.pop();
    }
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo<'a>(path: &'a str, tags: &[&'a str]) -> Record<'a> {
        Record {
            path,
            tags: tags.to_vec(),
            ..Record::default()
        }
    }

    #[test]
    fn words_are_folded() {
        assert_eq!(
            fold("Été/Dogs_IMG1234.b ß"),
            ["ete", "dog", "img", "1234", "b", "ß"]
        );
        assert_eq!(fold("glass bus"), ["glass", "bus"]);
        assert!(fold(" -/.").is_empty());
    }

    #[test]
    fn shares_are_of_the_words_that_say_something() {
        let photos = [
            photo("trips/a red car.jpg", &[]),
            photo("IMG_1.jpg", &["Car"]),
            photo("IMG_2.jpg", &[]),
        ];
        let words = Words::of(photos.into_iter());
        let found = look_up("a photo of red cars", &[&words], 3);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[&(0, 0)],
            Share {
                names: 1.0,
                labels: 0.0
            }
        );
        assert_eq!(
            found[&(0, 1)],
            Share {
                names: 0.5,
                labels: 0.5
            }
        );
        assert!(found[&(0, 0)].worth() > found[&(0, 1)].worth());
        assert!(look_up("a photo of the", &[&words], 3).is_empty());
    }

    #[test]
    fn a_word_of_most_paths_says_nothing_but_a_tag_does() {
        let paths: Vec<String> = (0..100).map(|i| format!("holiday/{i}.jpg")).collect();
        let tags = |i| if i == 7 { &["holiday"][..] } else { &[] };
        let photos = paths.iter().enumerate();
        let words = Words::of(photos.map(|(i, path)| photo(path, tags(i))));
        let found = look_up("holiday", &[&words], 100);
        assert_eq!(found.keys().collect::<Vec<_>>(), [&(0, 7)]);
    }
}
