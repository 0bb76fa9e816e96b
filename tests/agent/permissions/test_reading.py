"""Reading code before it runs: what is plain, and what leaves the variables."""

import ast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inkernel.agent.permissions.code.findings import Surroundings
from inkernel.agent.permissions.reading import read_code
from inkernel.agent.protocol.trials import Walls

WALLS = Walls(
    workspace=("/ws", "/tmp"),
    readable=("/data",),
    protected=("/ws/.git", "/ws/AGENTS.md"),
    secret=("/home/a/.ssh",),
)
LINKS = {"/ws/linked.csv": "/home/a/.ssh/id_rsa", "/ws/out": "/srv"}


def real(path: str) -> str | None:
    """Nothing is in a folder `nowhere`."""
    if "nowhere" in path:
        return None
    link = next((it for it in LINKS if path == it or path.startswith(f"{it}/")), "")
    return LINKS.get(link, "") + path[len(link) :]


PLACE = Surroundings("/ws", "/home/a", real=real)
FRAME = "import pandas as pd\ndf = pd.DataFrame({'a': [1]})\n"

PLAIN = {
    "arithmetic": "x = [n ** 2 for n in range(10)]\nprint(sum(x) / len(x))",
    "a function that is called": "def double(x):\n    return 2 * x\nprint(double(4))",
    "a class": "class Point:\n    def __init__(self, x):\n        self._x = x\n"
    "    def moved(self, by):\n        return Point(self._x + by)\nPoint(1).moved(2)",
    "a frame": FRAME + "df.groupby('a').agg(n=('a', 'count')).sort_values('n').head()",
    "a frame of an earlier cell": "df['b'] = df['a'].rolling(3).mean()\n"
    "df.query('a > 3 and b == @x')",
    "an array": "import numpy as np\nnp.linalg.norm(np.random.default_rng(0).normal(size=9))",
    "a figure": "import matplotlib.pyplot as plt\n"
    "fig, ax = plt.subplots()\nax.plot([1, 2])\nplt.show()",
    "a model": "from sklearn.linear_model import Ridge\n"
    "Ridge(alpha=1).fit([[1]], [1]).predict([[2]])",
    "a file that is read": "import json\nwith open('a.json') as f:\n    data = json.load(f)",
    "a frame that is read": "import pandas as pd\npd.read_csv('/data/big.csv')",
    "a file that is written": "with open(f'out_{1}.txt', 'w') as f:\n    f.write('x')",
    "a frame that is written": FRAME + "df.to_csv('out.csv')\ntext = df.to_csv()",
    "a path": "from pathlib import Path\n"
    "p = Path('data') / 'x.txt'\np.write_text('x')\np.read_text()",
    "files of a folder": "import pandas as pd\nfrom pathlib import Path\n"
    "for path in sorted(Path('data').glob('*.csv')):\n    print(pd.read_csv(path).shape)",
    "a file in memory": "import io, pandas as pd\npd.read_csv(io.StringIO('a,b\\n1,2'))",
    "a temporary file": "import tempfile\nfrom pathlib import Path\n"
    "with tempfile.TemporaryDirectory() as d:\n    (Path(d) / 'a').write_text('x')",
    "a table": "import sqlite3\nc = sqlite3.connect(':memory:')\n"
    "c.execute('create table t (a)')\nc.executemany('insert into t values (?)', [(1,)])",
    "a query": "import duckdb\nduckdb.sql(\"select * from 'a.csv' where b > 1\").df()",
    "tasks": "import asyncio\nasync def f(n):\n    await asyncio.sleep(0)\n    return n\n"
    "await asyncio.gather(*(f(n) for n in range(3)))",
    "its timing": "get_ipython().run_line_magic('time', 'x = sum(range(10))')",
    "a function that nothing calls": "def later():\n    import os\n    os.system('x')",
    "tools of the agent": "text = await agent_tools.inspect(names=['df'])",
    "the folder's names": "import os\nos.listdir('.')\nos.path.exists('/anything')",
    "a harmless variable of the environment": "import os\nos.environ.get('HOME')",
}
CONCERNS = {
    "a C reader of a link": ("pl.read_csv('linked.csv')", "read", "/home/a/.ssh/id_rsa"),
    "a reader of a link": ("open('linked.csv')", "read", "/home/a/.ssh/id_rsa"),
    "SQL of a link": ("duckdb.sql(\"from 'linked.csv'\")", "read", "/home/a/.ssh/id_rsa"),
    "a C writer by a link": ("rel.to_csv('out/new.csv')", "write", "/srv/new.csv"),
    "a node by a link": ("import os\nos.mknod('out/new')", "write", "/srv/new"),
    "a path made below a link": ("open(f'out/{n}.csv', 'w')", "write", "/srv/….csv"),
    "an address of a database": (
        "import sqlite3\nsqlite3.connect('file:%2e%2e/x.db?mode=rwc', uri=True)",
        *("write", "/x.db"),
    ),
    "a function in letters of another width": (
        "def ｆ():\n    open('/etc/x', 'w')\nf()",
        *("write", "/etc/x"),
    ),
    "all keys by a method": (
        "import os\nprint([v[::-1] for _, v in os.environ.items()])",
        "read",
        "the environment",
    ),
    "all keys as bytes, by a method": (
        "from os import environb\nprint(environb.copy())",
        "read",
        "the environment",
    ),
    "all keys as bytes": ("import os\nprint(os.environb)", "read", "the environment"),
    "a process by its inner function": (
        "import _posixsubprocess as p\np.fork_exec([b'/bin/true'])",
        *("command", "/bin/true"),
    ),
    "a command": ("get_ipython().system('ls -l')", "command", "ls -l"),
    "a command as it is typed": ("files = !ls -l", "command", "ls -l"),
    "a cell of commands": ("%%bash\nrm -r x", "command", "bash\nrm -r x"),
    "an installation": ("%pip install x", "command", "pip install x"),
    "a process": ("import subprocess\nsubprocess.run(['ls', '-l'])", "command", "ls -l"),
    "os.system": ("import os\nos.system('ls')", "command", "ls"),
    "os.system by another name": ("import os\ngetattr(os, 'sys' + 'tem')('ls')", "command", "ls"),
    "os.system of an import": ("__import__('os').system('ls')", "command", "ls"),
    "os.system within exec": ("exec('import os\\nos.system(\"ls\")')", "command", "ls"),
    "os.system in a timed cell": ("%%time\nimport os\nos.system('ls')", "command", "ls"),
    "os.system in a function": (
        "def f():\n    import os\n    os.system('ls')\nf()",
        "command",
        "ls",
    ),
    "os.system in a method": (
        "class A:\n    def __repr__(self):\n        import os\n        os.system('ls')\nA()",
        *("command", "ls"),
    ),
    "a write": ("open('/etc/x', 'w')", "write", "/etc/x"),
    "a write through a value": ("f = open\nf('/etc/x', 'w')", "write", "/etc/x"),
    "a write in a lambda": ("sorted([1], key=lambda _: open('/etc/x', 'w'))", "write", "/etc/x"),
    "a write above": ("open('../x', mode='a')", "write", "/x"),
    "a protected file": ("open('AGENTS.md', 'w')", "write", "/ws/AGENTS.md"),
    "a path at home": (
        "from pathlib import Path\n(Path.home() / 'x').write_text('')",
        *("write", "/home/a/x"),
    ),
    "a frame": (FRAME + "df.to_csv('/etc/x')", "write", "/etc/x"),
    "a frame into an own folder": (FRAME + "p = '/etc'\ndf.to_csv(f'{p}/x')", "write", "/etc/x"),
    "a cell that is written": ("%%writefile /etc/x\nowned", "write", "/etc/x"),
    "a copy": ("import shutil\nshutil.copy('a', '/etc/x')", "write", "/etc/x"),
    "a link": ("import os\nos.symlink('/etc', 'l')", "write", "/etc"),
    "a removal": ("import os\nos.remove('/etc/x')", "remove", "/etc/x"),
    "the whole workspace": ("import shutil\nshutil.rmtree('.')", "remove", "/ws"),
    "a secret": ("open('/home/a/.ssh/id_rsa').read()", "read", "/home/a/.ssh/id_rsa"),
    "a key": ("import os\nos.environ['X_API_KEY']", "read", "X_API_KEY"),
    "all keys": ("import os\nprint(dict(os.environ))", "read", "the environment"),
    "a request": ("import requests\nrequests.get('https://a.b/c')", "network", "a.b:443"),
    "a session": ("import httpx\nhttpx.Client().get('http://a.b/c')", "network", "a.b:80"),
    "a frame of the web": (
        "import pandas as pd\npd.read_csv('https://a.b/c')",
        "network",
        "a.b:443",
    ),
    "a data set": (
        "from sklearn.datasets import fetch_openml\nfetch_openml('x')",
        *("network", "an address made while it runs"),
    ),
    "ctypes": ("import ctypes\nctypes.CDLL(None)", "native", "ctypes.CDLL"),
    "a hook of every fork": (
        "import os\nos.register_at_fork(after_in_child=print)",
        "kernel",
        "os.register_at_fork",
    ),
    "a tracer": ("from sys import settrace\nsettrace(print)", "kernel", "sys.settrace"),
    "our modules": ("import inkernel.agent.session", "kernel", "inkernel.agent.session"),
    "our magic": ("%agent config policy auto", "kernel", "%agent config policy auto"),
    "the shell": ("get_ipython().run_cell('x')", "kernel", "get_ipython().run_cell"),
    "the end of the kernel": ("import os\nos._exit(0)", "process", "os._exit"),
}
NOT_PLAIN = {
    "a path made while it runs": "open(''.join(['/e', 'tc/x']), 'w')",
    "code made while it runs": "exec(text)",
    "an attribute made while it runs": "getattr(x, name)()",
    "a method that is not known": "x.explode_everything()",
    "a function of an earlier cell": "clean(df)",
    "a module that is not known": "import helpers",
    "a writer in C": "df.to_parquet('out.parquet')",
    "a writer by its name": "df.agg('to_csv')",
    "a writer as a value": "f = df.to_csv",
    "a copy by SQL": "import duckdb\nduckdb.sql(\"copy (select 1) to 'x.csv'\")",
    "a copy behind a comment": "duckdb.sql(\"select '--'; copy (select 1) to 'x.csv'\")",
    "a database by SQL": "c.execute(\"attach '/etc/x.db' as x\")",
    "a call within an expression": "df.eval('@w(\"x\", \"w\")', engine='python')",
    "a pickle": "import pickle\npickle.load(f)",
    "other processes": "from sklearn.svm import SVC\nSVC(n_jobs=2)",
    "a way out of a value": "().__class__.__mro__[1].__subclasses__()",
    "the globals of a function": "f.__globals__",
    "open as a value": "list(map(open, names))",
    "a connection as a value": "import socket\nlist(map(socket.create_connection, hosts))",
    "the module of builtins": "__builtins__['open']('x', 'w')",
    "a file outside": "open('/srv/x')",
    "a changed module": "import os\nos.getcwd = f",
    "no Python": "(((",
    **{
        f"a C reader of a path made while it runs: {code}": code
        for code in (
            "import polars as pl\npl.read_csv('./' + x)",
            "import polars as pl\npl.scan_parquet('h' + x + 'p://127.0.0.1/owned')",
            "import polars as pl\npl.read_csv('nowhere/a.csv')",
            "import polars as pl\npl.read_lines('./' + x)",
            "import pyarrow.csv as pc\npc.read_csv('./' + x)",
            "import pyarrow.parquet as pq\npq.read_table('s' + x + '//b/k')",
            "import pandas as pd\npd.read_parquet(path)",
            "import duckdb\nduckdb.read_csv('./' + x)",
            "import duckdb\nduckdb.sql(f\"from '{x}'\")",
            "import duckdb\nduckdb.sql(\"from read_csv('.' || './outside')\")",
            "import duckdb\nduckdb.sql(\"from read_csv(getvariable('x'))\")",
            "import duckdb\nduckdb.sql(\"from e'\\\\x2e\\\\x2e/a.csv'\")",
            "import duckdb\nduckdb.sql('from read_csv($$../home/key$$)')",
        )
    },
    **{
        f"a C writer: {code}": code
        for code in (
            "import duckdb\nduckdb.sql('select 1').to_csv('./' + x)",
            "import duckdb\nduckdb.write_csv(df, 'a.csv')",
            "import duckdb\nduckdb.execute(\"SET log_query_path='x'; select 2 as update\")",
            "import duckdb\nduckdb.execute('update t set a = 1; set b = 2')",
            "import pyarrow as pa\npa.create_memory_map('./' + x, 100)",
            "import pyarrow as pa\npa.CompressedOutputStream('./' + x, 'gzip')",
            "import pyarrow as pa\npa.RecordBatchFileWriter('a', s)",
            "import os\nos.mkfifo('./' + x)",
        )
    },
}


@pytest.mark.parametrize("code", PLAIN.values(), ids=PLAIN)
def test_computing_is_plain(code: str):
    reading = read_code(code, WALLS, PLACE)
    assert (reading.plain, reading.concerns, reading.unread) == (True, (), "")


@pytest.mark.parametrize(("code", "kind", "target"), CONCERNS.values(), ids=CONCERNS)
def test_a_deed_beyond_the_variables_is_a_concern(code: str, kind: str, target: str):
    reading = read_code(code, WALLS, PLACE)
    assert (kind, target) in {(it.kind, it.target) for it in reading.concerns}
    assert not reading.plain


@pytest.mark.parametrize("code", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_what_may_do_anything_is_not_plain_and_no_concern(code: str):
    reading = read_code(code, WALLS, PLACE)
    assert not reading.plain
    assert reading.unread
    assert reading.concerns == ()


UNHEARD = {
    "import polars as pl\npl.read_csv(path)": (True, False),
    "import polars as pl\npl.read_csv('nowhere/a.csv')": (True, False),
    "df.write_csv('./' + x)": (True, True),
    "df.write_parquet('out.parquet')": (False, False),
    "df.write_parquet('nowhere/out.parquet')": (True, True),
    "df.to_csv(path)": (True, False),
    "import pyarrow as pa\npa.RecordBatchFileWriter(path, schema)": (True, False),
    "model.tell_all()": (False, False),
    "import importlib\nimportlib.import_module(name)": (True, False),
    "from sklearn.svm import SVC\nSVC(n_jobs=2).fit(x, y)": (False, False),
    "for n in range(10**9):\n    total += n": (False, False),
}


@pytest.mark.parametrize("code", UNHEARD)
def test_code_of_which_the_guard_would_hear_nothing_is_known(code: str):
    reading = read_code(code, WALLS, PLACE)
    assert (bool(reading.unheard), bool(reading.writer)) == UNHEARD[code]


def test_a_name_of_an_earlier_cell_is_read_where_it_is_defined():
    sources = {
        "clean": "def clean(df):\n    return helper(df.dropna())",
        "helper": "def helper(df):\n    return df.head()",
        "publish": "def publish(df):\n    import requests\n    requests.post('https://a.b/c')",
        "P": "from pathlib import Path as P",
        "account": "class Account:\n    def pay(self, n):\n        self.n -= n",
        "strange": "?",
        "len": "import os\ndef len(x):\n    os.system('ls')",
    }

    def read(code: str) -> tuple[bool, list[str]]:
        found = read_code(code, WALLS, Surroundings("/ws", "/home/a", sources.get))
        return found.plain, [it.target for it in found.concerns]

    assert read("clean(df)") == (True, [])
    assert read("account.pay(3)") == (True, [])
    assert read("P('a.txt').write_text('x')") == (True, [])
    assert read("publish(df)") == (False, ["a.b:443"])
    assert read("[1].sort(key=publish)") == (False, ["a.b:443"])
    assert read("P('/etc/x').write_text('x')") == (False, ["/etc/x"])
    assert read("strange(df)") == (False, [])
    assert read("len([1])") == (False, ["ls"])


PIECES = [
    ast.unparse(node)
    for code in PLAIN.values()
    for node in ast.walk(ast.parse(code))
    if isinstance(node, ast.stmt | ast.expr)
]


@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=6).map("\n".join))
@example("(" * 5000)
@example("-" * 50_000 + "1")
@example("a" + ".b" * 5000)
@example("[" * 80 + "]" * 80)
@example("f(" * 80 + ")" * 80)
@example("x = 1\0")
@example("x = x\nopen(x)")
@example("a = b\nb = a\nopen(a, 'w')\na.rename('x')\npd.read_csv(a)")
@example("%%time\n%%time\n!ls")
@example("\ud800")
@example("import a.b.c as d, os.path\nfrom . import x\nfrom .. import *\nd.e.f()")
@example("open('http://[::1')\nopen('http://a:99999999/')\nopen('~other/x')\nopen(b'\\xff')")
def test_any_text_can_be_read(code: str):
    read_code(code, WALLS, PLACE)
