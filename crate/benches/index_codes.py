"""Bytes against recall, for `cargo xtask bench index`: faiss's codes beside ours, each scanned whole.

Without lists or graphs a code is alone with its error. RaBitQ's has its random rotation.
"""
import faiss

K = 10
# 256 centroids want 9,984.
LEARNT_FROM = 20_000
# How many times as many rows as are asked for are ranked again, where there is a second code.
AGAIN = 20


def families(dim):
    """Their codes, from few bytes to many. `np`: without polysemous training, which is for filters and takes minutes."""
    subspaces = [dim // 8, dim // 4, dim // 2]
    return {
        "faiss PQ, 8 bits": [f"PQ{m}x8np" for m in (dim // 16, dim // 8)],
        "faiss PQ, 4 bits": [f"PQ{m}x4fs" for m in subspaces],
        "faiss PQ, 4 bits, SQ8 again": [f"PQ{m}x4fs,Refine(SQ8)" for m in subspaces],
        "faiss RaBitQ, 1 to 6 bits": [f"RaBitQ {bits}" for bits in (1, 2, 4, 6)],
        "faiss SQ, 4, 6, 8, 16 bits": ["SQ4", "SQ6", "SQ8", "SQfp16"],
    }


def made(code, dim):
    if code.startswith("RaBitQ"):
        index = faiss.IndexRaBitQ(dim, faiss.METRIC_L2, int(code.split()[1]))
        index.qb = 8
        rotation = faiss.RandomRotationMatrix(dim, dim)
        rotation.init(1)
        # Of unit vectors the nearest by L2 are those by inner product.
        return faiss.IndexPreTransform(rotation, index)
    index = faiss.index_factory(dim, code, faiss.METRIC_INNER_PRODUCT)
    if "Refine" in code:
        index.k_factor = AGAIN
    return index


def code_bytes(code, dim):
    """Of a vector; of a fast scan's code, which is stored in blocks, without their padding."""
    first, *second = code.split(",")
    if first.startswith("PQ"):
        subspaces, bits = first[2:].removesuffix("fs").removesuffix("np").split("x")
        return int(subspaces) * int(bits) // 8 + (dim if second else 0)
    index = made(code, dim)
    return (faiss.downcast_index(index.index) if code.startswith("RaBitQ") else index).sa_code_size()


def measure(base, asked):
    """Kind of query, family and points of each family, for each kind: `asked` has queries and their true neighbours."""
    dim = base.shape[1]
    for family, codes in families(dim).items():
        points = {kind: [] for kind in asked}
        for code in codes:
            index = made(code, dim)
            index.train(base[:LEARNT_FROM])
            index.add(base)
            for kind, (queries, truth) in asked.items():
                found = index.search(queries, K)[1]
                right = sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), truth.tolist()))
                points[kind].append({"code": code, "bytes_per_vector": code_bytes(code, dim),
                                     "recall_at_10": round(right / truth.size, 4)})
        for kind in asked:
            yield kind, family, points[kind]
