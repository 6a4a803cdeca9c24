"""A small unigram vocabulary, odd strings, and the ids that SentencePiece gives them, for `tests/encoder.rs`.

    python unigram.py OUT.json

The vocabulary is trained here, on the project's own READMEs, with the normaliser (`nmt_nfkc`) and the special
pieces of SigLIP's; a text is cleaned before as `transformers`' SiglipTokenizer does: lower case, no ASCII
punctuation, single spaces. OUT has the `model` of a `tokenizer.json` and the cases, of 64 ids each. The same
vocabulary in Hugging Face's `tokenizers` has to give the same ids. Needs sentencepiece and tokenizers.
"""
import io
import json
import pathlib
import random
import re
import string
import sys

import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers

from tokenizer import ODD

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTEXT, SIZE = 64, 700


def canonical(text):
    text = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\s+", " ", text).strip()


def train():
    lines = [canonical(line) for name in ("README.md", "models/README.md") for line in open(ROOT / name, encoding="utf-8")]
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for line in lines if line), model_writer=trained, vocab_size=SIZE,
        model_type="unigram", normalization_rule_name="nmt_nfkc", pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        num_threads=1, minloglevel=2)
    return sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())


def main():
    pieces = train()
    vocab = [[pieces.id_to_piece(i), pieces.get_score(i)] for i in range(len(pieces))]
    other = Tokenizer(models.Unigram([(piece, score) for piece, score in vocab], unk_id=2, byte_fallback=False))
    other.pre_tokenizer = pre_tokenizers.Metaspace()
    random.seed(0)
    words = "dog cat beach sunset snow café 🐶 it's 3 — red-haired photo of the a in Paris 2019 model ！ ﬁsh".split()
    texts = ODD + [" ".join(random.choices(words, k=random.randint(2, 12))) for _ in range(40)]
    cases = []
    for text in texts:
        clean = canonical(text)
        ids = pieces.encode(clean)
        if clean.isascii() and clean.isprintable():
            assert other.encode(clean).ids == ids, (text, ids, other.encode(clean).ids)
        ids = ids[:CONTEXT - 1] + [1]
        cases.append({"text": text, "ids": ids + [1] * (CONTEXT - len(ids))})
    rows = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    model = json.dumps({"type": "Unigram", "unk_id": 2, "vocab": vocab}, ensure_ascii=False, separators=(",", ":"))
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        print(f'{{"vocab_size":{len(pieces)},"model":{model},\n"cases":[\n{rows}\n]}}', file=file)


if __name__ == "__main__":
    main()
