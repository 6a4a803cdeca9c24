//! Words → ids: CLIP's byte-pair encoding, by `instant-clip-tokenizer`, or SigLIP's pieces.

use instant_clip_tokenizer::{Token, Tokenizer as Bpe};
use unicode_normalization::UnicodeNormalization;

use super::TokenizerEntry;
use super::unigram::Unigram;
use crate::error::{Error, Result};

/// Turns a text into a fixed number of ids: start (CLIP's alone), tokens, end, padding.
pub struct Tokenizer {
    vocabulary: Vocabulary,
    context_length: usize,
    pad_id: i64,
}

enum Vocabulary {
    /// `clip-bpe`
    Bpe(Box<Bpe>),
    /// `siglip-unigram`
    Unigram(Unigram),
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Tokenizer({} ids, padded with {})",
            self.context_length, self.pad_id
        )
    }
}

impl Tokenizer {
    /// For `clip-bpe` from the merges in CLIP's own format (a header line, then one merge a line), or from
    /// the `tokenizer.json` of Hugging Face's tokenizers when the file's name ends so; for
    /// `siglip-unigram` from a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Vocabulary`] when the file is broken, or has another number of ids.
    pub fn new(
        entry: &TokenizerEntry,
        file: &[u8],
        context_length: usize,
        pad_id: i64,
    ) -> Result<Self> {
        let vocabulary = if entry.kind == "siglip-unigram" {
            Unigram::parse(file, entry.vocab_size)
                .map(Vocabulary::Unigram)
                .map_err(|reason| std::io::Error::new(std::io::ErrorKind::InvalidData, reason))
        } else {
            bpe(entry, file).map(|bpe| Vocabulary::Bpe(Box::new(bpe)))
        };
        let broken = |source| Error::Vocabulary {
            file: entry.file.clone(),
            source,
        };
        Ok(Self {
            vocabulary: vocabulary.map_err(broken)?,
            context_length,
            pad_id,
        })
    }

    /// `[context_length]` ids. A longer text is cut; the end stays.
    pub fn ids(&self, text: &str) -> Vec<i64> {
        let short = first_words(text, 4 * self.context_length);
        let (mut ids, end) = match &self.vocabulary {
            Vocabulary::Bpe(bpe) => {
                let mut tokens = vec![bpe.start_of_text()];
                bpe.encode(&clean(&short), &mut tokens);
                let ids: Vec<u16> = tokens.into_iter().map(Token::to_u16).collect();
                (ids, bpe.end_of_text().to_u16())
            }
            Vocabulary::Unigram(unigram) => {
                let mut ids = Vec::new();
                unigram.encode(&short, &mut ids);
                (ids, unigram.end())
            }
        };
        ids.truncate(self.context_length - 1);
        ids.push(end);
        let mut ids: Vec<i64> = ids.into_iter().map(i64::from).collect();
        ids.resize(self.context_length, self.pad_id);
        ids
    }
}

fn bpe(entry: &TokenizerEntry, file: &[u8]) -> std::io::Result<Bpe> {
    let listed;
    let merges = if entry.file.ends_with(".json") {
        listed = merges_of_json(file)?;
        listed.as_bytes()
    } else {
        file
    };
    let bpe = Bpe::with_vocabulary(merges, entry.vocab_size)?;
    let found = bpe.end_of_text().to_u16() + 1;
    if found != entry.vocab_size {
        let short = format!("{found} ids, the manifest says {}", entry.vocab_size);
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, short));
    }
    Ok(bpe)
}

/// The merges of a `tokenizer.json` in CLIP's own format.
fn merges_of_json(json: &[u8]) -> serde_json::Result<String> {
    #[derive(serde::Deserialize)]
    struct File {
        model: Model,
    }
    #[derive(serde::Deserialize)]
    struct Model {
        merges: Vec<Merge>,
    }
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Merge {
        Joined(String),
        Pair(String, String),
    }
    let file: File = serde_json::from_slice(json)?;
    let mut lines = String::from("#version: 0.2\n");
    for merge in file.model.merges {
        match merge {
            Merge::Joined(pair) => lines.push_str(&pair),
            Merge::Pair(left, right) => lines.extend([left.as_str(), " ", right.as_str()]),
        }
        lines.push('\n');
    }
    Ok(lines)
}

/// Only the first words are looked at, since a token is at least a character and the rest is cut
/// anyway: encoding is quadratic in a word's length, and a text is somebody's input.
fn first_words(text: &str, most_words: usize) -> String {
    const LONGEST_WORD: usize = 256;
    let words = text.split_whitespace().take(most_words).map(|word| {
        let end = word
            .char_indices()
            .nth(LONGEST_WORD)
            .map_or(word.len(), |(at, _)| at);
        &word[..end]
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A text as CLIP's own tokenizer cleans it: HTML entities twice, then what ftfy mends in texts of
/// people (quotes, ligatures, full-width letters, composed letters, byte-order marks). Text that was
/// decoded wrongly is not mended. The special tokens' names are taken apart, so that a text cannot end
/// itself.
fn clean(text: &str) -> String {
    let once = html_escape::decode_html_entities(text);
    let twice = html_escape::decode_html_entities(&once);
    let mended: String = twice.chars().flat_map(mend).nfc().collect();
    mended
        .replace("<start_of_text>", "start of text")
        .replace("<end_of_text>", "end of text")
}

/// One character as ftfy leaves it.
fn mend(c: char) -> impl Iterator<Item = char> {
    let plain = match c {
        '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        c => c,
    };
    let compatible = matches!(c, '\u{fb00}'..='\u{fb06}' | '\u{ff01}'..='\u{ff5e}' | '\u{3000}');
    let dropped = c == '\u{feff}';
    let nfkc = compatible
        .then(|| std::iter::once(c).nfkc())
        .into_iter()
        .flatten();
    let same = (!compatible && !dropped).then_some(plain);
    nfkc.chain(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer(merges: &str, vocab_size: u16) -> Result<Tokenizer> {
        let entry = TokenizerEntry {
            kind: "clip-bpe".into(),
            vocab_size,
            file: "merges.txt".into(),
        };
        Tokenizer::new(&entry, merges.as_bytes(), 6, 999)
    }

    #[test]
    fn starts_ends_cuts_and_pads() {
        let tokenizer = tokenizer("#version\nc a\nca t</w>\n", 516).expect("sound");
        assert_eq!(tokenizer.ids("Cat"), [514, 513, 515, 999, 999, 999]);
        assert_eq!(tokenizer.ids(""), [514, 515, 999, 999, 999, 999]);
        assert_eq!(
            tokenizer.ids("cat cat cat cat cat cat"),
            [514, 513, 513, 513, 513, 515]
        );
        assert_eq!(tokenizer.ids(&"x".repeat(100_000)).len(), 6);
    }

    #[test]
    fn broken_merges_are_refused() {
        for (merges, size) in [
            ("#version\nc a\n", 516),
            ("#version\nonly-one\n", 515),
            ("", 516),
        ] {
            assert_eq!(
                tokenizer(merges, size).expect_err("broken").code(),
                "vocabulary"
            );
        }
    }
}
