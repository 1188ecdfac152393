"""Figures: a sentence under every picture, exact pixels, and one display that is redrawn in place."""

import base64
import io
import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import nbclient
import nbformat
import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib.animation import FuncAnimation
from matplotlib.text import Text
from PIL import Image

from course_utils.display import palette, plots
from course_utils.display.widgets import controls
from course_utils.errors import CourseError

HOSTILE = "<script>alert('x')</script> & \"quotes\""


@pytest.fixture(scope="module")
def shell():
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plots.put_away("all")


def pictures(count, channels=3, height=4, width=5):
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8)


def test_show_displays_picture_alt_and_caption(shell):
    figure, _ = plots.subplots(width=4, height=2)
    with capture_output() as captured:
        plots.show(figure, alt="Two curves that cross.")
    picture, caption = captured.outputs
    assert picture.metadata["image/png"]["alt"] == "Two curves that cross."
    png = Image.open(io.BytesIO(base64.b64decode(picture.data["image/png"])))
    assert png.width / picture.metadata["image/png"]["width"] == pytest.approx(1.5, abs=0.02)
    assert caption.data["text/html"] == "<p><em>Figure. Two curves that cross.</em></p>"
    assert not plt.fignum_exists(figure.number)


def test_captions_are_escaped(shell):
    figure, _ = plots.subplots()
    with capture_output() as captured:
        plots.show(figure, alt=HOSTILE)
    markup = captured.outputs[1].data["text/html"]
    assert re.findall("<.*?>", markup) == ["<p>", "<em>", "</em>", "</p>"]
    assert "&lt;script&gt;" in markup
    assert "&quot;" in markup
    assert captured.outputs[1].data["text/plain"] == f"Figure. {HOSTILE}"


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_figure_without_a_sentence_is_refused(alt, shell):
    figure, _ = plots.subplots()
    for action in (
        lambda: plots.show(figure, alt=alt),
        lambda: plots.LiveFigure(lambda: figure, alt=alt),
    ):
        with capture_output() as captured, pytest.raises(CourseError) as caught:
            action()
        assert caught.value.code == "plots-no-alt"
        assert captured.outputs == []


def test_every_pixel_is_where_it_belongs():
    images = pictures(5)
    canvas = plots.tile(images, columns=3, gap=2)
    assert canvas.shape == (2 * 6 - 2, 3 * 7 - 2, 3)
    wanted = np.full_like(canvas, 255)
    for number, (row, column) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]):
        for y in range(4):
            for x in range(5):
                wanted[row * 6 + y, column * 7 + x] = [images[number, c, y, x] for c in range(3)]
    np.testing.assert_array_equal(canvas, wanted)


def test_grey_images_and_no_gap():
    images = pictures(4, channels=1)
    canvas = plots.tile(images, columns=2, gap=0)
    assert canvas.shape == (8, 10, 3)
    assert (canvas == canvas[..., :1]).all()
    np.testing.assert_array_equal(canvas[4:, 5:, 0], images[3, 0].numpy())


@pytest.mark.parametrize(
    "images",
    [
        torch.rand(2, 3, 4, 4),
        pictures(2, 4, 4, 3),
        pictures(2)[0],
        pictures(2)[:0],
        pictures(2).int(),
    ],
    ids=["float", "channels last", "one image", "none", "int32"],
)
def test_what_is_no_image_is_refused(images):
    _, (ax,) = plots.subplots()
    with pytest.raises(CourseError, match="uint8 images") as caught:
        plots.image_grid(ax, images, columns=2)
    assert caught.value.code == "plots-not-images"
    assert "to_bytes" in caught.value.fix


def test_image_grid_draws_the_tile_without_smoothing():
    images = pictures(6)
    _, (ax,) = plots.subplots()
    assert plots.image_grid(ax, images, columns=3, title="six") is ax
    (shown,) = ax.get_images()
    np.testing.assert_array_equal(shown.get_array(), plots.tile(images, 3))
    assert shown.get_interpolation() == "nearest"
    assert not ax.axison
    assert ax.get_title(loc="left") == "six"


def test_dollar_signs_in_a_data_sets_name_are_text():
    figure, (ax,) = plots.subplots()
    plots.image_grid(
        ax, pictures(1), columns=1, title=r"training images [my $\nosuchcommand$ folder]"
    )
    figure.savefig(io.BytesIO())  # as mathematics this would raise


@pytest.mark.parametrize("name", ["my $5 and $6", "$\\frac$", "a_$b^$", "$$"])
def test_titles_are_text_and_labels_may_be_formulas(name, shell):
    figure, axes = plots.subplots(1, 2)
    figure.suptitle(f"generated [{name}]")
    axes[0].set_title(f"left [{name}]", loc="left")
    axes[1].set_title(name)
    axes[1].plot([1, 2], label="$L_D$")
    legend = axes[1].legend()
    figure.canvas.draw()  # a formula that cannot be read would raise
    with capture_output():
        plots.show(figure, alt="Two axes with titles.")
    texts = {text.get_text(): text.get_parse_math() for text in figure.findobj(Text)}
    for title in (f"generated [{name}]", f"left [{name}]", name):
        assert texts[title] is False
    assert legend.get_texts()[0].get_parse_math() is True


def test_saved_tile_is_lossless(tmp_path):
    images = pictures(6)
    path = plots.save_tile(tmp_path / "new" / "samples.png", images, columns=3)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), plots.tile(images, 3))
    assert [p.name for p in path.parent.iterdir()] == ["samples.png"]


def test_curves_have_lines_labels_and_a_moving_average():
    _, (ax,) = plots.subplots()
    x, values = list(range(10, 20)), [float(v * v) for v in range(10)]
    assert (
        plots.curves(ax, x, {"a": values, "b": values[::-1]}, "step", "loss (nats)", smooth=4) is ax
    )
    raw, mean = ax.get_lines()[:2]
    assert list(raw.get_ydata()) == values
    assert list(mean.get_xdata()) == x[3:]  # each point is the mean of the four up to it
    assert list(mean.get_ydata()) == pytest.approx(
        [sum(values[i - 3 : i + 1]) / 4 for i in range(3, 10)]
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss (nats)")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    styles = {line.get_linestyle() for line in ax.get_lines()[1::2]}
    assert len(styles) == 2  # not told apart by colour alone


def test_one_short_curve_needs_no_legend_and_no_average():
    _, (ax,) = plots.subplots()
    plots.curves(ax, range(3), {"a": [1.0, 2.0, 3.0]}, "step", "loss", smooth=25)
    (line,) = ax.get_lines()
    assert list(line.get_ydata()) == [1.0, 2.0, 3.0]
    assert ax.get_legend() is None


def test_style_does_not_leak():
    before = dict(matplotlib.rcParams)
    figure, axes = plots.subplots(2, 3)
    other, _ = plots.subplots()
    assert axes.shape == (6,) and not matplotlib.rcParams["axes.spines.top"]
    plots.put_away(other)
    assert dict(matplotlib.rcParams) == before
    plots.put_away(figure)
    assert dict(matplotlib.rcParams) == before
    assert len({c.lower() for c in palette.COLOURS}) == 7


PERSONAL = {"text.usetex": True, "font.size": 31.0, "savefig.transparent": True, "axes.grid": False,
            "lines.linewidth": 9.0, "savefig.facecolor": "black", "font.family": "no such font"}  # fmt: skip


def drawn(shell, make, alt="One."):
    """The pixels of the figure that is shown."""
    with capture_output() as captured:
        make()
    data = next(o.data["image/png"] for o in captured.outputs if "image/png" in o.data)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))


def lesson_figure():
    """A figure as lessons make them: much of it is drawn between `subplots` and `show`."""
    figure, (ax,) = plots.subplots(width=4, height=3)
    plots.curves(ax, range(30), {"a": range(30), "b": [3.0] * 30}, "$x^2$", "y", smooth=5)
    ax.hist([1, 2, 2], bins=3)
    ax.annotate("a word", (3, 2))
    ax.text(9, 9, "more words")
    ax.set_title("50 % of $ and $")
    ax.legend(title="names")
    figure.suptitle("all")
    plots.show(figure, alt="One.")


def live_figure():
    def draw():
        figure, (ax,) = plots.subplots(width=3, height=2)
        ax.annotate("a word", (0.3, 0.2))
        return figure

    plots.LiveFigure(draw, alt="One.").close()


@pytest.mark.parametrize("make", [lesson_figure, live_figure])
@pytest.mark.parametrize("own", ["a matplotlibrc", "a dark style"])
def test_figures_are_the_courses_whatever_the_user_has_set(make, own, shell):
    usual = drawn(shell, make)
    assert (usual[0, 0] == 255).all()  # white, and not transparent
    settings = PERSONAL if own == "a matplotlibrc" else plt.style.library["dark_background"]
    with plt.rc_context(settings):
        before = dict(matplotlib.rcParams)
        assert np.array_equal(drawn(shell, make), usual)
        assert dict(matplotlib.rcParams) == before


def test_widgets_and_films_are_the_courses_too():
    def pictures():
        figure = controls.Sketch(3, 2, (0.1, 0.1, 0.8, 0.8))
        film, (ax,) = plots.subplots(width=2, height=1)
        ax.text(0, 0, "a word")
        text = plots.film_html(FuncAnimation(film, lambda step: None, [0]))
        plots.put_away(film)
        return figure.png(lambda ax: ax.text(0, 0, "a word")), re.findall('base64,[^"]*', text)

    usual = pictures()
    with plt.rc_context(PERSONAL), plt.rc_context(plt.style.library["dark_background"]):
        assert pictures() == usual


def test_live_figure_updates_one_display_in_a_real_kernel():
    code = """
from course_utils.display import plots
drawn = 0
def draw():
    global drawn
    drawn += 1
    figure, (ax,) = plots.subplots(width=2, height=1)
    plots.curves(ax, range(drawn), {"a": range(drawn)}, "step", "loss")
    return figure
live = plots.LiveFigure(draw, alt="A <b>line</b>.", seconds=0.0)
patient = plots.LiveFigure(draw, alt="Never.", seconds=1000.0)
for _ in range(3):
    live.update()
    patient.update()
live.close()
import matplotlib.pyplot as plt
print(drawn, len(plt.get_fignums()))
"""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(book, timeout=600, kernel_name="python3").execute()
    outputs = book.cells[0].outputs
    kinds = [(output.output_type, *sorted(output.get("data", {}))) for output in outputs]
    assert kinds == [
        ("display_data", "image/png", "text/plain"),
        ("display_data", "text/html", "text/plain"),
        ("stream",),
    ]
    assert outputs[0].metadata["image/png"]["alt"] == "A <b>line</b>."
    assert outputs[1].data["text/html"] == "<p><em>Figure. A &lt;b&gt;line&lt;/b&gt;.</em></p>"
    assert outputs[2].text.split() == [
        "4",
        "0",
    ]  # three updates and the last; no figure is left open


def test_a_film_needs_no_network():
    figure, (ax,) = plots.subplots(width=2, height=1)
    film = FuncAnimation(figure, lambda step: ax.plot([0, step]), [0, 1])
    text = plots.film_html(film)
    assert (
        "<link" not in text
        and "https://" not in text.split("<script")[0]
        and 'class="fa ' not in text
    )
    assert text.count("<button") == 9 and "▸|" in text
    assert re.findall("<img[^>]*>", text)[0].startswith('<img alt="An animation; ')
    assert [
        tag for tag in re.findall("<input[^>]*range[^>]*>", text) if 'aria-label="frame"' not in tag
    ] == []
    assert 'alt="&lt;b&gt;"' in plots.film_html(film, alt="<b>")
    plots.plt.close(figure)


def test_numbers_of_an_axis_stay_formulas_under_an_empty_title():
    figure, (ax,) = plots.subplots()
    ax.plot([1, 10, 100], [1, 2, 3])
    ax.set(xscale="log")
    figure.canvas.draw()
    labels = [label for label in ax.get_xticklabels() if label.get_text()]
    assert labels and all(label.get_parse_math() for label in labels)
    plots.put_away(figure)


def test_rows_of_images_have_their_names_on_the_left():
    images = torch.zeros(5, 3, 8, 8, dtype=torch.uint8)
    figure = plots.image_rows({"one": images, "costs $5": images}, "title [stand-in]", columns=4)
    figure.canvas.draw()
    names = [[t.get_text() for t in ax.get_yticklabels()] for ax in figure.axes]
    assert names == [["one"], ["costs $5"]] and figure.axes[0].get_title("left").endswith("in]")
    assert all(ax.images[0].get_array().shape == (8, 38, 3) for ax in figure.axes)
    plots.show(figure, alt="a test")


@pytest.mark.parametrize("side", ["left", "center", "right"])
def test_a_legend_lies_in_one_row_above_the_frame_at_its_side(side):
    figure, (ax,) = plots.subplots(width=6, height=2)
    for name in ("first", "second", "third"):
        ax.plot([0, 1], label=name)
    plots.legend_above(ax, side)
    figure.canvas.draw()
    legend, frame = ax.get_legend().get_window_extent(), ax.get_window_extent()
    assert legend.y0 >= frame.y1 and legend.height < 2.2 * 9 / 72 * figure.dpi
    gaps = {"left": legend.x0 - frame.x0, "right": frame.x1 - legend.x1}
    gaps["center"] = (gaps["left"] - gaps["right"]) / 2
    assert abs(gaps[side]) < 0.06 * figure.dpi


def test_a_shared_legend_lies_above_all_frames_and_their_titles():
    figure, axes = plots.subplots(1, 2, width=6, height=2)
    for ax in axes:
        ax.plot([0, 1], label="line")
        ax.set_title("title")
    plots.shared_legend(figure, axes[0])
    figure.canvas.draw()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["line"]
    assert all(legend.get_window_extent().y0 >= ax.title.get_window_extent().y1 for ax in axes)
