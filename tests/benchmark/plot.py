"""Draw the figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmark.results import FLOOR, Result, Results, title

RACES = ("sync", "latency", "dispatch")
OURS_COLOR, FLOOR_COLOR, OTHERS_COLOR = "#1b6ca8", "#b8b8b8", "#e0924c"


def draw(results: Results, file: Path, heading: str) -> None:
    """Write a PNG with the speed of each peer, and with time and memory of accounts of different size."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    groups = [[one for one in group if one.rounds] for group in results.groups()]
    races = [group for group in groups if group and group[0].stage in RACES]
    scales = [group for group in groups if group and group[0].stage == "scale"]
    panels = len(races) + bool(scales)
    if not panels:
        return
    figure, axes = plt.subplots(panels, 1, figsize=(9, 2.3 * panels), layout="constrained", squeeze=False)
    for axis, group in zip(axes[:, 0], races, strict=False):
        _race(axis, group)
    if scales:
        _scale(axes[-1, 0], [one for group in scales for one in group])
    figure.suptitle(heading, fontsize=9)
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _race(axis: Any, group: Sequence[Result]) -> None:
    colors = [_color(one.name) for one in group]
    low = [one.rate - one.tasks / one.slowest for one in group]
    high = [one.tasks / one.fastest - one.rate for one in group]
    bars = axis.barh([one.name for one in group], [one.rate for one in group], color=colors, xerr=[low, high])
    axis.bar_label(bars, [f"{one.rate:,.0f}" for one in group], padding=4, fontsize=8)
    axis.invert_yaxis()
    axis.margins(x=0.15)
    axis.set_title(f"{title(list(group))}: tasks a second", fontsize=9, loc="left")
    axis.tick_params(labelsize=8)


def _scale(axis: Any, results: Sequence[Result]) -> None:
    for engine in dict.fromkeys(one.engine for one in results):
        found = sorted((one for one in results if one.engine == engine), key=lambda one: one.tasks)
        sizes = [f"{one.tasks:,}" for one in found]
        axis.plot(sizes, [1e6 / one.rate for one in found], marker="o", label=f"{engine}, µs a task")
        axis.plot(sizes, [one.peak / 1e6 for one in found], marker="s", ls=":", label=f"{engine}, peak MB")
    axis.set_ylim(bottom=0, top=1.4 * axis.get_ylim()[1])
    axis.set_title("scalesync, a first sync of accounts of different size", fontsize=9, loc="left")
    axis.legend(fontsize=7, ncols=2)
    axis.tick_params(labelsize=8)


def _color(name: str) -> str:
    if name == FLOOR:
        return FLOOR_COLOR
    return OURS_COLOR if name.startswith("scalesync") else OTHERS_COLOR
