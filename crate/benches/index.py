"""The peers' side of `cargo xtask bench index`, and the report.

index.py OURS GENERATOR FOLDER OUT [--quick] [--sizes N,…]: OURS is the bench program, GENERATOR makes the
vectors in FOLDER, which also holds the browser's peers; OUT is the JSON that is written, with the curves as
SVG beside it. Natively, and in Chromium by index.mjs, ours and a peer take turns, five rounds a setting;
medians are reported. One thread each; CPU seconds, not the clock's.
"""
import json, os, pathlib, statistics, subprocess, sys

import faiss, numpy as np

from index_peers import K, PEERS, why_not
from index_plots import plot

OURS, GENERATOR, FOLDER, OUT = (pathlib.Path(arg).resolve() for arg in sys.argv[1:5])
QUICK = "--quick" in sys.argv
SIZES = [10_000, 100_000] if QUICK else [10_000, 100_000, 1_000_000]
if "--sizes" in sys.argv:
    SIZES = [int(size) for size in sys.argv[sys.argv.index("--sizes") + 1].split(",")]
ROUNDS = 3 if QUICK else 5
# What the generator calls them, and how many are asked.
QUERIES = {"photo": "q_img", "word": "q_txt"}
COUNT = 400 if QUICK else 1000
LEVELS = {"fast": 0.95, "high": 0.99}
# Beyond it a peer's curve is not followed: the next settings take ever longer.
ENOUGH = 0.995
# Efforts of ours for its curve: 0 is `fast`, 1 is `high`.
EFFORTS = [-0.25, 0, 0.25, 0.5, 1, 1.5, 2, 3]
MOST_IN_CHROMIUM = 100_000


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


class Ours:
    name = "photorecall"

    def __init__(self, folder):
        files = [folder / f"{name}.npy" for name in ("base", *map(asked, QUERIES))]
        self.program = subprocess.Popen([OURS, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.built = json.loads(self.program.stdout.readline())

    def measure(self, kind, recall):
        self.program.stdin.write(f"{list(QUERIES).index(kind)} {recall}\n")
        self.program.stdin.flush()
        return json.loads(self.program.stdout.readline())

    def end(self):
        self.program.stdin.close()
        self.program.wait()


def points(measured):
    return [{"recall_at_10": round(one["recall"], 4), "qps_cpu": round(one["qps_cpu"])} for one in measured]


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


def compare(ours, peer, folder, n):
    """A row for each kind of query and level, and the peer's curves."""
    rows, curves = [], []
    for kind in QUERIES:
        queries, truth = np.load(folder / f"{asked(kind)}.npy"), np.load(folder / f"{asked(kind)}.truth.npy")
        swept = sweep(peer, queries, truth)
        curves.append({"n": n, "where": "native", "query": kind, "by": peer.name, "points": points(one for _, one in swept)})
        for level, promised in LEVELS.items():
            # As good as ours, or as the level promises where ours is better than that.
            peer.set(reaching(swept, min(ours.measure(kind, level)["recall"], promised)))
            rounds = [(ours.measure(kind, level), peer.measure(queries, truth)) for _ in range(ROUNDS)]
            rows.append(row({"n": n, "where": "native", "query": kind, "asked": level}, rounds, peer.name, ours.built))
            rows[-1]["how"] = rounds[0][0]["how"]["route"]
            show(rows[-1])
    return rows, curves


def row(about, rounds, peer, built):
    mine, theirs = zip(*rounds)
    rate = lambda rounds: statistics.median(one["qps_cpu"] for one in rounds)
    return {
        **about, "recall_at_10": round(mine[0]["recall"], 4), "ours_qps_cpu": round(rate(mine)),
        "peer": peer, "peer_recall_at_10": round(theirs[0]["recall"], 4),
        "peer_qps_cpu": round(rate(theirs)), "ratio": round(rate(mine) / rate(theirs), 2),
        "bytes_per_vector": round(built["bytes_per_vector"]),
        "resident_bytes_per_vector": round(built["resident_bytes_per_vector"]),
    }


def show(row):
    print("{n:>8} {where:8} {query:5} {asked:4} ours {recall_at_10:.3f} {ours_qps_cpu:>6}/s, {peer} "
          "{peer_recall_at_10:.3f} {peer_qps_cpu:>6}/s: {ratio} times".format(**row), flush=True)


def left_out(report, n, where, peer, why):
    report["not_run"].append({"n": n, "where": where, "peer": peer, "why": why})
    print(f"{n:>8} {where:8} NOT RUN: {peer}: {why}", flush=True)


def build(report, n, where, built_by, told):
    report["builds"].append({"n": n, "where": where, "built_by": built_by, **told})
    print(f"{n:>8} {where:8} built by {built_by}: {told['rows_per_cpu_second']:.0f} vectors a CPU second", flush=True)


def native(report, n, impossible):
    folder = data(n)
    base = np.load(folder / "base.npy")
    ours = Ours(folder)
    build(report, n, "native", ours.name, ours.built)
    for kind in PEERS:
        most = kind.most_quick if QUICK else kind.most
        why = impossible.get(kind) or (n > most and f"over {most} vectors it is built by no run of this kind")
        if why:
            left_out(report, n, "native", kind.__name__, why)
            continue
        try:
            peer, told = kind.built(base)
            build(report, n, "native", peer.name, told)
            rows, curves = compare(ours, peer, folder, n)
        except Exception as failure:
            left_out(report, n, "native", kind.__name__, repr(failure))
            continue
        report["rows"] += rows
        report["curves"] += curves
    for kind in QUERIES:
        # One that is asked for first is not the one that warms up.
        swept = [ours.measure(kind, effort) for effort in [0, *EFFORTS, "exact"]][1:]
        report["curves"].append({"n": n, "where": "native", "query": kind, "by": ours.name, "points": points(swept)})
    ours.end()


def chromium(report, sizes):
    """What index.mjs tells line by line; a peer that fails there is told too."""
    task = {"folder": str(FOLDER), "queries": {kind: asked(kind) for kind in QUERIES}, "sizes": sizes, "quick": QUICK,
            "rounds": ROUNDS, "levels": LEVELS, "enough": ENOUGH}
    script = pathlib.Path(__file__).with_name("index.mjs")
    node = subprocess.Popen(["node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    node.stdin.write(json.dumps(task))
    node.stdin.close()
    built = {}
    for told in map(json.loads, node.stdout):
        n, what = told.pop("n"), told.pop("what")
        if what == "built":
            built[n, told["by"]] = told
            build(report, n, "chromium", told.pop("by"), told)
        elif what == "compared":
            about = {"n": n, "where": "chromium", "query": told["query"], "asked": told["asked"]}
            report["rows"].append(row(about, told["rounds"], told["peer"], built[n, Ours.name]))
            show(report["rows"][-1])
        elif what == "swept":
            curve = {"n": n, "where": "chromium", "query": told["query"], "by": told["by"]}
            report["curves"].append({**curve, "points": points(told["measured"])})
        elif what == "not run":
            left_out(report, n, "chromium", told["peer"], told["why"])
        else:
            report[what] = told["told"]
    if node.wait():
        left_out(report, max(sizes), "chromium", "what is missing", f"node ended with {node.returncode}")


def main():
    report = {"quick": QUICK, "rows": [], "builds": [], "curves": [], "not_run": []}
    impossible = {kind: why_not(kind) for kind in PEERS}
    for n in SIZES:
        native(report, n, impossible)
    small = [n for n in SIZES if n <= MOST_IN_CHROMIUM]
    if small:
        chromium(report, small)
    OUT.write_text(json.dumps(report, indent=1))
    for path in plot(report["curves"], OUT.parent):
        print(f"plotted {path}")


main()
