"""The peers' side of `cargo xtask bench index`, and the report.

index.py OURS GENERATOR FOLDER OUT [--quick]: OURS is the bench program, GENERATOR makes the vectors in
FOLDER, OUT is the JSON that is written. Ours and a peer take turns, five rounds a setting; medians are
reported. One thread each; CPU seconds, not the clock's.
"""
import json, os, statistics, subprocess, sys, time
from importlib.metadata import version

import faiss, hnswlib, numpy as np

OURS, GENERATOR, FOLDER, OUT = sys.argv[1:5]
QUICK = "--quick" in sys.argv
ROUNDS = 3 if QUICK else 5
K = 10


def data(n):
    folder = f"{FOLDER}/{n}"
    if not os.path.exists(f"{folder}/q_txt.truth.npy"):
        os.makedirs(folder, exist_ok=True)
        subprocess.run([sys.executable, GENERATOR, folder, str(n)], check=True, stdout=subprocess.DEVNULL)
        base = np.load(f"{folder}/base.npy")
        for name in ("q_img", "q_txt"):
            queries = np.load(f"{folder}/{name}.npy")
            flat = faiss.IndexFlatIP(base.shape[1])
            flat.add(base)
            np.save(f"{folder}/{name}.truth.npy", flat.search(queries, K)[1].astype(np.int32))
    return folder


class Ours:
    def __init__(self, folder):
        files = [f"{folder}/{name}.npy" for name in ("base", "q_img", "q_txt")]
        self.program = subprocess.Popen([OURS, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.built = json.loads(self.program.stdout.readline())

    def measure(self, queries, recall):
        self.program.stdin.write(f"{queries} {recall}\n")
        self.program.stdin.flush()
        return json.loads(self.program.stdout.readline())


class Peer:
    """`search(queries)` gives ids; `settings` go from fast to exact and are passed to `set`."""

    def measure(self, queries, truth):
        start = time.process_time()
        ids = self.search(queries)
        seconds = time.process_time() - start
        found = sum(len(set(a) & set(b)) for a, b in zip(ids, truth))
        return {"recall": found / truth.size, "qps_cpu": len(queries) / seconds}


class Hnswlib(Peer):
    settings = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072]

    def __init__(self, base):
        self.name = f"hnswlib {version('hnswlib')} M16 efC200"
        self.index = hnswlib.Index("ip", base.shape[1])
        self.index.init_index(len(base), M=16, ef_construction=200)
        self.index.add_items(base)
        self.index.set_num_threads(1)
        self.set = self.index.set_ef
        self.search = lambda queries: self.index.knn_query(queries, K)[0]


class FaissIvf(Peer):
    settings = [4, 8, 16, 32, 64, 128, 256, 512]

    def __init__(self, base):
        self.name = f"faiss {version('faiss-cpu')} IVF,PQ{base.shape[1] // 2}x4fs,RFlat f16"
        nlist = 1024 if len(base) >= 50_000 else 256
        self.index = faiss.index_factory(
            base.shape[1], f"IVF{nlist},PQ{base.shape[1] // 2}x4fs,Refine(SQfp16)", faiss.METRIC_INNER_PRODUCT)
        self.index.train(base)
        self.index.add(base)
        self.index.k_factor = 20
        self.search = lambda queries: self.index.search(queries, K)[1]

    def set(self, nprobe):
        faiss.extract_index_ivf(self.index.base_index).nprobe = nprobe


def reaching(peer, queries, truth, wanted):
    """The cheapest setting that reaches the recall, or the last one."""
    for setting in peer.settings:
        peer.set(setting)
        measured = peer.measure(queries, truth)
        if measured["recall"] >= wanted:
            break
    return setting


def compare(ours, peer, folder, n):
    for number, (kind, name) in enumerate((("photo", "q_img"), ("word", "q_txt"))):
        queries, truth = np.load(f"{folder}/{name}.npy"), np.load(f"{folder}/{name}.truth.npy")
        for recall in ("fast", "high"):
            wanted = ours.measure(number, recall)["recall"]
            # As good as ours, or as the level promises where ours is better than that.
            peer.set(reaching(peer, queries, truth, min(wanted, {"fast": 0.95, "high": 0.99}[recall])))
            mine, theirs = [], []
            for _ in range(ROUNDS):
                mine.append(ours.measure(number, recall))
                theirs.append(peer.measure(queries, truth))
            rate = lambda rounds: statistics.median(one["qps_cpu"] for one in rounds)
            row = {
                "n": n, "where": "native", "query": kind, "asked": recall,
                "recall_at_10": round(mine[0]["recall"], 4), "ours_qps_cpu": round(rate(mine)),
                "peer": peer.name, "peer_recall_at_10": round(theirs[0]["recall"], 4),
                "peer_qps_cpu": round(rate(theirs)), "ratio": round(rate(mine) / rate(theirs), 2),
                "bytes_per_vector": round(ours.built["bytes_per_vector"]),
                "resident_bytes_per_vector": round(ours.built["resident_bytes_per_vector"]),
                "how": mine[0]["how"]["route"],
            }
            print("{n:>8} {query:5} {asked:4} ours {recall_at_10:.3f} {ours_qps_cpu:>6}/s ({how}), "
                  "{peer} {peer_recall_at_10:.3f} {peer_qps_cpu:>6}/s: {ratio} times".format(**row), flush=True)
            yield row


def main():
    faiss.omp_set_num_threads(os.cpu_count())
    report = {"rows": [], "builds": []}
    for n in (100_000,) if QUICK else (10_000, 100_000):
        folder = data(n)
        base = np.load(f"{folder}/base.npy")[:n]
        ours = Ours(folder)
        report["builds"].append({"n": n, "built_by": "photorecall", **ours.built})
        for kind in (Hnswlib, FaissIvf):
            faiss.omp_set_num_threads(os.cpu_count())
            start = time.process_time()
            peer = kind(base)
            rate = n / (time.process_time() - start)
            report["builds"].append({"n": n, "built_by": peer.name, "rows_per_cpu_second": rate})
            print(f"{n:>8} built by {peer.name}: {rate:.0f} vectors a CPU second; "
                  f"ours {ours.built['rows_per_cpu_second']:.0f}", flush=True)
            faiss.omp_set_num_threads(1)
            report["rows"].extend(compare(ours, peer, folder, n))
        ours.program.stdin.close()
    with open(OUT, "w") as file:
        json.dump(report, file, indent=1)


main()
