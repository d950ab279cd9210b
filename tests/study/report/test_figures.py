"""Figures as PNG."""

import io
import itertools
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas
from PIL import Image

from recbole_llmfashion.study.report import figures
from recbole_llmfashion.study.report.document import Figure, Series
from tests.helpers.documents import HOSTILE, MODELS, sample

LINES = Figure("f", "c", "lines", "x", "NDCG@10", [Series("CORE", [1, 2, 4], [0.1, 0.2, 0.4])])


@pytest.fixture
def drawn(monkeypatch):
    """Returns a function that draws a figure and returns its image and canvas."""
    kept = []

    class RecordedCanvas(Canvas):
        def __init__(self, *args, **keys):
            super().__init__(*args, **keys)
            kept.append(self)

    monkeypatch.setattr(figures, "Canvas", RecordedCanvas)

    def draw(figure):
        return Image.open(io.BytesIO(figures.png(figure))), kept[-1]

    return draw


@pytest.fixture(scope="module")
def of_sample():
    return {figure.name: figures.png(figure) for figure in sample().figures}


def test_equal_bytes_independent_of_user_settings(of_sample):
    figure = sample().figures[1]
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30, "savefig.dpi": 30, "axes.facecolor": "red"}):
        assert figures.png(figure) == of_sample[figure.name]
    assert matplotlib.rcParams["text.parse_math"]  # our settings are restored
    image = Image.open(io.BytesIO(of_sample[figure.name]))
    assert not image.text  # no metadata such as a date or version


def test_size_and_white_margins(of_sample):
    for content in of_sample.values():
        image = Image.open(io.BytesIO(content)).convert("RGB")
        assert image.width == 1600 and image.height >= 900
        edge = np.asarray(image)[[0, -1]]
        assert (edge == 255).all()  # nothing is cut off at the top or bottom
        assert (np.asarray(image)[:, [0, -1]] == 255).all()


def test_series_styles_are_distinct():
    looks = {
        (
            figures.COLORS[i % len(figures.COLORS)],
            figures.MARKERS[i % len(figures.MARKERS)],
            figures.DASHES[i // len(figures.COLORS) % len(figures.DASHES)],
        )
        for i in range(21)
    }
    assert len(looks) == 21


def test_legend_is_below_the_axes(drawn):
    x = [1, 2]
    series = [Series(f"{name} with a rather long label {i}", x, [0.1 * i, 0.2]) for i, name in enumerate(MODELS)]
    short = drawn(replace(LINES, series=series[:1]))[0].height
    image, canvas = drawn(replace(LINES, series=[*series, Series(HOSTILE, x, [0.5, 0.5])]))
    axes, legend = canvas.axes[0], canvas.legends[0]
    box, below = legend.get_window_extent(), axes.get_tightbbox()
    assert box.y1 <= below.y0 and box.x0 >= 0 and box.x1 <= canvas.bbox.width and box.y0 >= 0
    assert len(legend.get_texts()) == 12 and image.height > short
    assert axes.get_window_extent().height > 0.3 * image.height  # the legend does not shrink the axes


def test_labels_are_not_interpreted(drawn):
    _, canvas = drawn(replace(LINES, series=[Series("_$x$", [1, 2], [1.0, 2.0]), Series(HOSTILE, [1, 2], [2.0, 1.0])]))
    texts = [text.get_text().replace("\n", " ") for text in canvas.legends[0].get_texts()]
    assert texts[0] == "_$x$" and texts[1].startswith("<script>alert") and "$x$" in texts[1]
    assert not any(text.get_parse_math() for text in canvas.legends[0].get_texts())


def test_gaps_and_intervals(drawn):
    series = Series("CORE", [1, 2, 4], [0.1, None, 0.4], [0.05, 0.0, 0.3], [0.2, 0.0, 0.6])
    _, canvas = drawn(replace(LINES, series=[series]))
    line, _, (bars,) = canvas.axes[0].containers[0]
    assert np.array_equal(line.get_ydata(), [0.1, np.nan, 0.4], equal_nan=True)
    ends = [segment[:, 1].tolist() for segment in bars.get_segments() if len(segment)]
    assert [end for end in ends if np.isfinite(end).all()] == [pytest.approx([0.05, 0.2]), pytest.approx([0.3, 0.6])]


@pytest.mark.parametrize(("x", "scale"), [([1, 5, 20], "log"), ([0, 1, 20], "symlog"), ([], "linear")])
def test_logarithmic_x(drawn, x, scale):
    _, canvas = drawn(replace(LINES, series=[Series("CORE", x, [0.1] * len(x))], x_log=True))
    axes = canvas.axes[0]
    assert axes.get_xscale() == scale
    if x:
        assert [text.get_text() for text in axes.get_xticklabels()] == [str(value) for value in x]


def test_bars(drawn):
    series = [Series("a", ["cold", "warm"], [0.1, None]), Series("b", ["warm", "cold"], [0.3, 0.2])]
    _, canvas = drawn(Figure("f", "c", "bars", "group", "NDCG@10", series))
    axes = canvas.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["cold", "warm"]
    first, second = (container.patches for container in axes.containers)
    assert [bar.get_height() for bar in second] == [0.3, 0.2] and np.isnan(first[1].get_height())
    assert [round(bar.get_x() + bar.get_width() / 2, 6) for bar in second] == [1.2, 0.2]
    assert round(first[0].get_x() + first[0].get_width(), 6) <= round(second[1].get_x(), 6)
    assert axes.get_ylim()[0] == 0


def test_bars_lie_where_names_do_not_fit_side_by_side(drawn):
    names = [f"model {number} with a name of thirty characters" for number in range(20)]
    series = [Series("a", names, [0.1] * 19 + [0.4], [0.05] * 20, [0.2] * 19 + [0.5]), Series("b", names, [0.2] * 20)]
    _, canvas = drawn(Figure("f", "c", "bars", "group", "NDCG@10", series))
    axes = canvas.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == names
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("NDCG@10", "group")
    first_bars, second_bars = (container for container in axes.containers if hasattr(container, "patches"))
    first, second = first_bars.patches, second_bars.patches
    assert [bar.get_width() for bar in first] == [0.1] * 19 + [0.4]
    assert round(first[0].get_y() + first[0].get_height(), 6) == round(second[0].get_y(), 6) == 0
    assert axes.get_ylim() == (19.5, -0.5)  # the first group on top
    ends = first_bars.errorbar.lines[2][0].get_segments()[19][:, 0]
    assert ends.round(6).tolist() == [0.05, 0.5]
    boxes = [text.get_window_extent() for text in axes.get_yticklabels()]
    assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(boxes))


def test_heat_map(drawn):
    series = [Series("a", ["cold", "warm"], [0.1, None]), Series("b", ["warm"], [0.3])]
    _, canvas = drawn(Figure("f", "c", "heat", "item", "NDCG@10", series))
    axes = canvas.axes[0]
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {((0, 0), "0.100"), ((1, 1), "0.300")}
    assert {text.get_color() for text in axes.texts} == {
        "white",
        "black",
    }  # on dark and light cells
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]


@pytest.mark.parametrize("kind", ["lines", "bars", "heat"])
@pytest.mark.parametrize("series", [[], [Series("a", [1.0], [None])]])
def test_empty_figure(kind, series):
    assert figures.png(Figure("f", "c", kind, "x", "y", series)).startswith(b"\x89PNG")
