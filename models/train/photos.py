"""Stage 1: decode the training photos once, to small uint8 arrays.

    python photos.py RAW OUT --evaluation DIR

RAW holds one folder for each source, as fetched; OUT gets `photos-SIDE.npy` [N, SIDE, SIDE, 3] for each
SIDE and `photos.json`, a row a photo: source, texts (label sentences or captions), where it lies (store,
at), and whether it is kept for validation. When `photos.json` is there already, only the sources that it
has not are read: their photos go to stores of their own, and their rows to the end, so that what later
stages know of the other rows stays true. A photo's side of the split hangs on the hash of its bytes, so
it never changes. Photos of `--evaluation` are left out by digest, and near-duplicates of them by an
average hash and by the correlation of 16x16 grey pixels, which finds them at 64 px too; training photos that
are near-duplicates of a validation photo are left out as well.
"""
import argparse
import csv
import hashlib
import json
import pathlib
import re
from multiprocessing import Pool

import numpy as np
from PIL import Image, ImageOps

SIDE = 160
SMALL = {"tiny": 64, "mini": 84, "sketchy": 128, "scenes": 150}  # sources whose photos are this small: no pixels are invented on disk
VALIDATION_SHARE = 0.05
ALIKE = 0.93  # correlation from which a photo is taken for one of the evaluation's
HELD_OUT = {"coco"}  # sources that are kept for evaluation whole: photos of a kind never trained on


INSTRUMENTS = {"acordian": "accordion", "saxaphone": "saxophone", "marakas": "maracas", "casaba": "cabasa", "bongo drum": "bongo drums"}
COREL = ["african people", "a beach", "ancient buildings", "a bus", "a dinosaur", "an elephant", "a flower", "a horse", "mountains", "food"]


class Pixels:
    """The decoded photos, by the row's number."""

    def __init__(self, out, rows):
        self.stores = {store: np.load(out / store, mmap_mode="r") for store in {row["store"] for row in rows}}
        self.rows = rows

    def __getitem__(self, number):
        row = self.rows[number]
        return self.stores[row["store"]][row["at"]]


def words(name):
    return re.sub(r"[_\-]+", " ", name).strip().lower()


def wordnet_names(teachers):
    """WordNet id -> the teacher's label, by the order of sorted ids that ImageNet uses."""
    return [line.strip().split(",")[0] for line in open(teachers / "imagenet_labels.txt")][1:]


def folders(root, pattern, depth=-2):
    """Photos whose label is the name of the folder they lie in."""
    for file in sorted(root.glob(pattern)):
        yield file, [words(file.parts[depth])]


def sources(raw):
    """Every photo with its texts; sources that are not there are named and left out."""
    synsets = json.load(open(raw / "wordnet_ids.json")) if (raw / "wordnet_ids.json").exists() else {}
    for file in sorted((raw / "samples").glob("*.JPEG")):
        yield "samples", file, [words(file.stem.split("_", 1)[1])]
    for file, label in folders(raw / "caltech101", "101_ObjectCategories/*/*.jpg"):
        yield "caltech101", file, [] if label[0].startswith("background") else [label[0].replace(" easy", "")]
    for file in sorted((raw / "pacs").glob("PACS/*/*/*.*")):
        style = {"art_painting": "painting", "photo": "photo"}.get(file.parts[-3], file.parts[-3])
        yield "pacs", file, [f"{words(file.parts[-2])} {style}" if style != "photo" else words(file.parts[-2])]
    for file in sorted((raw / "imagenette").glob("*/n*/*.JPEG")):
        yield "imagenette", file, [synsets[file.parts[-2]]] if file.parts[-2] in synsets else []
    for file in sorted((raw / "imagen").glob("imagen/*.jpg")):
        yield "imagen", file, [words(file.stem.split("_", 2)[2])]
    for file in sorted((raw / "grocery").glob("dataset/t*/**/*.jpg")):
        kind, parent = words(file.parts[-2]), words(file.parts[-3])
        yield "grocery", file, [kind if parent in ("fruit", "vegetables", "packages") or parent in kind else f"{kind} {parent}"]
    names = {index: name for index, name in enumerate(synsets[key] for key in sorted(synsets))}
    told = raw / "nips17/dataset/images.csv"
    for row in csv.DictReader(open(told)) if told.exists() else []:
        yield "nips17", raw / f"nips17/dataset/images/{row['ImageId']}.png", [names[int(row["TrueLabel"]) - 1]]
    for file, label in folders(raw / "instruments", "train/*/*.jpg"):
        yield "instruments", file, [INSTRUMENTS.get(label[0], label[0])]
    told = raw / "monkeys/monkey_labels.txt"
    monkeys = dict(re.findall(r"(?m)^(n\d) *,[^,]*, *(\w+)", told.read_text())) if told.exists() else {}
    for file, label in folders(raw / "monkeys", "training/*/*.*"):
        yield "monkeys", file, [words(monkeys[label[0]])]
    for file, label in folders(raw / "scenes", "*/*/*.jpg"):
        yield "scenes", file, label
    for file in sorted((raw / "mini").glob("*/n*/*.jpg")):
        yield "mini", file, [synsets[file.parts[-2]]] if file.parts[-2] in synsets else []
    for source, pattern in (("imagewoof", "*/n*/*.JPEG"), ("inmini", "imagenet-mini/*/n*/*.JPEG")):
        for file in sorted((raw / source).glob(pattern)):
            yield source, file, [synsets[file.parts[-2]]] if file.parts[-2] in synsets else []
    for file, label in folders(raw / "clothing", "*/*/*.jpg"):
        yield "clothing", file, label
    for file, label in folders(raw / "flowers", "flowers/*/*.jpg"):
        yield "flowers", file, [f"{label[0]} flower"]
    told = raw / "catsdogs/dataset/breed_dataset/dog_breeds/labels.csv"
    breeds = {row["id"]: words(row["breed"]) for row in csv.DictReader(open(told))} if told.exists() else {}
    for file in sorted((raw / "catsdogs").glob("dataset/*/*/*/*.jp*g")):
        yield "catsdogs", file, [breeds[file.stem]] if file.stem in breeds else []
    captions = flickr_captions(raw / "flickr/data/captions.txt")
    for file in sorted((raw / "flickr/data/images").glob("*.jpg")):
        yield "flickr", file, captions.get(file.name, [])
    captions = flickr_captions(raw / "flickr8k/captions.txt")
    for file in sorted((raw / "flickr8k/data/images").glob("*.jpg")):
        if not (raw / "flickr/data/images" / file.name).exists():  # the thousand that "flickr" has
            yield "flickr8k", file, captions.get(file.name, [])
    told = raw / "acuity/ILSVRC2012_VAL_SET/dataset.txt"
    for name, index in (line.split(",") for line in open(told)) if told.exists() else []:
        yield "acuity", told.parent / name.strip(), [names[int(index)]]
    for file, label in folders(raw / "birds", "ex03/task2/bird_dataset/images/*/*.jpg"):
        yield "birds", file, label
    for file in sorted((raw / "corel").glob("src/cbir/corelDB/*.jpg")):
        yield "corel", file, [COREL[int(file.stem) // 100]]
    things = things_seen(raw / "voc/HandledText/annotations.txt")
    for file in sorted((raw / "voc").glob("JPEGImages/*.jpg")):
        yield "voc", file, things.get(file.name, [])
    for file, label in folders(raw / "animals", "*/*.png"):
        yield "animals", file, label
    for file in sorted((raw / "bsds").glob("BSDS500/data/images/*/*.jpg")):
        yield "bsds", file, []
    scenes = {file.name: file for file in sorted((raw / "sun").glob("**/sun_*.jpg"))}  # the repositories share some
    for file in scenes.values():
        yield "sun", file, [words(file.parts[-2])]
    for file, label in folders(raw / "sketchy", "photo/*/*.jpg"):
        yield "sketchy", file, [synsets.get(file.name.split("_")[0], label[0])]
    yield from coco(raw / "coco")
    tiny = {line.split("\t")[0]: line.split("\t")[1].split(",")[0].strip()
            for line in open(raw / "tiny/tiny-imagenet-200/words.txt")} if (raw / "tiny").exists() else {}
    for file in sorted((raw / "tiny").glob("tiny-imagenet-200/train/*/images/*.JPEG")):
        yield "tiny", file, [tiny[file.parts[-3]].lower()]


def flickr_captions(path):
    found = {}
    if path.exists():
        for line in open(path, encoding="utf-8"):
            name, _, text = line.strip().partition(",")
            if name.endswith(".jpg") and text:
                found.setdefault(name, []).append(text.strip().strip('"'))
    return found


def things_seen(path):
    """A photo's kinds of things, of lines "NAME.jpg", then "KIND x y x y" for each thing, then their count."""
    found, here = {}, set()
    for line in open(path) if path.exists() else []:
        first, *box = line.split() or [""]
        if first.endswith(".jpg"):
            here = found.setdefault(first, set())
        elif len(box) == 4:
            here.add(words(first))
    return {name: sorted(kinds) for name, kinds in found.items()}


def coco(folder):
    for part in ("train2017", "val2017"):
        notes = folder / "annotations" / f"captions_{part}.json"
        if not notes.exists():
            continue
        told = json.load(open(notes))
        texts = {}
        for row in told["annotations"]:
            texts.setdefault(row["image_id"], []).append(row["caption"].strip())
        for file in sorted((folder / part).glob("*.jpg")):
            yield "coco", file, texts.get(int(file.stem), [])


def average_hash(image):
    """64 bits: near-duplicates differ in few of them."""
    small = np.asarray(image.convert("L").resize((8, 8), Image.BOX), dtype=np.float32)
    return int("".join("1" if bit else "0" for bit in (small > small.mean()).ravel()), 2)


def grey(image):
    """The middle square in 16x16 grey values, centred, of length 1: products are correlations."""
    pixels = np.asarray(ImageOps.fit(image.convert("L"), (SIDE, SIDE), Image.BICUBIC).resize((16, 16), Image.BOX), np.float32).ravel()
    pixels = pixels - pixels.mean()
    return pixels / max(np.linalg.norm(pixels), 1e-6)


def decode(job):
    source, file, texts = job
    data = file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    try:
        image = Image.open(file)
        image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG is decoded no larger than is needed
        image = ImageOps.exif_transpose(image).convert("RGB")
    except Exception:  # a broken file is no training example
        return None
    near = average_hash(image)
    side = SMALL.get(source, SIDE)
    image = ImageOps.fit(image, (side, side), Image.BICUBIC)
    validation = source in HELD_OUT or int(digest[:8], 16) / 2**32 < VALIDATION_SHARE
    return np.asarray(image), grey(image), {"source": source, "texts": texts, "digest": digest, "hash": near,
                               "file": file.name, "validation": validation, "side": side}


def evaluation_marks(folder):
    """Digests, average hashes and grey pixels, the mirrored ones too."""
    digests, hashes, greys = set(), [], []
    for file in sorted(pathlib.Path(folder).rglob("*")):
        if file.suffix.lower() in (".jpg", ".jpeg", ".png"):
            digests.add(hashlib.sha256(file.read_bytes()).hexdigest())
            image = Image.open(file).convert("RGB")
            hashes.append(average_hash(image))
            greys += [grey(image), grey(ImageOps.mirror(image))]
    return digests, np.array(hashes, dtype=np.uint64), np.array(greys)


def near(one, marks, most):
    """Whether a hash is at most `most` bits from one of the marks."""
    return len(marks) > 0 and np.bitwise_count(marks ^ np.uint64(one)).min() <= most


class Stores:
    """Photos appended to an array of their side; `run` tells those of several runs apart."""

    def __init__(self, out, jobs, run):
        sides = [SMALL.get(source, SIDE) for source, _, _ in jobs]
        self.names = {side: f"photos-{side}-{run}.npy" for side in set(sides)}
        self.stores = {side: np.lib.format.open_memmap(out / name, "w+", np.uint8, (sides.count(side), side, side, 3))
                       for side, name in self.names.items()}
        self.used = dict.fromkeys(self.stores, 0)

    def append(self, pixels, row):
        side = row["side"]
        row["store"], row["at"] = self.names[side], self.used[side]
        self.stores[side][row["at"]] = pixels
        self.used[side] += 1


def crossings(known, rows):
    """Of `rows`, those that have a near-duplicate on the other side of the split."""
    held, trained = (np.array([row["hash"] for row in known + rows if row["validation"] == side], np.uint64)
                     for side in (True, False))
    old = np.array([row["hash"] for row in known if not row["validation"]], np.uint64)
    # Of a pair of new ones the training photo goes.
    return [near(row["hash"], old if row["validation"] else held, 1) for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--evaluation", required=True, help="photos that must not be trained on")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    digests, hashes, greys = evaluation_marks(args.evaluation)
    path = args.out / "photos.json"
    known = json.load(open(path)) if path.exists() else []
    read = {row["source"] for row in known}
    jobs = [job for job in sources(args.raw) if job[0] not in read]
    stores, rows, left_out = Stores(args.out, jobs, len({row["store"] for row in known})), [], 0
    with Pool(args.workers) as pool:
        for done in pool.imap(decode, jobs, chunksize=64):
            if done is None:
                continue
            pixels, small, row = done
            if row["digest"] in digests or near(row["hash"], hashes, 3) or (greys @ small).max() > ALIKE:
                left_out += 1
                continue
            stores.append(pixels, row)
            rows.append(row)
    crossing = crossings(known, rows)
    rows = known + [row for row, crosses in zip(rows, crossing) if not crosses]
    json.dump(rows, open(path, "w"))
    counts = {name: sum(row["source"] == name for row in rows) for name in sorted({row["source"] for row in rows})}
    print(f"{len(rows)} photos {counts}; {left_out} left out as (near-)duplicates of the evaluation's, "
          f"{sum(crossing)} of validation photos")


if __name__ == "__main__":
    main()
