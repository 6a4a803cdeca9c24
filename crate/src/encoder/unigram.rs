//! Words → ids: SentencePiece's unigram model (Kudo 2018), as SigLIP uses it.
//!
//! ```text
//! text ─ lower case, no ASCII punctuation, single spaces ─ nmt_nfkc ─ words ─▶ "▁word"
//! "▁word" ─ of all ways to cut it into pieces the one with the greatest Σ score (Viterbi) ─▶ ids
//! ```

use std::collections::HashMap;

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

/// Stands for the space before a word.
const SPACE: char = '\u{2581}';
/// The piece that ends a text.
const END: &str = "</s>";
/// How much less than the least piece's score an unknown character has.
const UNKNOWN_PENALTY: f64 = 10.0;

/// The pieces with their scores (logarithms of probabilities).
pub(super) struct Unigram {
    pieces: HashMap<Box<str>, (u16, f64)>,
    /// The longest piece, in characters.
    longest: usize,
    unknown: (u16, f64),
    end: u16,
}

#[derive(Deserialize)]
struct File {
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    unk_id: Option<u16>,
    vocab: Vec<(String, f64)>,
}

impl Unigram {
    /// From the `tokenizer.json` of Hugging Face's tokenizers; its normaliser is not read, it is SigLIP's.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn parse(json: &[u8], vocab_size: u16) -> Result<Self, String> {
        let File { model } = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if model.kind.as_deref().is_some_and(|kind| kind != "Unigram") {
            return Err(format!("a {:?} model, not Unigram", model.kind));
        }
        if model.vocab.len() != usize::from(vocab_size) {
            let found = model.vocab.len();
            return Err(format!("{found} pieces, the manifest says {vocab_size}"));
        }
        if let Some((piece, _)) = model.vocab.iter().find(|(_, score)| !score.is_finite()) {
            return Err(format!("the score of {piece:?} is no number"));
        }
        let unknown = model.unk_id.filter(|id| *id < vocab_size);
        let unknown = unknown.ok_or("no unk_id among the pieces")?;
        let end = (0u16..)
            .zip(&model.vocab)
            .find(|(_, (piece, _))| piece == END);
        let (end, _) = end.ok_or("no piece </s>")?;
        let least = model.vocab.iter().map(|(_, score)| *score);
        let least = least.fold(f64::INFINITY, f64::min);
        // What stands for no text is never found in one.
        let written = |piece: &str| !(piece.starts_with('<') && piece.ends_with('>'));
        let numbered = (0u16..).zip(model.vocab);
        let pieces: HashMap<Box<str>, (u16, f64)> = numbered
            .filter(|(id, (piece, _))| *id != unknown && !piece.is_empty() && written(piece))
            .map(|(id, (piece, score))| (piece.into(), (id, score)))
            .collect();
        Ok(Self {
            longest: pieces
                .keys()
                .map(|piece| piece.chars().count())
                .max()
                .unwrap_or(0),
            pieces,
            unknown: (unknown, least - UNKNOWN_PENALTY),
            end,
        })
    }

    /// The id that ends a text.
    pub(super) fn end(&self) -> u16 {
        self.end
    }

    /// The ids of a text of words, without the end.
    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u16>) {
        for word in canonical(text).split(' ').filter(|word| !word.is_empty()) {
            self.encode_word(&format!("{SPACE}{word}"), ids);
        }
    }

    fn encode_word(&self, word: &str, ids: &mut Vec<u16>) {
        let ends = word.char_indices().map(|(at, c)| at + c.len_utf8());
        let bounds: Vec<usize> = std::iter::once(0).chain(ends).collect();
        // The best way to each character: (score, the piece's first character, its id).
        let mut best = vec![(0.0, 0, 0)];
        for end in 1..bounds.len() {
            let (id, score) = self.unknown;
            let mut found: (f64, usize, u16) = (best[end - 1].0 + score, end - 1, id);
            for start in end.saturating_sub(self.longest)..end {
                if let Some((id, score)) = self.pieces.get(&word[bounds[start]..bounds[end]])
                    && best[start].0 + score > found.0
                {
                    found = (best[start].0 + score, start, *id);
                }
            }
            best.push(found);
        }
        let (mut at, first) = (bounds.len() - 1, ids.len());
        while at > 0 {
            let (_, start, id) = best[at];
            // A run of unknown characters is one unknown piece.
            if id != self.unknown.0 || ids[first..].last() != Some(&id) {
                ids.push(id);
            }
            at = start;
        }
        ids[first..].reverse();
    }
}

/// A text as SigLIP cleans it, then as SentencePiece's rule `nmt_nfkc` does.
fn canonical(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.chars().filter(|c| !c.is_ascii_punctuation());
    words.filter_map(nmt).nfkc().collect()
}

/// What the rule has beside NFKC: spaces of many kinds are one kind, control characters are dropped.
fn nmt(c: char) -> Option<char> {
    match c {
        '\t' | '\n' | '\u{c}' | '\r' | '\u{1680}' | '\u{200b}' | '\u{200e}' | '\u{200f}' => {
            Some(' ')
        }
        '\u{2028}' | '\u{2029}' | SPACE | '\u{feff}' | '\u{fffd}' => Some(' '),
        '\u{7f}' | '\u{8f}' | '\u{9f}' => None,
        c if c < ' ' => None,
        c if c.is_whitespace() => Some(' '),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(vocab: serde_json::Value, size: u16) -> Result<Unigram, String> {
        let json = serde_json::json!({"model": {"type": "Unigram", "unk_id": 0, "vocab": vocab}});
        Unigram::parse(json.to_string().as_bytes(), size)
    }

    fn ids(text: &str) -> Vec<u16> {
        let vocab = serde_json::json!([
            ["<unk>", 0.0],
            ["</s>", 0.0],
            ["\u{2581}", -3.0],
            ["\u{2581}dog", -2.0],
            ["s", -1.0],
            ["\u{2581}do", -1.0],
            ["gs", -1.5],
            ["g", -4.0]
        ]);
        let mut ids = Vec::new();
        parse(vocab, 8).expect("sound").encode(text, &mut ids);
        ids
    }

    #[test]
    fn the_likeliest_pieces_are_taken() {
        assert_eq!(ids("dog"), [3]);
        assert_eq!(ids("dogs"), [5, 6]);
        assert_eq!(ids(" Dog's,\tDOG! -- "), [5, 6, 3]);
    }

    #[test]
    fn what_is_unknown_is_one_piece_and_special_pieces_are_not_in_texts() {
        assert_eq!(ids("\u{1f436}\u{1f431}s"), [2, 0, 4]);
        assert_eq!(ids("\u{ff1c}/s\u{ff1e}"), [2, 0, 4, 0]);
        assert!(ids("").is_empty());
    }

    #[test]
    fn broken_vocabularies_are_refused() {
        let sound = serde_json::json!([["<unk>", 0.0], ["</s>", 0.0]]);
        assert!(parse(sound.clone(), 2).is_ok());
        assert!(parse(sound, 3).is_err_and(|reason| reason.contains("2 pieces")));
        let endless = parse(serde_json::json!([["<unk>", 0.0]]), 1);
        assert!(endless.is_err_and(|reason| reason.contains("</s>")));
        let bpe = Unigram::parse(br#"{"model":{"type":"BPE","vocab":[]}}"#, 0);
        assert!(bpe.is_err_and(|reason| reason.contains("BPE")));
    }
}
