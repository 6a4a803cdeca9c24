"""Stage 4: the image tower.

    python image.py OUT [--minutes M] [--side 160]
    torchrun --nproc-per-node 2 image.py OUT --threads 1

What a photo shows is the teacher's soft predictions mixed with what its own words mean. Three lessons a
batch, each where the photo has what it needs:
- the distribution over the 1,000 labels: by the tower's similarity to the label embeddings, at a learned
  temperature, and by its own logits, which bring in what the teacher tells of all classes (Hinton et al. 2015);
- the cosine to the mean of the label embeddings, weighted by the distribution (ConSE, Norouzi et al. 2014);
- its own words, or a broader word of WordNet's: contrastive against those of the batch, and
  against random sentences of the corpus (InfoNCE).
What is meant and the labels' codes are learned together, the codes of the words too.
Small pictures first: most of what is learned early does not need the pixels. What is exported is an
exponential moving average of the weights. Resumes from `image.pt` when it is there.
"""
import argparse
import json
import os
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from photos import Pixels
from runs import note
from teacher import UNASKED
from towers import CODE, MEAN, MEANING, SHARPNESS, SIZE, STD, Pupils, normalise

# How often a photo of a source is drawn.
# Sources with many classes or captions come often, those with ten or five classes seldom.
WEIGHTS = {"samples": 4, "acuity": 4, "nips17": 4, "imagen": 4, "flickr": 4, "inmini": 3, "bsds": 3, "thousand": 2.5, "mini": 1.3,
           "flickr8k": 2, "voc": 2, "sysu": 2, "houses": 2, "recipes": 2, "caltech101": 1.5, "tiny": 0.4, "clothing": 0.6,
           "wardrobe": 0.6, "tools": 0.5, "furniture": 0.4, "ikea": 0.4, "animals": 0.5, "catsdogs": 0.5, "birds": 0.4,
           "grocery": 0.4, "imagewoof": 0.4, "imagenette": 0.3, "butterflies": 0.3, "scenes": 0.3, "captcha": 0.2, "flowers": 0.2,
           "pacs": 0.2}
# The words' share in what a photo shows; the teacher sees small photos and drawings badly.
WORDS_SHARE = {"tiny": 0.6, "mini": 0.5, "pacs": 0.5, "grocery": 0.5}
OTHERS = 256  # sentences of the corpus that a photo's own words are told apart from, beside the batch's
LIKENESS = 10.0  # what the words' similarities to the labels begin to be multiplied by
CODED_FROM = 2048  # photos that the codes' axes begin from
STRIDE = 32  # pixels of a side that become one of the tower's last map
GROWING = (0.3, 0.4), (0.6, 0.6), (0.86, 0.8), (np.inf, 1)  # until which part of the schedule photos are that share of the side
MEET = 16  # steps between two meetings of the processes
FEW, WIDE = 3, 128  # pixels of a map's side up to which, and channels above which, `FewPixels` is the faster
SOFT, SOFTER = 1.5, SHARPNESS  # what the teacher's logits are divided by, for the embeddings and for the tower's own logits
BROADER = 0.15  # how often a broader word stands for a photo's own
MEANT = 0.6  # what the labels' meaning begins with, beside an embedding of length 1


class Photos:
    """Random batches with augmentation, on uint8 arrays in memory-mapped order."""

    def __init__(self, out, seed):
        self.rows = json.load(open(out / "photos.json"))
        self.pixels = Pixels(out, self.rows)
        self.logits, self.unit = np.load(out / "teacher.npy", mmap_mode="r"), json.load(open(out / "teacher.json"))
        space = np.load(out / "texts.npz")
        self.labels = torch.tensor(space["labels"])
        words = json.load(open(out / "texts.json"))
        at = {text: i for i, text in enumerate(words)}
        self.words = torch.tensor(space["vectors"].astype(np.float32))
        self.texts = [[at[t.strip()] for t in row["texts"] if t.strip() in at] for row in self.rows]
        above = json.load(open(out / "broader.json")) if (out / "broader.json").exists() else {}  # without WordNet
        self.broader = {at[word]: [at[name] for name in names] for word, names in above.items() if word in at}
        weight = np.array([0 if row["validation"] else WEIGHTS.get(row["source"], 1) for row in self.rows], float)
        asked = self.logits[:, 0] != UNASKED
        usable = asked | np.array([bool(t) for t in self.texts])
        share = [WORDS_SHARE.get(row["source"], 0.25) if t else 0 for row, t in zip(self.rows, self.texts)]
        self.share = np.array(share, np.float32)
        self.steps = np.cumsum(weight * usable) / (weight * usable).sum()
        self.random = np.random.default_rng(seed)

    def crop(self, pixels, side, flip):
        """A random part, 45 to 100 % of the area, sides between 3:4 and 4:3; uint8 [side, side, 3]."""
        full, random = pixels.shape[0], self.random
        edge, aspect = full * np.sqrt(random.uniform(0.45, 1)), np.exp(random.uniform(-0.14, 0.14))
        h, w = min(full, int(edge * aspect)), min(full, int(edge / aspect))
        y, x = random.integers(0, full - h + 1), random.integers(0, full - w + 1)
        # Pillow's resize works on bytes: several times faster than one on floats.
        part = Image.fromarray(pixels).resize((side, side), Image.BILINEAR, box=(x, y, x + w, y + h))
        part = np.asarray(part)
        return part[:, ::-1] if flip else part

    def batch(self, size, side):
        rows = np.sort(np.searchsorted(self.steps, self.random.random(size)).clip(max=len(self.rows) - 1))
        flips = self.random.integers(0, 2, size)
        x = np.stack([self.crop(self.pixels[r], side, flip) for r, flip in zip(rows, flips)])
        x = torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255
        gain = self.random.uniform(0.8, 1.2, (size, 1, 1, 1)) * self.random.uniform(0.9, 1.1, (size, 3, 1, 1))
        gain, grey = torch.tensor(gain, dtype=torch.float32), torch.tensor(self.random.random((size, 1, 1, 1)) < 0.05)
        x = torch.where(grey, x.mean(1, keepdim=True).expand_as(x), x) * gain
        x = (x.clamp(0, 1) - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        text = [int(self.random.choice(self.texts[r])) if self.texts[r] else -1 for r in rows]
        # A broader word says less of the photo, so that the labels are told by its own ones.
        said = [int(self.random.choice(self.broader[t])) if t in self.broader and self.random.random() < BROADER else t for t in text]
        fits = torch.tensor([[s in self.broader.get(t, ()) for s in said] for t in text])
        told = self.logits[rows]
        # Looked up anew each time: the teacher may be at work still, and what it adds counts from then on.
        share = np.where(told[:, 0] != UNASKED, self.share[rows], 1).astype(np.float32)
        logits = (torch.tensor(told[:, 1:]).float() - self.unit["zero"]) * self.unit["scale"]
        return x, logits, torch.tensor(share), torch.tensor(text), torch.tensor(said), fits


def shown(near, logits, share, soft):
    """A distribution over the labels: the teacher's, and that of the words by their nearness to the labels."""
    return (logits / soft).softmax(1) * (1 - share[:, None]) + near * share[:, None]


def lessons(out, guess, words, photos, logits, share, text, said, fits, temperature):
    meant, factor = out[:, :MEANING], temperature.exp()
    near = (photos.words[text.clamp(min=0)] @ photos.labels.T * 30).softmax(1)
    soft = -((out @ words(photos.labels).T * factor).log_softmax(1) * shown(near, logits, share, SOFT)).sum(1).mean()
    own_labels = -(guess.log_softmax(1) * shown(near, logits, share, SOFTER)).sum(1).mean()
    sharp = shown(near, logits, share, 1.0)
    conse = 1 - (meant * F.normalize(sharp @ photos.labels, dim=1)).sum(1).mean()
    loss = soft + own_labels + 2 * conse
    has = text >= 0
    if has.sum() > 1:
        meanings, own = photos.words[said[has]], photos.words[text[has]]
        # Which photos (rows) a sentence (columns) tells of: its own, and those of the same meaning or a narrower one.
        same = ((own @ meanings.T > 0.98) | fits[has][:, has]).float()
        same.fill_diagonal_(1)
        pairs = out[has] @ words(meanings).T * factor
        others = photos.words[torch.randint(len(photos.words), (OTHERS,))]
        # A sentence that means nearly the same is no counterexample.
        apart = (out[has] @ words(others).T * factor).masked_fill(own @ others.T > 0.6, -1e4)
        told = F.cross_entropy(torch.cat([pairs, apart], 1), F.pad(same / same.sum(1, keepdim=True), (0, OTHERS)))
        found = F.cross_entropy(pairs.T, same.T / same.T.sum(1, keepdim=True))
        loss = loss + 0.5 * (told + found) + 1 - (meant[has] * own).sum(1).mean()
    return loss


class Peers:
    """The other training processes (under `torchrun`), one thread each. Each goes its own way for some steps,
    then all meet at the mean of their weights (local SGD): on cores that others use too, they wait little."""

    def __init__(self):
        self.count, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        if self.count > 1:
            torch.distributed.init_process_group("gloo")

    def agree(self, module):
        """The first process's weights become everyone's."""
        for value in module.state_dict().values() if self.count > 1 else ():
            torch.distributed.broadcast(value, 0)

    @torch.no_grad()
    def meet(self, values, done):
        """`values` become their means over all processes; so does `done`, that all stop together."""
        if self.count == 1:
            return done
        flat = torch.cat([torch.tensor([float(done)]), *(v.reshape(-1) for v in values)])
        torch.distributed.all_reduce(flat)
        flat /= self.count
        for value, mean in zip(values, flat[1:].split([v.numel() for v in values])):
            value.copy_(mean.view_as(value))
        return float(flat[0])


def portion(done, args):
    """Photos of a batch and their side. Of small ones twice as many: what a step costs for the weights alone
    is then shared by more."""
    side = side_at(done, args.side)
    return args.batch * (2 if side == side_at(0, args.side) else 1), side


class FewPixels(torch.autograd.Function):
    """A 3x3 convolution whose weights' gradient is one matrix product: for maps of few pixels oneDNN's own
    takes longer than all the rest of the layer."""

    @staticmethod
    def forward(ctx, x, weight, stride):
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, 1)

    @staticmethod
    def backward(ctx, above):
        (x, weight), by = ctx.saved_tensors, ctx.stride
        below = torch.ops.aten.convolution_backward(
            above, x, weight, None, [by, by], [1, 1], [1, 1], False, [0, 0], 1, [True, False, False])[0]
        h, w = above.shape[2:]
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        seen = torch.cat([padded[:, i:i + h * by:by, j:j + w * by:by] for i in range(3) for j in range(3)], -1)
        change = above.permute(0, 2, 3, 1).flatten(0, 2).T @ seen.flatten(0, 2)
        return below, change.view(len(weight), 3, 3, -1).permute(0, 3, 1, 2), None


class Convolution(torch.nn.Conv2d):
    """One that uses `FewPixels` where that is the faster."""

    def forward(self, x):
        if x.dtype == torch.bfloat16 and x.shape[2] // self.stride[0] <= FEW:
            return FewPixels.apply(x, self.weight.bfloat16(), self.stride[0])
        return super().forward(x)


def ease(tower):
    """The wide 3x3 convolutions become `Convolution`s; weights and results stay."""
    for module in tower.modules():
        if type(module) is torch.nn.Conv2d and module.kernel_size == (3, 3) and module.groups == 1 and module.out_channels > WIDE:
            module.__class__ = Convolution


def side_at(done, side):
    """Larger photos as time goes on, of the `GROWING` shares of the side, in whole steps of the tower's. Things look larger in
    random parts than in whole photos, so that most is learned for `side` at less than it (Touvron et al. 2019)."""
    share = next(share for until, share in GROWING if done < until)
    return max(1, round(side * share / STRIDE)) * STRIDE


@torch.no_grad()
def start_labels(tower, labels, temperature):
    """The labels begin as what the tower knows, its similarities to them, and mean what their words do."""
    scale = temperature.exp() / tower.project.weight.norm(dim=1).norm() * 2
    tower.guess.weight.copy_(labels @ tower.project.weight * scale)
    tower.guess.bias.copy_(labels @ tower.project.bias * scale)
    tower.meaning.weight.copy_(MEANT * (labels - labels.mean(0)).T)


@torch.no_grad()
def start_codes(pupils, photos, side):
    """Codes begin on the principal axes of what the tower guesses of photos and the words' part of the labels' own words."""
    pupils.words.guess.weight.copy_(LIKENESS * photos.labels)
    pupils.words.guess.bias.zero_()
    pupils.eval()
    seen = [pupils.image.guess(pupils.image.trunk(photos.batch(64, side)[0])) for _ in range(CODED_FROM // 64)]
    pupils.train()
    likely = normalise(torch.cat(seen).softmax(-1)), normalise(pupils.words.guess(photos.labels).softmax(-1))
    axes = torch.linalg.svd(torch.cat(likely), full_matrices=False)[2][:CODE]
    for code in (pupils.image.code, pupils.words.code):
        code.labels.weight.copy_(axes)


def begin(saved, photos, temperature, peers, args):
    """The pupils and their moving average, as they were left; what an earlier version had not begins here."""
    pupils, average = Pupils(args.trunk), Pupils(args.trunk)
    for each, weights in ((pupils, "tower"), (average, "average")):
        each.load_state_dict(saved.get(weights, pupils.state_dict()), strict=False)
        if "image.guess.weight" not in saved.get(weights, {}):
            start_labels(each.image, photos.labels, temperature)
    if "words.guess.weight" not in saved.get("tower", {}):
        start_codes(pupils, photos, args.side)
        for part in ("words", "image.code"):
            peers.agree(pupils.get_submodule(part))  # their photos are not the same
            average.get_submodule(part).load_state_dict(pupils.get_submodule(part).state_dict())
    ease(pupils)
    return pupils.to(memory_format=torch.channels_last), average.to(memory_format=torch.channels_last)


def train(args):
    torch.manual_seed(args.seed)
    peers = Peers()
    temperature = torch.nn.Parameter(torch.tensor(2.7))
    step, path = 0, args.out / "image.pt"
    saved = torch.load(path) if path.exists() else {}
    if saved:
        temperature.data, step = saved["temperature"], saved["step"]
    photos = Photos(args.out, args.seed + step + 7919 * peers.rank)
    pupils, average = begin(saved, photos, temperature, peers, args)
    tower = pupils.image
    learned = [*pupils.parameters(), temperature]
    shared = [v for v in (*learned, *pupils.buffers()) if v.is_floating_point()]
    optimiser = torch.optim.AdamW(learned, lr=args.rate, weight_decay=0.05, fused=True)
    started, saved_at, first, seen = time.time(), time.time(), step, 0
    loader = ThreadPoolExecutor(1)  # one thread: the order of random numbers stays the seed's
    done = args.begin
    coming = loader.submit(photos.batch, *portion(done, args))
    while done < 1:
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1, (step - first + 1) / 200) * max(0.005, (1 + np.cos(np.pi * done)) / 2)
        x, *told = coming.result()
        coming = loader.submit(photos.batch, *portion(done, args))
        with torch.autocast("cpu", torch.bfloat16, enabled=args.half):
            features = tower.trunk(x.contiguous(memory_format=torch.channels_last))
        features = features.float()
        loss = lessons(*tower.told(features), pupils.words, photos, *told, temperature)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 4.0)
        optimiser.step()
        temperature.data.clamp_(max=4.6)
        step, seen = step + 1, seen + len(x) * peers.count
        if step % MEET == 0:
            done = args.begin + (1 - args.begin) * (time.time() - started) / (60 * args.minutes)
            done = peers.meet([v.data for v in shared], done)
            keep = min(args.keep, (step - first) / (step - first + 500)) ** MEET
            with torch.no_grad():
                for a, b in zip(average.state_dict().values(), pupils.state_dict().values()):
                    a.mul_(keep).add_(b, alpha=1 - keep) if a.is_floating_point() else a.copy_(b)
        if step % 160 == 0 and peers.rank == 0:
            rate = seen / (time.time() - started)
            print(f"{done:.3f}, step {step}: loss {loss.item():.3f}, temperature {temperature.exp().item():.1f}, "
                  f"{seen} photos, {rate:.0f} a second", flush=True)
        if time.time() - saved_at > 120 and peers.rank == 0:
            save(path, pupils, average, temperature, step)
            saved_at = time.time()
    if peers.rank == 0:
        save(path, pupils, average, temperature, step)
        note(args.out, args, processes=peers.count, photos=seen, steps=step - first, loss=round(loss.item(), 3))


def save(path, pupils, average, temperature, step):
    part = path.with_suffix(".part")
    torch.save({"tower": pupils.state_dict(), "average": average.state_dict(),
                "temperature": temperature.data, "step": step}, part)
    part.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--begin", type=float, default=0, help="the share of the schedule that an earlier run has done")
    parser.add_argument("--side", type=int, default=SIZE, help="of the largest photos, a multiple of 32")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--keep", type=float, default=0.999, help="of the moving average, a step")
    parser.add_argument("--half", action="store_true", help="the convolutions in bfloat16")
    parser.add_argument("--trunk", default="resnet")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    train(args)


if __name__ == "__main__":
    main()
