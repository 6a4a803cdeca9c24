"""What `cargo xtask bench index` writes and prints."""
import json, statistics

from index_plots import plot


def rate(rounds):
    return statistics.median(one["qps_cpu"] for one in rounds)


class Report:
    """`rows` has ours and a peer, `builds` how fast each was built, `curves` recall and rates by setting, `together`
    our rates where all queries are asked at once, `codes` bytes and recall by code, `not_run` what was left out and
    why."""

    def __init__(self, **about):
        self.told = {**about, "rows": [], "builds": [], "curves": [], "together": [], "codes": [], "not_run": []}

    def built(self, n, where, by, told):
        self.told["builds"].append({"n": n, "where": where, "built_by": by, **told})
        self.show(n, where, f"built by {by}: {told['rows_per_cpu_second']:.0f} vectors a CPU second")

    def compared(self, about, rounds, peer, built, **more):
        """`rounds` has pairs of measurements, ours and the peer's; `built` is what was told of ours."""
        mine, theirs = zip(*rounds)
        row = {
            **about, "recall_at_10": round(mine[0]["recall"], 4), "ours_qps_cpu": round(rate(mine)),
            "peer": peer, "peer_recall_at_10": round(theirs[0]["recall"], 4),
            "peer_qps_cpu": round(rate(theirs)), "ratio": round(rate(mine) / rate(theirs), 2),
            "bytes_per_vector": round(built["bytes_per_vector"]),
            "resident_bytes_per_vector": round(built["resident_bytes_per_vector"]), **more,
        }
        self.told["rows"].append(row)
        self.show(row["n"], row["where"], "{query:5} {asked:4} ours {recall_at_10:.3f} {ours_qps_cpu:>6}/s, {peer} "
                  "{peer_recall_at_10:.3f} {peer_qps_cpu:>6}/s: {ratio} times".format(**row))

    def together(self, about, rounds):
        """`rounds` has pairs of measurements, all queries at once and one by one."""
        at_once, alone = map(rate, zip(*rounds))
        row = {**about, "recall_at_10": round(rounds[0][0]["recall"], 4), "qps_cpu": round(at_once),
               "alone_qps_cpu": round(alone), "ratio": round(at_once / alone, 2)}
        self.told["together"].append(row)
        self.show(row["n"], "native", "{query:5} {asked:4} {queries} at once {qps_cpu:>6}/s, alone {alone_qps_cpu:>6}/s: "
                  "{ratio} times".format(**row))

    def curve(self, n, where, query, by, measured):
        points = [{"recall_at_10": round(one["recall"], 4), "qps_cpu": round(one["qps_cpu"])} for one in measured]
        self.told["curves"].append({"n": n, "where": where, "query": query, "by": by, "points": points})

    def codes(self, n, query, by, points):
        self.told["codes"].append({"n": n, "where": "native", "query": query, "by": by, "points": points})
        told = ", ".join("{code} {bytes_per_vector} B {recall_at_10:.3f}".format(**point) for point in points)
        self.show(n, "native", f"{query:5} {by}: {told}")

    def left_out(self, n, where, peer, why):
        self.told["not_run"].append({"n": n, "where": where, "peer": peer, "why": why})
        self.show(n, where, f"NOT RUN: {peer}: {why}")

    def show(self, n, where, what):
        print(f"{n:>8} {where:8} {what}", flush=True)

    def write(self, out):
        out.write_text(json.dumps(self.told, indent=1))
        for path in plot(self.told, out.parent):
            print(f"plotted {path}")
