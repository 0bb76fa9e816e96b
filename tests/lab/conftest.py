"""A real JupyterLab or Notebook 7, and pages of it in headless Chromium, driven as by a person."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest

PATIENCE = 60
"""Seconds that anything may take on a busy machine before a test gives up."""
APPS = {"lab": "LabApp", "notebook": "JupyterNotebookApp"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
MISSING = [name for name in ("playwright", "jupyterlab", "notebook") if find_spec(name) is None]

KERNEL_IS = """([property, value]) => window.jupyterapp?.shell.currentWidget?.context
  ?.sessionContext.session?.kernel?.[property] === value"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = MISSING if CHROMIUM else [*MISSING, "chromium"]
    if missing:
        reason = f"a page needs {', '.join(missing)}: make test-lab"
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


class Page:
    """One browser tab with one notebook. Cells are counted from 0."""

    def __init__(self, tab: Any, address: str) -> None:
        self.tab = tab
        self._address = address
        tab.set_default_timeout(PATIENCE * 1000)
        self.load()

    def load(self, *, busy: bool = False) -> None:
        """Load the page, anew, and wait until its kernel is idle. A busy one says nothing."""
        self.tab.goto(self._address)
        self.tab.wait_for_selector(".jp-Notebook .jp-Cell")
        self.tab.wait_for_function(
            KERNEL_IS, arg=["connectionStatus", "connected"] if busy else ["status", "idle"]
        )

    def of(self, what: str) -> Any:
        """The value of an expression on `notebook`, the widget of the open notebook's cells."""
        return self.tab.evaluate(
            "() => { const panel = window.jupyterapp.shell.currentWidget; "
            f"const notebook = panel.content; return {what}; }}"
        )

    def command(self, name: str) -> None:
        """What a menu's entry does."""
        self.tab.evaluate("name => window.jupyterapp.commands.execute(name).then(() => null)", name)

    def sources(self) -> list[str]:
        return self.of("notebook.widgets.map(cell => cell.model.sharedModel.getSource())")

    def ids(self) -> list[str]:
        return self.of("notebook.widgets.map(cell => cell.model.id)")

    def write(self, cell: int, text: str) -> None:
        """Click at the end of a cell's text and type."""
        self.of(f"void (notebook.activeCellIndex = {cell})")
        self.tab.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".cm-content").click()
        self.tab.keyboard.press("Control+End")
        self.tab.keyboard.type(text)

    def start(self, cell: int) -> None:
        """Run a cell, and do not wait for it."""
        self.of(f"void (notebook.activeCellIndex = {cell})")
        self.tab.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-cell')")

    def run(self, cell: int) -> str:
        """Run a cell; what it showed."""
        cell_id = self.ids()[cell]
        self.start(cell)
        self.wait(cell_id)
        return self.shown(self.ids().index(cell_id))

    def wait(self, cell_id: str) -> None:
        """Wait until a cell has ended."""
        self.tab.wait_for_function(
            """id => { const cell = window.jupyterapp.shell.currentWidget.content.widgets
                 .find(cell => cell.model.id === id);
               return cell?.model.executionState === 'idle' && cell.model.executionCount; }""",
            arg=cell_id,
        )

    def outputs(self, cell: int) -> list[dict[str, Any]]:
        return self.of(f"notebook.widgets[{cell}].model.outputs.toJSON()")

    def shown(self, cell: int) -> str:
        """A cell's streams, results and errors as text."""
        texts: list[str] = []
        for output in self.outputs(cell):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            texts.append(text if isinstance(text, str) else "".join(text))
            texts += [f"{output['ename']}: {output['evalue']}"] if "ename" in output else []
        return "".join(texts)

    def wait_for_shown(self, cell: int, text: str) -> None:
        """Wait until a cell has shown `text`, though it may still run."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown(cell):
            assert time.monotonic() < deadline, self.shown(cell)
            self.tab.wait_for_timeout(50)


class Jupyter:
    """One server, in a folder of its own, and the browser.

    `together`: pages of the same notebook show each other's edits, by jupyter-collaboration.
    """

    def __init__(self, app: str, folder: Path, browser: Any, *, together: bool = False) -> None:
        self.folder = folder
        self.browser = browser
        self._app = app
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._root = f"http://127.0.0.1:{probe.getsockname()[1]}"
        own = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
        self._log = (folder / "server.log").open("wb")
        self._server = subprocess.Popen(
            [
                *(str(Path(sys.executable).parent / f"jupyter-{app}"), "--no-browser"),
                *("--allow-root", f"--port={self._root.rpartition(':')[2]}", "--ip=127.0.0.1"),
                *("--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"),
                f"--YDocExtension.disable_rtc={not together}",
                *(f"--ServerApp.root_dir={folder}", f"--{APPS[app]}.expose_app_in_browser=True"),
                *(
                    "--LabApp.news_url=",
                    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                ),
            ],
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, **own, "JUPYTER_PLATFORM_DIRS": "1"},
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._server.poll() is None:
            try:
                urllib.request.urlopen(f"{self._root}/api", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        pytest.fail((self.folder / "server.log").read_text())

    def write(self, name: str, *cells: Any) -> Path:
        """A notebook of code cells, or of cells as they are."""
        made = [
            nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel})
        path = self.folder / name
        nbformat.write(notebook, path)
        return path

    def open(self, name: str) -> Page:
        """A notebook in a tab of a browser that shares nothing with others."""
        where = f"lab/tree/{name}?reset" if self._app == "lab" else f"notebooks/{name}"
        context = self.browser.new_context(viewport={"width": 1200, "height": 1000})
        return Page(context.new_page(), f"{self._root}/{where}")

    def clear(self) -> None:
        """Close all tabs, stop all kernels."""
        for context in self.browser.contexts:
            context.close()
        with urllib.request.urlopen(f"{self._root}/api/kernels") as answer:
            kernels = json.load(answer)
        for kernel in kernels:
            address = f"{self._root}/api/kernels/{kernel['id']}"
            urllib.request.urlopen(urllib.request.Request(address, method="DELETE")).close()

    def close(self) -> None:
        self._server.terminate()
        try:
            self._server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._log.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def servers(
    browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Jupyter]]:
    """The server of an app, started when it is first asked for."""
    running: dict[str, Jupyter] = {}

    def server(app: str) -> Jupyter:
        if app not in running:
            running[app] = Jupyter(app, tmp_path_factory.mktemp(app), browser)
        return running[app]

    yield server
    for each in running.values():
        each.close()


@pytest.fixture(params=["lab", "notebook"])
def jupyter(request: pytest.FixtureRequest, servers: Callable[[str], Jupyter]) -> Iterator[Jupyter]:
    """JupyterLab, then Notebook 7."""
    server = servers(request.param)
    yield server
    server.clear()


@pytest.fixture
def together(browser: Any, tmp_path: Path) -> Iterator[Jupyter]:
    """JupyterLab, collaborative."""
    pytest.importorskip("jupyter_server_ydoc")
    server = Jupyter("lab", tmp_path, browser, together=True)
    yield server
    server.clear()
    server.close()
