"""What someone would write with Pillow and onnxruntime: pipeline.py GRAPH PHOTOS THREADS prints the seconds that
all photos of a folder take. A process for each thread; imports, loading and a first photo are not counted."""
import json, multiprocessing, pathlib, sys, time

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

MEAN, STD = np.float32([0.48145466, 0.4578275, 0.40821073]), np.float32([0.26862954, 0.26130258, 0.27577711])


def start(graph):
    global session
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def embed(path):
    photo = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    scale = 224 / min(photo.size)
    photo = photo.resize([max(224, int(scale * side)) for side in photo.size], Image.BICUBIC)
    left, top = ((side - 224) // 2 for side in photo.size)
    pixels = (np.asarray(photo.crop((left, top, left + 224, top + 224)), np.float32) / 255 - MEAN) / STD
    vector = session.run(None, {"pixel_values": pixels.transpose(2, 0, 1)[None]})[0][0]
    return vector / np.linalg.norm(vector)


if __name__ == "__main__":
    graph, photos, threads = sys.argv[1], sorted(pathlib.Path(sys.argv[2]).iterdir()), int(sys.argv[3])
    with multiprocessing.Pool(threads, start, [graph]) as pool:
        pool.map(embed, photos[: 4 * threads], 1)
        begun = time.perf_counter()
        vectors = pool.map(embed, photos, 1)
        print(json.dumps({"seconds": time.perf_counter() - begun, "vectors": len(vectors)}))
