"""Stage 3: what the ImageNet teacher makes of every photo, computed once.

    python teacher.py OUT --model TFLITE [--sources NAME…]

Rows that `teacher.npy` has already are not asked again, so it can be stopped and started.

`teacher.npy`: [N, 1001] int8, a row a photo: the quantised logits (class 0 is the background), as the net
has them before its softmax; a photo that was not asked for has UNASKED throughout. `teacher.json`: scale and
zero, logit = scale · (q - zero). Logits tell of all classes what the ten likeliest's probabilities do not:
with them the photos of some classes teach about the others (Hinton et al. 2015).
"""
import argparse
import functools
import json
import pathlib
import warnings
from multiprocessing import Pool

import numpy as np
from PIL import Image

from photos import Pixels
from runs import note

INPUT = 224
UNASKED = -128


class Teacher:
    """An int8 or float classifier, run by LiteRT; probabilities over its classes."""

    def __init__(self, path, logits=False):
        from ai_edge_litert.interpreter import Interpreter

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of the memory that all tensors take
            self.net = Interpreter(path, num_threads=1, experimental_preserve_all_tensors=logits)
        self.net.allocate_tensors()
        self.input, self.output = self.net.get_input_details()[0], self.net.get_output_details()[0]

    def before_softmax(self):
        """The int8 tensor with the logits: as many values as the output has, but not a probability's scale."""
        shape = list(self.output["shape"])
        fits = [t for t in self.net.get_tensor_details()
                if list(t["shape"]) == shape and t["dtype"] == np.int8 and t["quantization"][0] > 1 / 200]
        return fits[-1]

    def see(self, pixels):
        x = pixels[None]
        if self.input["dtype"] == np.int8:
            x = (x.astype(np.int16) - 128).astype(np.int8)
        elif self.input["dtype"] == np.float32:
            x = x.astype(np.float32) / 127.5 - 1
        self.net.set_tensor(self.input["index"], x)
        self.net.invoke()

    def raw(self, pixels):
        """The dequantised output."""
        self.see(pixels)
        y = self.net.get_tensor(self.output["index"]).reshape(-1).astype(np.float32)
        scale, zero = self.output["quantization"]
        return (y - zero) * scale if scale else y

    def __call__(self, pixels):
        y = self.raw(pixels)
        return y if abs(y.sum() - 1) < 0.1 else np.exp(y - y.max()) / np.exp(y - y.max()).sum()


@functools.cache
def tools(path, out):
    """What a worker needs, loaded once."""
    teacher = Teacher(path, logits=True)
    return teacher, teacher.before_softmax(), Pixels(out, json.load(open(out / "photos.json")))


def work(job):
    path, out, rows = job
    teacher, logits, photos = tools(path, out)
    seen = []
    for row in rows:
        teacher.see(np.asarray(Image.fromarray(photos[row]).resize((INPUT, INPUT), Image.BICUBIC)))
        seen.append(np.maximum(teacher.net.get_tensor(logits["index"]).reshape(-1), UNASKED + 1))
    return rows, np.array(seen, np.int8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--sources", nargs="*", default=[])
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    rows = json.load(open(args.out / "photos.json"))
    teacher = Teacher(args.model, logits=True)
    scale, zero = teacher.before_softmax()["quantization"]
    json.dump({"scale": float(scale), "zero": int(zero)}, open(args.out / "teacher.json", "w"))
    path, shape = args.out / "teacher.npy", (len(rows), int(teacher.output["shape"][-1]))
    known = np.load(path, mmap_mode="r") if path.exists() else np.empty((0, shape[1]), np.int8)
    if len(known) < len(rows):  # a new file, or photos that have come since
        part = path.with_suffix(".part.npy")
        grown = np.lib.format.open_memmap(part, "w+", np.int8, shape)
        grown[:len(known)], grown[len(known):] = known, UNASKED
        grown.flush()
        part.replace(path)
    known = np.lib.format.open_memmap(path, "r+")
    wanted = [i for i, row in enumerate(rows)
              if (not args.sources or row["source"] in args.sources) and known[i, 0] == UNASKED]
    np.random.default_rng(0).shuffle(wanted)  # what is there when it is stopped is of all kinds
    jobs = [(args.model, args.out, sorted(wanted[i:i + 500])) for i in range(0, len(wanted), 500)]
    with Pool(args.workers) as pool:
        for done, (at, logits) in enumerate(pool.imap_unordered(work, jobs)):
            known[at] = logits
            if done % 10 == 9 or done + 1 == len(jobs):
                known.flush()
                print(f"{min((done + 1) * 500, len(wanted))} of {len(wanted)}", flush=True)
    note(args.out, args, asked=len(wanted), known=int((known[:, 0] != UNASKED).sum()))


if __name__ == "__main__":
    main()
