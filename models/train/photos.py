"""Stage 1: decode the training photos once, to small uint8 arrays.

    python photos.py RAW OUT --evaluation DIR

RAW holds one folder for each source, as fetched; OUT gets `photos-SIDE.npy` [N, SIDE, SIDE, 3] for each
SIDE and `photos.json`, a row a photo: source, texts (label sentences or captions), where it lies (store,
at), and whether it is kept for validation. When `photos.json` is there already, only the sources that it
has not are read: their photos go to stores of their own, and their rows to the end, so that what later
stages know of the other rows stays true. A photo's side of the split hangs on the hash of its bytes, so
it never changes. Photos of `--evaluation` are left out by digest, and near-duplicates of them by an
average hash and by the correlation of 16x16 grey pixels, which finds them at 64 px too, cut out of any place along a photo, and
squeezed; training photos that are near-duplicates of a validation photo are left out as well.
"""
import argparse
import hashlib
import json
import pathlib
import re
from multiprocessing import Pool

import numpy as np
from PIL import Image, ImageOps

from runs import note
from sources import sources

SIDE = 160
SMALL = {"tiny": 64, "mini": 84, "sketchy": 128, "scenes": 150, "captcha": 128}  # sources whose photos are this small: no pixels are invented on disk
VALIDATION_SHARE = 0.05
ALIKE = 0.93  # correlation from which a photo is taken for one of the evaluation's, or for one that was squeezed
BORDER = 1 / 16  # of a photo, on each side, that some sources cut off: 256 px become 224
PLACES = 9  # squares along a photo's longer side: some sources have one from anywhere
ASPECTS = (2 / 3, 3 / 4, 4 / 3, 3 / 2)  # of photos that a source has squeezed into squares
SQUEEZED = {"tiny", "mini"}  # which sources have
SAME = 0.97  # from which two photos on the two sides of the split are taken for one
HELD_OUT = {"coco"}  # sources that are kept for evaluation whole


class Pixels:
    """The decoded photos, by the row's number."""

    def __init__(self, out, rows):
        self.stores = {store: np.load(out / store, mmap_mode="r") for store in {row["store"] for row in rows}}
        self.rows = rows

    def __getitem__(self, number):
        row = self.rows[number]
        return self.stores[row["store"]][row["at"]]


def average_hash(image):
    """64 bits: near-duplicates differ in few of them."""
    small = np.asarray(image.convert("L").resize((8, 8), Image.BOX), dtype=np.float32)
    return int("".join("1" if bit else "0" for bit in (small > small.mean()).ravel()), 2)


def grey(image, border=0.0):
    """The middle square in 16x16 grey values, centred, of length 1: products are correlations."""
    square = ImageOps.fit(image.convert("L"), (SIDE, SIDE), Image.BICUBIC, border)
    pixels = np.asarray(square.resize((16, 16), Image.BOX), np.float32).ravel()
    pixels = pixels - pixels.mean()
    return pixels / max(np.linalg.norm(pixels), 1e-6)


def squares(image):
    """What a source may have cut out of a photo: squares from one end of its longer side to the other."""
    side = min(image.size)
    for step in range(PLACES):
        x, y = ((length - side) * step // (PLACES - 1) for length in image.size)
        yield image.crop((x, y, x + side, y + side))


def looks_of(image):
    """Grey pixels of all that sources make of a photo: squares, the middle without its border, the whole squeezed into a square."""
    return [*map(grey, squares(image)), grey(image, BORDER), grey(image.resize((SIDE, SIDE), Image.BICUBIC))]


def looks_of_squeezed(pixels):
    """The same of a stored square that was a whole photo, as if that had been as wide as each of `ASPECTS`."""
    found = []
    for wide in ASPECTS:
        size = round(SIDE * max(1, wide)), round(SIDE * max(1, 1 / wide))
        found += map(grey, squares(Image.fromarray(pixels).resize(size, Image.BICUBIC)))
    return found


def original(row):
    """Which of ImageNet's photos it is, where the file's name says so."""
    name = re.match(r"n\d{8}_\d+", row["file"])
    return name and name[0]


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
    """Digests, average hashes and looks, the mirrored ones too."""
    digests, hashes, greys = set(), [], []
    for file in sorted(pathlib.Path(folder).rglob("*")):
        if file.suffix.lower() in (".jpg", ".jpeg", ".png"):
            digests.add(hashlib.sha256(file.read_bytes()).hexdigest())
            image = Image.open(file).convert("RGB")
            hashes.append(average_hash(image))
            greys += looks_of(image) + looks_of(ImageOps.mirror(image))
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


def crossings(out, known, rows, greys):
    """Of `rows`, those that have a near-duplicate on the other side of the split: by ImageNet's name for it, by the average hash, and
    training photos by correlation too, which knows a photo again that another source has in another size."""
    held, old = (np.array([row["hash"] for row in among if row["validation"] == side], np.uint64)
                 for among, side in ((known + rows, True), (known, False)))
    names, old_names = ({original(row) for row in among if row["validation"] == side} - {None}
                        for among, side in ((known + rows, True), (known, False)))
    pixels, own = Pixels(out, known + rows), [small for small, row in zip(greys, rows) if row["validation"]]
    kept = own + [grey(Image.fromarray(pixels[i])) for i, row in enumerate(known) if row["validation"]]
    wider = [look for i, row in enumerate(known + rows) if row["validation"] and row["source"] in SQUEEZED
             for look in looks_of_squeezed(pixels[i])]
    # Of a pair of new ones the training photo goes.
    found = [original(row) in (old_names if row["validation"] else names)
             or near(row["hash"], old if row["validation"] else held, 1) for row in rows]
    for looks, most in ((kept, SAME), (wider, ALIKE)):
        looks = np.array(looks, np.float32).reshape(-1, 256)
        for i in range(0, len(rows) if len(looks) else 0, 1024):
            likest = (np.array(greys[i:i + 1024], np.float32) @ looks.T).max(1)
            for j, same in enumerate(likest > most, i):
                found[j] |= bool(same) and not rows[j]["validation"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--evaluation", required=True, help="photos that must not be trained on")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    digests, hashes, looks = evaluation_marks(args.evaluation)
    path = args.out / "photos.json"
    known = json.load(open(path)) if path.exists() else []
    read = {row["source"] for row in known}
    jobs = [job for job in sources(args.raw) if job[0] not in read]
    stores, rows, greys, left_out = Stores(args.out, jobs, len({row["store"] for row in known})), [], [], 0
    with Pool(args.workers) as pool:
        for done in pool.imap(decode, jobs, chunksize=64):
            if done is None:
                continue
            pixels, small, row = done
            if row["digest"] in digests or near(row["hash"], hashes, 3) or (looks @ small).max() > ALIKE:
                left_out += 1
                continue
            stores.append(pixels, row)
            rows.append(row)
            greys.append(small)
    crossing = crossings(args.out, known, rows, greys)
    rows = known + [row for row, crosses in zip(rows, crossing) if not crosses]
    json.dump(rows, open(path, "w"))
    counts = {name: sum(row["source"] == name for row in rows) for name in sorted({row["source"] for row in rows})}
    print(f"{len(rows)} photos {counts}; {left_out} left out as (near-)duplicates of the evaluation's, "
          f"{sum(crossing)} of validation photos")
    note(args.out, args, photos=counts, like_the_evaluation=left_out, like_validation=sum(crossing))


if __name__ == "__main__":
    main()
