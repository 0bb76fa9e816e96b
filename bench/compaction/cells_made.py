"""Makes cell runs like those of data work: small sources, tables, figures, errors. Pure.

A run with a planted fact comes with the fact, and with words to search for it.
"""

import struct
import zlib
from base64 import b64encode
from collections.abc import Sequence
from random import Random

from inkernel.agent.protocol.cells import CellRun, DisplayOutput, ErrorOutput, Output, StreamOutput

TOWNS = [
    "faro",
    "lagos",
    "beja",
    "evora",
    "tomar",
    "leiria",
    "guarda",
    "braga",
    "viseu",
    "aveiro",
    "sines",
    "porto",
    "lisbon",
    "coimbra",
    "seia",
    "mafra",
    "sagres",
    "tavira",
    "olhao",
    "loule",
    "silves",
    "moura",
    "serpa",
    "elvas",
    "nisa",
    "avis",
    "fundao",
    "pombal",
    "ovar",
    "fafe",
    "chaves",
    "vinhais",
    "miranda",
    "lamego",
    "penela",
    "soure",
    "batalha",
    "sertanejo",
    "arouca",
    "murca",
]
YEARS = range(2001, 2020)

Planted = tuple[CellRun, str, str]
"""A run, the fact planted in it, and words to search for it."""


def drawn(chance: Random) -> tuple[str, int]:
    """A town and a year."""
    return chance.choice(TOWNS), chance.choice(YEARS)


def a_mean(town: str, year: int, chance: Random) -> Planted:
    """A mean that is printed."""
    frame = f"{town}_{year}"
    told = f"mean of {frame} is {chance.uniform(0.5, 9):.4f} mm"
    source = f'm = {frame}.mm.mean()\nprint(f"mean of {frame} is {{m:.4f}} mm")'
    return _ok(source, [_printed(f"{told}\n")], ("m",)), told, f"mean of {frame}"


def an_offset(town: str, year: int, chance: Random) -> Planted:
    """A value that differs each time the cell runs."""
    frame = f"{town}_{year}"
    told = f"offset of {frame} is {chance.uniform(-2, 2):.5f} mm"
    source = f'offset = fit_offset({frame}, seed=None)\nprint(f"offset of {frame} is {{offset}}")'
    return _ok(source, [_printed(f"{told}\n")], ("offset",)), told, f"offset of {frame}"


def a_deep_value(town: str, year: int, chance: Random) -> Planted:
    """A listing with one line that matters in its middle. The model gets it only in part."""
    frame = f"{town}_{year}"
    lines = _listing(frame, chance.randrange(140, 260), chance)
    told = f"gauge G-{chance.randrange(1_000, 9_999)} reads {chance.uniform(300, 900):.1f} mm"
    at = len(lines) // 2 + chance.randrange(-20, 20)
    lines.insert(at, f"{frame}: {told}, out of range")
    source = f"for day, row in {frame}.iterrows():\n    print(check(day, row, limit=300))"
    run = _ok(source, [_printed("\n".join(lines) + "\n")])
    return run, f"{told}, out of range", f"{frame} out of range"


def a_name(town: str, year: int, chance: Random) -> Planted:
    """A name that is bound, with a comment that says its purpose."""
    name = f"wet_{town[:3]}_{chance.randrange(100, 999)}"
    source = (
        f"# days above the wet limit, {town.title()} {year}\n"
        f"{name} = {town}_{year}[{town}_{year}.mm > {chance.uniform(8, 30):.1f}]\n{name}.shape"
    )
    shape = _shown(f"({chance.randrange(5, 90)}, 4)")
    return _ok(source, [shape], (name,)), name, f"days above wet limit {town} {year}"


def a_load(town: str, year: int, chance: Random) -> Planted:
    """A file that is read."""
    frame = f"{town}_{year}"
    version, number = chance.randrange(2, 30), chance.randrange(100_000)
    path = f"/data/{town}/{year}/gauges_v{version}_{number:05}.pq"
    source = f'{frame} = pd.read_parquet("{path}")\n{frame}.head()'
    return _ok(source, [_shown(_table(chance, 5))], (frame,)), path, f"read_parquet {frame}"


def an_error(town: str, year: int, chance: Random) -> Planted:
    """A run that fails."""
    frame, number = f"{town}_{year}", chance.randrange(100, 999)
    name, value, code = chance.choice(
        (
            ("KeyError", f"'mm_per_day_{number}'", f'{frame}["mm_per_day_{number}"].sum()'),
            ("ValueError", f"{number} rows where 365 were meant", f"check_year({frame})"),
            ("TypeError", f"cannot add 'str' at row {number}", f"{frame}.mm.cumsum()"),
            ("ZeroDivisionError", f"no weight left in bin {number}", f"weigh({frame})"),
        )
    )
    traceback = [
        "-" * 75,
        f"{name}                                Traceback (most recent call last)",
        f"Cell In[{number}], line 2",
        f"      1 # {frame}, the year's total",
        f"----> 2 total = {code}",
        "",
        f"File ~/rain/gauges.py:{number}, in {code.split('(')[0][:12]}(frame)",
        f"    {number - 1}     total = sum(rows)",
        f"--> {number}     return total / len(rows)",
        "",
        f"{name}: {value}",
    ]
    error = ErrorOutput(ename=name, evalue=value, traceback=tuple(traceback))
    source = f"# {frame}, the year's total\ntotal = {code}"
    run = CellRun(source=source, status="error", outputs=(error,))
    return run, f"{name}: {value}", f"{name} {frame}"


def a_cell(chance: Random, figure: bool = False) -> CellRun:
    """Any other run. Its towns and years occur in other runs, too."""
    town, year = drawn(chance)
    frame = f"{town}_{year}"
    if figure:
        source = f'{frame}.mm.resample("W").sum().plot(title="{town.title()} {year}")'
        picture = DisplayOutput(data={"image/png": PICTURE, "text/plain": "<Figure 640x480>"})
        return _ok(source, [picture])
    made = (
        lambda: a_mean(town, year, chance)[0],
        lambda: a_load(town, year, chance)[0],
        lambda: (
            an_error(town, year, chance)[0] if chance.random() < 0.3 else _months(frame, chance)
        ),
        lambda: _months(frame, chance),
        lambda: _fit(frame, chance),
        lambda: _clean(frame, chance),
        lambda: _long(frame, chance),
    )
    return chance.choices(made, (3, 2, 2, 3, 2, 3, 1))[0]()


def _months(frame: str, chance: Random) -> CellRun:
    source = f"monthly_{frame} = {frame}.groupby({frame}.index.month).mm.agg(['sum', 'max'])"
    source += f"\nmonthly_{frame}"
    return _ok(source, [_shown(_table(chance, 12))], (f"monthly_{frame}",))


def _fit(frame: str, chance: Random) -> CellRun:
    source = (
        f"X = design({frame}, trend=True, season=4)\nmodel = sm.OLS({frame}.mm, X).fit()\n"
        "print(model.summary().tables[1])"
    )
    names = ("const", "trend", "sin1", "cos1", "sin2", "cos2", "sin3", "cos3")
    rows = [
        f"{name:<8}{chance.gauss(0, 3):>10.4f}{chance.random():>9.3f}{chance.random():>9.3f}"
        for name in names
    ]
    head = f"{'':<8}{'coef':>10}{'std err':>9}{'P>|t|':>9}"
    return _ok(source, [_printed("\n".join([head, *rows]) + "\n")], ("X", "model"))


def _clean(frame: str, chance: Random) -> CellRun:
    source = (
        f"{frame} = {frame}[{frame}.quality <= {chance.randrange(1, 4)}].copy()\n"
        f"{frame}.loc[{frame}.mm < 0, 'mm'] = np.nan\n"
        f"{frame} = {frame}.interpolate(limit={chance.randrange(1, 4)})"
    )
    return _ok(source, [], (frame,))


def _long(frame: str, chance: Random) -> CellRun:
    lines = _listing(frame, chance.randrange(60, 160), chance)
    source = f"for day, row in {frame}.iterrows():\n    print(check(day, row, limit=300))"
    return _ok(source, [_printed("\n".join(lines) + "\n")])


def _listing(frame: str, count: int, chance: Random) -> list[str]:
    return [
        f"{frame} day {day:03}: {chance.uniform(0, 60):.1f} mm, quality {chance.randrange(4)}"
        for day in range(1, count + 1)
    ]


def _table(chance: Random, rows: int) -> str:
    head = f"{'':>4}{'mm':>9}{'max':>9}{'wind':>9}{'quality':>9}"
    lines = [
        f"{row:>4}{chance.uniform(0, 90):>9.2f}{chance.uniform(0, 40):>9.2f}"
        f"{chance.uniform(0, 20):>9.2f}{chance.randrange(4):>9}"
        for row in range(1, rows + 1)
    ]
    return "\n".join([head, *lines])


def _ok(source: str, outputs: Sequence[Output], bound: tuple[str, ...] = ()) -> CellRun:
    return CellRun(source=source, status="ok", outputs=tuple(outputs), bound=bound)


def _printed(text: str) -> StreamOutput:
    return StreamOutput(name="stdout", text=text)


def _shown(text: str) -> DisplayOutput:
    return DisplayOutput(data={"text/plain": text}, result=True)


def _picture(width: int, height: int) -> str:
    """A white PNG, as base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    row = b"\0" + b"\xff" * width
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(row * height)), chunk(b"IEND", b""))
    return b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


PICTURE = _picture(640, 480)
