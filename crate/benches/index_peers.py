"""The native peers of `cargo xtask bench index`.

`index_peers.py PEER` builds one over a thousand vectors and searches it: what a processor lacks ends the
process, so each is tried in one of its own before it is measured.
"""
import contextlib, importlib, os, pathlib, signal, subprocess, sys, time
from importlib.metadata import PackageNotFoundError, version

import numpy as np

BENCHES = pathlib.Path(__file__).resolve().parent
CORES = os.cpu_count()
K = 10
# What a graph's queue holds: for photos the first ones do, for words the last.
WIDTHS = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072]


@contextlib.contextmanager
def quiet():
    """What libraries print of their progress is not ours to show."""
    kept, nowhere = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    try:
        yield
    finally:
        for stream, was in zip((1, 2), kept):
            os.dup2(was, stream)
            os.close(was)
        os.close(nowhere)


class Peer:
    """An index over `base`, built on every core and searched on one. `settings` go from fast to exact and are
    passed to `set`; `search(queries)` gives ids. `package` is its name in peers.txt, where it is one that
    not every machine can have; it is built over `most` vectors, or `most_quick`."""
    package, most, most_quick, settings = None, 100_000, 10_000, WIDTHS

    @classmethod
    def built(cls, base):
        """The index, and what building it took."""
        start = time.process_time()
        peer = cls(base)
        return peer, {"rows_per_cpu_second": len(base) / (time.process_time() - start)}

    def measure(self, queries, truth):
        start = time.process_time()
        ids = np.asarray(self.search(queries))
        seconds = time.process_time() - start
        found = sum(len(set(a) & set(b)) for a, b in zip(ids[:, :K].tolist(), truth.tolist()))
        return {"recall": found / truth.size, "qps_cpu": len(queries) / seconds}


class Hnswlib(Peer):
    most, most_quick = 1_000_000, 100_000

    def __init__(self, base):
        import hnswlib
        self.name = f"hnswlib {version('hnswlib')} M16 efC200"
        self.index = hnswlib.Index("ip", base.shape[1])
        self.index.init_index(len(base), M=16, ef_construction=200)
        self.index.add_items(base)
        self.index.set_num_threads(1)
        self.set = self.index.set_ef
        self.search = lambda queries: self.index.knn_query(queries, K)[0]


class FaissIvf(Peer):
    most, most_quick = 1_000_000, 1_000_000
    settings = [2, 4, 8, 16, 32, 64, 128, 256, 512]

    def __init__(self, base):
        import faiss
        code = f"PQ{base.shape[1] // 2}x4fs"
        self.name = f"faiss {version('faiss-cpu')} IVF,{code},RFlat f16"
        nlist = 4096 if len(base) >= 500_000 else 1024 if len(base) >= 50_000 else 256
        factory = f"IVF{nlist},{code},Refine(SQfp16)"
        faiss.omp_set_num_threads(CORES)
        self.index = faiss.index_factory(base.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        # Centroids of a million take ten times as long and answer as well.
        self.index.train(base[: max(100_000, 40 * nlist)])
        self.index.add(base)
        faiss.omp_set_num_threads(1)
        self.index.k_factor = 20
        self.lists = faiss.extract_index_ivf(self.index.base_index)
        self.search = lambda queries: self.index.search(queries, K)[1]

    def set(self, nprobe):
        self.lists.nprobe = nprobe


class Usearch(Peer):
    """Its i8 stays below a recall of 0.9."""
    package = "usearch"

    def __init__(self, base):
        from usearch.index import Index
        self.name = f"usearch {version('usearch')} f16 M16 efC200"
        self.index = Index(ndim=base.shape[1], metric="ip", dtype="f16", connectivity=16, expansion_add=200)
        self.index.add(np.arange(len(base)), base, threads=CORES)
        self.search = lambda queries: self.index.search(queries, K, threads=1).keys

    def set(self, width):
        self.index.expansion_search = width


class Svs(Peer):
    """Its own codes, LVQ and LeanVec, run on Intel's processors alone."""
    package = "scalable-vs"

    def __init__(self, base):
        import svs
        self.name = f"SVS {version('scalable-vs')} Vamana f16 R32"
        how = svs.VamanaBuildParameters(
            graph_max_degree=32, window_size=128, alpha=0.95, max_candidate_pool_size=500, prune_to=28)
        with quiet():
            self.index = svs.Vamana.build(how, base.astype(np.float16), svs.DistanceType.MIP, num_threads=CORES)
        self.index.num_threads = 1
        self.search = lambda queries: self.index.search(queries, K)[0]

    def set(self, width):
        self.index.search_window_size = width


class Glass(Peer):
    package = "pyglass-portable"

    def __init__(self, base):
        import glass
        self.name = f"Glass {version('pyglass-portable')} HNSW R32 SQ8U, f16"
        with quiet():
            glass.set_num_threads(CORES)
            graph = glass.Index("HNSW", "IP", "SQ8U", 32, 200).build(base)
            glass.set_num_threads(1)
            self.index = glass.Searcher(graph, base, "IP", "SQ8U", "FP16")
        self.set = self.index.set_ef
        self.search = lambda queries: self.index.batch_search(queries, K, 1)[0]


PEERS = [Hnswlib, FaissIvf, Usearch, Svs, Glass]


def why_not(kind):
    """Why a peer cannot be measured here; None where it can."""
    return kind.package and (why_not_had(kind.package) or why_not_run(kind))


def why_not_had(package):
    """Why a package cannot be installed. Wheels only: nobody waits for a peer's compiler."""
    wanted = [line for line in (BENCHES / "peers.txt").read_text().split() if line.startswith(f"{package}==")]
    with contextlib.suppress(PackageNotFoundError):
        wanted = [line for line in wanted if line != f"{package}=={version(package)}"]
    if not wanted:
        return None
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    only = ["--only-binary", ":all:", "--constraint", BENCHES / "requirements.txt"]
    tried = subprocess.run([*pip, *only, *wanted], capture_output=True, text=True)
    importlib.invalidate_caches()
    return f"{wanted[0]} is not to be had: {last_line(tried.stderr)}" if tried.returncode else None


def why_not_run(kind):
    tried = subprocess.run([sys.executable, __file__, kind.__name__], capture_output=True, text=True)
    if tried.returncode < 0:
        return f"the processor or the system ends it: {signal.Signals(-tried.returncode).name}"
    return last_line(tried.stderr) if tried.returncode else None


def last_line(text):
    return (text.strip().splitlines() or ["it says nothing"])[-1]


if __name__ == "__main__":
    some = np.random.default_rng(1).standard_normal((1000, 512)).astype(np.float32)
    some /= np.linalg.norm(some, axis=1, keepdims=True)
    tried = next(kind for kind in PEERS if kind.__name__ == sys.argv[1])(some)
    tried.set(64)
    assert np.asarray(tried.search(some[:10])).shape[1] == K, "ten neighbours were asked for"
