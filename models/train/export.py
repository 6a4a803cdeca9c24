"""Stage 5: both towers as ONNX with int8 weights, and their manifest.

    python export.py OUT MODEL [--version 0.1.0] [--untrained] --merges FILE

OUT holds `text.pt` and `image.pt`; MODEL gets `image.onnx`, `text.onnx`, `merges.txt` and `manifest.json`.
Both are always written: the image tower's training learns the words' codes, too.
Weights: symmetric int8, q ∈ [-127, 127], one scale an output channel (a row and a column, for the token table),
followed by DequantizeLinear; activations stay f32 in the graph, and the text tower's are smoothed for
runtimes that make them integers. Each graph is checked against its PyTorch tower.
"""
import argparse
import hashlib
import io
import json
import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper
from PIL import Image

from bpe import Tokenizer
from photos import SIDE, Pixels
from runs import note
from towers import CONTEXT, DIM, MEAN, MEANING, SIZE, STD, VOCABULARY, Pupils, Sentences, TextTower

OPSET = 17
LEAST_COSINE = 0.995
COLUMNS = 0.75  # of a table's columns' spread is taken by their scales: more makes rare tokens coarser, less the usual ones
SMALL = 64  # constants with fewer elements stay f32: they save nothing


def to_onnx(tower, example, source, target):
    """The traced graph, all shapes fixed, BatchNorm folded into the convolutions before it."""
    stream = io.BytesIO()
    torch.onnx.export(tower, (example,), stream, opset_version=OPSET, dynamo=False, do_constant_folding=True,
                      input_names=[source], output_names=[target])
    return onnx.load_from_string(stream.getvalue())


def quantise(weight, axis):
    """Symmetric int8 along `axis`: (q, scale) with weight ≈ q · scale."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    scale = np.maximum(np.abs(weight).max(axis=others), 1e-8).astype(np.float32) / 127
    shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
    q = np.clip(np.rint(weight / scale.reshape(shape)), -127, 127).astype(np.int8)
    return q, scale


class Int8:
    """Rewrites a graph's constant weights; keeps the initializers by name."""

    def __init__(self, model):
        self.graph = model.graph
        self.values = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        for node in [n for n in self.graph.node if n.op_type == "Constant"]:
            self.values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            self.graph.node.remove(node)
        # The exporter's aliases of constants (it shares equal ones).
        for node in [n for n in self.graph.node if n.op_type == "Identity" and n.input[0] in self.values]:
            self.values[node.output[0]] = self.values[node.input[0]]
            self.graph.node.remove(node)

    def rewrite(self):
        nodes = []
        for node in self.graph.node:
            rule = {"Conv": self.conv, "MatMul": self.matmul, "Gemm": self.gemm, "Gather": self.gather}.get(node.op_type)
            nodes += rule(node) if rule and self.is_weight(node) else [node]
        used = {name for node in nodes for name in node.input}
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(nodes)
        self.graph.initializer.extend(numpy_helper.from_array(np.ascontiguousarray(v), k)
                                      for k, v in self.values.items() if k in used)

    def is_weight(self, node):
        value = self.values.get(node.input[0 if node.op_type == "Gather" else 1])
        return value is not None and value.dtype == np.float32 and value.size >= SMALL

    def dequantise(self, name, weight, axis):
        """The DequantizeLinear node that stands for `weight`; returns (its output, the node)."""
        q, scale = quantise(weight, axis)
        names = [f"{name}.q", f"{name}.scale", f"{name}.zero"]
        self.values |= dict(zip(names, (q, scale, np.zeros(len(scale), np.int8))))
        return f"{name}.f32", helper.make_node("DequantizeLinear", names, [f"{name}.f32"], f"{name}.dequantise", axis=axis)

    def conv(self, node):
        node.input[1], extra = self.dequantise(node.input[1], self.values[node.input[1]], 0)
        return [extra, node]

    def matmul(self, node):
        weight = self.values[node.input[1]]
        node.input[1], extra = self.dequantise(node.input[1], weight, weight.ndim - 1)
        return [extra, node]

    def gemm(self, node):
        """x·W + b as MatMul with [K, N] and Add: one form for the runtime to recognise."""
        flags = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        assert flags.get("alpha", 1) == 1 and flags.get("beta", 1) == 1 and not flags.get("transA", 0)
        weight = self.values[node.input[1]]
        weight = weight.T if flags.get("transB", 0) else weight
        value, extra = self.dequantise(node.input[1], weight, 1)
        product = node.output[0] + ".product"
        return [extra, helper.make_node("MatMul", [node.input[0], value], [product], node.name + ".matmul"),
                helper.make_node("Add", [product, node.input[2]], node.output, node.name + ".add")]

    def gather(self, node):
        """Gathers int8 rows and their scales, so that the f32 table never exists. Columns differ in their spread, and have a
        scale of their own: a row's is then no larger than its usual values ask for."""
        table, ids, out = node.input[0], node.input[1], node.output[0]
        columns = (self.values[table].std(0) + 1e-6) ** COLUMNS
        q, scale = quantise(self.values[table] / columns, 0)
        self.values |= {f"{table}.q": q, f"{table}.scale": scale[:, None], f"{table}.columns": columns}
        return [helper.make_node("Gather", [f"{table}.q", ids], [f"{out}.q"], f"{out}.rows", axis=0),
                helper.make_node("Gather", [f"{table}.scale", ids], [f"{out}.scale"], f"{out}.scales", axis=0),
                helper.make_node("Cast", [f"{out}.q"], [f"{out}.cast"], f"{out}.to_f32", to=onnx.TensorProto.FLOAT),
                helper.make_node("Mul", [f"{out}.cast", f"{out}.scale"], [f"{out}.scaled"], f"{out}.by_row"),
                helper.make_node("Mul", [f"{out}.scaled", f"{table}.columns"], [out], f"{out}.dequantise")]


@torch.no_grad()
def smooth(tower, sentences, alpha=0.7):
    """Moves what is large in the activations before the linear layers into their weights, channel by
    channel, so that a runtime that quantises these activations loses less (SmoothQuant, Xiao et al. 2023):
    s = max|x|^α / max|w|^(1-α); the normalisation before is divided by s, the weights are multiplied.
    The tower computes the same as before."""
    seen = {}

    def watch(norm, inputs, out):
        seen[norm] = torch.maximum(seen.get(norm, torch.zeros(MEANING)), out[ids != VOCABULARY].abs().amax(0))

    norms = {norm: after for layer in tower.layers
             for norm, after in ((layer.norm1, [layer.q, layer.k, layer.v]), (layer.norm2, [layer.up]))}
    hooks = [norm.register_forward_hook(watch) for norm in norms]
    ids = torch.cat(sentences)
    tower(ids)
    for hook in hooks:
        hook.remove()
    for norm, after in norms.items():
        w = torch.cat([linear.weight for linear in after]).abs().amax(0).clamp(min=1e-5)
        s = seen[norm].clamp(min=1e-5) ** alpha / w ** (1 - alpha)
        s /= s.log().mean().exp()
        norm.weight /= s
        norm.bias /= s
        for linear in after:
            linear.weight *= s


def least_cosine(path, source, tower, examples):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 1.0
    for x in examples:
        with torch.no_grad():
            expected = tower(x)[0].numpy()
        got = session.run(None, {source: x.numpy()})[0][0]
        worst = min(worst, float(expected @ got / np.linalg.norm(expected) / np.linalg.norm(got)))
    return worst


def write(tower, examples, path, source, target):
    model = to_onnx(tower, examples[0], source, target)
    Int8(model).rewrite()
    model.producer_name, model.producer_version = "photorecall", ""
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    worst = least_cosine(path, source, tower, examples)
    operators = sorted({n.op_type for n in model.graph.node})
    print(f"{path.name}: {path.stat().st_size} bytes, least cosine to f32 {worst:.5f}, operators {' '.join(operators)}")
    return worst


def examples(out, count, merges):
    """Photos and sentences that were kept out of training; noise when there are none."""
    if (out / "photos.json").exists():
        rows = json.load(open(out / "photos.json"))
        held = [i for i, row in enumerate(rows) if row["validation"] and row["side"] == SIDE]
        store = Pixels(out, rows)
        at = [held[i] for i in np.linspace(0, len(held) - 1, count).astype(int)]
        pictures = [Image.fromarray(store[i]).resize((SIZE, SIZE), Image.BICUBIC) for i in at]
        photos = torch.tensor(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2).float() / 255
    else:
        photos = torch.rand(count, 3, SIZE, SIZE)
    photos = (photos - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    if (out / "texts.json").exists():
        # The first thousand were kept out (`text.train`).
        tokenizer = Tokenizer(merges, VOCABULARY)
        rows = [tokenizer.encode(text, CONTEXT) for text in json.load(open(out / "texts.json"))[:8 * count]]
    else:
        random = np.random.default_rng(0)
        rows = []
        for _ in range(count):
            tokens = random.integers(256, VOCABULARY - 2, random.integers(1, CONTEXT - 1))
            row = [VOCABULARY - 2, *tokens, VOCABULARY - 1]
            rows.append(row + [VOCABULARY] * (CONTEXT - len(row)))
    return list(photos.split(1)), list(torch.tensor(np.array(rows)).split(1))


def manifest(folder, version):
    files = {name: {"bytes": (folder / name).stat().st_size,
                    "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
             for name in ("image.onnx", "text.onnx", "merges.txt")}
    return {
        "format": 1, "name": "photorecall-s", "version": version, "license": "MIT OR Apache-2.0", "dim": DIM,
        "image": {"file": "image.onnx", "input": "pixel_values", "output": "image_embeds", "size": SIZE,
                  "resize": {"filter": "bicubic", "mode": "crop"}, "mean": list(MEAN), "std": list(STD)},
        "text": {"file": "text.onnx", "input": "input_ids", "output": "text_embeds", "context_length": CONTEXT,
                 "tokenizer": {"kind": "clip-bpe", "vocab_size": VOCABULARY, "file": "merges.txt"}, "pad_id": VOCABULARY},
        "files": files,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--merges", type=pathlib.Path, required=True, help="CLIP's merges; the first ones are taken")
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--untrained", action="store_true", help="random weights where there are none")
    parser.add_argument("--trunk", default="resnet")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    text, pupils = TextTower().eval(), Pupils(args.trunk).eval()
    if (args.out / "text.pt").exists() or not args.untrained:
        text.load_state_dict(torch.load(args.out / "text.pt"))
    if (args.out / "image.pt").exists() or not args.untrained:
        pupils.load_state_dict(torch.load(args.out / "image.pt")["average"])
    args.model.mkdir(parents=True, exist_ok=True)
    photos, sentences = examples(args.out, 32, args.merges)
    smooth(text, sentences)
    worst = min(write(pupils.image, photos, args.model / "image.onnx", "pixel_values", "image_embeds"),
                write(Sentences(text, pupils.words), sentences, args.model / "text.onnx", "input_ids", "text_embeds"))
    assert worst >= LEAST_COSINE, worst
    # A header line, then one merge for each id that is neither a byte nor special.
    lines = args.merges.read_text(encoding="utf-8").split("\n")[:VOCABULARY - 514 + 1]
    (args.model / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (args.model / "manifest.json").write_text(json.dumps(manifest(args.model, args.version), indent=1) + "\n")
    note(args.out, args, least_cosine=round(worst, 6))


if __name__ == "__main__":
    main()
