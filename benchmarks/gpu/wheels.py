"""Download the wheels that a GPU machine without a network lacks, within the size that travels.

    python -m benchmarks.gpu.wheels --have freeze.txt --python 3.12 --out wheels

`freeze.txt` is the output of `pip list --format freeze` on that machine. The requirements of the
project, and theirs, are compared with it; torch and the CUDA libraries never travel. `make gpu`
installs what it finds in `wheels/`.
"""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated

import typer
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cephalo.cli.errors import CephaloError

PROJECT = "cephalo"
ROOT = Path(__file__).parents[2]
# Needed by the steps besides the core. bitsandbytes alone has some 60 MB: give it with --also.
EXTRAS = ("scikit-fem", "scikit-image", "scipy", "matplotlib", "psutil", "pytest", "packaging")
# The machine there, for requirements that depend on it.
THERE = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
THERE |= {"platform_machine": "x86_64", "platform_python_implementation": "CPython"}
# Of the machine, with its driver.
NEVER = ("torch", "torchvision", "triton", "nvidia-", "cuda-")
GLIBC = (17, 24, 27, 28, 31, 34)  # minor versions of glibc 2 that wheels are built for
MEGABYTE = 1e6


def main(
    have: Annotated[Path, typer.Option(help="Output of `pip list --format freeze` there.")],
    out: Annotated[Path, typer.Option(help="Folder for the wheels.")] = Path("wheels"),
    python: Annotated[str, typer.Option(help="Python version there, such as 3.12.")] = "3.12",
    limit_mb: Annotated[float, typer.Option(help="Size that travels, in MB.")] = 55.0,
    also: Annotated[list[str] | None, typer.Option(help="A further package; repeatable.")] = None,
) -> None:
    """Download missing wheels, and refuse more than the limit."""
    try:
        names = missing(read_freeze(have), python, [*EXTRAS, *(also or [])])
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob("*.whl"):  # pip refuses two versions of one package
            old.unlink()
        download(names, out, python)
        pip("wheel", "--no-deps", "--wheel-dir", str(out), str(ROOT))  # with its own metadata
        print(summary(out, limit_mb))
    except CephaloError as error:
        sys.exit(f"error: {error}")


def read_freeze(path: Path) -> dict[str, str]:
    """Return the versions in the output of pip by canonical name.

    Raises CephaloError if the file cannot be read or names no package.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CephaloError(f"--have {path}: {error}") from error
    pairs = [line.strip().split("==") for line in lines if line.count("==") == 1]
    if not pairs:
        raise CephaloError(
            f"--have {path} lists no package; write it with pip list --format freeze"
        )
    return {canonicalize_name(name): own for name, own in pairs}


def missing(have: dict[str, str], python: str, extras: list[str]) -> list[str]:
    """Return `name==version` of all packages that must travel, in the versions installed here.

    Requirements are followed through the packages that travel: those that the machine has in a
    suitable version are complete there.
    """
    environment = {name: str(value) for name, value in default_environment().items()}
    environment |= THERE | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "extra": "",
    }
    queue = [Requirement(name) for name in (*(requires(PROJECT) or []), *extras)]
    found: dict[str, str] = {}
    while queue:
        one = queue.pop(0)
        name = canonicalize_name(one.name)
        never = name.startswith(NEVER)
        if never or name in found or (one.marker and not one.marker.evaluate(environment)):
            continue
        if name in have and one.specifier.contains(have[name], prereleases=True):
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # for another platform or an option that is not installed here
        queue += [Requirement(own) for own in requires(name) or []]
    return [f"{name}=={own}" for name, own in sorted(found.items())]


def download(names: list[str], out: Path, python: str) -> None:
    """Download wheels for Linux on x86-64 to `out`. Raises CephaloError if one cannot be had."""
    platforms = [f"--platform=manylinux_2_{minor}_x86_64" for minor in GLIBC]
    arguments = ["--no-deps", "--only-binary=:all:", f"--python-version={python}"]
    arguments += ["--implementation=cp", *platforms, "--platform=manylinux2014_x86_64"]
    pip("download", *arguments, "--dest", str(out), *names)


def pip(*arguments: str) -> None:
    """Run pip. Raises CephaloError with its last line if it fails."""
    command = [sys.executable, "-m", "pip", *arguments, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise CephaloError(f"pip {arguments[0]} failed: {lines[-1]}")


def summary(out: Path, limit_mb: float) -> str:
    """Return a line with number and size of the wheels.

    Raises CephaloError if they are larger than the limit, with the largest ones.
    """
    sizes = {path.name: path.stat().st_size / MEGABYTE for path in out.glob("*.whl")}
    total = sum(sizes.values())
    line = f"{out}: {len(sizes)} wheels, {total:.1f} MB"
    if total <= limit_mb:
        return line
    largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
    shown = ", ".join(f"{name} {sizes[name]:.1f} MB" for name in largest)
    raise CephaloError(f"{line}, more than the {limit_mb:g} MB that travel; the largest: {shown}")


if __name__ == "__main__":
    typer.run(main)
