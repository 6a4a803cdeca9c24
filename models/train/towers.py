"""The two towers.

text   [1, 32] ids ─ embedding ─ 3 transformer layers ─ masked mean ─ linear ─ [1, 256]
image  [1, 3, 160, 160] ─ MobileNetV4-conv-small ─ pool ─ linear ─ [1, 256]
"""
import timm
import torch
import torch.nn.functional as F
from torch import nn

DIM = 256
CONTEXT = 32
VOCABULARY = 16384
SIZE = 160
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Layer(nn.Module):
    """Pre-norm transformer layer; GELU after x·σ(1.702x), the form the runtime has a kernel for."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, mask):
        b, t, w = x.shape
        split = lambda y: y.reshape(b, t, self.heads, w // self.heads).transpose(1, 2)
        h = self.norm1(x)
        q, k, v = split(self.q(h)), split(self.k(h)), split(self.v(h))
        scores = q @ k.transpose(-1, -2) * (w // self.heads) ** -0.5 + mask
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, w))
        h = self.up(self.norm2(x))
        return x + self.down(h * torch.sigmoid(1.702 * h))


class TextTower(nn.Module):
    def __init__(self, width=192, layers=3, heads=4):
        super().__init__()
        # One row more than the vocabulary: the padding's.
        self.tokens = nn.Embedding(VOCABULARY + 1, width)
        self.places = nn.Parameter(torch.randn(CONTEXT, width) * 0.02)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, DIM)
        nn.init.normal_(self.tokens.weight, std=0.05)

    def embed(self, ids):
        return self.tokens(ids)

    def forward(self, ids):
        real = (ids != VOCABULARY).float()
        mask = ((1 - real) * -1e4)[:, None, None, :]
        x = self.embed(ids) + self.places[:ids.shape[1]]
        for layer in self.layers:
            x = layer(x, mask)
        x = self.norm(x) * real[:, :, None]
        return F.normalize(self.project(x.sum(1) / real.sum(1, keepdim=True)), dim=-1)


class ImageTower(nn.Module):
    def __init__(self, trunk="mobilenetv4_conv_small"):
        super().__init__()
        self.trunk = timm.create_model(trunk, pretrained=False, num_classes=0)
        self.project = nn.Linear(self.trunk.head_hidden_size or self.trunk.num_features, DIM)

    def forward(self, x):
        return F.normalize(self.project(self.trunk(x)), dim=-1)
