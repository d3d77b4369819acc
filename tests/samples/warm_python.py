"""A Python that starts at once: a fork of a process that has imported torch, transformers and TRL.

Those imports are most of what a process of a test takes, and no test is about them. Nothing of this
package is imported before the fork. What reads HF_... on import (huggingface_hub, transformers,
datasets) is imported once for each set of such variables, with PLACES for the cache and the
endpoint, which each fork replaces by its own. For `-m MODULE`, `-c CODE` and scripts, without
options of Python. Where the start itself is what a test is about, take `sys.executable`.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

MODULES = (
    *("torch", "torch._dynamo", "torch.distributed.fsdp", "torch.distributed.tensor"),
    *("pandas", "pyarrow.dataset", "pyarrow.parquet", "scipy.stats", "scipy.ndimage"),
    *("aiohttp", "fastapi", "httpx", "openai", "requests", "uvicorn"),
    *("matplotlib.pyplot", "multiprocess", "tokenizers", "typer", "yaml"),
)

# Read HF_... on import.
HUB_MODULES = (
    *("huggingface_hub.hf_api", "huggingface_hub.repocard", "datasets", "evaluate", "peft"),
    *("transformers.models.auto.modeling_auto", "transformers.models.auto.processing_auto"),
    *("transformers.models.idefics2.modeling_idefics2", "transformers.trainer"),
    *("trl.trainer.sft_trainer", "cv2", "datasketch"),
)
PLACES = {"HF_HOME": "/nowhere/home-of-a-fork", "HF_ENDPOINT": "http://endpoint-of-a-fork.invalid"}
SET_LATER = {*PLACES, "HF_TOKEN"}
SETS_KEPT = 3  # processes that have imported them, 0.2 GB each beyond what they share

# Sends its files, words, folder and environment, and ends as the fork does. A signal goes on to the
# fork, which is killed if this process is.
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({socket!r})
socket.send_fds(server, [b"f"], [0, 1, 2])
request = json.dumps([{words} + sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
server.sendall(len(request).to_bytes(8) + request)
replies = server.makefile()
fork = int(replies.readline())
with open(f"{{__file__}}-{{os.getpid()}}", "w") as file:
    file.write(str(fork))
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: os.kill(fork, number))
code = int(replies.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
    os.kill(os.getpid(), -code)
os._exit(code)
"""


def warm_python(more: tuple[str, ...] = ()) -> str:
    """The path of a command to use in place of `sys.executable`; `cephalo` lies beside it.

    `more` are modules to import too.
    """
    return _started(more)


@cache
def _started(more: tuple[str, ...]) -> str:
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address = folder / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen(64)
        server = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno()), *more],
            stdin=subprocess.PIPE,  # which ends the server with this process
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    atexit.register(server.stdin.close)
    for name, words in (("python", []), ("cephalo", ["-m", "cephalo.cli.main"])):
        client = CLIENT.format(python=sys.executable, socket=str(address), words=words)
        (folder / name).write_text(client)
        (folder / name).chmod(0o755)
    return str(folder / "python")


def kill(process: subprocess.Popen, more: tuple[str, ...] = ()) -> None:
    """`kill -9` for a process of `warm_python` with `more` modules and those that it started; they
    are gone then."""
    os.killpg(int(Path(f"{warm_python(more)}-{process.pid}").read_text()), signal.SIGKILL)
    process.wait()


def serve(listener: socket.socket, more: list[str]) -> None:
    """Hand each request to the process for its variables, until the run of the tests ends.

    Returns in a fork too, which then ends as any Python does.
    """
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()  # so that forks share its pages
    helpers: dict[tuple[tuple[str, str], ...], socket.socket] = {}
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        connection, _ = listener.accept()
        _, files, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as stream:
            request = stream.read(int.from_bytes(stream.read(8)))
        variables = read_on_import(json.loads(request)[2])
        if variables not in helpers:
            while len(helpers) >= SETS_KEPT:
                helpers.pop(next(iter(helpers))).close()
            helpers[variables], requests = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            if os.fork() == 0:
                for one in (listener, connection, *helpers.values()):
                    one.close()
                for file in files:
                    os.close(file)
                fork_on_request(requests, dict(variables), more)
                return
            requests.close()
        socket.send_fds(helpers[variables], [request], [connection.fileno(), *files])
        connection.close()
        for file in files:
            os.close(file)


def read_on_import(environment: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """The variables that libraries read when they are imported, but for PLACES and tokens."""
    read = ("HF_", "TRANSFORMERS_", "DATASETS_", "ACCELERATE_", "DISABLE_", "TRL_", "USE_")
    names = (name for name in environment if name.startswith(read) and name not in SET_LATER)
    return tuple(sorted((name, environment[name]) for name in names))


def fork_on_request(requests: socket.socket, variables: dict[str, str], more: list[str]) -> None:
    """Import what reads HF_... on import, and run each request in a fork. Returns in forks too."""
    for name in [name for name, _ in read_on_import(dict(os.environ))]:
        del os.environ[name]
    os.environ.update(variables | PLACES)
    for name in (*HUB_MODULES, *more):
        importlib.import_module(name)
    kept = list(where_places_are_kept())
    gc.collect()
    gc.freeze()
    while True:
        request, files, _, _ = socket.recv_fds(requests, 1 << 20, 4)
        if not request:
            return
        if os.fork() == 0:
            requests.close()
            with socket.socket(fileno=files[0]) as connection:
                supervise(connection, files[1:], request, kept)
            return
        for file in files:
            os.close(file)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # those that ended
                pass


def where_places_are_kept() -> Iterator[tuple[object, str, str | Path]]:
    """What was made from PLACES: variables of modules, and endpoints of the Hub's ready clients."""
    from huggingface_hub import HfApi, HfFileSystem

    clients = [one for one in gc.get_objects() if type(one) in (HfApi, HfFileSystem)]
    for holder in (*list(sys.modules.values()), *clients):
        for name, value in list(getattr(holder, "__dict__", {}).items()):
            # Not isinstance, which looks into objects that are loaded when they are looked into.
            if type(value) not in (str, type(Path())) or holder is sys.modules[__name__]:
                continue
            if any(place in str(value) for place in PLACES.values()):
                yield holder, name, value


def put_places(kept: list[tuple[object, str, str | Path]]) -> None:
    """Put what the environment says in place of PLACES."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    given = {
        "HF_HOME": os.environ.get("HF_HOME") or str(cache / "huggingface"),
        "HF_ENDPOINT": os.environ.get("HF_ENDPOINT") or "https://huggingface.co",
    }
    for holder, name, value in kept:
        text = str(value)
        for variable, place in PLACES.items():
            text = text.replace(place, given[variable])
        setattr(holder, name, type(value)(text))


def supervise(
    connection: socket.socket,
    files: list[int],
    request: bytes,
    kept: list[tuple[object, str, str | Path]],
) -> None:
    """Fork once more to run a request, and tell its client how that ended."""
    words, folder, environment = json.loads(request)
    fork = os.fork()
    if fork == 0:
        connection.close()
        os.setsid()  # a group of its own, for `kill`
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        put_places(kept)
        tempfile.tempdir = None  # to be taken from it
        run(*words)
        return
    for number in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    for file in files:
        os.close(file)  # or a pipe would stay open
    connection.sendall(f"{fork}\n".encode())
    ended = os.pidfd_open(fork)
    ready, _, _ = select.select([connection, ended], [], [])
    if ended not in ready:  # the client is gone
        os.kill(fork, signal.SIGKILL)
    _, status = os.waitpid(fork, 0)
    with suppress(BrokenPipeError):
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def run(how: str, *words: str) -> None:
    """Run `-m MODULE`, `-c CODE` or a script, with its arguments, as Python does."""
    if how == "-m":
        sys.argv, sys.path[0] = list(words), str(Path.cwd())
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    elif how == "-c":
        sys.argv, sys.path[0] = ["-c", *words[1:]], ""
        exec(compile(words[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv, sys.path[0] = [how, *words], str(Path(how).parent)
        runpy.run_path(how, run_name="__main__")


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
