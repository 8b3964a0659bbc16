"""The pictures of the pages that are drawn with the documentation, into docs/generated/.

Those of the benchmarks are drawn from the tables of comparison.md, so that they cannot disagree.
"""
import itertools
import pathlib

import matplotlib.pyplot as plt

HERE = pathlib.Path(__file__).parent
INK, PALE, OURS, OTHERS = "#111827", "#6b7280", "#0b5d8a", "#c2410c"
MARKS = "osD^v<>P"
SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}


def sweep(page):
    """The sweep on one thread, A by rows: {(n, d): {name: seconds}}."""
    table = page.partition("## Leverage scores with a slack: the sweep")[2].partition("\n## ")[0]
    head, _, *lines = ([cell.strip() for cell in line.strip("| ").split(" | ")]
                       for line in table.splitlines() if line.startswith("|"))
    times = {}
    for line in lines:
        cells = dict(zip(head, line, strict=True))
        if (cells["order"], cells["threads"]) == ("rows", "1"):
            n, d = cells["n x d"].split(" x ")
            times[int(n), int(d)] = {name: _seconds(cells[name])
                                     for name in head[3:-4] if cells[name] != "–"}
    return times


def _seconds(text):
    number, unit = text.split()
    return float(number) * SECONDS[unit]


def ratios_over_columns(times, ax):
    """The times of other libraries, as multiples of that of levinv, over the number of columns."""
    largest = {}                        # of the problems with d columns the one of most rows
    for n, d in sorted(times):
        largest[d] = n, d
    shapes = [largest[d] for d in sorted(largest)]
    ratios = {shape: {name: seconds / times[shape]["levinv"]
                      for name, seconds in times[shape].items()} for shape in shapes}
    _lines(ax, shapes, [d for _, d in shapes], ratios, leave_out={"levinv"})
    ax.axhline(1.0, color=OURS, label="levinv")
    ax.set(xlabel="columns d (above), rows n (below)", ylabel="time, as a multiple of levinv's")
    ax.set_xticks([d for _, d in shapes], [f"{d}\n{n}" for n, d in shapes], fontsize=7)
    ax.minorticks_off()
    _finish(ax)


def times_over_rows(times, ax, columns=20):
    """The times themselves over the number of rows, for one number of columns."""
    shapes = sorted(shape for shape in times if shape[1] == columns)
    _lines(ax, shapes, [n for n, _ in shapes], times)
    ax.set(xlabel=f"rows n, of {columns} columns", ylabel="seconds")
    _finish(ax)


def _lines(ax, shapes, places, values, leave_out=frozenset()):
    names = dict.fromkeys(name for shape in shapes for name in values[shape])
    marks, colours = itertools.cycle(MARKS), itertools.cycle(plt.get_cmap("Dark2").colors)
    for name in names:
        if name in leave_out:
            continue
        points = [(place, values[shape][name]) for place, shape in zip(places, shapes, strict=True)
                  if name in values[shape]]
        style = ({"color": OURS, "linewidth": 2.5, "marker": "o"} if name == "levinv" else
                 {"color": next(colours), "marker": next(marks), "linewidth": 1.0})
        ax.loglog(*zip(*points, strict=True), label=name, markersize=5, **style)


def _finish(ax):
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))


def pipeline(ax):
    """Forward from x to scores, and back in four stages."""
    boxes = [(0.0, "x"), (1.0, "slack A x − b\nor linear predictor"), (2.0, "log weights"),
             (3.0, "scores")]
    for place, words in boxes:
        ax.text(place, 0.0, words, ha="center", va="center", fontsize=10, color=INK,
                bbox={"boxstyle": "round,pad=0.6", "facecolor": "#f3f4f6", "edgecolor": PALE})
    forward = ["storage/:\nproducts with A", "weighting/:\nthe model", "forward/:\nprojection"]
    back = ["recover:\nlinear least squares", "signs,\nsides of the peak",
            "magnitudes:\na convex problem"]
    for start, (there, back_again) in enumerate(zip(forward, back, strict=True)):
        middle = start + 0.5
        for height, words, color, ends in ((0.42, there, OURS, (start, start + 1)),
                                           (-0.42, back_again, OTHERS, (start + 1, start))):
            ax.annotate("", xy=(ends[1], height * 0.75), xytext=(ends[0], height * 0.75),
                        arrowprops={"arrowstyle": "->", "color": color, "linewidth": 1.6,
                                    "shrinkA": 12, "shrinkB": 12})
            ax.text(middle, height * 1.35, words, ha="center", va="center", fontsize=8.5,
                    color=color)
    ax.annotate("", xy=(3.0, -0.95), xytext=(0.0, -0.95),
                arrowprops={"arrowstyle": "<-", "color": OTHERS, "linewidth": 1.6})
    ax.text(1.5, -1.08, "refine: x directly from the scores, to rounding or to their noise",
            ha="center", va="top", fontsize=8.5, color=OTHERS)
    ax.set(xlim=(-0.55, 3.45), ylim=(-1.3, 0.8))
    ax.axis("off")


def draw(folder):
    """All pictures, as SVG."""
    swept = sweep((HERE / "comparison.md").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {"pipeline": (pipeline, (8.2, 3.0)),
                "ratios_over_columns": (lambda ax: ratios_over_columns(swept, ax), (8.0, 4.0)),
                "times_over_rows": (lambda ax: times_over_rows(swept, ax), (8.0, 4.0))}
    with plt.style.context({"svg.fonttype": "none", "svg.hashsalt": "levinv",
                            "font.family": "sans-serif"}):
        for name, (drawn, size) in drawings.items():
            figure, ax = plt.subplots(figsize=size, layout="constrained")
            drawn(ax)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)


if __name__ == "__main__":
    plt.switch_backend("Agg")
    draw(HERE / "generated")
