"""Ray with three nodes on loopback: shards built without faults, and with a worker and a node killed.

faults.py PROGRAM DRIVER PHOTOS FOLDER: the joined libraries must have the same bytes, and the Parquet of the
shards must be what pyarrow reads.
"""
import hashlib, json, os, shutil, signal, socket, subprocess, sys, threading, time
from pathlib import Path

import pyarrow.parquet as parquet

PROGRAM, DRIVER, PHOTOS, FOLDER = sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])
SHARDS = 8
WANTED = 3200
START_SECONDS = 240
HARM_SECONDS = 300
BIN = Path(sys.executable).parent
OWN = {"library.lock", "source.json"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """A head and two nodes, each with one core, in process groups of their own."""

    def __init__(self, name):
        self.port = free_port()
        # A path of a socket has at most 107 bytes.
        self.temp = Path(f"/tmp/photorecall-ray-{os.getpid()}-{name}")
        self.log = FOLDER / f"{name}.log"
        self.nodes = []
        head = ["--head", "--port", str(self.port), "--include-dashboard", "false", "--temp-dir", str(self.temp)]
        self.join(head, lambda: self.status())
        # One after the other: nodes that look for free ports at the same time may choose the same ones.
        for count in (2, 3):
            self.join(["--address", f"127.0.0.1:{self.port}"], lambda: self.status().count("node_") >= count)

    def join(self, more, is_there):
        """Starts a node and waits for it; one that ends is started again."""
        node, end = self.start(more), time.monotonic() + START_SECONDS
        while not is_there():
            if time.monotonic() > end:
                self.nodes.append(node)
                self.end()
                raise SystemExit(f"a node does not start: {self.log.read_text()[-2000:]}")
            if node.poll() is not None:
                node = self.start(more)
            time.sleep(1)
        self.nodes.append(node)

    def start(self, more):
        command = [BIN / "ray", "start", "--block", "--node-ip-address", "127.0.0.1", "--num-cpus", "1",
                   "--object-store-memory", "100000000", "--disable-usage-stats", *more]
        with open(self.log, "a") as log:
            return subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log,
                                    env={**os.environ, "RAY_raylet_start_wait_time_s": "120"})

    def status(self):
        done = subprocess.run([BIN / "ray", "status", "--address", f"127.0.0.1:{self.port}"],
                              capture_output=True, text=True, timeout=120)
        return done.stdout if done.returncode == 0 else ""

    def end(self):
        for node in self.nodes:
            kill(node)
        shutil.rmtree(self.temp, ignore_errors=True)


def kill(node):
    """Kills a node with all that it started."""
    below = descendants(node.pid)
    for pid in [node.pid, *below]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    node.wait()


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def children(pid):
    try:
        return [int(one) for task in os.listdir(f"/proc/{pid}/task")
                for one in open(f"/proc/{pid}/task/{task}/children").read().split()]
    except FileNotFoundError:
        return []


def name_of(pid):
    try:
        return open(f"/proc/{pid}/cmdline").read().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def workers(node):
    """The workers that run a shard now, with their node's other processes left out."""
    busy = []
    for pid in descendants(node.pid):
        if any("shard build" in name_of(child) for child in children(pid)):
            busy.append(pid)
    return busy


def many_photos():
    """Enough that a shard takes some seconds: each photo under several names."""
    folder = FOLDER / "photos"
    originals = sorted(path for path in Path(PHOTOS).rglob("*") if path.is_file())
    for at in range(max(len(originals), WANTED)):
        original = originals[at % len(originals)]
        copy = folder / f"{at // len(originals):03}" / original.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists():
            shutil.copy(original, copy)
    return folder


def plan(name):
    out = FOLDER / name
    told = subprocess.run([PROGRAM, "shard", "plan", FOLDER / "photos", "--shards", str(SHARDS), "--out", out, "--seed", "7"])
    assert told.returncode in (0, 3)
    return out


def drive(cluster, plan, library):
    command = [sys.executable, DRIVER, plan, "--library", library, "--address", f"127.0.0.1:{cluster.port}",
               "--program", PROGRAM, "--train", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(driver):
    told, _ = driver.communicate(timeout=900)
    assert driver.returncode == 0, f"the driver ended with {driver.returncode}"
    return json.loads(told.splitlines()[-1])


def digests(folder):
    files = [path for path in sorted(folder.iterdir()) if path.name not in OWN]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def awaited(find):
    """What is found before long; the codebook is learnt before any shard is built."""
    end = time.monotonic() + HARM_SECONDS
    while time.monotonic() < end:
        if found := find():
            return found[0]
        time.sleep(0.1)
    return None


def do_harm(cluster, harm):
    """Kills a worker in the middle of a shard, then the whole of another node."""
    worker = awaited(lambda: [worker for node in cluster.nodes for worker in workers(node)])
    if worker is None:
        return
    os.kill(worker, signal.SIGKILL)
    harm.append("a worker was killed")
    time.sleep(2)
    node = awaited(lambda: [node for node in cluster.nodes[1:] if node.poll() is None and workers(node)])
    if node is not None:
        kill(node)
        harm.append("a node was killed")


def check_parquet(plan):
    rows = 0
    for shard in range(SHARDS):
        table = parquet.read_table(plan / f"shards/{shard:05}.parquet")
        vectors = table["embedding"].to_pylist()
        assert all(abs(sum(x * x for x in vector) - 1) < 1e-3 for vector in vectors)
        assert len(set(table["path"].to_pylist())) == len(vectors)
        rows += len(vectors)
    return rows


def main():
    many_photos()
    calm, troubled = plan("calm"), plan("troubled")
    cluster = Cluster("calm")
    try:
        start = time.monotonic()
        first = finish(drive(cluster, calm, FOLDER / "one"))
        print(f"without faults: {first}, {time.monotonic() - start:.1f} s")
        again = finish(drive(cluster, calm, FOLDER / "one"))
        assert again["built"] == 0, "nothing is built twice"
    finally:
        cluster.end()
    cluster, harm = Cluster("troubled"), []
    try:
        start = time.monotonic()
        driver = drive(cluster, troubled, FOLDER / "two")
        harmer = threading.Thread(target=do_harm, args=(cluster, harm))
        harmer.start()
        told = finish(driver)
        harmer.join()
        print(f"{' and '.join(harm)}: {told}, {time.monotonic() - start:.1f} s")
    finally:
        cluster.end()
    assert harm == ["a worker was killed", "a node was killed"], harm
    assert digests(FOLDER / "one") == digests(FOLDER / "two"), "other bytes"
    assert digests(calm / "shards") == digests(troubled / "shards"), "other shards"
    rows = check_parquet(calm)
    assert (first["built"], first["photos"]) == (SHARDS, rows), (rows, first)
    print(f"the libraries are the same to the byte: {len(digests(FOLDER / 'one'))} files; pyarrow reads {rows} rows")


main()
