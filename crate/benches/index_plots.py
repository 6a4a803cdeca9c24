"""What `cargo xtask bench index` found as SVG, a file a number of vectors.

    index-N.svg        native    photos │ words     recall@10 against queries a CPU second
                       chromium  photos │ words
    index-bytes-N.svg            photos │ words     bytes a vector against recall@10
"""
import math
from html import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 620, 420, 70, 40, 20, 60
LINE = 18
RECALLS = [0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999]
LOW_RECALLS = [0.3, 0.5, 0.7, *RECALLS]
BYTES = [32, 64, 128, 256, 512, 1024, 2048]
COLOURS = ["#d4380d", "#1f6feb", "#2da44e", "#8250df", "#bf8700", "#57606a", "#0598bc", "#bf3989", "#1b1f24"]
TITLES = {"photo": "photos", "word": "words"}


class Recall:
    """Drawn by how much is missed, as a logarithm: from 0.98 to 0.99 is as far as from 0.9 to 0.95."""
    title = "recall@10"

    def __init__(self, ticks):
        self.ticks = ticks

    def share(self, recall):
        first, this, last = (math.log(1 - min(r, self.ticks[-1])) for r in (self.ticks[0], recall, self.ticks[-1]))
        return (first - this) / (first - last)


class Logarithm:
    def __init__(self, title, ticks):
        self.title, self.ticks = title, ticks

    def share(self, value):
        return math.log(value / self.ticks[0]) / math.log(self.ticks[-1] / self.ticks[0])


def plot(report, folder):
    """Writes the files; their paths."""
    for n in sorted({curve["n"] for curve in report["curves"]}):
        path = folder / f"index-{n}.svg"
        path.write_text(picture([curve for curve in report["curves"] if curve["n"] == n], rates))
        yield path
    for n in sorted({curve["n"] for curve in report["codes"]}):
        path = folder / f"index-bytes-{n}.svg"
        path.write_text(picture([curve for curve in report["codes"] if curve["n"] == n], sizes))
        yield path


def picture(curves, kind):
    """A row of panels for each place, of a column for each kind of query."""
    names = list(dict.fromkeys(curve["by"] for curve in sorted(curves, key=lambda curve: curve["by"] != "photorecall")))
    colours = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(names)}
    wheres = list(dict.fromkeys(curve["where"] for curve in curves))
    drawn = []
    for down, where in enumerate(wheres):
        for right, query in enumerate(TITLES):
            some = {curve["by"]: curve for curve in curves if (curve["where"], curve["query"]) == (where, query)}
            if some:
                title = f"{TITLES[query]}, {next(iter(some.values()))['n']:,} vectors, {where}"
                drawn.append(f'<g transform="translate({right * WIDTH} {down * HEIGHT})">{panel(*kind(some), colours, title)}</g>')
    size = f"{2 * WIDTH} {len(wheres) * HEIGHT}"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="12">'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(drawn)}</svg>\n')


def rates(curves):
    """Places and axes: recall to the right, rates upwards."""
    shown = {name: [(p["recall_at_10"], p["qps_cpu"]) for p in front(curve["points"])] for name, curve in curves.items()}
    shown = {name: [(recall, rate) for recall, rate in points if recall >= RECALLS[0]] for name, points in shown.items()}
    found = [rate for points in shown.values() for _, rate in points] or [1]
    powers = range(math.floor(math.log10(min(found))), math.ceil(math.log10(max(found) * 1.05)) + 1)
    return shown, Recall(RECALLS), Logarithm("queries a CPU second", [10**power for power in powers])


def sizes(curves):
    """Places and axes: bytes to the right, recall upwards."""
    shown = {name: [(p["bytes_per_vector"], max(p["recall_at_10"], LOW_RECALLS[0])) for p in curve["points"]]
             for name, curve in curves.items()}
    return shown, Logarithm("bytes a vector", BYTES), Recall(LOW_RECALLS)


def front(points):
    """The points that no other one beats in both, by recall."""
    best, kept = 0, []
    for point in sorted(points, key=lambda point: (-point["recall_at_10"], -point["qps_cpu"])):
        if point["qps_cpu"] > best:
            kept.append(point)
            best = point["qps_cpu"]
    return kept[::-1]


def panel(shown, across, up, colours, title):
    x = lambda value: LEFT + (WIDTH - LEFT - RIGHT) * across.share(value)
    y = lambda value: HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * up.share(value)
    parts = [f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>', axes(x, y, across, up)]
    parts += [line([(x(a), y(b)) for a, b in points], colours[name], name) for name, points in shown.items()]
    names = [name for name in colours if name in shown]
    # The corner that the curves leave free: rates fall to the right, recall rises.
    return "".join(parts) + legend(names, colours, LEFT if across.title == Recall.title else WIDTH - RIGHT - 220)


def axes(x, y, across, up):
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    parts = [f'<path d="M{x(tick):.1f} {top}V{bottom}" stroke="#ddd"/>'
             f'<text x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:,}</text>' for tick in across.ticks]
    parts += [f'<path d="M{left} {y(tick):.1f}H{right}" stroke="#ddd"/>'
              f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:,}</text>' for tick in up.ticks]
    return "".join(parts) + (
        f'<text x="{(left + right) / 2}" y="{bottom + 38}" text-anchor="middle">{across.title}</text>'
        f'<text transform="translate(14 {(top + bottom) / 2}) rotate(-90)" text-anchor="middle">{up.title}</text>')


def line(places, colour, name):
    width = 3 if name == "photorecall" else 1.5
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 1}" fill="{colour}"/>' for x, y in places)
    return f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="{width}"/>{dots}'


def legend(names, colours, left):
    bottom = HEIGHT - BOTTOM - 10 - LINE * (len(names) - 1)
    return "".join(f'<circle cx="{left + 14}" cy="{bottom + LINE * at - 4}" r="4" fill="{colours[name]}"/>'
                   f'<text x="{left + 24}" y="{bottom + LINE * at}">{escape(name)}</text>' for at, name in enumerate(names))
