"""Photos in object stores, each a real server on loopback: S3, Azure, Google's, WebDAV.

stores.py PROGRAM PHOTOS AZURITE FOLDER: a library built in shards from each store has the photos of one that is
built from the folder, with the same bytes of vectors.

Google's XML interface is S3's dialect, so moto answers for it too, without keys; its own emulators speak only the
JSON one.
"""
import json, os, shutil, subprocess, sys, threading, time
from pathlib import Path
from urllib.parse import quote, urlparse

import boto3
import pyarrow.parquet as parquet
from azure.storage.blob import BlobServiceClient
from cheroot.wsgi import Server
from moto.server import ThreadedMotoServer
from wsgidav.wsgidav_app import WsgiDAVApp

PROGRAM, PHOTOS, AZURITE, FOLDER = sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
SHARDS = 3
COUNT = 12
ODD_NAME = "with blank/ü & 1.jpg"
# The account that every emulator of Azure has.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
S3 = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}


def photos():
    """The bytes of some photos by name, one of them with a name that wants escaping, and what is no photo."""
    originals = sorted(path for path in PHOTOS.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    named = {f"album/{at:02}{path.suffix.lower()}": path.read_bytes() for at, path in enumerate(originals[:COUNT - 1])}
    named[ODD_NAME] = originals[COUNT - 1].read_bytes()
    return {**named, "album/notes.txt": b"no photo", "album/broken.jpg": b"no photo either"}


class Store:
    """A store by its address, the environment that its client asks for, and how an object is put and deleted."""

    def __init__(self, name, address, environment, put, delete):
        self.name, self.address, self.environment = name, address, environment
        self.put, self.delete = put, delete

    def run(self, *args, codes=(0, 3), **environment):
        """The program's output and what it told, in the store's environment."""
        done = subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True,
                              env={**os.environ, **self.environment, **environment})
        assert done.returncode in codes, (self.name, args, done.returncode, done.stderr)
        return done.stdout, done.stderr

    def plan(self, name, source=None, **more):
        plan = FOLDER / f"{self.name}-{name}"
        self.run("shard", "plan", source or self.address, "--shards", SHARDS, "--out", plan, **more)
        return plan

    def build(self, plan):
        told = "".join(self.run("shard", "build", plan, shard)[1] for shard in range(SHARDS))
        library = plan.with_name(plan.name + ".library")
        self.run("shard", "join", plan, "--library", library, "--verify")
        return library, told

    def embeddings(self, plan):
        """The embedding of each photo, by its name below the store's address."""
        start, found = self.below(), {}
        for shard in range(SHARDS):
            table = parquet.read_table(plan / f"shards/{shard:05}.parquet")
            for path, vector in zip(table["path"].to_pylist(), table["embedding"].to_pylist()):
                assert path.startswith(start), (path, start)
                found[path[len(start):]] = vector
        return found

    def below(self):
        """What stands before an object's name in the library: the bucket or the host, and the address's folders."""
        address = urlparse(self.address)
        return f"{address.hostname}{address.path}/"


def moto(stop):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    stop.append(server.stop)
    return f"http://127.0.0.1:{server.get_host_and_port()[1]}"


def s3(stop):
    url = moto(stop)
    client = boto3.client("s3", endpoint_url=url, aws_access_key_id="someone", aws_secret_access_key="secret",
                          region_name="us-east-1")
    client.create_bucket(Bucket="photos")
    return client, url, (lambda name, body: client.put_object(Bucket="photos", Key=f"mine/{name}", Body=body, ACL="public-read"),
                         lambda name: client.delete_object(Bucket="photos", Key=f"mine/{name}"))


def amazon(stop):
    _, url, ways = s3(stop)
    return Store("s3", "s3://photos/mine", {**S3, "AWS_ENDPOINT": url, "AWS_ALLOW_HTTP": "true"}, *ways)


def google(stop):
    _, url, ways = s3(stop)
    account = FOLDER / "account.json"
    account.write_text(json.dumps({"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": "",
                                   "private_key_id": ""}))
    return Store("gs", "gs://photos/mine", {"GOOGLE_SERVICE_ACCOUNT": str(account), "GOOGLE_ALLOW_HTTP": "true",
                                            "ALLOW_HTTP": "true"}, *ways)


def azure(stop):
    data = FOLDER / "azurite"
    log = open(FOLDER / "azurite.log", "w+")
    server = subprocess.Popen(["node", AZURITE, "--location", data, "--blobHost", "127.0.0.1", "--blobPort", "0",
                               "--disableTelemetry", "--skipApiVersionCheck"], stdout=log, stderr=log)
    stop.append(server.kill)
    said = "successfully listens on "
    end = time.monotonic() + 60
    while said not in (text := (FOLDER / "azurite.log").read_text()):
        assert server.poll() is None and time.monotonic() < end, f"azurite does not start: {text}"
        time.sleep(0.2)
    url = text.split(said)[1].split()[0]
    blobs = BlobServiceClient(f"{url}/{ACCOUNT}", credential=KEY).create_container("photos")
    environment = {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY,
                   "AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": url, "AZURE_ALLOW_HTTP": "true"}
    return Store("az", "az://photos/mine", environment,
                 lambda name, body: blobs.upload_blob(f"mine/{name}", body, overwrite=True),
                 lambda name: blobs.delete_blob(f"mine/{name}"))


def webdav(stop):
    root = FOLDER / "webdav"
    root.mkdir()
    app = WsgiDAVApp({"provider_mapping": {"/": str(root)}, "simple_dc": {"user_mapping": {"*": True}}, "verbose": 0,
                      "logging": {"enable": False}})
    server = Server(("127.0.0.1", 0), app)
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    stop.append(server.stop)

    def put(name, body):
        path = root / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    address = f"http://127.0.0.1:{server.bind_addr[1]}/mine"
    return Store("webdav", address, {"ALLOW_HTTP": "true"}, put, lambda name: (root / "mine" / name).unlink())


def from_folder(objects):
    """What the same photos give from a folder."""
    root = FOLDER / "folder"
    for name, body in objects.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    store = Store("folder", "", {}, None, None)
    store.below = lambda: ""
    plan = store.plan("plan", root)
    store.run("shard", "train", plan)
    store.build(plan)
    return store.embeddings(plan)


def check(store, objects, expected):
    for name, body in objects.items():
        store.put(name, body)
    plan = store.plan("all")
    store.run("shard", "train", plan)
    library, told = store.build(plan)
    assert "broken.jpg" in told, told
    assert store.embeddings(plan) == expected, store.name
    found, _ = store.run("search", "--library", library, "--json", "--recall", "exact", "-k", 2 * COUNT, "a photo")
    assert len(json.loads(found)) == COUNT, found

    changed, gone = sorted(name for name in objects if name.startswith("album/0"))[:2]
    plan = store.plan("changed")
    store.run("shard", "train", plan)
    store.put(changed, objects[changed] + b"more")
    store.delete(gone)
    _, told = store.build(plan)
    assert changed in told and "changed since the plan" in told, told
    assert gone in told and "gone since the plan" in told, told
    assert set(store.embeddings(plan)) == set(expected) - {changed, gone}, store.name

    listed = FOLDER / f"{store.name}.txt"
    named = next((FOLDER / "folder" / "album").glob("02.*"))
    listed.write_text(f"{store.address}/{quote(ODD_NAME)}\n{store.address}/gone.jpg\n{named}\n")
    plan = FOLDER / f"{store.name}-list"
    _, told = store.run("shard", "plan", listed, "--shards", 1, "--out", plan)
    assert "gone.jpg" in told, told
    told, _ = store.run("shard", "status", plan, "--json")
    assert json.loads(told)["photos"] == 2, told

    away = FOLDER / f"{store.name}-away"
    address = store.address.replace("/photos/", "/nowhere/") if store.name != "webdav" else store.address + "/nowhere"
    _, told = store.run("shard", "plan", address, "--shards", 1, "--out", away, codes=(1,))
    assert "nowhere" in told and not away.exists(), told
    print(f"{store.name}: the photos of the folder, to the bit; changed, gone and absent ones are told")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    objects = photos()
    expected = from_folder(objects)
    assert set(expected) == {name for name in objects if name not in ("album/notes.txt", "album/broken.jpg")}, expected.keys()
    for start in (amazon, google, azure, webdav):
        stop = []
        try:
            check(start(stop), objects, expected)
        finally:
            for end in stop:
                end()


main()
