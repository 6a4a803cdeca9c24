"""Instead of stage 2, or of random weights: go on from a model that is there.

    python begin.py MODEL OUT --merges FILE --labels FILE [--wordnet DIR] [--captions FILE…]

Takes the weights of MODEL's ONNX files (dequantised) back into the PyTorch towers: OUT gets `text.pt` and
`image.pt`, which the other stages go on from. The target space stays the model's: `texts.json` and
`texts.npz` hold the corpus's sentences as its own text tower embeds them, so that no sentence encoder is
needed, and the image tower learns to meet the text tower as it is. Both towers are checked against ONNX.
"""
import argparse
import json
import math
import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from bpe import Tokenizer
from photos import Pixels
from runs import note
from text import corpus, save_embeddings
from towers import CONTEXT, MEAN, MEANING, SIZE, STD, VOCABULARY, ImageTower, Pupils, Sentences, TextTower, Words

LEAST_COSINE = 0.999
TEMPERATURE = 3.4  # ln of the similarities' factor; where earlier trainings ended up
NORM = 0.58  # of a convolution's filter as PyTorch begins it, √(1/3)


class Weights:
    """A graph's weights by the name of the module that used them, dequantised."""

    def __init__(self, path):
        graph = onnx.load(path).graph
        values = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        for node in graph.node:
            if node.op_type == "DequantizeLinear":
                axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
                q, scale = (values[name] for name in node.input[:2])
                shape = [-1 if i == axis else 1 for i in range(q.ndim)]
                values[node.output[0]] = q.astype(np.float32) * scale.reshape(shape)
        self.values, self.nodes = values, graph.node

    def __getitem__(self, name):
        return torch.tensor(self.values[name])

    def used(self, kind):
        """(module, its constant inputs) of the nodes of a kind, e. g. "trunk.3.first.0"."""
        for node in self.nodes:
            constants = [self.values[name] for name in node.input if name in self.values]
            if node.op_type == kind and constants:
                path = node.output[0].strip("/").split("/")
                # A module's path is repeated by its parts: trunk/trunk.3/first/first.0.
                parts = [part.split(".")[1] if i and part.startswith(path[i - 1] + ".") else part
                         for i, part in enumerate(path[:-1])]
                yield ".".join(parts), constants


def load(tower, name, value):
    value = torch.as_tensor(value)
    target = tower.get_parameter(name)
    assert target.shape == value.shape, (name, target.shape, value.shape)
    with torch.no_grad():
        target.copy_(value)


def restore_text(path):
    weights, tower = Weights(path), Sentences(TextTower(), Words()).eval()
    load(tower, "text.tokens.weight", math.prod(weights[f"text.tokens.weight.{part}"].float() for part in ("q", "scale", "columns")))
    places = next(v for n, v in weights.values.items() if v.shape == (CONTEXT, MEANING) and n.startswith("onnx::Add"))
    load(tower, "text.places", places)
    for name, _ in tower.named_parameters():
        if name in weights.values:
            load(tower, name, weights[name])
    for module, (weight,) in weights.used("MatMul"):
        load(tower, f"{module}.weight", weight.T)
    return tower


def restore_image(path):
    """BatchNorm was folded into the convolutions: it comes back as one that only adds the bias."""
    weights, tower = Weights(path), ImageTower().eval()
    convolutions = dict(weights.used("Conv"))
    for name, module in tower.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            parent, _, index = name.rpartition(".")
            # The exporter names a folded pair after either of the two.
            norm = f"{parent}.{int(index) + 1}"
            weight, bias = convolutions[name] if name in convolutions else convolutions[norm]
            load(tower, f"{name}.weight", weight)
            load(tower, f"{norm}.bias", bias)
            tower.get_submodule(norm).running_var.fill_(1 - tower.get_submodule(norm).eps)
    linear = dict(weights.used("MatMul"))
    for name in ("project", "guess", "meaning", "code.labels"):
        load(tower, f"{name}.weight", linear[name][0].T)
        if f"{name}.bias" in weights.values:
            load(tower, f"{name}.bias", weights[f"{name}.bias"])
    return tower


@torch.no_grad()
def settle(tower, photos):
    """BatchNorm's statistics as these photos have them and filters of a new network's length: the tower
    computes the same as before, and can be trained, with the batches' own statistics."""
    pairs, seen = [], {}
    modules = dict(tower.named_modules())
    for name, module in modules.items():
        if isinstance(module, torch.nn.Conv2d):
            parent, _, index = name.rpartition(".")
            pairs.append((module, modules[f"{parent}.{int(index) + 1}"]))
    hooks = [conv.register_forward_hook(lambda m, _, out: seen.setdefault(m, []).append(
        (out.mean((0, 2, 3)), (out * out).mean((0, 2, 3))))) for conv, _ in pairs]
    for batch in photos.split(64):
        tower(batch)
    for hook in hooks:
        hook.remove()
    for conv, norm in pairs:
        mean, square = (torch.stack(s).mean(0) for s in zip(*seen[conv]))
        longer = NORM / conv.weight.flatten(1).norm(dim=1).clamp(min=1e-6)
        variance = (square - mean * mean).clamp(min=1e-8)
        conv.weight *= longer[:, None, None, None]
        norm.running_mean.copy_(mean * longer)
        norm.running_var.copy_(variance * longer**2)
        norm.weight.copy_((norm.running_var + norm.eps).sqrt() / longer)
        norm.bias += mean
    return tower


@torch.no_grad()
def cosine(path, source, tower, examples):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got = [session.run(None, {source: x[None].numpy()})[0][0] for x in examples]
    return torch.nn.functional.cosine_similarity(torch.tensor(np.array(got)), tower(examples)).min().item()


def some_photos(out, count):
    rows = json.load(open(out / "photos.json"))
    store = Pixels(out, rows)
    at = np.random.default_rng(0).choice(len(rows), count, replace=False)
    from PIL import Image

    x = np.stack([np.asarray(Image.fromarray(store[i]).resize((SIZE, SIZE), Image.BICUBIC)) for i in sorted(at)])
    x = torch.tensor(x).permute(0, 3, 1, 2).float() / 255
    return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--merges", required=True)
    parser.add_argument("--labels", required=True)
    parser.add_argument("--wordnet", type=pathlib.Path)
    parser.add_argument("--captions", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--glosses", type=float, default=0.3)
    args = parser.parse_args()
    told = json.loads((args.model / "manifest.json").read_text())
    paths = {part: args.model / told[part]["file"] for part in ("text", "image")}
    text, image = restore_text(paths["text"]), settle(restore_image(paths["image"]), some_photos(args.out, 2048))
    tokenizer = Tokenizer(args.merges, VOCABULARY)
    texts = corpus(args)
    ids = torch.tensor(np.array([tokenizer.encode(t, CONTEXT) for t in texts]))
    for name, source, tower, examples in (("text", "input_ids", text, ids[:64]),
                                          ("image", "pixel_values", image, some_photos(args.out, 32))):
        worst = cosine(paths[name], source, tower, examples)
        print(f"{name} tower: least cosine to {paths[name].name} {worst:.6f}")
        assert worst >= LEAST_COSINE, worst
    torch.save(text.text.state_dict(), args.out / "text.pt")
    pupils = Pupils()
    pupils.image, pupils.words = image, text.words
    torch.save({"tower": pupils.state_dict(), "average": pupils.state_dict(), "step": 0,
                "temperature": torch.tensor(TEMPERATURE)}, args.out / "image.pt")
    json.dump(texts, open(args.out / "texts.json", "w"))
    save_embeddings(args.out, text.text, tokenizer, ids, args.labels)
    print(f"{len(texts)} sentences")
    note(args.out, args, version=told["version"], sentences=len(texts))


if __name__ == "__main__":
    main()
