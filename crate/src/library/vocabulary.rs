//! Usual words: names for clusters, and what a query is measured against.
//!
//! A model's cosines have no zero: a query that nothing fits has a best photo too, at a cosine that
//! differs from query to query and from photo to photo. What can be asked is whether the best photo fits
//! the query better than it fits usual words: (cos(photo, query) − μ) / σ, with μ and σ over the cosines
//! of that photo and the vocabulary. The cosine itself, the deviation of the best hit among the query's
//! cosines over the library, and the gap to the hits after it were measured to tell less.

use super::{Library, ModelRef, Verdict};
use crate::error::Result;

const VOCABULARY: &str = include_str!("vocabulary.txt");
/// From here on the best photo is said to be likely to fit: about one query in fifteen that has photos falls
/// below with the model that ships. The README has the whole curve.
const LIKELY_DEVIATIONS: f32 = 3.0;
/// Fewer words say nothing of what is usual.
const MIN_WORDS: usize = 20;

/// A word with its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// As it is told.
    pub word: String,
    /// The unit vector of [`photo_of`] it.
    pub vector: Vec<f32>,
}

/// Words that name most of what is photographed.
pub fn vocabulary() -> impl Iterator<Item = &'static str> {
    VOCABULARY.lines()
}

/// What the text tower is asked for a word of the vocabulary.
pub fn photo_of(word: &str) -> String {
    format!("a photo of {word}")
}

impl Library {
    /// Gives the library the vectors of usual words, by the text tower of its model: clusters get names
    /// then, and searches a verdict. They are not stored.
    ///
    /// # Errors
    /// [`Error::Dimension`](crate::Error::Dimension) or [`Error::NoDirection`](crate::Error::NoDirection)
    /// for a vector that cannot be one of the model's.
    pub fn set_vocabulary(&mut self, words: Vec<Word>) -> Result<()> {
        check(&self.model, &words)?;
        self.vocabulary = words;
        Ok(())
    }
}

/// Asks that the words' vectors can be the model's.
pub(super) fn check(model: &ModelRef, words: &[Word]) -> Result<()> {
    words.iter().try_for_each(|word| model.check(&word.vector))
}

/// How much better the best photo fits the query than usual words fit it; `None` where there are too few
/// words to tell.
pub(crate) fn judge(vocabulary: &[Word], photo: &[f32], score: f32) -> Option<Verdict> {
    if vocabulary.len() < MIN_WORDS {
        return None;
    }
    let cosine = |word: &Word| -> f64 {
        let products = word.vector.iter().zip(photo);
        products.map(|(x, y)| f64::from(x * y)).sum()
    };
    let cosines: Vec<f64> = vocabulary.iter().map(cosine).collect();
    let count = cosines.len() as f64;
    let mean = cosines.iter().sum::<f64>() / count;
    let variance = cosines.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let deviations = ((f64::from(score) - mean) / variance.sqrt().max(1e-6)) as f32;
    Some(Verdict {
        likely: deviations >= LIKELY_DEVIATIONS,
        deviations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_has_each_word_once() {
        let mut words: Vec<&str> = vocabulary().collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert!(count == words.len() && count > 150);
        assert!(
            words
                .iter()
                .all(|word| word.trim() == *word && !word.is_empty())
        );
    }
}
