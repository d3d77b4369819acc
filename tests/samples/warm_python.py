"""A Python that starts at once: a fork of a process that has imported torch and the like.

Those imports are most of what a process of a test takes, and no test is about them. By default
nothing of this package is imported before the fork, and nothing that reads HF_... on import
(huggingface_hub, transformers, datasets). For `-m MODULE`, `-c CODE` and scripts, without options
of Python. Where the start itself is what a test is about, take `sys.executable`.
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
from contextlib import suppress
from functools import cache
from pathlib import Path

MODULES = (
    *("torch", "torch._dynamo", "torch.distributed.fsdp", "torch.distributed.tensor"),
    *("pandas", "pyarrow.dataset", "pyarrow.parquet", "scipy.stats", "scipy.ndimage"),
    *("aiohttp", "fastapi", "httpx", "openai", "requests", "uvicorn"),
    *("matplotlib.pyplot", "multiprocess", "tokenizers", "typer", "yaml"),
)

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


@cache
def warm_python(more: tuple[str, ...] = (), hub: tuple[tuple[str, str], ...] = ()) -> str:
    """The path of a command to use in place of `sys.executable`; `cephalo` lies beside it.

    `more` are modules to import too. `hub` are the variables HF_..., which such modules read once:
    they hold for all who use the command.
    """
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address = folder / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen(64)
        server = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno()), *more],
            env=os.environ | dict(hub),
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


def kill(process: subprocess.Popen) -> None:
    """`kill -9` for a process of `warm_python` and those that it started; they are gone then."""
    os.killpg(int(Path(f"{warm_python()}-{process.pid}").read_text()), signal.SIGKILL)
    process.wait()


def serve(listener: socket.socket, more: list[str]) -> None:
    """Run what is asked for, each in a fork, until the run of the tests ends.

    Returns in a fork too, which then ends as any Python does.
    """
    for name in (*MODULES, *more):
        importlib.import_module(name)
    gc.freeze()  # so that forks share its pages
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            supervise(connection)
            return
        connection.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # those that ended
                pass


def supervise(connection: socket.socket) -> None:
    """Fork once more to run a request, and tell its client how that ended."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as stream:
        words, folder, environment = json.loads(stream.read(int.from_bytes(stream.read(8))))
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
