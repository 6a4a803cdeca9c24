"""photorecall-ray: builds the shards of a plan on a Ray cluster, and joins them.

Ray places, retries and reports. All else is `photorecall shard`: a task is one command, which does nothing
where its shard is there, so that a task that is run twice does no harm. Every node needs the program and the
plan's folder at the same path.
"""
import argparse
import json
import shutil
import subprocess
import sys
import time

import ray

SKIPPED = 3
"""The exit code of a command that left some photos out: it is done."""


class ShardFailed(Exception):
    """A command failed; its last words are the message."""


def run(command):
    """The JSON that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, SKIPPED):
        told = done.stderr.strip().splitlines()
        raise ShardFailed(f"{' '.join(command)}: {told[-1] if told else f'exit code {done.returncode}'}")
    return json.loads(done.stdout)


def arguments():
    parser = argparse.ArgumentParser(prog="photorecall-ray", description=__doc__.split("\n", 1)[0])
    parser.add_argument("plan", help="the plan's folder, seen by every node (photorecall shard plan)")
    parser.add_argument("--library", help="join the shards into this folder when all are there")
    parser.add_argument("--address", default="auto", help="the cluster's address (default: the one that runs here)")
    parser.add_argument("--program", default="photorecall", help="the photorecall program on every node")
    parser.add_argument("--num-cpus", type=int, default=1, metavar="N", help="cores of a task, and its threads")
    parser.add_argument("--retries", type=int, default=5, metavar="N", help="how often a task is run again")
    parser.add_argument("--train", action="store_true", help="learn a codebook for all shards first")
    parser.add_argument("--sample", type=int, metavar="N", help="photos to learn it from")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the summary")
    return parser.parse_args()


def remote(args):
    """A function that runs a command somewhere in the cluster. Its worker or its node may die."""
    return ray.remote(num_cpus=args.num_cpus, max_retries=args.retries, retry_exceptions=[ShardFailed])(run)


def train(args, command):
    task = [args.program, "shard", "train", args.plan, "--json", "--threads", str(args.num_cpus)]
    if args.sample:
        task += ["--sample", str(args.sample)]
    told = ray.get(command.remote(task))
    print(f"codebook of {told['lists']} lists", file=sys.stderr)


def build(args, command, shards):
    """Runs all tasks; what each told, and what became of those that failed for good."""
    waiting = {}
    for shard in shards:
        task = [args.program, "shard", "build", args.plan, str(shard), "--json", "--threads", str(args.num_cpus)]
        waiting[command.remote(task)] = shard
    built, failed, started = [], [], time.monotonic()
    while waiting:
        done, _ = ray.wait(list(waiting), num_returns=1)
        shard = waiting.pop(done[0])
        try:
            built.append(ray.get(done[0]))
        except ray.exceptions.RayError as error:
            failed.append((shard, str(getattr(error, "cause", error)).strip().splitlines()[-1]))
        photos = sum(one["photos"] for one in built)
        rate = photos / max(time.monotonic() - started, 1e-9)
        print(f"{len(built)} of {len(shards)} shards, {photos} photos, {rate:.0f} photos/s", file=sys.stderr, flush=True)
    return built, failed


def summary(args, plan, built, failed, seconds):
    photos, skipped = (sum(one[what] for one in built) for what in ("photos", "skipped"))
    told = {
        "shards": plan["shards"], "built": len(built), "failed": [shard for shard, _ in failed],
        "photos": photos, "skipped": skipped, "seconds": round(seconds, 1),
        "photos_per_second": round(photos / max(seconds, 1e-9), 1),
    }
    if args.json:
        print(json.dumps(told))
        return
    there = plan["shards"] - len(built) - len(failed)
    print(f"{len(built)} shards built, {there} were there, {len(failed)} failed; {photos} photos, "
          f"{skipped} left out, {seconds:.0f} s")


def main():
    args = arguments()
    started = time.monotonic()
    if not shutil.which(args.program):
        sys.exit(f"photorecall-ray: no program {args.program} here: name it with --program")
    try:
        plan = run([args.program, "shard", "status", args.plan, "--json"])
        ray.init(address=args.address, log_to_driver=False)
        command = remote(args)
        if args.train and not plan["trained"]:
            train(args, command)
        built, failed = build(args, command, plan["missing"])
        if args.library and not failed:
            run([args.program, "shard", "join", args.plan, "--library", args.library, "--json"])
    except ShardFailed as error:
        sys.exit(f"photorecall-ray: {error}")
    except ConnectionError as error:
        sys.exit(f"photorecall-ray: no Ray cluster at {args.address}: {error}")
    summary(args, plan, built, failed, time.monotonic() - started)
    for shard, reason in failed:
        print(f"shard {shard}: {reason}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
