"""What a model reads of rich outputs. `displays.json` has what real libraries displayed."""

import json
import os
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.protocol.cells import CellRun, DisplayOutput
from inkernel.agent.text.cell_output import run_parts
from inkernel.agent.text.displays.display_text import display_text
from inkernel.agent.text.displays.html_text import MAX_HTML_CHARS, html_text
from inkernel.agent.text.displays.svg import svg_size, svg_words
from inkernel.agent.text.displays.svg_drawing import drawn_svg
from inkernel.agent.text.images import image_size

REAL: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("displays.json").read_text("utf-8")
)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" {}>{}</svg>'


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("styler", ["Rain", " | month | mm | wet", "0 | Jan | 50.1 | 12", "3 | Apr | 96.5 | 15"]),
        ("styler_multi", ["y | month |  |", "1 | Jan | 50.100000 | 12", " | Feb | 33.000000 | 9"]),
        ("great_tables", ["Rain |  |", "2026 |  |", "month | mm | wet", "Jan | 50.1 | 12"]),
    ],
)
def test_a_table_of_html_is_told_by_its_rows(name: str, lines: list[str]):
    told = display_text(REAL[name]).split("\n")
    assert [line for line in told if line in lines] == lines


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("altair", ["Vega-Lite chart: Rain", "mark bar", "x: month (nominal)"]),
        ("altair", ['y: mean(mm) (quantitative, "Rain in mm")', "4 rows of month | mm | wet"]),
        ("altair", ["Jan | 50.1 | 12"]),
        ("altair_layers", ["mark line", "mark rule", "mark tick", "datum.wet > 5", "4 rows of"]),
        ("altair_facet", ["facet: row c (nominal)", "b (quantitative, binned)", "rain.csv"]),
        ("plotly", ["Plotly figure: Rain", "axes: x month; y Rain in mm", "trace 4: scatter"]),
        ("plotly", ["(markers) 'Apr'", "y 1 numbers, 96.5 … 96.5"]),
        ("plotly_html", ["Plotly figure: Rain", "x 4 numbers, 4 … 15: 12, 9, 4, 15"]),
        ("plotly_mixed", ["trace 1: bar 'rain'; x 4 values: Jan", "trace 3: pie; labels 2 values"]),
        ("plotly_mixed", ["trace 2: heatmap; z 12 numbers, 0 … 11", "axes: x sx; x m"]),
        ("bokeh", ["title: Rain", "axes: mm; wet days", "glyphs: Scatter (x: wet, y: mm); Line"]),
        ("bokeh", ["column mm: 4 numbers, 12.25 … 96.5: 50.1, 33", "legend: stations"]),
        ("matplotlib_paths", ["SVG figure, 411.608 × 326.631", "Rain in 2026", "wet days", "rain"]),
        ("matplotlib_texts", ["SVG figure", "Rain in 2026", "Jan · Feb"]),
        ("folium", ["[page in a frame]"]),
    ],
)
def test_of_a_plot_its_title_axes_marks_and_data_are_told(name: str, parts: list[str]):
    told = display_text(REAL[name])
    assert [part for part in parts if part not in told] == []
    assert len(told) < 2_000


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"text/html": "<table><tr><td>1</table>", "text/plain": "   a\n0  1"}, "   a\n0  1"),
        ({"text/html": "<p>Est</p>", "text/plain": "Est(a=1)"}, "Est"),
        ({"text/html": "<p>A long diagram</p>", "text/plain": "Est(a=1)"}, "Est(a=1)"),
        ({"text/plain": ""}, ""),
        ({"text/latex": "$x$", "text/plain": "x"}, "$x$"),
        ({"application/json": {"a": [1]}, "text/plain": "<JSON object>"}, '{"a": [1]}'),
        ({"image/png": "…", "text/plain": "<Figure with 1 Axes>"}, "<Figure with 1 Axes>"),
        (
            {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "I()"},
            "I()",
        ),
        ({"application/x-unknown": "…"}, "[application/x-unknown]"),
    ],
)
def test_the_kind_that_says_most_is_told(data: dict[str, Any], text: str):
    assert display_text(data) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<h1>Report</h1><p>All <b>fine</b>,<br>really.</p>", "Report\nAll fine,\nreally."),
        ("<ul><li>a<li>b</ul> &lt;c&gt; &amp; d", "a\nb\n<c> & d"),
        ("<pre>x = 1\n  y</pre>", "x = 1\n  y"),
        ("<style>p {}</style><script>go()</script><p>seen</p><!-- no -->", "seen"),
        ('<p style="display: none">no</p><div hidden><b>no</b></div>yes', "yes"),
        ('<img alt="a cat" src="data:image/png;base64,AA=="> <iframe src="https://x.org/m">',
         "[image image/png: a cat] [page in a frame https://x.org/m]"),
        ("<table><tr><td>a<table><tr><td>in</td></tr></table></td><td>b</td></tr></table>",
         "a in | b"),
        ("<table><tr><th colspan=2>two</th><th>c</tr><tr><td rowspan=2>r<td>1<td>2<tr><td>3<td>4",
         "two |  | c\nr | 1 | 2\n | 3 | 4"),
        (SVG.format("", "<text>in a page</text>") + "<p>below</p>", "in a page\nbelow"),
    ],
)  # fmt: skip
def test_html_is_told_as_a_page_shows_it(markup: str, text: str):
    assert html_text(markup) == text


def test_html_of_any_size_is_read_in_bounded_time():
    row = "<tr><td>7</td><td>" + "wide " * 100 + "</td></tr>"
    started = time.process_time()
    told = html_text(f"<table>{row * 100_000}</table>")
    assert len(told) < MAX_HTML_CHARS and "characters of HTML are not read" in told
    for hostile in ("<!--" * 300_000, "<" * 500_000, "<svg" * 200_000, "<td " * 200_000):
        html_text(hostile)
    assert time.process_time() - started < 30


@given(st.dictionaries(st.sampled_from([
    *("text/html", "text/plain", "application/json", "application/vnd.plotly.v1+json"),
    *("application/vnd.vegalite.v5+json", "application/javascript", "image/svg+xml"),
]), st.one_of(
    st.text(), st.sampled_from([
        {"data": 3}, {"data": [{"x": {"dtype": "f8", "bdata": "!"}}]}, {"layout": [1]},
        {"mark": [], "encoding": {"x": [[[]]]}}, {"title": {"text": {"text": 1}}},
        {"encoding": {1: {"field": None, "aggregate": {}}}}, {"data": [{"x": [None, {}, []]}]},
        "docs_json = {\"a\": 1}", "Plotly.newPlot(\"a\", [1], [2]", "({\"$schema\": \"vega\"})",
        [1, 2], 7, None, {"frames": 1}, {"layout": {"xaxis": {"title": 7}}},
    ]),
), min_size=1))  # fmt: skip
def test_whatever_is_displayed_something_is_told(data: dict[str, Any]):
    assert isinstance(display_text(data), str)


def test_of_large_data_the_size_and_the_first_values_are_told():
    numbers = list(range(1_000_000))
    rows = [{"n": n, "text": "x" * 1_000} for n in range(20_000)]
    packed = {"dtype": "f4", "bdata": b64encode(bytes(4_000_000)).decode()}
    plot = display_text(
        {"application/vnd.plotly.v1+json": {"data": [{"y": numbers, "z": packed}] * 50}}
    )
    assert "y 1,000,000 numbers, 0 … 49999 in the first 50,000: 0, 1, 2" in plot
    assert "z 1,000,000 numbers, 0 … 0" in plot and "30 more traces" in plot
    chart = display_text({"application/vnd.vegalite.v5+json": {"data": {"values": rows}}})
    assert "20,000 rows of n | text" in chart and len(chart) < 1_000
    assert len(display_text({"application/json": rows})) < 10_000


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ('width="460.8pt" height="345.6pt" viewBox="0 0 1 2"', (460.8, 345.6)),
        ('viewBox="0 0 30 20.5"', (30, 20.5)),
        ('width="100%" height="100%" viewBox="0 0 30 20"', (30, 20)),
        ("", None),
    ],
)
def test_the_size_of_an_svg_is_that_of_its_head(head: str, size: tuple[float, float] | None):
    assert svg_size(SVG.format(head, "")) == size


def test_an_svg_of_paths_alone_says_so_and_many_texts_are_bounded():
    assert svg_words(SVG.format("", "<path/>")) == "SVG figure, without texts"
    many = svg_words(SVG.format("", "".join(f"<text>t{n}</text>" for n in range(9_000))))
    assert "t0 · t1 ·" in many and many.endswith("…") and len(many) < 2_000


def test_without_the_library_the_model_reads_that_a_figure_is_an_svg(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    figure = DisplayOutput(data=REAL["matplotlib_paths"])
    text, picture = run_parts(CellRun(source="", status="ok", outputs=(figure,)), 1_000, "out-1")
    assert "with the texts: 4 · 6" in text["text"]
    assert picture["text"] == (
        "[image/svg+xml not sent to you: the package resvg-py, which draws it, is not installed]"
    )


def test_with_the_library_the_model_sees_the_figure():
    pytest.importorskip("resvg_py")
    figure = DisplayOutput(data=REAL["matplotlib_paths"])
    _, picture = run_parts(CellRun(source="", status="ok", outputs=(figure,)), 1_000, "out-1")
    kind, _, data = picture["image_url"].partition(";base64,")
    assert kind == "data:image/png" and image_size(b64decode(data)) == (800, 636)


@pytest.mark.parametrize("href", ["href", "xlink:href", "HREF"])
def test_a_drawing_reads_no_file(href: str, tmp_path: Path):
    pytest.importorskip("resvg_py")
    secret = tmp_path / "secret.svg"
    secret.write_text(SVG.format('width="9" height="9"', '<rect width="9" height="9"/>'))
    head = 'width="9" height="9" xmlns:xlink="http://www.w3.org/1999/xlink"'
    figure = SVG.format(head, f'<image {href} = "{secret}" width="9" height="9"/>')
    assert drawn_svg(figure) == drawn_svg(SVG.format(head, ""))


@pytest.mark.parametrize(
    "markup",
    [
        SVG.format('width="9" height="9"', "<rect"),
        SVG.format("", ""),
        SVG.format('width="0" height="9"', ""),
        SVG.format(
            'width="9" height="9"',
            '<pattern id="p" width="300000" height="300000" patternUnits="userSpaceOnUse">'
            '<rect width="5" height="5"/></pattern>'
            '<rect width="1000000" height="1000000" fill="url(#p)"/>',
        ),
        '<!DOCTYPE svg [<!ENTITY e "x">]>' + SVG.format('width="9" height="9"', "&e;"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_told_and_the_process_lives(markup: str):
    pytest.importorskip("resvg_py")
    with pytest.raises((ValueError, subprocess.SubprocessError)):
        drawn_svg(markup)
    assert os.getpid()
