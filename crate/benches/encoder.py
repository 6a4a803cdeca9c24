"""The peers' side of `cargo xtask bench encoder`, and the report.

encoder.py OURS PHOTORECALL FOLDER OUT [--quick]: OURS is the bench program and PHOTORECALL the command line;
models are made in FOLDER, which also holds onnxruntime-web (FOLDER/web); OUT is the JSON that is written.
The graphs have random weights and are exact in shape: `tests/golden/architectures.py`. Natively ours and
onnxruntime take turns, CPU time; in Chromium, where `encoder.mjs` measures, the clock's. Medians.
"""
import json, os, pathlib, platform, shutil, statistics, subprocess, sys, tempfile, time
from hashlib import sha256
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
from PIL import Image
from onnxruntime.quantization import QuantType, quantize_dynamic

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden"))
import architectures

OURS, PHOTORECALL, FOLDER, OUT = sys.argv[1:5]
QUICK = "--quick" in sys.argv
ROUNDS, TURN_MS = (5, 150) if QUICK else (11, 400)
SHORT = "a dog that runs along the beach"
LONG = " ".join([SHORT] * 12)
PHOTOS = ROOT / "../shared/photos/images"
LARGE = 4032  # pixels of a camera's photos, on the longer side

# width, heads, layers, patch of the image tower; width, heads, layers of the text tower.
MODELS = {"tinyclip-8m": ((256, 4, 10, 16), (256, 4, 3)), "clip-vit-b32": ((768, 12, 12, 32), (512, 8, 12))}
# A byte a weight and one scale a tensor, as hubs have it; a scale a column, its fastest on AVX-512.
PEERS = {"u8": dict(weight_type=QuantType.QUInt8), "s8": dict(weight_type=QuantType.QInt8, per_channel=True)}


def make(name):
    """A model's folder for ours, and f32, u8 and s8 graphs of its towers for the peers."""
    folder = pathlib.Path(FOLDER) / "models" / name
    if (folder / "manifest.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    image, text = MODELS[name]
    for part, graph in (("image", architectures.clip_image(*image)), ("text", architectures.clip_text(*text))):
        onnx.save(graph, folder / f"{part}.f32.onnx")
        for kind, options in PEERS.items():
            quantize_dynamic(folder / f"{part}.f32.onnx", folder / f"{part}.{kind}.onnx", **options)
        subprocess.run([OURS, "convert", folder / f"{part}.f32.onnx", folder / f"{part}.onnx"], check=True)
        if part == "image":
            architectures.example(graph).tofile(folder / "image.f32")
    shutil.copy(ROOT / "models/photorecall-s/merges.txt", folder)
    files = {file: (folder / file).read_bytes() for file in ("image.onnx", "text.onnx", "merges.txt")}
    manifest = {
        "format": 1, "name": name, "dim": 512,
        "image": {"file": "image.onnx", "input": "pixel_values", "output": "embeds", "size": 224,
                  "resize": {"filter": "bicubic", "mode": "crop"},
                  "mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]},
        # The table has CLIP's 49,408 rows; the shipped merges reach the first 16,384 of them.
        "text": {"file": "text.onnx", "input": "input_ids", "output": "embeds", "context_length": 77,
                 "pad_id": 16383, "tokenizer": {"kind": "clip-bpe", "vocab_size": 16384}},
        "files": {file: {"bytes": len(b), "sha256": sha256(b).hexdigest()} for file, b in files.items()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


class Ours:
    def __init__(self, folder, kernels=None):
        env = dict(os.environ, **({"PHOTORECALL_KERNELS": kernels} if kernels else {}))
        args = [OURS, "run", str(folder), str(folder / "image.f32"), SHORT, LONG]
        self.program = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.told = json.loads(self.program.stdout.readline())

    def run(self, what, runs):
        self.program.stdin.write(f"{what} {runs}\n")
        self.program.stdin.flush()
        answer = json.loads(self.program.stdout.readline())
        return answer["ms"], np.array(answer["embedding"])

    def end(self):
        self.program.stdin.close()
        self.program.wait()


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Peer:
    def __init__(self, path, x):
        self.session = session(path)
        self.x = {self.session.get_inputs()[0].name: x}

    def run(self, _, runs):
        times = []
        for _ in range(runs):
            start = time.thread_time()
            y = self.session.run(None, self.x)[0]
            times.append(1e3 * (time.thread_time() - start))
        return times, y.ravel()


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def interleaved(contenders, what):
    """Median milliseconds and the result of each; turns of some 0.2 s."""
    runs = {name: max(3, round(TURN_MS / statistics.median(c.run(what, 4)[0][1:]))) for name, c in contenders.items()}
    times, results = {name: [] for name in contenders}, {}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            took, results[name] = contender.run(what, min(runs[name], 200))
            times[name] += took
    return {name: statistics.median(took) for name, took in times.items()}, results


def inputs(ours, folder):
    """What is measured: the row's name, the tower, how ours is asked, what the peers get."""
    pixels = np.fromfile(folder / "image.f32", np.float32).reshape(1, 3, 224, 224)
    short, long = (np.array([ids], np.int64) for ids in ours.told["ids"])
    return [("image", "image", "image", pixels), ("text", "text", "text 0", short), ("text-77", "text", "text 1", long)]


def row(model, where, ours_ms, peers, agreement):
    peer, peer_ms = min(peers.items(), key=lambda found: found[1])
    return {"model": model, "where": where, "threads": 1, "ours_ms": round(ours_ms, 3), "peer": peer,
            "peer_ms": round(peer_ms, 3), "ratio": round(peer_ms / ours_ms, 3), "cosine": round(agreement, 6)}


def without_avx512(folder):
    """Ours with what a processor has besides AVX-512; a table that this one cannot run is left out."""
    tables = {"native-avx2": Ours(folder, "avx2-7bit"), "native-avxvnni": Ours(folder, "avxvnni")}
    runs_here = {where: ours for where, ours in tables.items() if where.removeprefix("native-") in ours.told["kernels"]}
    for where in tables.keys() - runs_here.keys():
        tables[where].end()
    return runs_here


def native():
    rows, exact, asked = [], {}, {}
    for name in MODELS:
        folder = make(name)
        tables = {"native": Ours(folder), **without_avx512(folder)}
        for label, part, what, x in inputs(tables["native"], folder):
            exact[name, label] = Peer(folder / f"{part}.f32.onnx", x).run(what, 1)[1]
            asked[name, label] = x
            peers = {f"onnxruntime {version('onnxruntime')} {kind}": Peer(folder / f"{part}.{kind}.onnx", x) for kind in PEERS}
            medians, results = interleaved({**tables, **peers}, what)
            for where in tables:
                best = {peer: medians[peer] for peer in peers}
                rows.append(row(f"{name}-{label}", where, medians[where], best, cosine(results[where], exact[name, label])))
                print(json.dumps(rows[-1]), flush=True)
        for ours in tables.values():
            ours.end()
    return rows, exact, asked


def chromium(exact, asked):
    models = {}
    for name in MODELS:
        folder = str(pathlib.Path(FOLDER).resolve() / "models" / name)
        ids = {label: asked[name, label].ravel().tolist() for label in ("text", "text-77")}
        models[name] = {"folder": folder, "ids": ids}
    task = {"models": models, "texts": {"text": SHORT, "text-77": LONG}, "rounds": ROUNDS, "turnMs": TURN_MS,
            "peer": str(pathlib.Path(FOLDER).resolve() / "web/node_modules/onnxruntime-web"),
            "photos": str(PHOTOS.resolve()) if PHOTOS.is_dir() else None, "quick": QUICK}
    script = str(ROOT / "crate/benches/encoder.mjs")
    node = subprocess.run(["node", script], input=json.dumps(task), stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(node.stdout.splitlines()[-1])
    rows = []
    for found in told["rows"]:
        key = (found["model"], found["label"])
        agreement = cosine(np.array(found["embedding"]), exact[key])
        rows.append(row(f"{key[0]}-{key[1]}", found["where"], found["ours_ms"], found["peers"], agreement))
        print(json.dumps(rows[-1]), flush=True)
    return rows, {key: told[key] for key in ("loads", "workers", "chromium")}


def large_photos():
    """Photos of a camera's size, made of some of the real ones: 4,032 pixels on the longer side, with a sensor's noise."""
    folder = pathlib.Path(FOLDER) / "large"
    if not folder.is_dir():
        part, random = folder.with_suffix(".part"), np.random.default_rng(0)
        part.mkdir(parents=True, exist_ok=True)
        for file in sorted(PHOTOS.iterdir())[::16]:
            photo = Image.open(file).convert("RGB")
            scale = LARGE / max(photo.size)
            photo = photo.resize([round(scale * side) for side in photo.size], Image.BICUBIC)
            noisy = np.asarray(photo, np.float32) + random.normal(0, 5, (photo.height, photo.width, 1)).astype(np.float32)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(part / f"{file.stem}.jpg", quality=88)
        part.rename(folder)
    return folder


def pipeline(photos):
    """All photos of a folder into a library, against Pillow and onnxruntime with as many threads: medians."""
    folder, threads = pathlib.Path(FOLDER) / "models/tinyclip-8m", os.cpu_count()
    ours, peers = [], {kind: [] for kind in PEERS}
    for _ in range(2 if QUICK else 3):
        with tempfile.TemporaryDirectory() as scratch:
            args = [PHOTORECALL, "index", photos, "--library", f"{scratch}/library", "--model", folder, "--threads", str(threads)]
            start = time.perf_counter()
            subprocess.run(args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            ours.append(time.perf_counter() - start)
        for kind, took in peers.items():
            script = [sys.executable, ROOT / "crate/benches/pipeline.py", folder / f"image.{kind}.onnx", photos, str(threads)]
            told = subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True).stdout
            took.append(json.loads(told)["seconds"])
    peer_s, kind = min((statistics.median(took), kind) for kind, took in peers.items())
    seconds = statistics.median(ours)
    return {"model": "tinyclip-8m", "photos": sum(1 for _ in photos.iterdir()), "threads": threads, "ours_s": round(seconds, 3),
            "peer": f"Pillow {version('pillow')} + onnxruntime {version('onnxruntime')} {kind}", "peer_s": round(peer_s, 3),
            "ratio": round(peer_s / seconds, 3)}


def pipelines():
    """The real photos, and some of them at a camera's size."""
    if not PHOTOS.is_dir():
        print("NOT RUN: ../shared/photos is not there")
        return {"pipeline": None, "pipeline_large": None}
    return {"pipeline": pipeline(PHOTOS), "pipeline_large": pipeline(large_photos())}


def machine():
    model = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
        model = f"{len(names)} x {names[0]}"
    return model


def markdown(report):
    lines = ["| tower | where | ours, ms | the peer's best, ms | times | cosine to f32 |", "| --- | --- | --- | --- | --- | --- |"]
    for r in report["rows"]:
        lines.append(f"| {r['model']} | {r['where']} | {r['ours_ms']:.2f} | {r['peer_ms']:.2f} ({r['peer']}) | {r['ratio']:.2f} | {r['cosine']:.4f} |")
    return "\n".join(lines)


def main():
    rows, exact, asked = native()
    report = {"machine": machine(), "onnxruntime": version("onnxruntime"), "rows": rows, **pipelines()}
    more, told = chromium(exact, asked)
    report["rows"] += more
    report.update(told)
    pathlib.Path(OUT).write_text(json.dumps(report, indent=1))
    print(markdown(report))
    for key in ("machine", "pipeline", "pipeline_large", "loads", "workers", "chromium"):
        print(f"{key}: {json.dumps(report[key])}")


main()
