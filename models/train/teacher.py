"""Stage 3: the ImageNet teacher's soft predictions for every photo, two views each, computed once.

    python teacher.py OUT --model TFLITE [--sources NAME…]

Rows that `teacher.npz` has already are not asked again, so it can be stopped and started.

`teacher.npz`: classes [N, 2, 10] and probabilities [N, 2, 10] of the ten likeliest; a photo of a
source that was not asked for has probabilities 0. View 0 is the whole photo, view 1 its mirror
image's centre; a small photo has no pixels to spare, and view 0 stands for both.
"""
import argparse
import functools
import json
import pathlib
from multiprocessing import Pool

import numpy as np

from photos import SIDE, Pixels

TOP = 10
INPUT = 224


class Teacher:
    """An int8 or float classifier, run by LiteRT; probabilities over its classes."""

    def __init__(self, path):
        from ai_edge_litert.interpreter import Interpreter

        self.net = Interpreter(path, num_threads=1)
        self.net.allocate_tensors()
        self.input, self.output = self.net.get_input_details()[0], self.net.get_output_details()[0]

    def raw(self, pixels):
        """The dequantised output."""
        x = pixels[None]
        if self.input["dtype"] == np.int8:
            x = (x.astype(np.int16) - 128).astype(np.int8)
        elif self.input["dtype"] == np.float32:
            x = x.astype(np.float32) / 127.5 - 1
        self.net.set_tensor(self.input["index"], x)
        self.net.invoke()
        y = self.net.get_tensor(self.output["index"]).reshape(-1).astype(np.float32)
        scale, zero = self.output["quantization"]
        return (y - zero) * scale if scale else y

    def __call__(self, pixels):
        y = self.raw(pixels)
        return y if abs(y.sum() - 1) < 0.1 else np.exp(y - y.max()) / np.exp(y - y.max()).sum()


def views(pixels):
    from PIL import Image

    image = Image.fromarray(pixels)
    side = pixels.shape[0]
    yield np.asarray(image.resize((INPUT, INPUT), Image.BICUBIC))
    if side < SIDE:
        return
    edge = side // 10
    inner = image.crop((edge, edge, side - edge, side - edge)).transpose(Image.FLIP_LEFT_RIGHT)
    yield np.asarray(inner.resize((INPUT, INPUT), Image.BICUBIC))


@functools.cache
def tools(path, out):
    """What a worker needs, loaded once."""
    return Teacher(path), Pixels(out, json.load(open(out / "photos.json")))


def work(job):
    path, out, rows = job
    teacher, photos = tools(path, out)
    found = []
    for row in rows:
        seen = []
        for view in views(photos[row]):
            p = teacher(view)
            top = np.argsort(-p)[:TOP]
            seen.append((top, p[top]))
        found += seen if len(seen) == 2 else seen * 2
    tops, shares = zip(*found)
    return rows, np.array(tops, np.int16).reshape(-1, 2, TOP), np.array(shares, np.float16).reshape(-1, 2, TOP)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--sources", nargs="*", default=[])
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    rows = json.load(open(args.out / "photos.json"))
    classes = np.zeros((len(rows), 2, TOP), np.int16)
    probabilities = np.zeros((len(rows), 2, TOP), np.float16)
    if (args.out / "teacher.npz").exists():
        done = np.load(args.out / "teacher.npz")
        classes, probabilities = done["classes"], done["probabilities"]
    wanted = [i for i, row in enumerate(rows)
              if (not args.sources or row["source"] in args.sources) and not probabilities[i].any()]
    np.random.default_rng(0).shuffle(wanted)  # what is there when it is stopped is of all kinds
    jobs = [(args.model, args.out, wanted[i:i + 500]) for i in range(0, len(wanted), 500)]
    with Pool(args.workers) as pool:
        for done, (at, c, p) in enumerate(pool.imap(work, jobs)):
            classes[at], probabilities[at] = c, p
            if done % 10 == 9 or done + 1 == len(jobs):
                np.savez(args.out / "teacher.part.npz", classes=classes, probabilities=probabilities)
                (args.out / "teacher.part.npz").replace(args.out / "teacher.npz")
                print(f"{min((done + 1) * 500, len(wanted))} of {len(wanted)}", flush=True)


if __name__ == "__main__":
    main()
