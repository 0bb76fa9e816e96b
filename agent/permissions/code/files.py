"""Functions and methods that take a path, and their use of it. Data.

A line has a name, what it does to a path, and where the path is: its position, then its keyword.
A method begins with a dot. `self`: the object is the path. `mode`: it writes if its mode says so.
`quiet`: it writes in C, past Python's events; each that can be installed was tried. `quiet_read`:
it reads so. `quiet_if_made`: a library writes so what another one writes by Python, so a path that
is made while it runs counts as quiet. `loads`: what it reads may be code.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from ...frozen import frozen

FileUse = Literal[
    "read", "write", "remove", "mode", "quiet", "quiet_read", "quiet_if_made", "loads"
]


@frozen
class PathArgument:
    """One path among the arguments of a call, and its use. `place`: None for the object."""

    use: FileUse
    place: int | None
    keyword: str


_LINES = """
builtins.open mode 0 file
io.open mode 0 file
io.open_code read 0 path
io.FileIO mode 0 file
codecs.open mode 0 filename
gzip.open mode 0 filename
gzip.GzipFile mode 0 filename
bz2.open mode 0 filename
bz2.BZ2File mode 0 filename
lzma.open mode 0 filename
lzma.LZMAFile mode 0 filename
tarfile.open mode 0 name
zipfile.ZipFile mode 0 file
zipfile.is_zipfile read 0 filename
os.open mode 0 path
os.remove remove 0 path
os.unlink remove 0 path
os.rmdir remove 0 path
os.removedirs remove 0 name
os.rename remove 0 src
os.rename write 1 dst
os.renames remove 0 old
os.renames write 1 new
os.replace remove 0 src
os.replace write 1 dst
os.mkdir write 0 path
os.makedirs write 0 name
os.truncate write 0 path
os.chmod write 0 path
os.lchmod write 0 path
os.chown write 0 path
os.lchown write 0 path
os.utime write 0 path
os.mknod quiet 0 path
os.mkfifo quiet 0 path
os.setxattr write 0 path
os.link write 0 src
os.link write 1 dst
os.symlink write 0 src
os.symlink write 1 dst
os.listdir read 0 path
os.scandir read 0 path
os.walk read 0 top
os.stat read 0 path
os.chdir read 0 path
shutil.copy read 0 src
shutil.copy write 1 dst
shutil.copy2 read 0 src
shutil.copy2 write 1 dst
shutil.copyfile read 0 src
shutil.copyfile write 1 dst
shutil.copytree read 0 src
shutil.copytree write 1 dst
shutil.copymode write 1 dst
shutil.copystat write 1 dst
shutil.move remove 0 src
shutil.move write 1 dst
shutil.rmtree remove 0 path
shutil.chown write 0 path
shutil.make_archive write 0 base_name
shutil.unpack_archive read 0 filename
shutil.unpack_archive write 1 extract_dir
glob.glob read 0 pathname
glob.iglob read 0 pathname
linecache.getline read 0 filename
fileinput.input mode 0 files
logging.FileHandler write 0 filename
logging.basicConfig write - filename
sqlite3.connect write 0 database
shelve.open loads 0 filename
dbm.open write 0 file
pickle.load loads 0 file
joblib.load loads 0 filename
joblib.dump write 1 filename
torch.load loads 0 f
torch.save quiet 1 f
numpy.load read 0 file
numpy.loadtxt read 0 fname
numpy.genfromtxt read 0 fname
numpy.fromfile read 0 file
numpy.memmap mode 0 filename
numpy.save write 0 file
numpy.savez write 0 file
numpy.savez_compressed write 0 file
numpy.savetxt write 0 fname
scipy.io.loadmat read 0 file_name
scipy.io.savemat write 0 file_name
scipy.io.wavfile.read read 0 filename
scipy.io.wavfile.write write 0 filename
scipy.sparse.save_npz write 0 file
scipy.sparse.load_npz read 0 file
pandas.read_csv read 0 filepath_or_buffer
pandas.read_table read 0 filepath_or_buffer
pandas.read_fwf read 0 filepath_or_buffer
pandas.read_json read 0 path_or_buf
pandas.read_excel read 0 io
pandas.read_html read 0 io
pandas.read_xml read 0 path_or_buffer
pandas.read_parquet quiet_read 0 path
pandas.read_feather quiet_read 0 path
pandas.read_orc quiet_read 0 path
pandas.read_stata read 0 filepath_or_buffer
pandas.read_sas read 0 filepath_or_buffer
pandas.read_spss quiet_read 0 path
pandas.read_pickle loads 0 filepath_or_buffer
pandas.read_hdf loads 0 path_or_buf
pandas.to_pickle write 1 filepath_or_buffer
pandas.ExcelFile read 0 path_or_buffer
pandas.ExcelWriter write 0 path
pandas.HDFStore quiet 0 path
polars.read_csv quiet_read 0 source
polars.read_parquet quiet_read 0 source
polars.read_json quiet_read 0 source
polars.read_ndjson quiet_read 0 source
polars.read_ipc quiet_read 0 source
polars.read_avro quiet_read 0 source
polars.read_excel quiet_read 0 source
polars.scan_csv quiet_read 0 source
polars.scan_parquet quiet_read 0 source
polars.scan_ndjson quiet_read 0 source
polars.scan_ipc quiet_read 0 source
polars.scan_lines quiet_read 0 source
polars.read_lines quiet_read 0 source
polars.read_ods quiet_read 0 source
polars.read_ipc_stream quiet_read 0 source
polars.read_ipc_schema quiet_read 0 source
polars.read_parquet_schema quiet_read 0 source
polars.read_parquet_metadata quiet_read 0 source
pyarrow.parquet.read_table quiet_read 0 source
pyarrow.parquet.read_schema quiet_read 0 where
pyarrow.parquet.read_metadata quiet_read 0 where
pyarrow.parquet.ParquetFile quiet_read 0 source
pyarrow.parquet.write_table quiet 1 where
pyarrow.parquet.ParquetWriter quiet 0 where
pyarrow.csv.read_csv quiet_read 0 input_file
pyarrow.csv.write_csv quiet 1 output_file
pyarrow.feather.write_feather quiet 1 dest
pyarrow.feather.read_feather quiet_read 0 source
pyarrow.dataset.dataset quiet_read 0 source
pyarrow.dataset.write_dataset quiet 1 base_dir
pyarrow.OSFile quiet 0 path
pyarrow.memory_map quiet 0 path
pyarrow.create_memory_map quiet 0 path
duckdb.read_csv quiet_read 0 path_or_buffer
duckdb.read_parquet quiet_read 0 file_glob
duckdb.read_json quiet_read 0 path_or_buffer
duckdb.connect quiet 0 database
dask.dataframe.read_csv quiet_read 0 urlpath
dask.dataframe.read_parquet quiet_read 0 path
geopandas.read_file quiet_read 0 filename
xarray.open_dataset quiet_read 0 filename_or_obj
xarray.open_dataarray quiet_read 0 filename_or_obj
xarray.open_mfdataset quiet_read 0 paths
xarray.load_dataset quiet_read 0 filename_or_obj
h5py.File quiet 0 name
netCDF4.Dataset quiet 0 filename
cv2.imread quiet_read 0 filename
cv2.imwrite quiet 0 filename
cv2.VideoWriter quiet 0 filename
imageio.imread read 0 uri
imageio.imwrite write 0 uri
skimage.io.imread read 0 fname
skimage.io.imsave write 0 fname
soundfile.read quiet_read 0 file
soundfile.write quiet 0 file
PIL.Image.open read 0 fp
matplotlib.image.imread read 0 fname
matplotlib.image.imsave write 0 fname
matplotlib.pyplot.imread read 0 fname
matplotlib.pyplot.imsave write 0 fname
matplotlib.pyplot.savefig write 0 fname
matplotlib.backends.backend_pdf.PdfPages write 0 filename
networkx.read_edgelist read 0 path
networkx.write_edgelist write 1 path
networkx.write_gml write 1 path
networkx.read_gml read 0 path
nbformat.read read 0 fp
nbformat.write write 1 fp
IPython.display.Image read - filename
.to_csv quiet_if_made 0 path_or_buf
.to_json write 0 path_or_buf
.to_html write 0 buf
.to_markdown write 0 buf
.to_latex write 0 buf
.to_string write 0 buf
.to_xml write 0 path_or_buffer
.to_excel write 0 excel_writer
.to_pickle write 0 path
.to_stata write 0 path
.to_typst write 0 buf
.to_parquet quiet 0 path
.to_feather write 0 path
.to_orc write 0 path
.to_hdf quiet 0 path_or_buf
.to_netcdf quiet 0 path
.to_zarr write 0 store
.to_file quiet 0 filename
.write_csv quiet 0 file
.write_json quiet 0 file
.write_ndjson quiet 0 file
.write_parquet quiet 0 file
.write_ipc quiet 0 file
.write_ipc_stream quiet 0 file
.write_avro quiet 0 file
.write_excel write 0 workbook
.sink_csv quiet 0 path
.sink_parquet quiet 0 path
.sink_ipc quiet 0 path
.sink_ndjson quiet 0 path
.serialize quiet 0 file
.write_html write 0 file
.write_image write 0 file
.savefig write 0 fname
.save write 0 fp
.save_model quiet 0 fname
.tofile write 0 fid
.dump write 0 file
.write_text write self
.write_bytes write self
.touch write self
.mkdir write self
.unlink remove self
.rmdir remove self
.symlink_to write self
.hardlink_to write self
.read_text read self
.read_bytes read self
.iterdir read self
.glob read self
.rglob read self
"""


def _table() -> Mapping[str, Sequence[PathArgument]]:
    found: dict[str, tuple[PathArgument, ...]] = {}
    for line in _LINES.strip().splitlines():
        name, use, *where = line.split()
        place = None if where[0] == "self" else -1 if where[0] == "-" else int(where[0])
        argument = PathArgument(use, place, where[-1])  # pyright: ignore[reportArgumentType]
        found[name] = (*found.get(name, ()), argument)
    return found


PATHS = _table()
"""By dotted name: the paths among a call's arguments."""
QUIET = frozenset(name for name, uses in PATHS.items() if any(it.use == "quiet" for it in uses))
"""Writers whose work no audit event tells of."""
