"""The two towers.

text   [1, 32] ids ─ embedding ─ 2 transformer layers ─ masked mean ─ linear ─ [1, 256]
image  [1, 3, 160, 160] ─ MobileNetV4-conv-small ─ pool ─ linear ─ [1, 256]
"""
import timm
import torch
from torch import nn

DIM = 256
CONTEXT = 32
VOCABULARY = 16384
SIZE = 160
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(x):
    """x / |x|, in operators that every runtime has."""
    return x / ((x * x).sum(-1, keepdim=True) + 1e-12).sqrt()


class Layer(nn.Module):
    """Pre-norm transformer layer; GELU after x·σ(1.702x), the form the runtime has a kernel for."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.head_width = heads, width // heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, mask):
        b, t, w = map(int, x.shape)  # numbers, so that the exported graph has no dynamic shapes
        split = lambda y: y.reshape(b, t, self.heads, self.head_width).transpose(1, 2)
        h = self.norm1(x)
        q, k, v = split(self.q(h)), split(self.k(h)), split(self.v(h))
        scores = q @ k.transpose(-1, -2) * self.head_width ** -0.5 + mask
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, w))
        h = self.up(self.norm2(x))
        return x + self.down(h * torch.sigmoid(1.702 * h))


class TextTower(nn.Module):
    """Begins as a bag of tokens: layers add nothing until they have learned something, so that a
    table of token embeddings fitted in closed form (`text.fit_table`) is where training starts."""

    def __init__(self, width=DIM, layers=2, heads=4):
        super().__init__()
        # One row more than the vocabulary: the padding's.
        self.tokens = nn.Embedding(VOCABULARY + 1, width)
        self.places = nn.Parameter(torch.zeros(CONTEXT, width))
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.project = nn.Linear(width, DIM)
        for layer in self.layers:
            for last in (layer.out, layer.down):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    def forward(self, ids):
        real = (ids != VOCABULARY).float()
        mask = ((1 - real) * -1e4)[:, None, None, :]
        x = self.tokens(ids) + self.places[:ids.shape[1]]
        for layer in self.layers:
            x = layer(x, mask)
        x = x * real[:, :, None]
        return normalise(self.project(x.sum(1) / real.sum(1, keepdim=True)))


class ImageTower(nn.Module):
    def __init__(self, trunk="mobilenetv4_conv_small"):
        super().__init__()
        self.trunk = timm.create_model(trunk, pretrained=False, num_classes=0)
        self.project = nn.Linear(self.trunk.head_hidden_size or self.trunk.num_features, DIM)

    def forward(self, x):
        return normalise(self.project(self.trunk(x)))
