"""End a process with all that it started."""

import os
import signal
import subprocess
from contextlib import suppress

import psutil

GRACE_SECONDS = 5  # between the signal that asks a process to end and the one that ends it


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, with SIGTERM and then with SIGKILL."""
    started = descendants(process.pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        started += [own for own in descendants(process.pid) if own not in started]
        send(process.pid, started, number)
        process.send_signal(number)  # it may not be the leader of a group
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    process.wait()


def kill_tree(leader: int) -> None:
    """Kill the leader of a process group and all that it started, at once."""
    send(leader, descendants(leader), signal.SIGKILL)


def descendants(leader: int) -> list[psutil.Process]:
    """Return what a process has started, also in groups of their own, as torchrun's workers are."""
    try:
        return psutil.Process(leader).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def send(group: int, processes: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to processes and to a group, any of which may be gone."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    with suppress(ProcessLookupError):
        os.killpg(group, number)
