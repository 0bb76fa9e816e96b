"""Unix sockets in a trial: those of the person are refused and heard, a copy's own ones work."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel_ext.sandbox.test_trial import Place

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    found = Place(tmp_path_factory.mktemp("sockets"))
    yield found
    found.kernel.close()


@pytest.fixture(scope="module")
def live(place: Place) -> Iterator[socket.socket]:
    """A socket of the person, to which nobody connects."""
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(str(place.outside / "live"))
        found.listen()
        found.setblocking(False)
        yield found


ZMQ = "import os, time, zmq\ns = zmq.Context().socket(zmq.PUSH)\n{}\ntime.sleep(0.5)"
HIDES = "import os, socket, tempfile\ntry:\n    {}\nexcept Exception:\n    pass"
CONNECTS = ZMQ.format("s.connect('ipc://$OUT/live')")
OF_THE_PERSON = {
    "in C": (CONNECTS, "/outside/live"),
    "in C, by a relative path": (ZMQ.format("s.connect('ipc://../outside/live')"), "/outside/live"),
    "in C, by a link in the copy's own folder": (
        ZMQ.format(
            "os.symlink('$OUT', os.environ['TMPDIR'] + '/l')\n"
            "s.connect('ipc://' + os.environ['TMPDIR'] + '/l/live')"
        ),
        "/outside/live",
    ),
    "in C, in another process": (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {CONNECTS!r}])",
        "/outside/live",
    ),
    "bound in C": (HIDES.format("import zmq; zmq.Context().socket(zmq.PULL).bind('ipc://b')"), "b"),
    "an abstract name in C": (ZMQ.format("s.connect('ipc://@mine')"), "@mine"),
    "in Python": (HIDES.format("socket.socket(1).connect('$OUT/live')"), "/outside/live"),
    "in Python, by a path that begins in its folder": (
        HIDES.format(
            "t = tempfile.gettempdir()\n    socket.socket(1).connect(os.path.join(t, "
            "os.path.relpath('$OUT/live', t)))"
        ),
        "/outside/live",
    ),
    "an abstract name": (HIDES.format("socket.socket(1).connect('\\0mine')"), "@mine"),
    "a datagram": (
        HIDES.format("socket.socket(1, socket.SOCK_DGRAM).sendto(b'x', '$OUT/live')"),
        "",
    ),
}


@pytest.mark.parametrize("name", OF_THE_PERSON)
def test_a_socket_of_the_person_is_refused_and_heard_also_where_code_hides_it(
    name: str, place: Place, live: socket.socket
):
    code, end = OF_THE_PERSON[name]
    found = place.tried(code)
    assert found["status"] == "ok", found
    assert [it for it in found["denied"] if it[0] == "network" and it[1].endswith(end)], found
    with pytest.raises(BlockingIOError):
        live.accept()
    assert not Path(place.ws, "b").exists()


FREE = {
    "a pair": "import socket\na, b = socket.socketpair()\na.send(b'x'); print(b.recv(1))",
    "one that is not there, in C": ZMQ.format("s.connect('ipc://$OUT/missing')"),
    "the loop of asyncio": "import asyncio\nawait asyncio.sleep(0)",
    "who a user is": "import os, pwd\ntry: pwd.getpwnam('nobody-of-that-name')\n"
    "except KeyError: pass",
}


@pytest.mark.parametrize("name", FREE)
def test_what_leads_to_nobody_is_not_heard(name: str, place: Place):
    found = place.tried(FREE[name])
    assert (found["error"], found["denied"]) == ("", []), found


OWN = {
    "a pool of a fork server": (
        "import multiprocessing as m\nwith m.get_context('forkserver').Pool(2) as p:\n"
        "    print(p.map(abs, [-1, 2]))",
        "[1, 2]\n",
    ),
    "an executor of a fork server": (
        "import multiprocessing as m\nfrom concurrent.futures import ProcessPoolExecutor as P\n"
        "with P(1, mp_context=m.get_context('forkserver')) as p:\n"
        "    print(list(p.map(abs, [-1])))",
        "[1]\n",
    ),
    "a manager": (
        "import multiprocessing as m\nwith m.get_context('fork').Manager() as shared:\n"
        "    print(shared.list([1]))",
        "[1]\n",
    ),
    "a listener": (
        "import threading\nfrom multiprocessing.connection import Client, Listener\n"
        "with Listener() as l:\n"
        "    t = threading.Thread(target=lambda: Client(l.address).send(7))\n"
        "    t.start()\n    print(l.accept().recv())\n    t.join()",
        "7\n",
    ),
    "in C": (
        "import os, zmq\nc, at = zmq.Context(), 'ipc://' + os.environ['TMPDIR'] + '/own'\n"
        "a, b = c.socket(zmq.PULL), c.socket(zmq.PUSH)\na.bind(at)\nb.connect(at)\n"
        "b.send(b'7')\nprint(a.recv().decode())",
        "7\n",
    ),
    "a relative path": (
        "import os, socket\nos.chdir(os.environ['TMPDIR'])\n"
        "a, b = socket.socket(1), socket.socket(1)\na.bind('own')\n"
        "a.listen()\nb.connect('own')\nb.sendall(b'7')\n"
        "print(a.accept()[0].recv(1).decode())",
        "7\n",
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_a_copy_has_sockets_in_its_own_folder_beside_those_of_the_kernel(name: str, place: Place):
    code, text = OWN[name]
    works(code, text, place)
    if "TMPDIR" not in code:
        assert place.kernel.run(code).text.split() == text.split()
        works(code, text, place)
        assert place.kernel.run(code).text.split() == text.split()


def works(code: str, text: str, place: Place) -> None:
    found = place.tried(code)
    assert (found["error"], found["denied"]) == ("", []), found
    assert "".join(it.get("text", "") for it in found["outputs"]) == text
