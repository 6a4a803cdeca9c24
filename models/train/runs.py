"""What was run: every stage adds a line to OUT/runs.jsonl when it has ended.

Folders and files of this machine are told by their last names alone.
"""
import importlib.metadata
import json
import os
import pathlib
import platform
import sys
import time

PACKAGES = ["numpy", "pillow", "torch", "ai-edge-litert", "sentence-transformers", "onnx", "onnxruntime"]
STARTED = time.time()


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def told(value):
    if isinstance(value, (list, tuple)):
        return [told(one) for one in value]
    if isinstance(value, pathlib.PurePath) or isinstance(value, str) and os.sep in value:
        return pathlib.PurePath(value).name
    return value


def note(out, args, **result):
    """Adds a stage's line: its options, what came of it, when and how long, and the versions of what it used."""
    line = {
        "stage": pathlib.Path(sys.argv[0]).stem,
        "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "minutes": round((time.time() - STARTED) / 60, 1),
        "options": {name: told(value) for name, value in vars(args).items()},
        "result": result,
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES if version(package)},
    }
    with open(out / "runs.jsonl", "a") as log:
        log.write(json.dumps(line) + "\n")
