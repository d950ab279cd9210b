"""search.png: the trials as parallel coordinates, and the validation metric over time."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.errors import needs_extra
from recbole_llmfashion.files.changes import write_file
from recbole_llmfashion.tuning.space import Domain, Space
from recbole_llmfashion.tuning.trial_log import FINISHED, Trial

with needs_extra("tune"):
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

COLORS = "viridis"
LABEL = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}


def draw(path: Path, space: Space, trials: Sequence[Trial], metric: str, bigger: bool) -> None:
    """Writes the figure.

    Args:
        path: PNG file.
        space: the search space; one axis per key.
        trials: trials without a value (failed ones) are left out.
        metric: name of the validation metric.
        bigger: whether larger values are better.
    """
    scored = [trial for trial in trials if np.isfinite(trial.value)]
    width = max(7.0, 1.5 * len(space.domains) + 4)
    figure = Figure(figsize=(width, 8), layout="constrained")
    above, below = figure.subplots(2, 1)
    values = [trial.value for trial in scored] or [0.0]
    norm = Normalize(min(values), max(values) if max(values) > min(values) else min(values) + 1e-9)
    _parallel(above, space, scored, norm)
    figure.colorbar(ScalarMappable(norm, COLORS), ax=above, label=f"{metric} (validation)")
    _over_time(below, scored, metric, bigger, norm)
    image = BytesIO()
    figure.savefig(image, dpi=120, format="png")
    write_file(path, image.getvalue(), "--output")


def place(domain: Domain, value: Any) -> float:
    """Position of a value on its axis, from 0 (bottom) to 1 (top); logarithmic for loguniform.

    Example:
        >>> place(Domain("loguniform", low=0.001, high=0.1), 0.01)
        0.5
    """
    if domain.kind == "choice":
        return domain.values.index(value) / max(1, len(domain.values) - 1)
    low, high, number = domain.low, domain.high, float(value)
    if domain.kind == "loguniform":
        low, high, number = np.log(low), np.log(high), np.log(max(number, 1e-300))
    return float(np.clip((number - low) / (high - low), 0, 1))


def _parallel(axes: Axes, space: Space, trials: Sequence[Trial], norm: Normalize) -> None:
    keys = list(space.domains)
    colors: Any = ScalarMappable(norm, COLORS)
    for trial in sorted(trials, key=lambda trial: trial.value):
        heights = [place(space.domains[key], trial.keys[key]) for key in keys]
        style = "-" if trial.status == FINISHED else ":"
        axes.plot(range(len(keys)), heights, style, color=colors.to_rgba(trial.value), marker="o", markersize=4)
    for position, key in enumerate(keys):
        axes.axvline(position, color="0.7", linewidth=0.8, zorder=0)
        for value in _ticks(space.domains[key]):
            height = place(space.domains[key], value)
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
            axes.annotate(
                text, (position, height), xytext=(7, 0), textcoords="offset points", fontsize=8, va="center", bbox=LABEL
            )
    axes.set_xticks(range(len(keys)), keys, rotation=15 if len(keys) > 4 else 0)
    axes.set_yticks([])
    axes.set_xlim(-0.3, len(keys) - 0.4)
    axes.set_title("trials (solid: finished, dotted: stopped early)")


def _ticks(domain: Domain) -> list[Any]:
    return list(domain.values) if domain.kind == "choice" else [domain.cast(domain.low), domain.cast(domain.high)]


def _over_time(axes: Axes, trials: Sequence[Trial], metric: str, bigger: bool, norm: Normalize) -> None:
    colors: Any = ScalarMappable(norm, COLORS)
    ends = []
    for trial in trials:
        if trial.reports:
            minutes = [seconds / 60 for seconds, _, _ in trial.reports]
            axes.plot(minutes, [value for *_, value in trial.reports], color=colors.to_rgba(trial.value), marker=".")
            if trial.status == FINISHED:
                ends.append((minutes[-1], trial.value))
    if ends:
        ends.sort()
        best = list((np.maximum if bigger else np.minimum).accumulate([value for _, value in ends]))
        last_report = max(trial.reports[-1][0] / 60 for trial in trials if trial.reports)
        axes.step(
            [*(minutes for minutes, _ in ends), last_report],
            [*best, best[-1]],
            where="post",
            color="black",
            linewidth=2,
            label="best finished",
        )
        axes.legend(loc="best")
        axes.set_xlim(left=0)
    axes.set_xlabel("minutes since the start of the search")
    axes.set_ylabel(f"{metric} (validation)")
    axes.set_title("one line per trial, one point per report")
