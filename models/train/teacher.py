"""Stage 3: the ImageNet teacher's soft predictions for every photo, two views each, computed once.

    python teacher.py OUT --model TFLITE [--sources NAME…]

`teacher.npz`: classes [N, 2, 10] and probabilities [N, 2, 10] of the ten likeliest; a photo of a
source that was not asked for has probabilities 0. View 0 is the whole photo, view 1 its mirror
image's centre.
"""
import argparse
import json
import pathlib
from multiprocessing import Pool

import numpy as np

TOP = 10
INPUT = 224


class Teacher:
    """An int8 or float classifier, run by LiteRT; probabilities over its classes."""

    def __init__(self, path):
        from ai_edge_litert.interpreter import Interpreter

        self.net = Interpreter(path, num_threads=1)
        self.net.allocate_tensors()
        self.input, self.output = self.net.get_input_details()[0], self.net.get_output_details()[0]

    def __call__(self, pixels):
        x = pixels[None]
        if self.input["dtype"] == np.int8:
            x = (x.astype(np.int16) - 128).astype(np.int8)
        elif self.input["dtype"] == np.float32:
            x = x.astype(np.float32) / 127.5 - 1
        self.net.set_tensor(self.input["index"], x)
        self.net.invoke()
        y = self.net.get_tensor(self.output["index"])[0].astype(np.float32)
        scale, zero = self.output["quantization"]
        y = (y - zero) * scale if scale else y
        return y if abs(y.sum() - 1) < 0.1 else np.exp(y - y.max()) / np.exp(y - y.max()).sum()


def views(pixels):
    from PIL import Image

    image = Image.fromarray(pixels)
    side = pixels.shape[0]
    edge = side // 10
    yield np.asarray(image.resize((INPUT, INPUT), Image.BICUBIC))
    inner = image.crop((edge, edge, side - edge, side - edge)).transpose(Image.FLIP_LEFT_RIGHT)
    yield np.asarray(inner.resize((INPUT, INPUT), Image.BICUBIC))


def work(job):
    path, store, rows = job
    teacher, photos = Teacher(path), np.load(store, mmap_mode="r")
    out = []
    for row in rows:
        for view in views(photos[row]):
            p = teacher(view)
            top = np.argsort(-p)[:TOP]
            out.append((top, p[top]))
    return rows, np.array([o[0] for o in out], np.int16).reshape(-1, 2, TOP), np.array([o[1] for o in out], np.float16).reshape(-1, 2, TOP)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--sources", nargs="*", default=[])
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    rows = json.load(open(args.out / "photos.json"))
    wanted = [i for i, row in enumerate(rows) if not args.sources or row["source"] in args.sources]
    classes = np.zeros((len(rows), 2, TOP), np.int16)
    probabilities = np.zeros((len(rows), 2, TOP), np.float16)
    jobs = [(args.model, args.out / "photos.npy", wanted[i:i + 500]) for i in range(0, len(wanted), 500)]
    with Pool(args.workers) as pool:
        for done, (at, c, p) in enumerate(pool.imap(work, jobs)):
            classes[at], probabilities[at] = c, p
            print(f"{(done + 1) * 500} of {len(wanted)}", flush=True)
    np.savez(args.out / "teacher.npz", classes=classes, probabilities=probabilities)


if __name__ == "__main__":
    main()
