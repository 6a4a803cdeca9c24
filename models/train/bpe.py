"""CLIP's byte-pair encoding over the first merges of its vocabulary.

Agrees with the crate `instant-clip-tokenizer`, `Tokenizer::with_vocabulary(merges, size)`: 256 bytes,
256 bytes that end a word, then one token a merge in rank order, then start and end of text.
"""
import functools
import html
import re

WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE)


def byte_order():
    first = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return first + [b for b in range(256) if b not in set(first)]


class Tokenizer:
    def __init__(self, merges_path, size):
        order = byte_order()
        self.byte = {b: i for i, b in enumerate(order)}
        chars = [chr(b) if i < 188 else chr(256 + i - 188) for i, b in enumerate(order)]
        ids = {c: i for i, c in enumerate(chars)} | {c + "</w>": i + 256 for i, c in enumerate(chars)}
        self.rank = {}
        lines = open(merges_path, encoding="utf-8").read().split("\n")[1:size - 514 + 1]
        for line in lines:
            a, b = line.split()
            self.rank[ids[a], ids[b]] = ids[a + b] = 512 + len(self.rank)
        self.start = 512 + len(self.rank)
        self.end = self.start + 1
        assert self.end + 1 == size, (self.end, size)

    @functools.lru_cache(maxsize=200_000)
    def word(self, text):
        tokens = [self.byte[b] for b in text.encode()]
        tokens[-1] += 256
        while len(tokens) > 1:
            pairs = [(self.rank.get(p, 1 << 30), p) for p in zip(tokens, tokens[1:])]
            best, pair = min(pairs)
            if best == 1 << 30:
                break
            out, i = [], 0
            while i < len(tokens):
                if tuple(tokens[i:i + 2]) == pair:
                    out.append(best)
                    i += 2
                else:
                    out.append(tokens[i])
                    i += 1
            tokens = out
        return tokens

    def encode(self, text, context):
        """[start] tokens [end], padded with `size` (an id of its own) to the context's length."""
        text = html.unescape(html.unescape(text)).lower()
        tokens = [t for w in WORDS.findall(text) for t in self.word(w)][:context - 2]
        row = [self.start, *tokens, self.end]
        return row + [self.end + 1] * (context - len(row))
