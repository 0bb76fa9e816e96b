"""Modules by what their names do: compute, reach the network, run programs, leave Python. Data.

A line of `_COMPUTING` has a module, then its names that compute: `*` for all, `**` for those of its
submodules too, `-name` for one that does not. Paths are taken by `files`.
"""

from collections.abc import Mapping

from ...frozen import frozen


@frozen
class Computing:
    """The names of a module that compute. `everything` and `below` have exceptions in `but`."""

    names: frozenset[str]
    but: frozenset[str]
    everything: bool
    below: bool


_COMPUTING = """
math *
cmath *
statistics *
fractions *
decimal *
numbers *
random *
itertools *
functools *
operator * -methodcaller
collections *
collections.abc *
heapq *
bisect *
array *
copy *
enum *
dataclasses * -make_dataclass
typing * -get_type_hints
types SimpleNamespace MappingProxyType GeneratorType NoneType UnionType
abc *
re *
string *
textwrap *
difflib *
unicodedata *
json *
csv *
pprint *
datetime *
calendar *
time * -tzset
zoneinfo * -reset_tzpath
locale getlocale format_string
hashlib *
hmac *
secrets *
base64 * -main -encode -decode
binascii *
struct *
zlib *
gzip compress decompress
bz2 compress decompress
lzma compress decompress
uuid UUID uuid3 uuid4 uuid5
html * -parser
html.parser *
urllib.parse *
colorsys *
graphlib *
contextlib * -chdir
warnings *
traceback * -walk_stack
inspect signature getdoc isfunction isclass ismethod Parameter iscoroutinefunction
timeit default_timer
gc collect get_count
weakref *
io StringIO BytesIO TextIOWrapper SEEK_SET SEEK_END
sys version version_info maxsize getsizeof platform argv stdout stderr float_info int_info
  executable getrecursionlimit byteorder exit getrefcount implementation
os sep linesep getcwd cpu_count fspath name path pathsep getpid curdir PathLike fsencode fsdecode
  O_RDONLY
os.path *
platform python_version system machine
pathlib *
glob escape
fnmatch *
shutil get_terminal_size disk_usage which
tempfile gettempdir mkdtemp mkstemp TemporaryDirectory NamedTemporaryFile TemporaryFile
  SpooledTemporaryFile
pickle dumps dump HIGHEST_PROTOCOL PickleError
logging * -config -handlers
queue *
threading * -settrace -setprofile -settrace_all_threads -setprofile_all_threads
concurrent.futures ThreadPoolExecutor as_completed wait Future FIRST_COMPLETED ALL_COMPLETED
  TimeoutError
asyncio sleep gather create_task wait wait_for as_completed Queue PriorityQueue LifoQueue Lock
  Event Semaphore BoundedSemaphore Condition TaskGroup timeout timeout_at to_thread shield
  current_task all_tasks iscoroutinefunction run get_running_loop get_event_loop Task Future
  CancelledError TimeoutError QueueFull QueueEmpty FIRST_COMPLETED ALL_COMPLETED FIRST_EXCEPTION
  ensure_future iscoroutine Barrier Runner
contextvars *
sqlite3 * -enable_callback_tracebacks
subprocess PIPE DEVNULL STDOUT CalledProcessError TimeoutExpired CompletedProcess
argparse *
configparser *
tomllib loads
ast literal_eval parse dump unparse walk
keyword *
numpy * -f2py -ctypeslib -distutils -lib -core -testing -DataSource -test -fromregex -get_include
  -save -load -rec
numpy.random *
numpy.linalg *
numpy.fft *
numpy.ma *
numpy.polynomial **
numpy.testing assert_allclose assert_array_equal assert_almost_equal assert_array_almost_equal
numpy.lib.stride_tricks *
numpy.typing *
pandas * -read_clipboard -read_gbq -io -util -test -core -eval -read_sql -read_sql_query
  -read_sql_table -read_iceberg
pandas.api **
pandas.tseries **
pandas.testing *
pandas.plotting *
pandas.errors *
polars * -Config -SQLContext -sql -read_database -read_database_uri -read_delta -scan_delta
  -scan_iceberg -scan_pyarrow_dataset -plugins -cloud -io -internals -scan_python -read_clipboard
polars.selectors *
pyarrow * -input_stream -output_stream -fs -flight -compute -dataset -parquet -csv -feather -hdfs
  -load_library -py_extension_type -PythonFile -NativeFile -CompressedOutputStream -ipc -json -orc
  -CompressedInputStream -RecordBatchFileWriter -RecordBatchStreamWriter -RecordBatchFileReader
  -RecordBatchStreamReader -MemoryMappedFile -BufferedOutputStream -BufferedInputStream -lib -util
  -foreign_buffer -cuda -substrait -acero -create_library_symlinks -set_timezone_db_path
  -deserialize_pandas -transcoding_input_stream
pyarrow.compute *
duckdb * -install_extension -load_extension -sql -execute -query -from_csv_auto -from_parquet
  -default_connection -connect -values -register_filesystem -from_query -query_df -write_csv -append
  -table_function -filter -project -aggregate -order -sql_expr -SQLExpression -enable_profiling
  -create_function -set_default_connection -executemany -extract_statements -read_csv_auto
scipy ** -io -datasets -misc -weave -test
scipy.io *
sklearn ** -datasets -test -utils
sklearn.utils shuffle resample check_random_state class_weight Bunch check_array
sklearn.utils.class_weight *
sklearn.utils.validation check_is_fitted
sklearn.datasets load_iris load_wine load_digits load_breast_cancer load_diabetes load_linnerud
  make_classification make_regression make_blobs make_moons make_circles make_friedman1
  make_s_curve make_swiss_roll make_low_rank_matrix make_sparse_uncorrelated
  make_gaussian_quantiles make_checkerboard make_multilabel_classification
statsmodels ** -datasets -iolib
matplotlib ** -testing -tests -test -sphinxext -backends.registry -cbook
matplotlib.pyplot * -switch_backend -ginput -waitforbuttonpress -pause -install_repl_displayhook
mpl_toolkits **
seaborn ** -load_dataset -get_dataset_names -get_data_home -external -utils
plotly ** -io -offline -tools
plotly.io templates
altair ** -data -renderers -data_transformers
bokeh.plotting figure show
xarray * -backends -tutorial -open_zarr -save_mfdataset -load_dataset
networkx * -read_gpickle -nx_agraph -drawing
sympy * -sympify -S -parse_expr -lambdify -preview -init_session -init_printing -N -parsing
dask.array *
dask.dataframe *
dask delayed compute
joblib delayed hash cpu_count
tqdm *
tqdm.auto *
tqdm.notebook *
tabulate tabulate
humanize *
rich.table *
rich.console Console
rich print
PIL.Image *
PIL.ImageDraw *
PIL.ImageFilter *
PIL.ImageOps *
PIL.ImageEnhance *
PIL.ImageColor *
IPython.display display HTML Markdown Latex Math JSON clear_output Pretty update_display
  DisplayHandle
ipywidgets *
sqlalchemy * -event -create_engine -create_async_engine -text -engine_from_config
sqlalchemy.orm *
pydantic *
attrs *
attr *
dateutil **
pytz *
yaml safe_load safe_dump dump
toolz *
more_itertools *
sortedcontainers *
nbformat.v4 *
bs4 *
torch * -load -save -hub -ops -compile -jit -utils -classes -package -distributed -multiprocessing
  -export -library -cpp -_C -from_file
torch.nn **
torch.optim **
torch.linalg *
torch.utils.data *
torch.autograd *
xgboost *
lightgbm *
shap *
imblearn **
category_encoders *
__future__ *
"""
COMMANDS = (
    *("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "os.startfile"),
    *("subprocess.", "pty.spawn", "asyncio.create_subprocess", "sh.", "plumbum.", "pexpect."),
    *("_posixsubprocess.", "_winapi.", "multiprocessing.util.spawnv_passfds"),
    *("IPython.utils.process.", "asyncio.subprocess.", "cProfile.run", "runpy."),
)
"""Beginnings of functions that start a program."""
PROCESSES = (
    *("os.fork", "os.kill", "os._exit", "os.abort", "os.setsid", "os.setpgid", "os.setpriority"),
    *("signal.raise_signal", "signal.pthread_kill", "signal.pidfd_send_signal"),
    *("sys._exit", "faulthandler._sig", "psutil.Process"),
)
"""Beginnings of functions that start, signal or end processes."""
NETWORK = frozenset(
    (
        *("requests", "httpx", "urllib.request", "urllib3", "aiohttp", "socket", "http.client"),
        *(
            "http.server",
            "ftplib",
            "smtplib",
            "poplib",
            "imaplib",
            "telnetlib",
            "nntplib",
            "xmlrpc",
        ),
        *("socketserver", "websockets", "websocket", "paramiko", "fabric", "boto3", "botocore"),
        *(
            "s3fs",
            "gcsfs",
            "adlfs",
            "kaggle",
            "kagglehub",
            "huggingface_hub",
            "openai",
            "anthropic",
        ),
        *("google.cloud", "google.generativeai", "yfinance", "pandas_datareader", "tweepy", "praw"),
        *("pymongo", "redis", "psycopg2", "psycopg", "pymysql", "mysql", "snowflake", "wandb"),
        *("mlflow", "pip", "wget", "webbrowser", "dns", "selenium", "playwright", "scrapy"),
        *("asyncio.open_connection", "asyncio.start_server", "asyncio.open_unix_connection"),
        *(
            "seaborn.load_dataset",
            "sklearn.datasets.fetch",
            "torch.hub",
            "nltk.download",
            "datasets",
        ),
        *("pandas.read_gbq", "multiprocessing.connection", "ssl.get_server_certificate", "zmq"),
        *("jupyter_client", "ipykernel", "jupyter_server", "nbclient", "jupyter_kernel_client"),
        *("urllib.urlopen", "pooch", "geopy", "osmnx", "azure", "elasticsearch", "kafka", "pika"),
    )
)
"""Modules and functions that speak with other machines or programs."""
QUIET_OF_NETWORK = frozenset(
    (
        *("gethostname", "inet_aton", "inet_ntoa", "codes", "adapters", "HTTPAdapter", "Request"),
        *("Session", "Client", "AsyncClient", "ClientSession", "PoolManager", "Retry", "util"),
        *("quote", "AF_INET", "SOCK_STREAM", "responses", "exceptions", "timeout", "Timeout"),
    )
)
"""Their names that only get ready to speak. Code with one of them is not plain."""
NATIVE_MODULES = frozenset(("ctypes", "_ctypes", "cffi", "_cffi_backend", "numpy.ctypeslib"))
"""Modules that leave Python, and the view of its events."""
OUR_MODULES = frozenset(("inkernel",))
PAST_EVENTS = frozenset(
    (
        *("pyarrow", "polars", "duckdb", "h5py", "tables", "netCDF4", "cv2", "rasterio", "fiona"),
        *("pyogrio", "lance", "lancedb", "deltalake", "datafusion", "chdb", "tiledb", "vaex"),
    )
)
"""Libraries that open files and connections in C. No event tells of it."""
HOOKS = frozenset(
    (
        *("os.register_at_fork", "sys.addaudithook", "sys.settrace", "sys.setprofile"),
        *("threading.settrace", "threading.setprofile"),
    )
)
"""Functions after which foreign code runs wherever the agent's own does."""
KNOWN_ROOTS = frozenset(
    (
        "os",
        "sys",
        "io",
        "urllib",
        "http",
        "shutil",
        "multiprocessing",
        "signal",
        "importlib",
        "dask",
    )
)
"""Modules whose import does nothing, whatever their functions do."""
ALIASES: Mapping[str, str] = {
    "np": "numpy",
    "pd": "pandas",
    "plt": "matplotlib.pyplot",
    "pl": "polars",
    "sns": "seaborn",
    "px": "plotly.express",
    "go": "plotly.graph_objects",
    "xr": "xarray",
    "mpl": "matplotlib",
    "os": "os",
    "sys": "sys",
    "re": "re",
    "json": "json",
    "math": "math",
    "time": "time",
    "shutil": "shutil",
    "requests": "requests",
    "httpx": "httpx",
    "subprocess": "subprocess",
    "socket": "socket",
    "duckdb": "duckdb",
    "sqlite3": "sqlite3",
    "display": "IPython.display.display",
}
"""Names by which a module is known that an earlier cell imported."""


def _table() -> Mapping[str, Computing]:
    found: dict[str, Computing] = {}
    for line in _COMPUTING.replace("\n  ", " ").strip().splitlines():
        module, *words = line.split()
        but = frozenset(it[1:] for it in words if it[0] == "-")
        names = frozenset(it for it in words if it[0] not in "-*")
        found[module] = Computing(names, but, bool({"*", "**"} & {*words}), "**" in words)
    return found


COMPUTING = _table()
_ABROAD = ("fetch_", "load_", "save", "read_", "write_", "dump", "download", "open", "to_file")
"""Beginnings of names in submodules that may do more than compute."""


def computes(path: str) -> tuple[bool, str]:
    """Whether a dotted name of a module computes, and the part of it that belongs to a value.

    `numpy.pi.real` is of a module up to `numpy.pi`, so the rest is `real`. A path of a module
    itself has no rest.
    """
    module = path
    while module not in COMPUTING:
        module, dot, _ = module.rpartition(".")
        if not dot:
            return False, ""
    rule, rest = COMPUTING[module], path[len(module) + 1 :]
    if not rest:
        return True, ""
    first, _, more = rest.partition(".")
    if rule.below:
        parts = rest.split(".")
        ends = [".".join(parts[: count + 1]) for count in range(len(parts))]
        barred = any(it in rule.but for it in ends)
        return not barred and not any(it.startswith(("_", *_ABROAD)) for it in parts), ""
    known = first in rule.names or (
        rule.everything and first not in rule.but and (first[0] != "_" or first == "__version__")
    )
    return known, more if known else ""
