"""Draws the figures of a document as PNG: lines with intervals, grouped bars, heat maps.

Equal figures give equal bytes, independent of the user's matplotlibrc.
"""

import textwrap
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np

from recbole_llmfashion.errors import needs_extra
from recbole_llmfashion.study.report.cells import plain, significant
from recbole_llmfashion.study.report.document import Figure, Series

with needs_extra("study"):
    from matplotlib import colormaps, style
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
    from PIL import Image

DPI = 200  # two image pixels per CSS pixel; a figure is 800 CSS pixels wide in the report
WIDTH, HEIGHT = 8.0, 4.8  # inches
# Okabe and Ito's colours, distinguishable for colour-blind readers, without yellow, which is too light on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES = ("-", "--", ":")
HATCHES = ("", "///", "...", "xxx")
HEAT = "cividis"
TICKS = 8  # up to this many distinct x values get a tick each
CELLS_WITH_TEXT = 150  # heat maps with more cells show no values
LABEL_WIDTH = 44  # characters per line of a label
TICK_WIDTH = 18  # characters per line of a group name
TICKS_WIDTH = 75  # total characters of group names side by side; bars with longer ones lie, columns' are slanted
BAR = 0.125  # inches of a lying bar
_STYLE = {
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "0.88",
    "font.size": 11,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "errorbar.capsize": 3,
    "hatch.linewidth": 0.6,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.1,
    "legend.frameon": False,
    "text.parse_math": False,  # labels may contain a dollar sign
}


def png(figure: Figure) -> bytes:
    """The figure as PNG with a palette, 1600 pixels wide; the height depends on its legend and rows.

    Missing values are gaps in lines and missing bars or cells. The legend is below the axes.
    """
    with style.context(_STYLE, after_reset=True):
        canvas = Canvas(figsize=(WIDTH, _height(figure)), dpi=DPI, layout="constrained")
        FigureCanvasAgg(canvas)
        axes = canvas.subplots()
        axes.set_xlabel(_wrapped(figure.x_label))
        handles = {"lines": _lines, "bars": _bars, "heat": _heat}[figure.kind](axes, figure)
        _legend(canvas, handles, [_wrapped(series.label) for series in figure.series])
        file = BytesIO()
        canvas.savefig(file, format="png", metadata={"Software": None})
    return with_palette(file.getvalue())


def with_palette(image: bytes) -> bytes:
    """A PNG without transparency in at most 256 colours, a third of its size."""
    file = BytesIO()
    with Image.open(BytesIO(image)) as opened:
        reduced = opened.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    reduced.save(file, "PNG", optimize=True)
    return file.getvalue()


def _height(figure: Figure) -> float:
    if figure.kind == "heat":
        return max(HEIGHT, 0.42 * len(figure.series) + 2)
    if figure.kind == "bars" and not _fit_in_a_line(_groups(figure)):
        return max(HEIGHT, BAR * (len(figure.series) + 0.5) * len(_groups(figure)) + 1)
    return HEIGHT


def _wrapped(label: str) -> str:
    return textwrap.fill(plain(label), LABEL_WIDTH)


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _interval(series: Series, y: np.ndarray) -> np.ndarray | None:
    """Lengths of the intervals below and above y, [2, points]; None without intervals."""
    if series.low is None or series.high is None:
        return None
    lengths = np.stack([y - _numbers(series.low), _numbers(series.high) - y])
    return np.where(np.isfinite(lengths), np.maximum(lengths, 0), 0)


def _lines(axes: Axes, figure: Figure) -> list[Any]:
    axes.set_ylabel(_wrapped(figure.y_label))
    handles: list[Any] = []
    for number, series in enumerate(figure.series):
        x, y = _numbers([float(value) for value in series.x]), _numbers(series.y)
        look: dict[str, Any] = {
            "color": COLORS[number % len(COLORS)],
            "marker": MARKERS[number % len(MARKERS)],
            "linestyle": DASHES[number // len(COLORS) % len(DASHES)],
        }
        if series.marked:
            look |= {"marker": "*", "markersize": 15, "zorder": 3}
        handles.append(axes.errorbar(x, y, _interval(series, y), elinewidth=1, **look))
    _x_axis(axes, figure)
    return handles


def _x_axis(axes: Axes, figure: Figure) -> None:
    values = sorted({float(value) for series in figure.series for value in series.x})
    positions = np.array(values)
    if figure.x_log and len(values) and values[-1] > 0:
        _set_log_scale(axes, values)
        positions = axes.get_xaxis().get_transform().transform(positions)
    spacing = np.diff(positions).min() / (positions[-1] - positions[0]) if len(positions) > 1 else 1.0
    if 0 < len(values) <= TICKS and spacing > 0.07:
        axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}" if value < 1e5 else f"{value:,.0f}"))


def _set_log_scale(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic x axis; if there is a zero, it is placed left of the smallest positive value."""
    if values[0] > 0:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=min(value for value in values if value > 0), linscale=0.5)
    axes.xaxis.set_minor_locator(NullLocator())


def _bars(axes: Axes, figure: Figure) -> list[Any]:
    """Standing bars, or lying ones with a line per group where the groups' names do not fit side by side."""
    groups = _groups(figure)
    standing = _fit_in_a_line(groups)
    handles: list[Any] = []
    width = 0.8 / max(1, len(figure.series))
    for number, series in enumerate(figure.series):
        y = _numbers(series.y)
        places = np.array([groups.index(x) for x in series.x]) + width * (number - (len(figure.series) - 1) / 2)
        look: dict[str, Any] = {
            "color": COLORS[number % len(COLORS)],
            "hatch": HATCHES[number // len(COLORS) % len(HATCHES)],
            "edgecolor": "white",
            "ecolor": "0.25",
            "yerr" if standing else "xerr": _interval(series, y),
        }
        handles.append((axes.bar if standing else axes.barh)(places, y, width, **look))
    if standing:
        axes.set_ylabel(_wrapped(figure.y_label))
        _name_columns(axes, groups)
    else:
        axes.set_ylabel(_wrapped(figure.x_label))
        axes.set_xlabel(_wrapped(figure.y_label))
        axes.set_yticks(range(len(groups)), [_wrapped(name) for name in _names(groups)])
        axes.set_ylim(len(groups) - 0.5, -0.5)  # the first group on top
    axes.grid(visible=False, axis="x" if standing else "y")
    return handles


def _groups(figure: Figure) -> list[float | str]:
    return list(dict.fromkeys(x for series in figure.series for x in series.x))


def _names(groups: Sequence[float | str]) -> list[str]:
    return [plain(f"{group:g}" if isinstance(group, float) else str(group)) for group in groups]


def _broken(groups: Sequence[float | str]) -> list[str]:
    return [textwrap.fill(name, TICK_WIDTH) for name in _names(groups)]


def _fit_in_a_line(groups: Sequence[float | str]) -> bool:
    """Whether the names of the groups, in lines of TICK_WIDTH, have room side by side."""
    longest = max((len(line) for name in _broken(groups) for line in name.splitlines()), default=0)
    return longest * len(groups) <= TICKS_WIDTH


def _name_columns(axes: Axes, groups: Sequence[float | str]) -> None:
    if _fit_in_a_line(groups):
        axes.set_xticks(range(len(groups)), _broken(groups))
        return
    # slanted names of several lines would overlap, so each gets one line
    short = [name if len(name) <= 2 * TICK_WIDTH else f"{name[: 2 * TICK_WIDTH - 1]}…" for name in _names(groups)]
    axes.set_xticks(range(len(groups)), short, rotation=35, ha="right", rotation_mode="anchor")


def _heat(axes: Axes, figure: Figure) -> list[Any]:
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    columns = _groups(figure)
    values = np.full((len(figure.series), len(columns)), np.nan)
    for row, series in enumerate(figure.series):
        values[row, [columns.index(x) for x in series.x]] = _numbers(series.y)
    axes.set_yticks(range(len(values)), [_wrapped(series.label) for series in figure.series])
    _name_columns(axes, columns)
    axes.tick_params(length=0)
    if np.isfinite(values).any():
        image = axes.imshow(values, cmap=HEAT, aspect="auto")
        bar = axes.get_figure(root=True).colorbar(image, ax=axes, label=_wrapped(figure.y_label))  # type: ignore[union-attr]
        bar.ax.yaxis.set_major_locator(MaxNLocator(6))
        if values.size <= CELLS_WITH_TEXT:
            _write_values(axes, values, image.norm)
    return []


def _write_values(axes: Axes, values: np.ndarray, norm: Any) -> None:
    for row, column in np.argwhere(np.isfinite(values)):
        red, green, blue, _ = colormaps[HEAT](float(norm(values[row, column])))
        color = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
        axes.text(column, row, significant(values[row, column]), ha="center", va="center", color=color, fontsize=9)


def _legend(canvas: Canvas, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Adds a legend below the axes, in as many columns as fit, and extends the canvas for it.

    A single series without a name has no legend.
    """
    if not handles or not any(labels):
        return
    for columns in range(min(4, len(labels)), 0, -1):
        legend = canvas.legend(handles, labels, loc="outside lower center", ncols=columns)
        canvas.draw_without_rendering()
        extent = legend.get_window_extent()
        if columns == 1 or extent.width <= canvas.bbox.width:
            break
        legend.remove()
    canvas.set_size_inches(WIDTH, canvas.get_figheight() + extent.height / DPI)
