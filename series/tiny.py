"""Run a row at scale `tiny`: its own script, on newly created bases, against a hub on loopback."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Features, Image, Value
from huggingface_hub import HfApi
from PIL import Image as PILImage

from cephalo.cli.errors import CephaloError
from cephalo.hub.local import LocalHub, local_hub
from cephalo.model_cards.upload import push_folder
from cephalo.series.table import Row
from cephalo.series.tiny_bases import make_tiny
from modeling_cephalo.tiny import make_tiny_idefics2
from modeling_cephalo.tiny_llava_next import make_tiny_llava_next
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

USERS = [
    *("lamm-mit", "HuggingFaceM4", "microsoft", "llava-hf"),  # of the paper's bases
    *("Qwen", "google", "HuggingFaceTB"),
]
FIGURES = "lamm-mit/tiny-figures"
CORPUS = "lamm-mit/Cephalo-Bioinspired-Mechanics-Materials"
ROWS = 8

# Settings for two CPU cores instead of a GPU. Everything else is as at full scale.
CPU = {
    "use_cpu": "true",
    "bf16": "false",
    "dtype": "float32",
    "attn_implementation": "sdpa",
    "optim": "adamw_torch",
    "learning_rate": "1e-3",
    "warmup_steps": "0",
    "logging_steps": "1",
}

MAKERS = {
    "idefics2": make_tiny_idefics2,
    "llava_next": make_tiny_llava_next,
    "phi3_v": make_tiny_phi3_v,
}

MATERIALS = ["nacre", "bone", "silk", "wood", "chitin", "coral", "keratin", "enamel"]


def run_tiny(row: Row, folder: Path) -> dict[str, Any]:
    """Run all stages of `row` in `folder` on tiny bases; see `run_script`."""
    return run_script(row, folder, CPU, make_base)


def run_script(
    row: Row,
    folder: Path,
    settings: Mapping[str, Any],
    make_base: Callable[[Row, Path, int], None],
) -> dict[str, Any]:
    """Run all stages of `row` in `folder`, then ask the pushed model in a new process.

    Args:
        row: The model.
        folder: Folder for the Hub, bases, data and outputs.
        settings: Fields of the train config that replace those of the recipe.
        make_base: Writes a base of the row to a folder; the number makes bases different.

    Returns:
        The result of the last process: `layers`, `parameters` and `answer`.

    Raises:
        CephaloError: If a stage fails; its own error is on stderr then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with local_hub(folder / "hub", USERS) as hub:
        push_bases(row, folder / "bases", hub, make_base)
        push_data(folder / "data", hub)
        environment = hub.environment("lamm-mit", folder / "hf-home") | {
            "DATASET": FIGURES,
            "NAMESPACE": "lamm-mit",
            "OMP_NUM_THREADS": "1",  # tiny layers: threads would only wait for each other
            # the script calls the `cephalo` that runs here
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        flags = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        if row.config is None:
            flags = []
        run(["bash", str(row.script_path), *flags], folder, environment)
        ask = [sys.executable, "-m", "cephalo.series.ask", f"lamm-mit/{row.name}", FIGURES]
        return json.loads(run(ask, folder, environment).splitlines()[-1])


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a command with its output on stderr too; return what it printed."""
    process = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    sys.stderr.write(process.stdout)
    if process.returncode:
        raise CephaloError(f"{Path(command[1]).name} failed with exit code {process.returncode}")
    return process.stdout


def push_bases(
    row: Row, folder: Path, hub: LocalHub, make_base: Callable[[Row, Path, int], None]
) -> None:
    """Create the bases of `row`'s script and push them under the published names.

    Those of an earlier run are reused.
    """
    for seed, name in enumerate(row.starts_from):  # the seeds make them different
        base = folder / name.replace("/", "--")
        if not (base / "model.safetensors").exists():
            make_base(row, base, seed)
        files = sorted(path.name for path in base.iterdir() if path.suffix != ".py")
        push(hub, base, name, "model", files)


def make_base(row: Row, folder: Path, seed: int) -> None:
    """Create a tiny checkpoint of the family of `row`, as deep as the base if layers are
    stacked."""
    texts = [text for one in question_rows() for text in (one["query"], one["answer"])]
    if row.family not in MAKERS:
        make_tiny(row.family, folder, texts, seed, layers=24 if row.stacked else 2)
    elif row.stacked:
        make_tiny_idefics2(folder, texts, seed, layers=32)
    else:
        MAKERS[row.family](folder, texts, seed)


def push_data(folder: Path, hub: LocalHub) -> None:
    """Push image-text rows, as config `conversations`, and text-only rows of a few materials."""
    image_rows = [row | {"image": noise(number)} for number, row in enumerate(question_rows())]
    columns = {"query": Value("string"), "answer": Value("string")}
    for name, rows, features in (
        (FIGURES, image_rows, Features({**columns, "image": Image()})),
        (CORPUS, question_rows(), Features(columns)),
    ):
        config = "conversations" if name == FIGURES else "default"
        target = folder / name.replace("/", "--")
        target.mkdir(parents=True, exist_ok=True)
        Dataset.from_list(rows, features=features).to_parquet(target / f"{config}.parquet")
        (target / "README.md").write_text(
            "---\nlicense: cc0-1.0\n"
            f"configs:\n- config_name: {config}\n  data_files: {config}.parquet\n---\n"
        )
        push(hub, target, name, "dataset", ["README.md", f"{config}.parquet"])


def push(hub: LocalHub, folder: Path, name: str, repo_type: str, files: list[str]) -> None:
    """Push files of a folder as the user who owns the name."""
    api = HfApi(endpoint=hub.endpoint, token=hub.tokens[name.split("/")[0]])
    push_folder(api, folder, name, repo_type=repo_type, private=False, files=files)


def question_rows() -> list[dict[str, str]]:
    """Return a question and an answer for each material."""
    return [
        {"query": f"What makes {name} tough?", "answer": f"In {name} cracks turn at interfaces."}
        for name in MATERIALS[:ROWS]
    ]


def noise(seed: int) -> dict[str, Any]:
    """Return a PNG of 96 x 64 pixels of noise, undecoded."""
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 96, 3), np.uint8)
    png = io.BytesIO()
    PILImage.fromarray(pixels).save(png, "PNG")
    return {"bytes": png.getvalue(), "path": f"{seed}.png"}
