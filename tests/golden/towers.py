"""What onnxruntime makes of graphs, for `tests/encoder.rs` to compare with.

    python towers.py OUT [--photos DIR]

Writes into OUT:
- `vit/`, `vit-int8/`: a small random-weight ViT as CLIP's exports have it (QuickGELU, attention by
  MatMul and Softmax), once in f32 and once with int8 weights behind DequantizeLinear, each a model
  folder with a manifest, and `expected.json`: input and output;
- `vit-dynamic/`: the same quantised by onnxruntime, as model hubs have it: integers that are made at run
  time (DynamicQuantizeLinear, MatMulInteger, ConvInteger);
- `vgg/`: a small random-weight CNN after VGG16 (Simonyan and Zisserman 2015) without its classifier, its
  last features averaged, as people use it for image search: a model without a text tower;
- `shipped.json`: inputs and outputs of the model that ships: noise, and sentences of all lengths;
- `photos.json`, with --photos: the embedding of each photo by Pillow's resizing and onnxruntime.
"""
import argparse
import hashlib
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from PIL import Image, ImageOps

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "models/train"))
from bpe import Tokenizer

SENTENCES = (
    "sea", "a red car", "a photo of a dog on the beach", "Two children in the snow near a wooden house, one of them waves.",
    "a narrow street of an old town at night, with wet stones, yellow lamps, people under umbrellas and a cat on a wall")
SIDE, PATCH, WIDTH, HEADS, LAYERS, DIM = 64, 16, 128, 2, 2, 32
TOKENS = (SIDE // PATCH) ** 2 + 1


class Graph:
    """Collects nodes and weights; int8 weights where asked for."""

    def __init__(self, int8, seed):
        self.int8, self.random = int8, np.random.default_rng(seed)
        self.nodes, self.weights, self.count = [], [], 0

    def constant(self, array):
        self.count += 1
        self.weights.append(numpy_helper.from_array(np.asarray(array, order="C"), f"w{self.count}"))
        return f"w{self.count}"

    def normal(self, *shape, size=1.0):
        return (self.random.standard_normal(shape) * size).astype(np.float32)

    def op(self, kind, *inputs, **attributes):
        self.count += 1
        self.nodes.append(helper.make_node(kind, list(inputs), [f"v{self.count}"], f"{kind}{self.count}", **attributes))
        return f"v{self.count}"

    def weight(self, array):
        """A matrix [k, n]; behind DequantizeLinear a column when the graph is int8."""
        if not self.int8:
            return self.constant(array)
        scale = (np.abs(array).max(0) / 127).astype(np.float32)
        q = np.clip(np.rint(array / scale), -127, 127).astype(np.int8)
        zero = np.zeros(array.shape[1], np.int8)
        return self.op("DequantizeLinear", self.constant(q), self.constant(scale), self.constant(zero), axis=1)

    def linear(self, x, k, n):
        product = self.op("MatMul", x, self.weight(self.normal(k, n, size=k**-0.5)))
        return self.op("Add", self.constant(self.normal(n, size=0.05)), product)

    def norm(self, x):
        scale = self.constant(1 + self.normal(WIDTH, size=0.1))
        return self.op("LayerNormalization", x, scale, self.constant(self.normal(WIDTH, size=0.1)), axis=-1)

    def shape(self, x, *shape):
        return self.op("Reshape", x, self.constant(np.array(shape, np.int64)))

    def attention(self, x):
        head = WIDTH // HEADS
        split = lambda y: self.op("Transpose", self.shape(y, 1, TOKENS, HEADS, head), perm=[0, 2, 1, 3])
        scale = self.constant(np.float32(head**-0.5))
        q = split(self.op("Mul", self.linear(x, WIDTH, WIDTH), scale))
        k, v = split(self.linear(x, WIDTH, WIDTH)), split(self.linear(x, WIDTH, WIDTH))
        flat = lambda y: self.shape(y, HEADS, TOKENS, head)
        scores = self.op("MatMul", flat(q), self.op("Transpose", flat(k), perm=[0, 2, 1]))
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), flat(v))
        joined = self.op("Transpose", self.shape(mixed, 1, HEADS, TOKENS, head), perm=[0, 2, 1, 3])
        return self.linear(self.shape(joined, 1, TOKENS, WIDTH), WIDTH, WIDTH)

    def layer(self, x):
        x = self.op("Add", x, self.attention(self.norm(x)))
        h = self.linear(self.norm(x), WIDTH, 4 * WIDTH)
        gate = self.op("Sigmoid", self.op("Mul", h, self.constant(np.float32(1.702))))
        return self.op("Add", x, self.linear(self.op("Mul", h, gate), 4 * WIDTH, WIDTH))


def vit(int8):
    graph = Graph(int8, seed=1)
    kernel = graph.constant(graph.normal(WIDTH, 3, PATCH, PATCH, size=0.05))
    x = graph.op("Conv", "pixels", kernel, kernel_shape=[PATCH, PATCH], strides=[PATCH, PATCH])
    x = graph.op("Transpose", graph.shape(x, 1, WIDTH, TOKENS - 1), perm=[0, 2, 1])
    x = graph.op("Concat", graph.constant(graph.normal(1, 1, WIDTH)), x, axis=1)
    x = graph.op("Add", x, graph.constant(graph.normal(1, TOKENS, WIDTH)))
    for _ in range(LAYERS):
        x = graph.layer(x)
    first = graph.op("Gather", graph.norm(x), graph.constant(np.array(0, np.int64)), axis=1)
    graph.nodes.append(helper.make_node("MatMul", [first, graph.weight(graph.normal(WIDTH, DIM))], ["embedding"]))
    return finished(graph)


def vgg():
    graph, x, before = Graph(int8=False, seed=4), "pixels", 3
    for width, convolutions in ((16, 2), (32, 2), (DIM, 3)):
        for _ in range(convolutions):
            kernel = graph.constant(graph.normal(width, before, 3, 3, size=(2 / (9 * before)) ** 0.5))
            bias = graph.constant(graph.normal(width, size=0.05))
            x = graph.op("Relu", graph.op("Conv", x, kernel, bias, kernel_shape=[3, 3], pads=[1] * 4))
            before = width
        x = graph.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    pooled = graph.op("GlobalAveragePool", x)
    graph.nodes.append(helper.make_node("Flatten", [pooled], ["embedding"], axis=1))
    return finished(graph)


def finished(graph):
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, SIDE, SIDE])]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, DIM])]
    model = helper.make_model(helper.make_graph(graph.nodes, "tower", inputs, outputs, graph.weights),
                              opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0][0].tolist()


def write(out, graph):
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, out / "image.onnx")
    describe(out)


def write_dynamic(out, floats):
    out.mkdir(parents=True, exist_ok=True)
    options = {"EnableSubgraph": False, "MatMulConstBOnly": True}
    quantize_dynamic(floats / "image.onnx", out / "image.onnx", weight_type=QuantType.QUInt8, extra_options=options)
    describe(out)


def describe(out):
    """The manifest, and what onnxruntime makes of a fixed input."""
    data = (out / "image.onnx").read_bytes()
    manifest = {
        "format": 1, "name": out.name, "dim": DIM,
        "image": {"file": "image.onnx", "input": "pixels", "output": "embedding", "size": SIDE,
                  "resize": {"filter": "bicubic", "mode": "crop"}, "mean": [0.5] * 3, "std": [0.5] * 3},
        "files": {"image.onnx": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}},
    }
    (out / "manifest.json").write_text(json.dumps(manifest))
    pixels = np.random.default_rng(2).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)
    expected = {"input": pixels.ravel().tolist(), "output": run(out / "image.onnx", pixels=pixels)}
    (out / "expected.json").write_text(json.dumps(expected))


def shipped(model, manifest):
    image, text = manifest["image"], manifest["text"]
    random = np.random.default_rng(3)
    told = {"image": [], "text": []}
    for _ in range(4):
        pixels = random.standard_normal((1, 3, image["size"], image["size"])).astype(np.float32)
        told["image"].append({"input": pixels.ravel().tolist(), "output": run(model / image["file"], **{image["input"]: pixels})})
    tokenizer = Tokenizer(model / text["tokenizer"]["file"], text["tokenizer"]["vocab_size"])
    for sentence in SENTENCES:
        ids = tokenizer.encode(sentence, text["context_length"])
        output = run(model / text["file"], **{text["input"]: np.array([ids], np.int64)})
        told["text"].append({"input": ids, "output": output})
    return told


def pillow_pipeline(file, image):
    """Resize the short side, centre crop, normalise: torchvision's steps on Pillow."""
    size = image["size"]
    photo = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    width, height = photo.size
    short = min(width, height)
    photo = photo.resize((int(size * width / short), int(size * height / short)), Image.BICUBIC)
    left, top = (round((side - size) / 2) for side in photo.size)
    pixels = np.asarray(photo.crop((left, top, left + size, top + size)), np.float32) / 255
    pixels = (pixels - np.array(image["mean"], np.float32)) / np.array(image["std"], np.float32)
    return pixels.transpose(2, 0, 1)[None]


def photos(model, manifest, folder):
    image = manifest["image"]
    session = onnxruntime.InferenceSession(str(model / image["file"]), providers=["CPUExecutionProvider"])
    files = sorted(pathlib.Path(folder).iterdir())
    return {file.name: session.run(None, {image["input"]: pillow_pipeline(file, image)})[0][0].tolist() for file in files}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--photos", type=pathlib.Path)
    args = parser.parse_args()
    write(args.out / "vit", vit(int8=False))
    write(args.out / "vit-int8", vit(int8=True))
    write_dynamic(args.out / "vit-dynamic", args.out / "vit")
    write(args.out / "vgg", vgg())
    model = ROOT / "models/photorecall-s"
    manifest = json.loads((model / "manifest.json").read_text())
    (args.out / "shipped.json").write_text(json.dumps(shipped(model, manifest)))
    if args.photos:
        (args.out / "photos.json").write_text(json.dumps(photos(model, manifest, args.photos)))


if __name__ == "__main__":
    main()
