"""Stage 6: how well a model folder finds photos.

    python evaluate.py MODEL --merges FILE --photos DIR [--held-out OUT] [--teacher TFLITE]
                       [--features TFLITE] [--queries FILE] [--worst N]

- `--photos`: DIR/labels.tsv (file, WordNet id, label) and DIR/images: "a photo of a LABEL" finds the
  photo of that label, recall@1, 5 and 10.
- `--held-out`: the validation rows of `photos.json`: captions find their photo among 100 (recall@1, 5
  and 10), "a photo of a LABEL" finds the label's photos, five of each, and photos find photos of the
  same label (precision@5).
- `--teacher`: the same for ConSE, i. e. the ImageNet teacher's ten likeliest classes as a weighted mean
  of label embeddings, with the sentence encoder for the words.
- `--features`: image→image for a MobileNet's features (an embedding extractor).
- `--queries`: one query a line; prints a Markdown table of the five best photos' labels for each.
"""
import argparse
import csv
import json
import pathlib

import numpy as np
from PIL import Image

from bpe import Tokenizer
from photos import Pixels

CAPTIONED = 100  # photos that a caption is searched in
SOURCES = {"caltech101": 10, "imagenette": 20, "clothing": 10, "instruments": 10, "mini": 6}  # photos a label, for precision@5


def normalise(x):
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)


def centre_crop(image, size):
    """Short side to `size` (bicubic), then the centre."""
    scale = size / min(image.size)
    w, h = (max(size, round(n * scale)) for n in image.size)
    left, top = (w - size) // 2, (h - size) // 2
    return np.asarray(image.resize((w, h), Image.BICUBIC).crop((left, top, left + size, top + size)))


class Model:
    """A model folder, by its manifest."""

    def __init__(self, folder, merges):
        import onnxruntime

        self.told = told = json.loads((folder / "manifest.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        run = lambda part: onnxruntime.InferenceSession(str(folder / told[part]["file"]), options, ["CPUExecutionProvider"])
        self.sees, self.reads = run("image"), run("text")
        self.tokenizer = Tokenizer(merges, told["text"]["tokenizer"]["vocab_size"])

    def images(self, pictures):
        told = self.told["image"]
        out = []
        for picture in pictures:
            x = (centre_crop(picture, told["size"]) / 255 - told["mean"]) / told["std"]
            x = x.transpose(2, 0, 1)[None].astype(np.float32)
            out.append(self.sees.run([told["output"]], {told["input"]: x})[0][0])
        return normalise(np.array(out))

    def texts(self, sentences):
        told = self.told["text"]
        rows = np.array([self.tokenizer.encode(s, told["context_length"]) for s in sentences], np.int64)
        return normalise(np.array([self.reads.run([told["output"]], {told["input"]: row[None]})[0][0] for row in rows]))


class Features:
    """What a classifier without its last layer sees (image→image only)."""

    def __init__(self, tflite):
        from teacher import Teacher

        self.net = Teacher(str(tflite))

    def images(self, pictures):
        return normalise(np.array([self.net.raw(centre_crop(picture, 224)) for picture in pictures]))


class Conse:
    """The teacher and the sentence encoder with nothing trained (Norouzi et al. 2014)."""

    def __init__(self, path, space):
        from teacher import Teacher

        assert space.exists(), f"{space} is not there: ConSE needs the sentence encoder's space, which text.py makes"
        self.net, self.space = Teacher(str(path)), np.load(space)

    def images(self, pictures):
        out = []
        for picture in pictures:
            p = self.net(centre_crop(picture, 224))[1:]
            top = np.argsort(-p)[:10]
            out.append(p[top] @ self.space["labels"][top])
        return normalise(np.array(out))

    def texts(self, sentences):
        from text import project, teach

        return project(teach(list(sentences)), self.space["mean"], self.space["axes"])


def recall(queries, photos, wanted):
    """Shares of the queries whose photo is among the first 1, 5 and 10, and every query's rank."""
    scores = queries @ photos.T
    rank = (scores > scores[np.arange(len(wanted)), wanted][:, None]).sum(1)
    return [float((rank < k).mean()) for k in (1, 5, 10)], rank


def precision_at_5(photos, labels):
    """Of photos: the mean share of the same label among the five nearest others."""
    scores = photos @ photos.T
    np.fill_diagonal(scores, -2)
    best = np.argsort(-scores, axis=1)[:, :5]
    return float((labels[best] == labels[:, None]).mean())


def five_of_each(labels):
    """Which photos are of the first five of their label; labels with fewer have none."""
    groups = [np.flatnonzero(labels == label)[:5] for label in dict.fromkeys(labels)]
    return np.concatenate([at for at in groups if len(at) == 5])


def labels_precision_at_5(model, photos, labels):
    """Of words: the mean share of a label's own photos among the five nearest to "a photo of a LABEL"."""
    asked = list(dict.fromkeys(labels))
    best = np.argsort(-(model.texts([f"a photo of a {label}" for label in asked]) @ photos.T), axis=1)[:, :5]
    return float((labels[best] == np.array(asked)[:, None]).mean())


def labelled(folder):
    rows = list(csv.DictReader(open(folder / "labels.tsv"), delimiter="\t"))
    return [Image.open(folder / "images" / row["file"]).convert("RGB") for row in rows], [row["label"] for row in rows]


def held_out(out):
    """({set name: (photos, captions)}, {source: (photos, labels)})"""
    rows = json.load(open(out / "photos.json"))
    store = Pixels(out, rows)
    held = [(i, row) for i, row in enumerate(rows) if row["validation"] and row["texts"]]
    picture = lambda i: Image.fromarray(store[i])
    captioned = {}
    for source in ("coco", "flickr"):
        some = [(i, row["texts"][0]) for i, row in held if row["source"] == source][:CAPTIONED]
        captioned[source] = [picture(i) for i, _ in some], [t for _, t in some]
    classes = {}
    for source, most in SOURCES.items():
        groups = {}
        for i, row in held:
            if row["source"] == source:
                groups.setdefault(row["texts"][0], []).append(i)
        groups = {label: at[:most] for label, at in groups.items() if len(at) >= 6}
        classes[source] = ([picture(i) for at in groups.values() for i in at],
                           np.array([label for label, at in groups.items() for _ in at]))
    return captioned, classes


def three(figures):
    return " / ".join(f"{100 * f:.1f}" for f in figures) + " %"


def find_by_words(model, args, captioned):
    pictures, labels = labelled(args.photos)
    photos = model.images(pictures)
    figures, rank = recall(model.texts([f"a photo of a {label}" for label in labels]), photos, np.arange(len(labels)))
    print(f"text→image, {len(labels)} labels over {len(labels)} photos: recall@1/5/10 {three(figures)}, median rank {np.median(rank) + 1:.0f}")
    if args.worst:
        worst = np.argsort(-rank)[:args.worst]
        print("worst labels (rank): " + ", ".join(f"{labels[i]} ({rank[i] + 1})" for i in worst))
    for source, (pictures, captions) in captioned.items():
        if captions:
            figures, _ = recall(model.texts(captions), model.images(pictures), np.arange(len(captions)))
            print(f"caption→image, {source}, {len(captions)} unseen photos: recall@1/5/10 {three(figures)}")
    return photos, labels


def report(name, model, args, queries=None):
    print(f"## {name}")
    captioned, classes = held_out(args.held_out) if args.held_out else ({}, {})
    if hasattr(model, "texts"):
        photos, labels = find_by_words(model, args, captioned)
    for source, (pictures, names) in classes.items():
        if len(names):
            vectors = model.images(pictures)
            print(f"image→image, {source}, {len(names)} unseen photos of {len(set(names))} labels: "
                  f"precision@5 {precision_at_5(vectors, names):.3f}")
            if hasattr(model, "texts"):
                five = five_of_each(names)
                print(f"text→image, {source}, {len(five)} of them, five a label: "
                      f"precision@5 {labels_precision_at_5(model, vectors[five], names[five]):.3f}")
    if queries:
        sentences = [line.strip() for line in open(queries) if line.strip()]
        print("\n| query | first five of the photos, by their labels |\n|---|---|")
        for sentence, scores in zip(sentences, model.texts(sentences) @ photos.T):
            print(f"| {sentence} | " + ", ".join(labels[i] for i in np.argsort(-scores)[:5]) + " |")
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--merges", required=True)
    parser.add_argument("--photos", type=pathlib.Path, required=True)
    parser.add_argument("--held-out", type=pathlib.Path)
    parser.add_argument("--teacher", type=pathlib.Path)
    parser.add_argument("--features", type=pathlib.Path)
    parser.add_argument("--queries", type=pathlib.Path)
    parser.add_argument("--worst", type=int, default=0)
    args = parser.parse_args()
    report(args.model.name, Model(args.model, args.merges), args, args.queries)
    if args.teacher:
        report("ConSE, the teacher untrained", Conse(args.teacher, args.held_out / "sentences.npz"), args)
    if args.features:
        report("the features of a MobileNet", Features(args.features), args)


if __name__ == "__main__":
    main()
