"""The definition of a live name is found without running anything of it."""

import ast

from IPython.core.interactiveshell import InteractiveShell

from inkernel.kernel_ext.sandbox.definitions import NOT_READABLE, definitions

CELL = """
import functools
import numpy as np, math
from math import sqrt
from numpy import exp
from collections import Counter, OrderedDict as Ordered
def double(x):
    return 2 * x
def around(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)
    return inner
@around
def wrapped(x):
    return x
class Account:
    def pay(self, n):
        self.n -= n
class Empty:
    pass
account, number = Account(), 5
made = eval("lambda x: x")
class Odd:
    def __getattr__(self, name):
        raise SystemExit
odd = Odd()
double.__doc__ = "other"
lies = lambda x: x
lies.__module__ = "math"
"""


def test_each_kind_of_name_has_its_definition(shell: InteractiveShell):
    assert shell.run_cell(CELL).success
    source_of = definitions(shell)
    assert source_of("np") == "import numpy as np"
    assert source_of("sqrt") == "from math import sqrt as sqrt"
    assert source_of("exp") == "from numpy import exp as exp"
    assert source_of("Ordered") == "from collections import OrderedDict as Ordered"
    assert source_of("Counter") == "from collections import Counter as Counter"
    assert source_of("double") == "def double(x):\n    return 2 * x"
    account = "class Account:\n\n    def pay(self, n):\n        self.n -= n"
    assert source_of("account") == source_of("Account") == account
    assert source_of("Empty") == "class Empty: pass"
    assert "raise SystemExit" in str(source_of("odd"))
    assert source_of("number") is None
    assert source_of("nothing") is None
    assert source_of("made") == NOT_READABLE
    assert source_of("lies") == NOT_READABLE
    assert source_of("wrapped") == NOT_READABLE
    assert ast.parse(str(source_of("around")))
