"""Curves of `cargo xtask bench index` as SVG: recall@10 against queries a CPU second, a file a number of vectors.

    native    photo │ word
    chromium  photo │ word
"""
import math
from html import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 620, 420, 70, 40, 20, 60
LINE = 18
# Recall is drawn by how much is missed, as a logarithm: from 0.98 to 0.99 is as far as from 0.9 to 0.95.
RECALLS = [0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999]
COLOURS = ["#d4380d", "#1f6feb", "#2da44e", "#8250df", "#bf8700", "#57606a", "#0598bc", "#bf3989"]
TITLES = {"photo": "photos", "word": "words"}


def plot(curves, folder):
    """Writes the files; their paths."""
    for n in sorted({curve["n"] for curve in curves}):
        path = folder / f"index-{n}.svg"
        path.write_text(picture([curve for curve in curves if curve["n"] == n], n))
        yield path


def picture(curves, n):
    names = list(dict.fromkeys(curve["by"] for curve in sorted(curves, key=lambda curve: curve["by"] != "photorecall")))
    colours = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(names)}
    wheres = list(dict.fromkeys(curve["where"] for curve in curves))
    drawn = []
    for down, where in enumerate(wheres):
        for right, query in enumerate(TITLES):
            some = [curve for curve in curves if (curve["where"], curve["query"]) == (where, query)]
            title = f"{TITLES[query]}, {n:,} vectors, {where}"
            drawn.append(f'<g transform="translate({right * WIDTH} {down * HEIGHT})">{panel(some, colours, title)}</g>')
    size = f"{2 * WIDTH} {len(wheres) * HEIGHT}"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="12">'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(drawn)}</svg>\n')


def front(points):
    """The points that no other one beats in both, by recall."""
    best, kept = 0, []
    for point in sorted(points, key=lambda point: (-point["recall_at_10"], -point["qps_cpu"])):
        if point["qps_cpu"] > best:
            kept.append(point)
            best = point["qps_cpu"]
    return kept[::-1]


def panel(curves, colours, title):
    shown = {curve["by"]: [p for p in front(curve["points"]) if p["recall_at_10"] >= RECALLS[0]] for curve in curves}
    rates = [point["qps_cpu"] for points in shown.values() for point in points] or [1]
    low, high = math.floor(math.log10(min(rates))), math.ceil(math.log10(max(rates) * 1.05))

    def x(recall):
        missed = [math.log(1 - min(r, RECALLS[-1])) for r in (RECALLS[0], recall, RECALLS[-1])]
        return LEFT + (WIDTH - LEFT - RIGHT) * (missed[0] - missed[1]) / (missed[0] - missed[2])

    def y(rate):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log10(rate) - low) / (high - low)

    parts = [f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>', axes(x, y, low, high)]
    for at, (name, points) in enumerate(shown.items()):
        parts.append(curve_of([(x(p["recall_at_10"]), y(p["qps_cpu"])) for p in points], colours[name], name))
    parts += legend([name for name in colours if name in shown], colours)
    return "".join(parts)


def axes(x, y, low, high):
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    parts = []
    for recall in RECALLS:
        parts.append(f'<path d="M{x(recall):.1f} {top}V{bottom}" stroke="#ddd"/>'
                     f'<text x="{x(recall):.1f}" y="{bottom + 16}" text-anchor="middle">{recall}</text>')
    for power in range(low, high + 1):
        parts.append(f'<path d="M{left} {y(10**power):.1f}H{right}" stroke="#bbb"/>'
                     f'<text x="{left - 6}" y="{y(10**power) + 4:.1f}" text-anchor="end">{10**power:,}</text>')
        for step in range(2, 10 if power < high else 2):
            parts.append(f'<path d="M{left} {y(step * 10**power):.1f}H{right}" stroke="#eee"/>')
    return "".join(parts) + (
        f'<text x="{(left + right) / 2}" y="{bottom + 38}" text-anchor="middle">recall@10</text>'
        f'<text transform="translate(14 {(top + bottom) / 2}) rotate(-90)" text-anchor="middle">queries a CPU second</text>')


def curve_of(places, colour, name):
    if not places:
        return ""
    width = 3 if name == "photorecall" else 1.5
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 1}" fill="{colour}"/>' for x, y in places)
    return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{width}"/>{dots}'


def legend(names, colours):
    """In the corner that curves leave free: they fall to the right."""
    bottom = HEIGHT - BOTTOM - 10 - LINE * (len(names) - 1)
    for at, name in enumerate(names):
        y = bottom + LINE * at
        yield (f'<circle cx="{LEFT + 14}" cy="{y - 4}" r="4" fill="{colours[name]}"/>'
               f'<text x="{LEFT + 24}" y="{y}">{escape(name)}</text>')
