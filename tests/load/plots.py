"""Draws what the sampler has written as SVG files, for light and dark pages.

Owns the look. Reads only what the run has written, so it can be repeated: `tests/load/plots.py FOLDER OUT`.
"""

import json
import math
import sys
from pathlib import Path

from checks import samples

WIDTH, HEIGHT, LEFT, TOP, BELOW, GAP = 860, 180, 76, 64, 28, 44
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #333 }
  .page { fill: #fff } .grid { stroke: #ddd } .fault { stroke: #999; stroke-dasharray: 3 3 }
  .line { fill: none; stroke-width: 1.5 } .title { font-weight: 600; font-size: 13px }
  .s0 { stroke: #0868ac } .s1 { stroke: #c2540a } .s2 { stroke: #3f7d20 }
  .t0 { fill: #0868ac } .t1 { fill: #c2540a } .t2 { fill: #3f7d20 }
  @media (prefers-color-scheme: dark) {
    text { fill: #ccc } .page { fill: #161b22 } .grid { stroke: #333a44 } .fault { stroke: #777 }
    .s0 { stroke: #62b5f0 } .s1 { stroke: #f2994a } .s2 { stroke: #86c95a }
    .t0 { fill: #62b5f0 } .t1 { fill: #f2994a } .t2 { fill: #86c95a }
  }
"""


class Linear:
    """From zero to a round number above the largest value."""

    def __init__(self, values, unit, scale):
        top = max(values) / scale or 1
        step = next(step for power in range(-4, 12) for step in (10**power, 2 * 10**power, 5 * 10**power) if top <= 5 * step)
        self.ticks = [(step * number * scale, f"{step * number:,g}{unit}") for number in range(math.ceil(top / step) + 1)]
        self.top = self.ticks[-1][0]

    def share(self, value):
        return value / self.top


class Logarithmic:
    """From a power of ten below the smallest value to one above the largest."""

    def __init__(self, values, *_):
        self.low, high = (math.floor(math.log10(max(1e-4, min(values)))), math.ceil(math.log10(max(values))))
        self.span = max(1, high - self.low)
        self.ticks = [(10**power, f"{10**power * 1000:,g} ms") for power in range(self.low, self.low + self.span + 1)]

    def share(self, value):
        return max(0, (math.log10(max(value, 1e-6)) - self.low) / self.span)


class Panel:
    def __init__(self, title, series, unit="", scale=1, axis=Linear):
        """`series` are lists of (seconds, value, process); a line breaks where the process changes."""
        self.title, self.series = title, series
        self.axis = axis([value for points in series for _, value, _ in points] or [1], unit, scale)

    def draw(self, top, end, faults):
        def x(seconds):
            return LEFT + seconds / end * (WIDTH - LEFT - 16)

        def y(value):
            return top + HEIGHT * (1 - self.axis.share(value))

        yield f'<text class="title" x="{LEFT}" y="{top - 10}">{self.title}</text>'
        for value, text in self.axis.ticks:
            yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 16}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
            yield f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{text}</text>'
        for fault in faults:
            yield f'<line class="fault" x1="{x(fault["seconds"]):.1f}" x2="{x(fault["seconds"]):.1f}" y1="{top}" y2="{top + HEIGHT}"/>'
        for number, points in enumerate(self.series):
            path, life = [], None
            for seconds, value, process in points:
                path.append(f"{'L' if process == life else 'M'}{x(seconds):.1f} {y(value):.1f}")
                life = process
            yield f'<path class="line s{number}" d="{"".join(path)}"/>'
        minutes = next(step for step in (1, 2, 5, 10, 20, 30, 60, 120, 240, 480, 960) if end / 60 / step <= 12)
        for minute in range(0, int(end / 60) + 1, minutes):
            yield f'<text x="{x(minute * 60):.1f}" y="{top + HEIGHT + 16}" text-anchor="middle">{minute} min</text>'


def picture(panels, names, end, faults):
    height = TOP + len(panels) * (HEIGHT + BELOW + GAP) - GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f'<style>{STYLE}</style><rect class="page" width="{WIDTH}" height="{height}"/>',
    ]
    for number, name in enumerate(names):
        parts.append(f'<text class="t{number}" x="{LEFT + number * 90}" y="22">● {name}</text>')
    parts.append(f'<text x="{WIDTH - 16}" y="22" text-anchor="end">dashed: a node is killed or drained</text>')
    for number, panel in enumerate(panels):
        parts += panel.draw(TOP + number * (HEIGHT + BELOW + GAP), end, faults)
    return "\n".join([*parts, "</svg>\n"])


def draw(folder, out):
    rows, result = samples(folder), json.loads((folder / "result.json").read_text())
    nodes = sorted({row["node"] for row in rows})

    def by_node(column):
        return [[(row["seconds"], row[column], row["pid"]) for row in rows if row["node"] == node and row[column] is not None] for node in nodes]

    def panel(title, column, *rest):
        return Panel(title, by_node(column), *rest)

    pictures = {
        "memory": [
            panel("Resident memory, pages of the program's file included", "rss", " MiB", 1 << 20),
            panel("Anonymous memory", "anonymous", " MiB", 1 << 20),
        ],
        "connections": [
            panel("Connections of clients", "connections"),
            panel("Descriptors beside them", "other descriptors"),
            panel("Tasks beside them", "other tasks"),
        ],
        "latency": [
            panel(f"{title}, the {word} of five seconds", f"{kind}_{column}", "", 1, Logarithmic)
            for kind, title in (("group", "Message of a client to a group on three nodes"), ("rest", "REST request until the user has the message"), ("event", "Event of a client until the event handler's answer"))
            for column, word in (("p50", "median"), ("p99", "99th percentile"))
        ],
        "admin": [
            panel("GET /metrics", "metrics_seconds", "", 1, Logarithmic),
            panel("GET /readyz at the admin port", "readyz_seconds", "", 1, Logarithmic),
        ],
    }
    for name, panels in pictures.items():
        text = picture(panels, [f"node {node}" for node in nodes], max(row["seconds"] for row in rows), result["faults"])
        (out / f"soak-{name}.svg").write_text(text)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
