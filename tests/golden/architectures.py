"""Graphs of the models that people use, with random weights, for `tests/architectures.rs` to compare with.

    python architectures.py OUT [--full]

Writes OUT/NAME/ for TinyCLIP-8M, CLIP ViT-B/32, SigLIP base, and towers after MobileCLIP and VGG16: `image.onnx`
(and `text.onnx`) with the operators that their exports have, exact in widths, heads, tokens and activations,
of two layers each (--full: of all layers); `image.f32` (`text.f32`): an input and what onnxruntime makes of
it; and `image-u8.f32`: what it makes of the same quantised as model hubs do, u8 with one scale a tensor.
`shipped/` has the shipped towers in f32; TinyCLIP is there in fp16 too, all of it and the weights alone.
"""
import argparse
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from towers import ROOT, Graph

CONTEXT, VOCABULARY = 77, 49408
SIGLIP_CONTEXT, SIGLIP_VOCABULARY = 64, 32000


class Tower(Graph):
    """Transformer layers as PyTorch's exporter writes those of `transformers`."""

    def __init__(self, seed, width, heads, tokens, activation):
        super().__init__(int8=False, seed=seed)
        self.width, self.heads, self.tokens, self.activation = width, heads, tokens, activation

    def number(self, value):
        return self.constant(np.float32(value))

    def norm(self, x):
        scale = self.constant(1 + self.normal(self.width, size=0.1))
        return self.op("LayerNormalization", x, scale, self.constant(self.normal(self.width, size=0.1)), axis=-1)

    def attention(self, x, mask=None, query=None):
        head, width = self.width // self.heads, self.width
        def split(y, tokens):
            return self.op("Transpose", self.shape(y, 1, tokens, self.heads, head), perm=[0, 2, 1, 3])
        rows = self.tokens if query is None else 1
        q = split(self.linear(x if query is None else query, width, width), rows)
        k, v = (split(self.linear(x, width, width), self.tokens) for _ in range(2))
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.op("Mul", scores, self.number(head**-0.5))
        scores = scores if mask is None else self.op("Add", scores, mask)
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), v)
        joined = self.shape(self.op("Transpose", mixed, perm=[0, 2, 1, 3]), 1, rows, width)
        return self.linear(joined, width, width)

    def active(self, h):
        if self.activation == "quick":
            return self.op("Mul", h, self.op("Sigmoid", self.op("Mul", h, self.number(1.702))))
        if self.activation == "tanh":
            cube = self.op("Mul", self.op("Pow", h, self.number(3)), self.number(0.044715))
            inner = self.op("Mul", self.op("Add", h, cube), self.number((2 / np.pi) ** 0.5))
            gate = self.op("Add", self.op("Tanh", inner), self.number(1))
            return self.op("Mul", self.op("Mul", h, self.number(0.5)), gate)
        gate = self.op("Add", self.op("Erf", self.op("Div", h, self.number(2**0.5))), self.number(1))
        return self.op("Mul", self.op("Mul", h, gate), self.number(0.5))

    def mlp(self, x):
        return self.linear(self.active(self.linear(x, self.width, 4 * self.width)), 4 * self.width, self.width)

    def layers(self, x, count, mask=None):
        for _ in range(count):
            x = self.op("Add", x, self.attention(self.norm(x), mask))
            x = self.op("Add", x, self.mlp(self.norm(x)))
        return x

    def patches(self, side, patch, bias):
        kernel = self.constant(self.normal(self.width, 3, patch, patch, size=(3 * patch**2) ** -0.5))
        inputs = [kernel, self.constant(self.normal(self.width, size=0.05))] if bias else [kernel]
        x = self.op("Conv", "pixel_values", *inputs, kernel_shape=[patch, patch], strides=[patch, patch])
        return self.op("Transpose", self.shape(x, 1, self.width, (side // patch) ** 2), perm=[0, 2, 1])

    def conv(self, x, before, after, size, stride=1, groups=1):
        fan = before // groups * size * size
        kernel = self.constant(self.normal(after, before // groups, size, size, size=(2 / fan) ** 0.5))
        bias = self.constant(self.normal(after, size=0.05))
        return self.op("Conv", x, kernel, bias, kernel_shape=[size, size], strides=[stride] * 2,
                       pads=[size // 2] * 4, group=groups)

    def last(self, kind, *inputs, **attributes):
        self.nodes.append(helper.make_node(kind, list(inputs), ["embeds"], kind, **attributes))


def clip_image(width, heads, layers, patch, dim=512, side=224):
    tokens = (side // patch) ** 2 + 1
    tower = Tower(1, width, heads, tokens, "quick")
    x = tower.op("Concat", tower.constant(tower.normal(1, 1, width)), tower.patches(side, patch, bias=False), axis=1)
    x = tower.norm(tower.op("Add", x, tower.constant(tower.normal(1, tokens, width, size=0.1))))
    x = tower.layers(x, layers)
    first = tower.op("Gather", x, tower.constant(np.array(0, np.int64)), axis=1)
    tower.last("MatMul", tower.norm(first), tower.weight(tower.normal(width, dim, size=width**-0.5)))
    return finished(tower, [1, 3, side, side], dim)


def clip_text(width, heads, layers, dim=512):
    tower = Tower(2, width, heads, CONTEXT, "quick")
    table = tower.constant(tower.normal(VOCABULARY, width, size=0.2))
    x = tower.op("Add", tower.op("Gather", table, "input_ids", axis=0), tower.constant(tower.normal(1, CONTEXT, width, size=0.1)))
    later = np.triu(np.full((1, 1, CONTEXT, CONTEXT), np.finfo(np.float32).min, np.float32), 1)
    x = tower.norm(tower.layers(x, layers, tower.constant(later)))
    end = tower.op("ArgMax", "input_ids", axis=1, keepdims=0)
    last = tower.op("Gather", tower.op("Squeeze", x, tower.constant(np.array([0], np.int64))), end, axis=0)
    tower.last("MatMul", last, tower.weight(tower.normal(width, dim, size=width**-0.5)))
    return finished(tower, [1, CONTEXT], dim)


def siglip_image(layers, width=768, heads=12, patch=16, side=224):
    """No class token; a learned query attends over all patches, then an MLP."""
    tokens = (side // patch) ** 2
    tower = Tower(3, width, heads, tokens, "tanh")
    x = tower.op("Add", tower.patches(side, patch, bias=True), tower.constant(tower.normal(1, tokens, width, size=0.1)))
    x = tower.norm(tower.layers(x, layers))
    pooled = tower.attention(x, query=tower.constant(tower.normal(1, 1, width)))
    pooled = tower.op("Add", pooled, tower.mlp(tower.norm(pooled)))
    tower.last("Gather", pooled, tower.constant(np.array(0, np.int64)), axis=1)
    return finished(tower, [1, 3, side, side], width)


def siglip_text(layers, width=768, heads=12):
    """Every token sees every other; the last one, padding or not, speaks for the text."""
    tower = Tower(7, width, heads, SIGLIP_CONTEXT, "tanh")
    x = tower.op("Gather", tower.constant(tower.normal(SIGLIP_VOCABULARY, width, size=0.2)), "input_ids", axis=0)
    x = tower.op("Add", x, tower.constant(tower.normal(1, SIGLIP_CONTEXT, width, size=0.1)))
    x = tower.norm(tower.layers(x, layers))
    last = tower.op("Gather", x, tower.constant(np.array(SIGLIP_CONTEXT - 1, np.int64)), axis=1)
    weight = tower.constant(tower.normal(width, width, size=width**-0.5))
    tower.last("Gemm", last, weight, tower.constant(tower.normal(width, size=0.05)), transB=1)
    return finished(tower, [1, SIGLIP_CONTEXT], width)


def mobileclip_image(depths, widths=(64, 128, 256, 512), dim=512, side=256):
    """After FastViT's MCi0: depthwise mixing, 7x7 depthwise and two pointwise convolutions with GELU, and
    attention in the last stage."""
    tower = Tower(4, widths[-1], widths[-1] // 32, (side // 32) ** 2, "erf")
    x = tower.active(tower.conv("pixel_values", 3, widths[0], 3, 2))
    x = tower.active(tower.conv(x, widths[0], widths[0], 3, 2, groups=widths[0]))
    before = widths[0]
    for stage, (width, depth) in enumerate(zip(widths, depths)):
        if stage:
            x = tower.conv(tower.conv(x, before, width, 7, 2, groups=before), width, width, 1)
        for _ in range(depth):
            x = tower.op("Add", x, tower.conv(x, width, width, 3, groups=width))
            h = tower.active(tower.conv(tower.conv(x, width, width, 7, groups=width), width, 3 * width, 1))
            # A layer scale keeps the sum of many blocks in range.
            h = tower.op("Mul", tower.conv(h, 3 * width, width, 1), tower.constant(np.full((width, 1, 1), 0.2, np.float32)))
            x = tower.op("Add", x, h)
        before = width
    flat = tower.op("Transpose", tower.shape(x, 1, before, tower.tokens), perm=[0, 2, 1])
    x = tower.op("ReduceMean", tower.layers(flat, 1), axes=[1], keepdims=0)
    weight = tower.constant(tower.normal(dim, before, size=before**-0.5))
    tower.last("Gemm", x, weight, tower.constant(tower.normal(dim, size=0.05)), transB=1)
    return finished(tower, [1, 3, side, side], dim)


def vgg16(share):
    """Its features averaged, L2-normalised by who uses them; `share` of the widths."""
    tower, x, before = Tower(5, 1, 1, 1, ""), "pixel_values", 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        width = int(width * share)
        for _ in range(count):
            x, before = tower.op("Relu", tower.conv(x, before, width, 3)), width
        x = tower.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    tower.last("Flatten", tower.op("GlobalAveragePool", x), axis=1)
    return finished(tower, [1, 3, 224, 224], before)


def finished(tower, shape, dim):
    name, kind = ("pixel_values", TensorProto.FLOAT) if len(shape) == 4 else ("input_ids", TensorProto.INT64)
    graph = helper.make_graph(tower.nodes, "tower", [helper.make_tensor_value_info(name, kind, shape)],
                              [helper.make_tensor_value_info("embeds", TensorProto.FLOAT, [1, dim])], tower.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def shipped(file):
    """A shipped tower in f32: DequantizeLinear's results as constants."""
    model = onnx.load(ROOT / "models/photorecall-s" / file)
    values = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear":
            kept.append(node)
            continue
        axis = next(a.i for a in node.attribute if a.name == "axis")
        q, scale = (values[name] for name in node.input[:2])
        scale = scale.reshape([-1 if i == axis else 1 for i in range(q.ndim)])
        model.graph.initializer.append(numpy_helper.from_array(q.astype(np.float32) * scale, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    used = {name for node in kept for name in node.input}
    constants = [i for i in model.graph.initializer if i.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(constants)
    return model


def half(graph, whole):
    """The same in fp16: all of it with Casts at both ends, or the weights alone, each behind a Cast."""
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    nodes, weights = list(model.graph.node), list(model.graph.initializer)
    del model.graph.node[:], model.graph.initializer[:]
    for tensor in weights:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32:
            model.graph.initializer.append(tensor)
            continue
        name = tensor.name if whole else f"{tensor.name}.half"
        model.graph.initializer.append(numpy_helper.from_array(array.astype(np.float16), name))
        if not whole:
            model.graph.node.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
    if whole:
        for node in nodes:
            node.input[:] = ["pixels.half" if name == "pixel_values" else name for name in node.input]
            node.output[:] = ["embeds.half" if name == "embeds" else name for name in node.output]
        first = helper.make_node("Cast", ["pixel_values"], ["pixels.half"], to=TensorProto.FLOAT16)
        nodes = [first, *nodes, helper.make_node("Cast", ["embeds.half"], ["embeds"], to=TensorProto.FLOAT)]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    return model


def run(path, x):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0].ravel()


def example(graph):
    shape = [d.dim_value for d in graph.graph.input[0].type.tensor_type.shape.dim]
    random = np.random.default_rng(6)
    if len(shape) == 4:
        # Smooth and noisy parts, as photos have them.
        coarse = random.standard_normal((1, 3, 8, 8)).repeat(shape[2] // 8, 2).repeat(shape[3] // 8, 3)
        return (coarse + 0.3 * random.standard_normal(shape)).astype(np.float32)
    # (ids, the padding, whether a text begins with an id of its own) by the length of the input. The shipped
    # tower's padding is an id of its own, CLIP's and SigLIP's is the end of text.
    top, padding, starts = {CONTEXT: (VOCABULARY, VOCABULARY - 1, True), SIGLIP_CONTEXT: (SIGLIP_VOCABULARY, 1, False)}.get(
        shape[1], (16384, 16384, True))
    ids = np.full(shape, padding, np.int64)
    ids[0, 1:8] = random.integers(256, top - 2, 7)
    if starts:
        ids[0, 0], ids[0, 8] = top - 2, top - 1
    else:
        ids[0, 0] = ids[0, 7]
    return ids


def write(folder, part, graph):
    folder.mkdir(parents=True, exist_ok=True)
    path, small = folder / f"{part}.onnx", folder / f"{part}-u8.onnx"
    onnx.save(graph, path)
    x = example(graph)
    expected = run(path, x)
    np.concatenate([x.ravel().astype(np.float32), expected]).astype("<f4").tofile(folder / f"{part}.f32")
    quantize_dynamic(path, small, weight_type=QuantType.QUInt8)
    found = run(small, x)
    found.astype("<f4").tofile(folder / f"{part}-u8.f32")
    small.unlink()
    cosine = expected @ found / np.linalg.norm(expected) / np.linalg.norm(found)
    print(f"{folder.name}/{part}: {path.stat().st_size / 1e6:.1f} MB, u8 a tensor: cosine {cosine:.5f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--full", action="store_true", help="all layers")
    args = parser.parse_args()
    layers = lambda all_layers: all_layers if args.full else 2
    tiny = clip_image(256, 4, layers(10), 16)
    write(args.out / "tinyclip-8m", "image", tiny)
    for name, whole in (("half", True), ("cast", False)):
        onnx.save(half(tiny, whole), args.out / "tinyclip-8m" / f"image-{name}.onnx")
    write(args.out / "tinyclip-8m", "text", clip_text(256, 4, layers(3)))
    write(args.out / "clip-vit-b32", "image", clip_image(768, 12, layers(12), 32))
    write(args.out / "clip-vit-b32", "text", clip_text(512, 8, layers(12)))
    write(args.out / "siglip", "image", siglip_image(layers(12)))
    write(args.out / "siglip", "text", siglip_text(layers(12)))
    write(args.out / "mobileclip", "image", mobileclip_image((2, 6, 10, 2) if args.full else (1, 1, 1, 1)))
    write(args.out / "vgg16", "image", vgg16(1 if args.full else 0.25))
    for part in ("image", "text"):
        write(args.out / "shipped", part, shipped(f"{part}.onnx"))


if __name__ == "__main__":
    main()
