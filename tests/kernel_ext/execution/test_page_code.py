"""Code of a step runs in no page: what would run there is text, but for a library's own."""

import json
from typing import Any

import pytest

from tests.kernel_ext.approval.test_questions import steps
from tests.kernel_ext.conftest import skip_without_imports

SHOWS = "from IPython.display import *\n"
ACTIVE = {
    "JavaScript": SHOWS + "display(Javascript('owned()'))",
    "a result": SHOWS + "Javascript('owned()')",
    "a script": SHOWS + "display(HTML('<script>owned()</script>'))",
    "a handler": SHOWS + "display(HTML('<svg><image href=x onerror=owned()></svg>'))",
    "a link": SHOWS + "HTML('<form></form><a href=\"java&#115;cript:owned()\">x</a>')",
    "a frame": SHOWS + "HTML('<iframe srcdoc=\"<b>owned()</b>\"></iframe>')",
    "a class of the step": "class A:\n    def _repr_html_(self):\n"
    "        return '<script>owned()</script>'\nA()",
    "a false name": "class A:\n    __module__ = 'plotly.graph_objects'\n"
    "    def _repr_javascript_(self):\n        return 'owned()'\nA()",
    "a bundle": SHOWS + "display({'application/javascript': 'owned()'}, raw=True)",
    "a map of pandas": SHOWS + "import pandas as pd\n"
    "_ = pd.Series([Javascript('owned()')]).map(display)",
    "an update": SHOWS + "h = display('x', display_id=True)\nh.update(Javascript('owned()'))",
    "within a widget": SHOWS + "import ipywidgets as w\nwith w.Output():\n"
    "    display(Javascript('owned()'))",
}
LIVE = {
    "a widget": ("import ipywidgets as w\nw.IntSlider()", "widget-view"),
    "an estimator": (
        "from sklearn.linear_model import LinearRegression as L\nL()",
        "<script",
    ),
    "a figure of JSON": (
        SHOWS + "display({'application/vnd.plotly.v1+json': {'data': []}}, raw=True)",
        "plotly",
    ),
    "a form": (SHOWS + "HTML('<details><input type=checkbox></details>')", "<input"),
}


@pytest.mark.parametrize("kind", ACTIVE)
def test_what_would_run_in_the_page_is_no_live_output(agent: Any, kind: str):
    skip_without_imports(ACTIVE[kind])
    kernel, _ = agent(steps(ACTIVE[kind]))
    ran = kernel.run("%%agent --policy auto\nGo.")
    live = [it["data"] for it in ran.outputs if "data" in it]
    assert len(live) == 1 and not any("javascript" in kind for kind in live[0])  # the turn alone
    assert "would run code in your page" in str(ran.outputs) + str(ran.comms)


def test_markdown_is_shown_without_its_markup(agent: Any):
    kernel, _ = agent(steps(SHOWS + "display(Markdown('# x\\n<' + 'img src=x onerror=own()>'))"))
    ran = kernel.run("%%agent --policy auto\nGo.")
    (live,) = (it["data"] for it in ran.outputs if "data" in it)
    assert "<img src=x" not in live["text/html"] and "<img src=x" not in live["text/markdown"]


@pytest.mark.parametrize("kind", LIVE)
def test_what_a_library_shows_stays_live(agent: Any, kind: str):
    code, part = LIVE[kind]
    skip_without_imports(code)
    kernel, _ = agent(steps(code))
    ran = kernel.run("%%agent --policy auto\nGo.")
    assert part in json.dumps([it["data"] for it in ran.outputs if "data" in it])
    assert "would run code" not in str(ran.outputs)


def test_with_the_policy_full_all_is_shown(agent: Any):
    kernel, _ = agent(steps(ACTIVE["JavaScript"]))
    ran = kernel.run("%%agent --policy full\nGo.")
    assert "application/javascript" in str(ran.outputs)
