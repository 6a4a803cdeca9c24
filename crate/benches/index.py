"""The peers' side of `cargo xtask bench index`, and the report.

index.py OURS GENERATOR FOLDER OUT [--quick] [--sizes N,…]: OURS is the bench program, GENERATOR makes the
vectors in FOLDER, which also holds the browser's peers; OUT is the JSON that is written, with the curves as
SVG beside it. Natively, and in Chromium by index.mjs, ours and a peer take turns, five rounds a setting;
medians are reported. One thread each; CPU seconds, not the clock's.
"""
import json, os, pathlib, subprocess, sys

# faiss's threads would wait for one another by spinning, which is no work of theirs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import faiss, numpy as np

import index_codes
from index_peers import CORES, K, PEERS, why_not
from index_report import Report

OURS, GENERATOR, FOLDER, OUT = (pathlib.Path(arg).resolve() for arg in sys.argv[1:5])
QUICK = "--quick" in sys.argv
SIZES = [10_000, 100_000] if QUICK else [10_000, 100_000, 1_000_000]
if "--sizes" in sys.argv:
    SIZES = [int(size) for size in sys.argv[sys.argv.index("--sizes") + 1].split(",")]
RUN = "by a quick run" if QUICK else "by any run"
ROUNDS = 3 if QUICK else 5
# What the generator calls them, and how many are asked.
QUERIES = {"photo": "q_img", "word": "q_txt"}
COUNT = 400 if QUICK else 1000
LEVELS = {"fast": 0.95, "high": 0.99}
# In Chromium ours and its peers are to find more by `fast`.
CHROMIUM_LEVELS = {"fast": 0.96, "high": 0.99}
# Beyond it a peer's curve is not followed: the next settings take ever longer.
ENOUGH = 0.995
# Efforts of ours for its curve: 0 is `fast`, 1 is `high`.
EFFORTS = [-0.25, 0, 0.25, 0.5, 1, 1.5, 2, 3]
# hnswlib-wasm takes minutes for 100,000.
MOST_IN_CHROMIUM = 10_000 if QUICK else 100_000
# Codes by themselves are compared over so many vectors, and not by a quick run: training them takes minutes.
IN_CODES = 0 if QUICK else 100_000


def data(n):
    """The folder of `n` vectors, queries and the queries' true neighbours."""
    folder = FOLDER / "vectors" / str(n)
    if not (folder / "q_txt.npy").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, GENERATOR, folder, str(n)], check=True, stdout=subprocess.DEVNULL)
    for kind, name in QUERIES.items():
        truth = folder / f"{asked(kind)}.truth.npy"
        if not truth.exists():
            queries = np.load(folder / f"{name}.npy")[:COUNT]
            nearest = faiss.knn(queries, np.load(folder / "base.npy"), K, metric=faiss.METRIC_INNER_PRODUCT)[1]
            np.save(folder / f"{asked(kind)}.npy", queries)
            np.save(truth, nearest.astype(np.int32))
    return folder


def asked(kind):
    """The file of that kind's queries, without its ending."""
    return f"{kind}-{COUNT}"


def loaded(n, kind):
    """Queries and their true neighbours."""
    folder = FOLDER / "vectors" / str(n)
    return np.load(folder / f"{asked(kind)}.npy"), np.load(folder / f"{asked(kind)}.truth.npy")


class Ours:
    name = "photorecall"

    def __init__(self, folder):
        self.program = subprocess.Popen([OURS, *files(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.built = json.loads(self.program.stdout.readline())

    def measure(self, kind, recall):
        self.program.stdin.write(f"{list(QUERIES).index(kind)} {recall}\n")
        self.program.stdin.flush()
        return json.loads(self.program.stdout.readline())

    def end(self):
        self.program.stdin.close()
        self.program.wait()


def sweep(peer, queries, truth):
    """Setting and measurement, from the fastest on."""
    found = []
    peer.set(peer.settings[0])
    peer.measure(queries, truth)
    for setting in peer.settings:
        peer.set(setting)
        found.append((setting, peer.measure(queries, truth)))
        if found[-1][1]["recall"] >= ENOUGH:
            break
    return found


def reaching(swept, wanted):
    """The cheapest setting that reaches the recall, or the last one."""
    return next((setting for setting, one in swept if one["recall"] >= wanted), swept[-1][0])


def compare(report, n, ours, peer):
    """Ours and a peer in turns, by both kinds of query."""
    for kind in QUERIES:
        queries, truth = loaded(n, kind)
        swept = sweep(peer, queries, truth)
        report.curve(n, "native", kind, peer.name, [one for _, one in swept])
        for level, promised in LEVELS.items():
            # As good as ours, or as the level promises where ours is better than that.
            peer.set(reaching(swept, min(ours.measure(kind, level)["recall"], promised)))
            rounds = [(ours.measure(kind, level), peer.measure(queries, truth)) for _ in range(ROUNDS)]
            about = {"n": n, "where": "native", "query": kind, "asked": level}
            report.compared(about, rounds, peer.name, ours.built, how=rounds[0][0]["how"]["route"])


def native(report, n, impossible):
    folder = data(n)
    base = np.load(folder / "base.npy")
    ours = Ours(folder)
    report.built(n, "native", ours.name, ours.built)
    for kind in PEERS:
        most = kind.most_quick if QUICK else kind.most
        why = impossible[kind] or (n > most and f"over {most} vectors at most {RUN}")
        try:
            if why:
                raise RuntimeError(why)
            peer, told = kind.built(base)
            report.built(n, "native", peer.name, told)
            compare(report, n, ours, peer)
        except Exception as failure:
            report.left_out(n, "native", kind.__name__, str(failure))
    if n == IN_CODES:
        codes(report, n, base, ours)
    for kind in QUERIES:
        # The first one warms up.
        swept = [ours.measure(kind, effort) for effort in [0, *EFFORTS, "exact"]][1:]
        report.curve(n, "native", kind, ours.name, swept)
        for level in LEVELS:
            rounds = [(ours.measure(kind, f"{level} together"), ours.measure(kind, level)) for _ in range(ROUNDS)]
            report.together({"n": n, "query": kind, "asked": level, "queries": COUNT}, rounds)
    ours.end()


def files(folder):
    """What our program reads."""
    return [folder / f"{name}.npy" for name in ("base", *map(asked, QUERIES))]


def codes(report, n, base, ours):
    """Bytes against recall: ours with all that it stores, each of our codes alone, and faiss's codes."""
    size = round(ours.built["bytes_per_vector"])
    for kind in QUERIES:
        found = [(level, ours.measure(kind, level)["recall"]) for level in (*LEVELS, "exact")]
        points = [{"code": level, "bytes_per_vector": size, "recall_at_10": round(recall, 4)} for level, recall in found]
        report.codes(n, kind, ours.name, points)
    alone = subprocess.run([OURS, "--codes", *files(data(n))], check=True, stdout=subprocess.PIPE, text=True).stdout
    alone = [json.loads(line) for line in alone.splitlines()]
    for family in dict.fromkeys(one["family"] for one in alone):
        for at, kind in enumerate(QUERIES):
            points = [{"code": one["code"], "bytes_per_vector": round(one["bytes_per_vector"]),
                       "recall_at_10": round(one["recall_at_10"][at], 4)} for one in alone if one["family"] == family]
            report.codes(n, kind, family, points)
    faiss.omp_set_num_threads(CORES)
    for curve in index_codes.measure(base, {kind: loaded(n, kind) for kind in QUERIES}):
        report.codes(n, *curve)
    faiss.omp_set_num_threads(1)


def chromium(report, sizes):
    """What index.mjs tells line by line; a peer that fails there is told too."""
    task = {"folder": str(FOLDER), "queries": {kind: asked(kind) for kind in QUERIES}, "sizes": sizes, "quick": QUICK,
            "rounds": ROUNDS, "levels": CHROMIUM_LEVELS, "enough": ENOUGH}
    script = pathlib.Path(__file__).with_name("index.mjs")
    node = subprocess.Popen(["node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    node.stdin.write(json.dumps(task))
    node.stdin.close()
    ours = {}
    for told in map(json.loads, node.stdout):
        n, what = told.pop("n"), told.pop("what")
        if what == "built":
            by = told.pop("by")
            ours |= {n: told} if by == Ours.name else {}
            report.built(n, "chromium", by, told)
        elif what == "compared":
            about = {"n": n, "where": "chromium", "query": told["query"], "asked": told["asked"]}
            report.compared(about, told["rounds"], told["peer"], ours[n])
        elif what == "swept":
            report.curve(n, "chromium", told["query"], told["by"], told["measured"])
        elif what == "not run":
            report.left_out(n, "chromium", told["peer"], told["why"])
        else:
            report.told[what] = told["told"]
    if node.wait():
        report.left_out(max(sizes), "chromium", "what is missing", f"node ended with {node.returncode}")


def main():
    report = Report(quick=QUICK)
    impossible = {kind: why_not(kind) for kind in PEERS}
    for n in SIZES:
        native(report, n, impossible)
    small = [n for n in SIZES if n <= MOST_IN_CHROMIUM]
    for n in set(SIZES) - set(small):
        report.left_out(n, "chromium", "every one", f"over {MOST_IN_CHROMIUM} vectors at most {RUN}")
    if small:
        chromium(report, small)
    report.write(OUT)


main()
