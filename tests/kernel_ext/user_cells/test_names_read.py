"""Which names a cell's code reads."""

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from inkernel.kernel_ext.user_cells.names_read import reads

transform = TransformerManager().transform_cell


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = a + b", "a b"),
        ("a = 1\nprint(a)", ""),
        ("print(a)\na = 1", "a"),
        ("a += 1", "a"),
        ("df['new'] = df.old * rate", "df rate"),
        ("[x * k for x in xs if x > least]", "k least xs"),
        ("k = 2\n{x: k for x in xs}", "xs"),
        ("any(x in there for x in xs)", "there xs"),
        ("def f(a, b=start):\n    c = a\n    return b + c + rate", "rate start"),
        ("def f():\n    return helper() + f()\ndef helper(): pass", ""),
        ("g = lambda x: x + shift", "shift"),
        ("class A(Base):\n    n = size\n    def m(self): return n + other", "Base n other size"),
        ("def f():\n    global total\n    total = 1", ""),
        ("def f():\n    global total\n    total += 1", "total"),
        ("import numpy as np\nnp.zeros(n)", "n"),
        ("for i in items:\n    last = i\nprint(i, last)", "items"),
        ("with open(path) as f:\n    text = f.read()", "path"),
        ("try:\n    risky()\nexcept Wrong as e:\n    print(e)", "Wrong risky"),
        ("del a", ""),
        ("await fetch(url)", "fetch url"),
        ("async for x in stream: pass", "stream"),
        ("f'{a:{width}}'", "a width"),
        ("match point:\n    case (x, y): print(x, y, z)", "point z"),
        ("_private + _", ""),
        ("display(a); print(len(b)); get_ipython()", "a b"),
        ("%%time\ny = f(a)", "a f"),
        ("%%timeit -n 10 -r3 x = start\nf(x, a)", "a f start x"),
        ("x = 1\n%time f(x, y)", "f y"),
        ("%timeit -n10 g(y)", "g y"),
        ("%%capture got\n%time f(a)", "a f"),
        ("!echo hello", ""),
        ("%%bash\necho $a", ""),
        ("x = = 1", ""),
        ("", ""),
    ],
)
def test_a_cell_reads_what_it_did_not_bind_before(source, names):
    assert " ".join(reads(transform(source), transform)) == names


def test_a_warning_about_the_source_is_not_repeated(recwarn):
    assert reads("x = a is 1", transform) == ("a",)
    assert not recwarn.list
