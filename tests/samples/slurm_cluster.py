"""Slurm with two nodes on this machine, from Debian's packages slurm-wlm and munge, run as root."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
SlurmctldPort={port}
StateSaveLocation={folder}/ctl
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/ctl/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/ctl.log
SlurmdLogFile={folder}/%n.log
SlurmdTimeout=10
SlurmdParameters=config_overrides
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
MinJobAge=3600
KillWait=5
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port1} CPUs=1 RealMemory=8000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={port2} CPUs=1 RealMemory=8000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP DefMemPerCPU=1000
"""


def missing_programs() -> list[str]:
    """What a cluster needs and this machine lacks."""
    lacking = [program for program in PROGRAMS if not shutil.which(program)]
    return lacking if os.geteuid() == 0 else [*lacking, "root"]


class Cluster:
    """A running cluster; `environment` lets Slurm's commands find it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}

    def ask(self, *command: str) -> str:
        """The output of one of Slurm's commands."""
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self.ask("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """Kill the daemon of a node and all that its tasks are running, as if it lost power."""
        os.kill(int((self.folder / f"{node}.pid").read_text()), signal.SIGKILL)
        for pid in self.processes(node):
            for one in (parent_if_stepd(pid), pid):
                if one:
                    with suppress(ProcessLookupError):
                        os.kill(one, signal.SIGKILL)

    def processes(self, node: str) -> list[int]:
        """The processes that tasks of a node are running; other clusters may have such a node."""
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        conf = self.environment["SLURM_CONF"]
        wanted = {f"SLURMD_NODENAME={node}".encode(), f"SLURM_CONF={conf}".encode()}
        return [pid for pid in pids if wanted <= variables(pid)]

    def tasks(self, state: str | None = None) -> list[str]:
        """The tasks that wait or run (or are in one state), such as "12_3"."""
        states = [f"--states={state}"] if state else []
        return self.ask("squeue", "-r", "-h", "-o", "%i", *states).split()

    def wait(self, seconds: float = 240) -> None:
        """Wait until no task waits or runs."""
        wait_for(lambda: not self.tasks(), seconds, "Slurm's tasks to end")


def variables(pid: int) -> set[bytes]:
    """The environment of a process, such as {b"HOME=/root"}; empty where it has ended."""
    try:
        return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except OSError:
        return set()


def parent_if_stepd(pid: int) -> int | None:
    """The process above another, if it is Slurm's own that minds a task."""
    try:
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        return parent if "slurmstepd" in Path(f"/proc/{parent}/comm").read_text() else None
    except OSError:
        return None


def wait_for(condition, seconds: float, what: str) -> None:
    """Wait for a condition. Raises TimeoutError that names it."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.2)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[Cluster]:
    """Start munge, the controller and two nodes of one core; stop them at the end."""
    (folder / "ctl").mkdir(parents=True)
    host = socket.gethostname().partition(".")[0]
    ports = {name: free_port() for name in ("port", "port1", "port2")}
    text = CONFIGURATION.format(host=host, folder=folder, **ports)
    (folder / "slurm.conf").write_text(text)
    cluster = Cluster(folder)
    munge = Path("/run/munge")
    munge.mkdir(exist_ok=True)
    shutil.chown(munge, "munge", "munge")
    subprocess.run(["runuser", "-u", "munge", "--", "munged"], capture_output=True)
    try:
        cluster.ask("slurmctld")
        for node in ("n1", "n2"):
            cluster.start_node(node)
        wait_for(lambda: "idle" in cluster.ask("sinfo", "-h", "-o", "%T"), 60, "two idle nodes")
        yield cluster
    finally:
        subprocess.run(["scancel", "--user", "root"], env=cluster.environment)
        time.sleep(1)
        for pid_file in (*folder.glob("n*.pid"), folder / "ctl" / "slurmctld.pid"):
            if pid_file.exists():
                subprocess.run(["kill", pid_file.read_text().strip()], capture_output=True)
