"""Submit an array of tasks to Slurm through datatrove."""

import getpass
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.cluster.cluster import Cluster
from cephalo.dataset_scripts.cluster.runs import Run
from cephalo.dataset_scripts.cluster.store import is_remote

if TYPE_CHECKING:
    from cephalo.dataset_scripts.cluster.executor import RanksExecutor


def submit(run: Run, step: Callable, chunks: int, cluster: Cluster) -> str | None:
    """Submit the tasks with unfinished chunks, and return the number of the Slurm job, or None if
    there are none.

    Raises CephaloError if datatrove or Slurm is missing, if Slurm refuses the job, and while tasks
    of an earlier submission are pending or running.
    """
    done = run.done()
    missing = [number for number in range(chunks) if number not in done]
    if not missing:
        return None
    name = job_name(run)
    if alive := tasks_alive(name):
        raise CephaloError(
            f"{len(done)} of {chunks} chunks are done and {alive} tasks of {name} wait or run; "
            f"wait for their end, or `scancel --name {name}`"
        )
    ranks = sorted({number % cluster.tasks for number in missing})
    executor = make_executor(run, step, ranks, cluster, name)
    from loguru import logger  # datatrove's

    logger.disable("datatrove")  # the command reports in one line
    try:
        executor.run()
    except subprocess.CalledProcessError as error:
        said = " ".join((error.stderr or error.stdout or str(error)).split())
        raise CephaloError(f"Slurm refused the job: {said[:300]}") from error
    return str(executor.job_id)


def job_name(run: Run) -> str:
    """Return the name of a run's jobs, the same for each submission."""
    return f"cephalo-{run.step}-{hashlib.sha256(run.store.url.encode()).hexdigest()[:8]}"


def tasks_alive(name: str) -> int:
    """Return how many tasks with this job name are pending or running. Raises CephaloError if Slurm
    is missing or does not answer."""
    if not shutil.which("sbatch"):
        raise CephaloError("sbatch was not found; run this on a machine that submits Slurm jobs")
    command = ["squeue", "--noheader", "--array", "--user", getpass.getuser(), "--name", name]
    asked = subprocess.run(command, capture_output=True, text=True)
    if asked.returncode:
        said = " ".join(asked.stderr.split())
        raise CephaloError(f"squeue failed ({said[:200]}); try again later")
    return len(asked.stdout.splitlines())


def check_idle(run: Run) -> None:
    """Raise CephaloError while tasks of a run are pending or running, since they read its input."""
    name = job_name(run)
    if alive := tasks_alive(name):
        raise CephaloError(
            f"files of the input were removed or edited, and {alive} tasks of {name} wait or run; "
            f"wait for their end, or `scancel --name {name}`"
        )


def make_executor(
    run: Run,
    step: Callable[[object, int, int], None],
    ranks: list[int],
    cluster: Cluster,
    name: str,
) -> "RanksExecutor":
    """Make a datatrove executor for some ranks of `cluster.tasks`.

    Each submission has its own log folder: datatrove records ranks to run and finished ranks there,
    without the code's version. Whether a chunk is done is decided by `run`. Raises CephaloError
    without datatrove.
    """
    try:
        from cephalo.dataset_scripts.cluster.executor import RanksExecutor
    except ImportError as error:
        raise CephaloError("--slurm needs datatrove; pip install 'cephalo[scale]'") from error
    started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    remote = is_remote(run.store.url)
    activate = Path(sys.prefix) / "bin" / "activate"
    return RanksExecutor(
        ranks=ranks,
        pipeline=[step],
        tasks=cluster.tasks,
        time=cluster.time,
        partition=cluster.partition,
        cpus_per_task=cluster.cpus_per_task,
        mem_per_cpu_gb=cluster.mem_per_cpu,
        gpus_per_task=cluster.gpus_per_task,
        job_name=name,
        qos="",  # the cluster's default; datatrove's is not available everywhere
        venv_path=str(activate) if activate.exists() else None,
        # Slurm's own logs need a local path.
        slurm_logs_folder=str(Path("slurm_logs").absolute() / started) if remote else None,
        logging_dir=f"{run.store.url}/{run.name('logs')}/{started}",
    )
