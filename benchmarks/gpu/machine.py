"""Describe the machine that results were measured on."""

import hashlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.gpu.results import Machine
from cephalo.train.utilisation import matmul_rate

# Packages whose versions explain the figures; those that are optional here are None if missing.
PACKAGES = (
    *("torch", "transformers", "trl", "peft", "accelerate", "datasets"),
    *("flash-attn", "bitsandbytes", "deepspeed", "kernels", "torchvision"),
)
NO_CODE = (".git", ".venv", "build", "runs", "wheels")  # what the checkout does not have
CODE = (".py", ".yaml", ".yml", ".sh")


def describe(device: str) -> Machine:
    """Return the names, sizes and versions that figures depend on, and the measured rate of matrix
    products in bfloat16, in TFLOP/s."""
    rate = matmul_rate(torch.device(device), torch.bfloat16)
    return {
        "device": device_name(device),
        "memory_gb": round(device_memory(device) / 1e9, 1),
        "cores": torch.get_num_threads(),
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in PACKAGES},
        "matmul_tflops": round(rate / 1e12, 3),
    }


def device_name(device: str) -> str:
    """Return the name of the GPU, or of the processor."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def device_memory(device: str) -> int:
    """Return the memory of the GPU, or of the machine, in bytes."""
    if device == "cuda":
        return torch.cuda.get_device_properties(0).total_memory
    import psutil

    return psutil.virtual_memory().total


def installed(package: str) -> str | None:
    """Return the version of a package, or None without it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def commit(root: Path) -> str:
    """Return the short hash of the checkout, with * if files were changed; without git, as in a
    copy of the files alone, a hash of the code."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=*", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return f"unknown, code {code_hash(root)}"
    return found.stdout.strip()


def code_hash(root: Path) -> str:
    """Return a hash of all files of code and settings below the folders of `root`."""
    digest = hashlib.sha256()
    for folder in sorted(path for path in root.iterdir() if path.name not in NO_CODE):
        for path in sorted(folder.rglob("*")):
            if path.suffix in CODE:
                digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
