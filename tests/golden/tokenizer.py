"""Odd strings and the ids that CLIP's own tokenizer gives them, for `tests/encoder.rs`.

    python tokenizer.py REFERENCE MERGES VOCABULARY_SIZE OUT.json [OUT-MERGES.txt]

REFERENCE is openai/CLIP's simple_tokenizer.py (it needs ftfy and regex); MERGES the merges to use, plain
or gzipped; OUT-MERGES gets them plain.
"""
import gzip
import importlib.util
import json
import random
import shutil
import sys
import tempfile

ODD = [
    "", " ", "\n\t", "a", "A", "dog", "Dog", "DOG", "a photo of a dog", "a photo of a dog.", "cat's", "cats'", "it's we're I've I'll I'd",
    "don't", "rock'n'roll", "e-mail", "semi-detached", "100", "3.14", "1,000,000", "2019-07-04", "5x5", "x2", "№5", "½", "²", "1st 2nd",
    "!", "!!!", "?!", "...", "…", "—", "a — b", "a-b", "--", "#hashtag", "@user", "$100", "100%", "50 €", "£5", "¥", "©2020", "™", "§", "¶",
    "&amp;", "&amp;amp;", "&lt;b&gt;", "&quot;hi&quot;", "&#39;", "&nbsp;", "<b>bold</b>", "a & b", "a&b", "R&D", "C++", "C#", "f(x)=y^2", "a/b", "\\n",
    "[1]", "{x}", "|", "~", "`code`", "_under_score_", "snake_case", "camelCase", "*", "**bold**", "+1", "=", "<3", ":-)", ":)", "^_^",
    "café", "naïve", "São Paulo", "Zürich", "Ærøskøbing", "Łódź", "İstanbul", "STRASSE", "Straße", "façade", "coöperate", "piñata", "Ångström",
    "Москва", "собака на пляже", "Ελλάδα", "Ω", "שלום", "سلام", "नमस्ते", "สวัสดี", "你好", "東京タワー", "バナナ", "개", "바닷가의 개", "한국어",
    "🐶", "🐶🐱", "👨‍👩‍👧", "🇰🇷", "❤️", "dog🐶", "🏖 beach", "👍🏽", "a🙂b", "😀 😃", "✓", "→", "★★★", "♫", "☃",
    "tab\tseparated", "line\nbreak", "  many   spaces  ", "trailing ", " leading", "a\u00a0b", "a\u200bb", "soft\u00adhyphen", "\ufeffbom",
    "“curly”", "‘single’", "it’s", "don’t", "‹x›", "«x»", "„x“", "x′", "x″", "ﬁsh", "ﬂower", "ｆｕｌｌ", "①", "ℵ", "ＡＢＣ",
    "<|startoftext|>"[1:-1], "start of text", "endoftext", "pneumonoultramicroscopicsilicovolcanoconiosis", "aaaaaaaaaaaaaaaaaaaa", "zzz", "qwrtp",
    "xX_x", "iPhone 15 Pro", "IMG_1234.JPG", "DSC00001", "photo (1)", "f/2.8 1/500s ISO100", "4K@60fps", "mp3", "10:30am", "24/7", "Wi-Fi", "U.S.A.",
    "Mr. Smith's dog", "O'Neill", "rock & roll", "jack-o'-lantern", "hen-of-the-woods", "golden retriever", "a golden retriever puppy on the beach at sunset",
    "two people walking", "beach - people", "red car, blue sky", "snow-capped mountains", "black & white", "close-up of a flower", "birthday party 2019",
    "my cat sleeping on the sofa", "Eiffel Tower at night", "sushi", "ramen", "kimchi", "crème brûlée", "jalapeño", "tiramisù", "smörgåsbord", "déjà vu",
    "one two three four five six seven eight nine ten " * 12, "word " * 100, "é" * 50, "中" * 60, "!" * 100, "a" * 200,
]


def open_merges(path):
    return (gzip.open if path.endswith(".gz") else open)(path, "rb")


def load(reference, merges):
    packed = tempfile.NamedTemporaryFile(suffix=".gz")
    with open_merges(merges) as plain, gzip.open(packed.name, "wb") as out:
        out.write(plain.read().rstrip(b"\n"))
    script = tempfile.NamedTemporaryFile(suffix=".py")
    shutil.copy(reference, script.name)
    spec = importlib.util.spec_from_file_location("reference", script.name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SimpleTokenizer(packed.name)


def main():
    reference, merges, size, out, *plain = sys.argv[1:]
    tokenizer = load(reference, merges)
    random.seed(0)
    words = "dog cat beach sunset snow café 🐶 it's 3 — red-haired photo of the a in Paris 2019 !".split()
    texts = ODD + [" ".join(random.choices(words, k=random.randint(2, 12))) for _ in range(max(0, 210 - len(ODD)))]
    cases = []
    for text in texts:
        ids = [tokenizer.encoder["<|startoftext|>"], *tokenizer.encode(text)][:76] + [tokenizer.encoder["<|endoftext|>"]]
        cases.append({"text": text, "ids": ids + [0] * (77 - len(ids))})
    assert tokenizer.encoder["<|endoftext|>"] == int(size) - 1
    rows = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    with open(out, "w") as file:
        print(f'{{"vocab_size":{size},"cases":[\n{rows}\n]}}', file=file)
    for path in plain:
        with open_merges(merges) as packed, open(path, "wb") as file:
            shutil.copyfileobj(packed, file)


if __name__ == "__main__":
    main()
