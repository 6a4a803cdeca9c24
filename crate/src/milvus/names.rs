//! Words of a query in the names of photos, asked of a server.
//!
//! A photo is ranked by cosine + σ·w, where w grows with the words that its names have
//! ([`Share::worth`]). So of the photos that have a set S of words, only the nearest `depth` can be on the
//! page: any other one has that many before it, with as many words and a higher cosine. One search for
//! each set finds them all.

use super::expression::{has, joined};
use crate::error::{Error, Result};
use crate::library::Photo;
use crate::library::words::{self, Share};

/// Words that are in names, at most: 2ⁿ − 1 sets, twice.
const MOST_WORDS: usize = 5;

/// The words of a query that are in names.
#[derive(Debug, Default)]
pub(super) struct Names {
    wanted: Vec<Word>,
}

/// A word of the query, and how many photos have it in their names.
#[derive(Debug)]
struct Word {
    word: String,
    in_paths: usize,
    in_labels: usize,
    /// Whether it tells paths apart: not so many have it.
    tells: bool,
}

impl Names {
    /// The words to be counted: in the columns `path_words` and `label_words`.
    pub fn words(query: &str) -> Vec<String> {
        words::wanted(query)
    }

    /// Words with how many of all photos have them in their path, and in an album or a tag.
    pub fn new(counted: Vec<(String, [usize; 2])>, photos: usize) -> Self {
        let common = words::common(photos);
        let word = |(word, [in_paths, in_labels]): (String, [usize; 2])| Word {
            word,
            in_paths,
            in_labels,
            tells: in_paths <= common,
        };
        Self {
            wanted: counted.into_iter().map(word).collect(),
        }
    }

    /// Expressions that together hold of every photo whose names can bring it onto a page.
    ///
    /// # Errors
    /// [`Error::NotInMilvus`] when too many of the words are in names.
    pub fn sets(&self) -> Result<Vec<String>> {
        let in_names: Vec<String> = self.wanted.iter().filter_map(Word::in_names).collect();
        let in_labels: Vec<String> = self.wanted.iter().filter_map(Word::in_labels).collect();
        if in_names.len() > MOST_WORDS {
            return Err(Error::NotInMilvus {
                what: format!("{} words that are in names", in_names.len()),
                reason: format!("{MOST_WORDS} are looked up at most: say --no-names, or less"),
            });
        }
        let mut sets = subsets(&in_names);
        sets.extend(subsets(&in_labels));
        sets.sort();
        sets.dedup();
        Ok(sets)
    }

    /// What the names of a photo are worth, in deviations.
    pub fn worth(&self, photo: &Photo) -> f32 {
        let record = photo.record();
        let (in_path, in_labels) = (words::path_words(&record), words::label_words(&record));
        let (mut names, mut labels) = (0, 0);
        for of in &self.wanted {
            let labelled = in_labels.contains(&of.word);
            labels += usize::from(labelled);
            names += usize::from(labelled || (of.tells && in_path.contains(&of.word)));
        }
        let share = |count: usize| count as f32 / self.wanted.len().max(1) as f32;
        let share = Share {
            names: share(names),
            labels: share(labels),
        };
        share.worth()
    }
}

impl Word {
    fn in_names(&self) -> Option<String> {
        let path = (self.tells && self.in_paths > 0).then(|| has("path_words", &self.word));
        let all: Vec<String> = path.into_iter().chain(self.in_labels()).collect();
        (!all.is_empty()).then(|| joined(&all, " or ", ""))
    }

    fn in_labels(&self) -> Option<String> {
        (self.in_labels > 0).then(|| has("label_words", &self.word))
    }
}

/// All sets but the empty one, joined by `and`.
fn subsets(all: &[String]) -> Vec<String> {
    let chosen = |set: usize| -> Vec<String> {
        let of = all.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
        of.map(|(_, one)| one.clone()).collect()
    };
    (1..1usize << all.len())
        .map(|set| joined(&chosen(set), " and ", ""))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(counted: &[(&str, [usize; 2])]) -> Names {
        let counted = counted
            .iter()
            .map(|&(word, counts)| (word.to_owned(), counts));
        Names::new(counted.collect(), 100)
    }

    #[test]
    fn sets_are_of_the_words_that_are_there() {
        let names = names(&[("red", [3, 0]), ("car", [50, 2]), ("sky", [0, 0])]);
        let (red, car) = (
            r#"array_contains(path_words, "red")"#,
            r#"array_contains(label_words, "car")"#,
        );
        let want = [
            format!("({red}) and ({car})"),
            car.to_owned(),
            red.to_owned(),
        ];
        assert_eq!(names.sets().expect("few words"), want);
    }

    #[test]
    fn worth_is_the_librarys() {
        let names = names(&[("red", [3, 0]), ("car", [50, 2])]);
        let photo = |path: &str, tags: &[&str]| Photo {
            path: path.into(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            ..Photo::default()
        };
        // A word of too many paths says nothing there, and does in a tag.
        assert_eq!(names.worth(&photo("red car.jpg", &[])), 4.0 * 0.25);
        assert_eq!(names.worth(&photo("red.jpg", &["Car"])), 4.0);
        assert_eq!(names.worth(&photo("x.jpg", &["red cars"])), 6.0);
        assert_eq!(names.worth(&photo("x.jpg", &[])), 0.0);
    }

    #[test]
    fn too_many_words_are_told() {
        let many: Vec<(String, [usize; 2])> = (0..6).map(|i| (format!("w{i}"), [1, 0])).collect();
        let error = Names::new(many, 100).sets().expect_err("too many");
        assert_eq!(error.code(), "not_in_milvus");
    }
}
