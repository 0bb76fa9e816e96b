"""A kernel with the extension is still one that front ends know: Jupyter's own test of kernels."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

jupyter_kernel_test = pytest.importorskip("jupyter_kernel_test")

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def spec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A kernel spec that loads the extension at the start."""
    folder = tmp_path_factory.mktemp("jupyter")
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": [*argv, "--ext", "inkernel"], "display_name": "x", "language": "python"}
    (folder / "kernels" / "extended").mkdir(parents=True)
    (folder / "kernels" / "extended" / "kernel.json").write_text(json.dumps(spec))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_DATA_DIR", str(folder))
        patch.setenv("IPYTHONDIR", str(Path(folder, "ipython")))
        yield


class TestKernelWithTheExtension(jupyter_kernel_test.KernelTests):
    kernel_name = "extended"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = ({"text": "zi", "matches": {"zip"}},)
    complete_code_samples = ("1", "print('hello, world')", "def f(x):\n  return x*2\n\n")
    incomplete_code_samples = ("print('''hello", "def f(x):\n  x*2")
    invalid_code_samples = ("import = 7q",)
    code_page_something = "zip?"
    code_generate_error = "raise ValueError"
    code_execute_result = ({"code": "1+2+3", "result": "6"}, {"code": "[1]", "result": "[1]"})
    code_display_data = (
        {"code": "display({'text/html': '<b>1</b>'}, raw=True)", "mime": "text/html"},
    )
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "search")  # as ipykernel's own test has it
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


def test_the_extension_is_loaded_in_that_kernel() -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="extended")
    try:
        said: list[Any] = []
        client.execute_interactive("%agent help", output_hook=said.append, timeout=60)
        assert any("%agent keep" in str(message["content"]) for message in said)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
