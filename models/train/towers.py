"""The two towers.

text   [1, 32] ids ─ embedding ─ 2 transformer layers ─ masked mean ─ linear ─┬──────────────────── 256 ┐
                                                                              └ 1,000 labels ─ code ─ 128 ┴ [1, 384]
image  [1, 3, 160, 160] ─ small ResNet ─ pool ─┬ linear ───────────────────────────┬ + ─────────── 256 ┐
                                               └ 1,000 labels ┬ softmax ─ their mean ┘                  │
                                                              └ code ───────────────────────────── 128 ┴ [1, 384]

The first part of an embedding is what is meant; the second says which labels it may be of.
Two labels that mean much the same are close together in the first, and apart in the second.
"""
import timm
import torch
from torch import nn

MEANING = 256  # axes of what is meant, which the sentence encoder's embeddings lie on
CODE = 128  # axes of the labels' code
DIM = MEANING + CODE
CONTEXT = 32
VOCABULARY = 16384
SIZE = 160
LABELS = 1000  # ImageNet's, which the teacher tells
SHARPNESS = 2.0  # the labels' logits are learned twice as soft as the teacher's own
CODED = 0.6  # the code's length, beside a meaning of length 1
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

    def __init__(self, width=MEANING, layers=2, heads=4):
        super().__init__()
        # One row more than the vocabulary: the padding's.
        self.tokens = nn.Embedding(VOCABULARY + 1, width)
        self.places = nn.Parameter(torch.zeros(CONTEXT, width))
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.project = nn.Linear(width, MEANING)
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


class Code(nn.Module):
    """Which labels something may be of, by their logits [n, 1000]: an embedding [n, 128].

    Of two of these the product says how likely both are of one label, and of labels that are told apart badly a part of it."""

    def __init__(self):
        super().__init__()
        self.labels = nn.Linear(LABELS, CODE, bias=False)

    def forward(self, logits):
        return CODED * normalise(self.labels(normalise(logits.softmax(-1))))


class Words(nn.Module):
    """Meanings of words [n, 256] become their embeddings [n, 384]: `guess` says which labels they may be of."""

    def __init__(self):
        super().__init__()
        self.guess = nn.Linear(MEANING, LABELS)
        self.code = Code()

    def forward(self, meaning):
        return torch.cat([meaning, self.code(self.guess(meaning))], -1)


class Block(nn.Module):
    """Basic residual block (He et al. 2016), with the averaging shortcut of ResNet-D."""

    def __init__(self, before, width, stride):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        self.shortcut = nn.Identity() if stride == 1 else nn.Sequential(
            nn.AvgPool2d(stride), nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


def resnet(stem=24, widths=(32, 64, 128, 240)):
    """Dense convolutions: on a processor without a GPU they train faster than depthwise ones of as
    many parameters. 0.22 GMAC at 160 px."""
    layers, before = [nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU()], stem
    for width in widths:
        layers += [Block(before, width, 2), Block(width, width, 1)]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), before


class ImageTower(nn.Module):
    """`trunk` is "resnet" or a name of timm's; never with pretrained weights.

    Its meaning is what the features say by themselves, and the mean of what the likely labels mean (ConSE, Norouzi et al.
    2014), both learned."""

    def __init__(self, trunk="resnet"):
        super().__init__()
        if trunk == "resnet":
            self.trunk, width = resnet()
        else:
            self.trunk = timm.create_model(trunk, pretrained=False, num_classes=0)
            width = self.trunk.head_hidden_size or self.trunk.num_features
        self.project = nn.Linear(width, MEANING)
        self.guess = nn.Linear(width, LABELS)
        self.meaning = nn.Linear(LABELS, MEANING, bias=False)
        self.code = Code()

    def told(self, features):
        """Embeddings [n, 384] and logits of the labels [n, 1000]."""
        guess = self.guess(features)
        meant = self.meaning((guess * SHARPNESS).softmax(-1))
        return torch.cat([normalise(normalise(self.project(features)) + meant), self.code(guess)], -1), guess

    def forward(self, x):
        return self.told(self.trunk(x))[0]


class Pupils(nn.Module):
    """What the image tower's training learns: the tower, and the words' part that meets its codes."""

    def __init__(self, trunk="resnet"):
        super().__init__()
        self.image, self.words = ImageTower(trunk), Words()


class Sentences(nn.Module):
    """The text tower as it ships: ids [n, 32] become embeddings [n, 384]."""

    def __init__(self, text, words):
        super().__init__()
        self.text, self.words = text, words

    def forward(self, ids):
        return self.words(self.text(ids))
