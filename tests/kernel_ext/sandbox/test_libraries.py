"""Libraries work in a trial run as they do live. Real kernels; no wall is a failure."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel_ext.conftest import Kernel, skip_without_imports

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]

SETUP = """
import json
from dataclasses import asdict
from inkernel.agent.permissions.walls import workspace_walls
from inkernel.agent.protocol.trials import Cover
from inkernel.kernel_ext.sandbox.trial import run_trial
from inkernel.kernel_ext.sandbox.walls.readable import read_freely
async def tried(code, seconds=60):
    walls = workspace_walls({ws!r}, {tmp!r}, {home!r})
    cover = Cover(walls=walls, readable=tuple(read_freely({home!r})))
    return json.dumps(asdict(await run_trial(get_ipython(), code, cover, [], seconds)))
"""
PATIENT = "import warnings; warnings.simplefilter('ignore')\n"

STEPS = {
    "pandas": (
        "import pandas as pd\nf = pd.DataFrame({'k': list('aab'), 'n': [1, 2, 3]})\n"
        "f.to_csv('f.csv', index=False)\n"
        "print(pd.read_csv('f.csv').groupby('k').n.sum().to_dict())",
        "{'a': 3, 'b': 3}",
    ),
    "numpy": (
        "import numpy as np\na = np.arange(250_000.0).reshape(500, 500)\n"
        "print(int(np.linalg.matrix_rank(a)), (a @ a).shape)",
        "2 (500, 500)",
    ),
    "numpy, mapped": (
        "import numpy as np\nm = np.memmap('m.bin', mode='w+', shape=9, dtype='u1')\nm[:] = 7\n"
        "m.flush()\nprint(int(np.fromfile('m.bin', 'u1').sum()))",
        "63",
    ),
    "scikit-learn in two processes": (
        "from sklearn.datasets import make_classification\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.model_selection import cross_val_score\n"
        "X, y = make_classification(120, random_state=0)\n"
        "print(len(cross_val_score(LogisticRegression(), X, y, cv=3, n_jobs=2)))",
        "3",
    ),
    "scikit-learn with OpenMP": (
        "import numpy as np\nfrom sklearn.cluster import KMeans\n"
        "from sklearn.ensemble import HistGradientBoostingRegressor\n"
        "x = np.random.default_rng(0).random((200, 3))\n"
        "HistGradientBoostingRegressor(max_iter=3).fit(x, x[:, 0])\n"
        "print(len(set(KMeans(4, n_init=1, random_state=0).fit_predict(x))))",
        "4",
    ),
    "joblib": (
        "import joblib\n"
        "print(joblib.Parallel(n_jobs=2)(joblib.delayed(pow)(i, 2) for i in range(4)))",
        "[0, 1, 4, 9]",
    ),
    "joblib, a cache": (
        "import joblib\ndouble = joblib.Memory('cached', verbose=0).cache(lambda x: x * 2)\n"
        "print(double(4), double(4))",
        "8 8",
    ),
    "a pool of processes": (
        "from concurrent.futures import ProcessPoolExecutor\nimport multiprocessing as m\n"
        "with ProcessPoolExecutor(2, mp_context=m.get_context('fork')) as pool:\n"
        "    print(list(pool.map(abs, [-1, -2])))",
        "[1, 2]",
    ),
    "a pool of new processes": (
        "import multiprocessing as m\nwith m.get_context('spawn').Pool(2) as pool:\n"
        "    print(pool.map(abs, [-1, -2]))",
        "[1, 2]",
    ),
    "shared memory": (
        "from multiprocessing.shared_memory import SharedMemory\n"
        "s = SharedMemory(create=True, size=4)\ns.buf[0] = 9\nprint(s.buf[0])\n"
        "s.close()\ns.unlink()",
        "9",
    ),
    "a pool of threads": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool:\n    print(sum(pool.map(abs, range(-9, 1))))",
        "45",
    ),
    "asyncio": (
        "import asyncio\n"
        "async def one(i):\n    await asyncio.sleep(0.01)\n    return i\n"
        "async with asyncio.timeout(30):\n"
        "    print(await asyncio.gather(*map(one, range(3)), asyncio.to_thread(abs, -3)))",
        "[0, 1, 2, 3]",
    ),
    "asyncio, a program": (
        "import asyncio, subprocess\n"
        "p = await asyncio.create_subprocess_exec('echo', 'hello', stdout=subprocess.PIPE)\n"
        "print((await p.communicate())[0].decode())",
        "hello",
    ),
    "sqlite": (
        "import sqlite3\nwith sqlite3.connect('a.db') as c:\n"
        "    c.execute('create table t (a)')\n    c.execute('insert into t values (7)')\n"
        "print(sqlite3.connect('a.db').execute('select a from t').fetchall())",
        "[(7,)]",
    ),
    "duckdb": (
        "import duckdb\nduckdb.sql('create table t as select i a from range(100000) r(i)')\n"
        "print(duckdb.sql('select sum(a) from t').fetchall())",
        "[(4999950000,)]",
    ),
    "duckdb, files": (
        "import duckdb\nc = duckdb.connect('d.duckdb')\n"
        "c.sql('create table t as select 5 a')\nc.sql(\"copy t to 'd.parquet'\")\n"
        "print(c.sql(\"select a from 'd.parquet'\").fetchall())",
        "[(5,)]",
    ),
    "polars": (
        "import polars as pl\n"
        "f = pl.DataFrame({'k': ['a', 'a', 'b'], 'n': [1, 2, 3]})\n"
        "f.write_parquet('p.parquet')\n"
        "q = pl.scan_parquet('p.parquet').group_by('k').agg(pl.col('n').sum()).sort('k')\n"
        "print(q.collect().rows())",
        "[('a', 3), ('b', 3)]",
    ),
    "pyarrow": (
        "import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq\n"
        "pq.write_table(pa.table({'n': list(range(1000))}), 'a.parquet')\n"
        "print(pc.sum(pq.read_table('a.parquet')['n']).as_py())",
        "499500",
    ),
    "sqlalchemy": (
        "import sqlalchemy as sa\n"
        "with sa.create_engine('sqlite:///s.db').begin() as c:\n"
        "    c.execute(sa.text('create table t (a)'))\n"
        "    print(c.execute(sa.text('select 6')).scalar())",
        "6",
    ),
    "dask": (
        "import dask\nparts = [dask.delayed(abs)(-i) for i in range(4)]\n"
        "print(dask.delayed(sum)(parts).compute())",
        "6",
    ),
    "xarray": (
        "import numpy as np, xarray as xr\nprint(float(xr.DataArray(np.eye(3)).sum()))",
        "3.0",
    ),
}
"""Of each step its code, and the text that it prints."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    folder = tmp_path_factory.mktemp("libraries")
    places = {name: str(folder / name) for name in ("ws", "tmp", "home")}
    for each in places.values():
        Path(each).mkdir()
    environ = {"HOME": places["home"], "TMPDIR": places["tmp"]}
    running = Kernel(folder / "ws", environ | {"IPYTHONDIR": str(folder / "ipython")})
    ran = running.run(SETUP.format(**places))
    assert ran.status == "ok", ran.traceback
    yield running
    running.close()


def tried(kernel: Kernel, code: str) -> dict[str, Any]:
    """The trial of a code, as JSON has it."""
    ran = kernel.run(f"print(await tried({PATIENT + code!r}))")
    assert ran.status == "ok", ran.traceback
    return json.loads(ran.text)


def printed(found: dict[str, Any]) -> str:
    return "".join(it.get("text", "") for it in found["outputs"]).strip()


@pytest.mark.parametrize("name", STEPS)
def test_a_library_works_and_is_refused_nothing(name: str, kernel: Kernel) -> None:
    code, text = STEPS[name]
    skip_without_imports(code)
    found = tried(kernel, code)
    assert (found["status"], found["denied"]) == ("ok", []), found
    assert printed(found) == text


def test_a_figure_is_shown(kernel: Kernel) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()"
    skip_without_imports(code)
    found = tried(kernel, code)
    assert (found["status"], found["denied"]) == ("ok", []), found
    (shown,) = (it["data"] for it in found["outputs"] if "data" in it)
    assert shown["image/png"].startswith("iVBORw0KGgo")


def test_no_library_left_a_file_behind(kernel: Kernel) -> None:
    names = ("duckdb, files", "polars", "pyarrow", "numpy, mapped")
    skip_without_imports("\n".join(STEPS[name][0] for name in names))
    for name in names:
        assert tried(kernel, STEPS[name][0])["status"] == "ok"
    assert kernel.run("import os; print(os.listdir())").text == "[]\n"


def test_what_was_used_live_works_in_a_trial_too(kernel: Kernel) -> None:
    """Threads of BLAS and OpenMP are running in the kernel, and do not come along."""
    names = ("numpy", "scikit-learn with OpenMP", "pyarrow", "duckdb")
    skip_without_imports("\n".join(STEPS[name][0] for name in names))
    for name in names:
        code, text = STEPS[name]
        assert kernel.run(PATIENT + code).text.strip() == text
        found = tried(kernel, code.replace("create table", "create or replace table"))
        assert (found["status"], found["denied"], printed(found)) == ("ok", [], text), found


def test_polars_once_used_live_is_no_trial_and_no_wait(kernel: Kernel) -> None:
    code, text = STEPS["polars"]
    skip_without_imports(code)
    assert kernel.run(f"{code}\ndef total():\n    return f.sum()").text.strip() == text
    for used in (code, "f.sum()", "pl.col('n')", "getattr(f, 's' + 'um')()", "total()"):
        found = tried(kernel, used)
        assert found["status"] == "none" and "polars" in found["why"]
        assert not found["seconds"]
    assert tried(kernel, "import importlib.metadata\nprint(1)")["status"] == "ok"


def test_what_waits_for_polars_in_a_trial_shows_nothing(kernel: Kernel) -> None:
    code, text = STEPS["polars"]
    skip_without_imports(code)
    assert kernel.run(f"{code}\nhidden = [q]").text.strip() == text
    ran = kernel.run(f"print(await tried({'hidden[0].collect()'!r}, 2))")
    found = json.loads(ran.text)
    assert found["status"] == "none" and "polars" in found["why"]


POOLS = {
    "joblib": (
        "import joblib\nprint(joblib.Parallel(n_jobs=2)(joblib.delayed(pow)(i, 2) for i in [2]))"
    ),
    "new processes": (
        "import multiprocessing as m\nwith m.get_context('spawn').Pool(2) as pool:\n"
        "    print(pool.map(abs, [-4]))"
    ),
}


@pytest.mark.parametrize("name", POOLS)
def test_a_trial_has_pools_of_its_own_beside_those_of_the_kernel(name: str, kernel: Kernel):
    skip_without_imports(POOLS[name])
    assert kernel.run(POOLS[name]).text == "[4]\n"
    found = tried(kernel, POOLS[name])
    assert (found["status"], found["denied"], printed(found)) == ("ok", [], "[4]"), found
    assert kernel.run(POOLS[name]).text == "[4]\n"
