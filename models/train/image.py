"""Stage 4: the image tower.

    python image.py OUT [--minutes M] [--side 128]
    torchrun --nproc-per-node 2 image.py OUT --threads 1

Three lessons a batch, each where the photo has what it needs:
- the teacher's soft predictions: the tower's similarity to the 1,000 label embeddings, at a learned
  temperature, against the teacher's ten likeliest classes (ConSE's idea, Norouzi et al. 2014, learned);
- the cosine to the mean of those label embeddings, weighted by the predictions;
- its own words: contrastive against the batch's label sentences or captions, and
  against random sentences of the corpus (InfoNCE).
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
from towers import MEAN, STD, ImageTower

# How often a photo of a source is drawn.
# Sources with many classes or captions come often, those with ten or five classes seldom.
WEIGHTS = {"samples": 6, "nips17": 6, "flickr": 6, "imagen": 4, "imagenette": 0.4, "grocery": 0.4, "scenes": 0.4, "flowers": 0.3, "pacs": 0.2}
OTHERS = 512  # sentences of the corpus that a photo's own words are told apart from, beside the batch's


class Photos:
    """Random batches with augmentation, on uint8 arrays in memory-mapped order."""

    def __init__(self, out, seed):
        self.rows = json.load(open(out / "photos.json"))
        self.pixels = Pixels(out, self.rows)
        teacher = np.load(out / "teacher.npz")
        self.classes, self.probabilities = teacher["classes"], teacher["probabilities"].astype(np.float32)
        space = np.load(out / "texts.npz")
        self.labels = torch.tensor(space["labels"])
        words = json.load(open(out / "texts.json"))
        at = {text: i for i, text in enumerate(words)}
        self.words = torch.tensor(space["vectors"].astype(np.float32))
        self.texts = [[at[t.strip()] for t in row["texts"] if t.strip() in at] for row in self.rows]
        self.teach_by_words()
        weight = np.array([0 if row["validation"] else WEIGHTS.get(row["source"], 1) for row in self.rows], float)
        usable = np.array([bool(t) for t in self.texts]) | (self.probabilities.sum((1, 2)) > 0)
        self.steps = np.cumsum(weight * usable) / (weight * usable).sum()
        self.random = np.random.default_rng(seed)

    def teach_by_words(self):
        """Small photos, which the teacher sees badly or was not asked about: the labels nearest to their
        words have half a say or all of it."""
        words, top = {row[0] for row in self.texts if row}, self.classes.shape[2]
        near = {}
        for word in words:
            p, classes = (self.words[word] @ self.labels.T * 30).softmax(0).topk(top)
            near[word] = classes.numpy() + 1, p.numpy()
        for i, row in enumerate(self.rows):
            if not self.texts[i] or (row["source"] not in ("tiny", "mini") and self.probabilities[i].any()):
                continue
            classes, p = near[self.texts[i][0]]
            if not self.probabilities[i].any():
                self.classes[i], self.probabilities[i] = classes, p
                continue
            for view in range(2):
                share = np.zeros(len(self.labels) + 1, np.float32)
                np.add.at(share, self.classes[i, view], self.probabilities[i, view])
                np.add.at(share, classes, p)
                best = np.argpartition(-share, top)[:top]
                self.classes[i, view], self.probabilities[i, view] = best, share[best] / share.sum()

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
        views = self.random.integers(0, 2, size)
        x = np.stack([self.crop(self.pixels[r], side, v) for r, v in zip(rows, views)])
        x = torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255
        gain = self.random.uniform(0.8, 1.2, (size, 1, 1, 1)) * self.random.uniform(0.9, 1.1, (size, 3, 1, 1))
        gain, grey = torch.tensor(gain, dtype=torch.float32), torch.tensor(self.random.random((size, 1, 1, 1)) < 0.05)
        x = torch.where(grey, x.mean(1, keepdim=True).expand_as(x), x) * gain
        x = (x.clamp(0, 1) - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        text = [int(self.random.choice(self.texts[r])) if self.texts[r] else -1 for r in rows]
        return (x, torch.tensor(self.classes[rows, views].astype(np.int64)),
                torch.tensor(self.probabilities[rows, views]), torch.tensor(text))


def soft_labels(classes, probabilities, labels):
    """The teacher's classes as indices into the 1,000 labels (its class 0 is background), renormalised."""
    weight = probabilities * (classes > 0)
    index = (classes - 1).clamp(0, len(labels) - 1)
    total = weight.sum(1, keepdim=True)
    return index, weight / total.clamp(min=1e-6), (total[:, 0] > 0.05).float()


def lessons(out, photos, classes, probabilities, text, temperature):
    index, weight, taught = soft_labels(classes, probabilities, photos.labels)
    scores = (out @ photos.labels.T * temperature.exp()).log_softmax(1)
    soft = -(scores.gather(1, index) * weight).sum(1)
    centre = F.normalize((photos.labels[index] * weight[:, :, None]).sum(1), dim=1)
    conse = 1 - (out * centre).sum(1)
    loss = ((soft + 2 * conse) * taught).sum() / taught.sum().clamp(min=1)
    has = text >= 0
    if has.sum() > 1:
        words = photos.words[text[has]]
        same = (words @ words.T > 0.98).float()
        target = same / same.sum(1, keepdim=True)
        pairs = out[has] @ words.T * temperature.exp()
        own = 1 - (out[has] * words).sum(1)
        others = photos.words[torch.randint(len(photos.words), (OTHERS,))]
        # A sentence that means nearly the same is no counterexample.
        apart = (out[has] @ others.T * temperature.exp()).masked_fill(words @ others.T > 0.6, -1e4)
        told = F.cross_entropy(torch.cat([pairs, apart], 1), F.pad(target, (0, OTHERS)))
        loss = loss + 0.5 * (told + F.cross_entropy(pairs.T, target)) + own.mean()
    return loss


class Peers:
    """The other training processes (under `torchrun`), one thread each: on cores that others use too
    they lose less to waiting than threads of one process do."""

    def __init__(self):
        self.count, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        if self.count > 1:
            torch.distributed.init_process_group("gloo")

    def average(self, parameters, done):
        """Gradients become their means over all processes; so does `done`, that all stop together."""
        if self.count == 1:
            return done
        grads = [p.grad for p in parameters]
        flat = torch.cat([torch.tensor([float(done)]), *(g.reshape(-1) for g in grads)])
        torch.distributed.all_reduce(flat)
        flat /= self.count
        for grad, mean in zip(grads, flat[1:].split([g.numel() for g in grads])):
            grad.copy_(mean.view_as(grad))
        return float(flat[0])


def side_at(done, side):
    """Half the side for 40 % of the time, three quarters up to 85 % of it, then all of it."""
    return side // 2 if done < 0.4 else side * 3 // 4 if done < 0.85 else side


def train(args):
    torch.manual_seed(args.seed)
    peers = Peers()
    tower, average = ImageTower(args.trunk), ImageTower(args.trunk)
    temperature = torch.nn.Parameter(torch.tensor(2.7))
    step, path = 0, args.out / "image.pt"
    if path.exists():
        saved = torch.load(path)
        tower.load_state_dict(saved["tower"])
        average.load_state_dict(saved["average"])
        temperature.data, step = saved["temperature"], saved["step"]
    else:
        average.load_state_dict(tower.state_dict())
    tower, average = tower.to(memory_format=torch.channels_last), average.to(memory_format=torch.channels_last)
    photos = Photos(args.out, args.seed + step + 7919 * peers.rank)
    learned = [*tower.parameters(), temperature]
    optimiser = torch.optim.AdamW(learned, lr=args.rate, weight_decay=0.05)
    started, saved_at, first, seen = time.time(), time.time(), step, 0
    loader = ThreadPoolExecutor(1)  # one thread: the order of random numbers stays the seed's
    done = args.begin
    coming = loader.submit(photos.batch, args.batch, side_at(done, args.side))
    while done < 1:
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1, (step - first + 1) / 100) * max(0.01, (1 + np.cos(np.pi * done)) / 2)
        x, classes, probabilities, text = coming.result()
        coming = loader.submit(photos.batch, args.batch, side_at(done, args.side))
        out = tower(x.contiguous(memory_format=torch.channels_last))
        loss = lessons(out, photos, classes, probabilities, text, temperature)
        optimiser.zero_grad()
        loss.backward()
        done = args.begin + (1 - args.begin) * (time.time() - started) / (60 * args.minutes)
        done = peers.average(learned, done)
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 2.0)
        optimiser.step()
        temperature.data.clamp_(max=4.6)
        keep = min(0.999, (step + 1) / (step + 20))
        with torch.no_grad():
            for a, b in zip(average.state_dict().values(), tower.state_dict().values()):
                a.mul_(keep).add_(b, alpha=1 - keep) if a.is_floating_point() else a.copy_(b)
        step, seen = step + 1, seen + args.batch * peers.count
        if step % 100 == 0 and peers.rank == 0:
            rate = seen / (time.time() - started)
            print(f"step {step}: loss {loss.item():.3f}, temperature {temperature.exp().item():.1f}, {rate:.0f} photos/s", flush=True)
        if time.time() - saved_at > 120 and peers.rank == 0:
            save(path, tower, average, temperature, step)
            saved_at = time.time()
    if peers.rank == 0:
        save(path, tower, average, temperature, step)


def save(path, tower, average, temperature, step):
    part = path.with_suffix(".part")
    torch.save({"tower": tower.state_dict(), "average": average.state_dict(), "temperature": temperature.data, "step": step}, part)
    part.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--begin", type=float, default=0, help="the share of the schedule that an earlier run has done")
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--trunk", default="resnet")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    train(args)


if __name__ == "__main__":
    main()
