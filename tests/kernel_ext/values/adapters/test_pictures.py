"""What a description shows of figures and images; none is drawn."""

import pytest

from inkernel.kernel_ext.values.describe import brief, describe


def test_a_figure_and_its_axes_are_read_without_drawing() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2])
    axes.set_title("Sales")
    assert describe(figure) == (
        "matplotlib Figure with 1 axes\n  axes matplotlib Axes title 'Sales', x '', y ''; 1 Line2D"
    )


def test_an_image_shows_size_and_mode() -> None:
    image = pytest.importorskip("PIL.Image")
    assert brief(image.new("RGB", (3, 4))) == "PIL Image size (3, 4) mode 'RGB'"
