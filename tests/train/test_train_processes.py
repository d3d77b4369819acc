"""Two processes train as one does, and share a stream without loss or repetition."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
import trainer_samples
import yaml
from datasets import Dataset
from figure_samples import write_figures
from safetensors.torch import load_file
from trainer_samples import as_rows
from training_samples import talk
from transformers import AutoModelForImageTextToText
from warm_python import warm_python

from cephalo.dataset_scripts.publication.dataset_folder import build_dataset
from cephalo.train.sft import CONFIGS
from modeling_cephalo.tiny import make_tiny_idefics2

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}


def in_two_processes(*words: str) -> None:
    """Run Python with `words` as two processes that talk through gloo, as torchrun starts them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    both = [
        subprocess.Popen(
            [warm_python(), *words],
            env=ENVIRONMENT | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        for process in both:
            errors = process.communicate(timeout=300)[1]
            assert process.returncode == 0, errors[-3000:]
    finally:
        for process in both:
            process.kill()


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> list[str]:
    """A run of four steps of four rows: images and text, so that a process may have text alone."""
    root = tmp_path_factory.mktemp("made")
    dataset = build_dataset([write_figures(root / "figures")], "lab/nacre")
    text = Dataset.from_dict(
        {"query": list("abcd"), "answer": ["one", "two", "three " * 9, "four"]}
    )
    text.to_parquet(root / "text" / "train.parquet")
    make_tiny_idefics2(root / "base", ["Stress and strain of specimen 1 in tension."] * 20)
    words = ["train", "--config", "tiny.yaml", "--dataset_name", str(dataset)]
    words += ["--text_dataset_name", str(root / "text"), "--text_share", "0.5"]
    words += ["--tiny_base", "false", "--model_name_or_path", str(root / "base")]
    return [*words, "--max_steps", "4", "--logging_steps", "1", "--save_steps", "4"]


def losses(out: Path) -> list[float]:
    state = json.loads((out / "checkpoint-4" / "trainer_state.json").read_text())
    return [entry["loss"] for entry in state["log_history"] if "loss" in entry]


def test_two_processes_train_as_one(words, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    command = [warm_python(), "-m", "cephalo.cli.main", *words]
    command += ["--per_device_train_batch_size", "4", "--output_dir", str(one)]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True)
    # With a limit the processes have different numbers of sequences.
    more = ("--per_device_train_batch_size", "2", "--batch_tokens", "70", "--output_dir", str(two))
    in_two_processes("-m", "cephalo.cli.main", *words, *more)
    assert losses(one) == pytest.approx(losses(two), abs=2e-4)
    first, second = (load_file(out / "model.safetensors") for out in (one, two))
    assert first.keys() == second.keys()
    apart = {name: (first[name] - second[name]).abs().max().item() for name in first}
    assert max(apart.values()) < 2e-4, max(apart, key=apart.get)
    _, loading = AutoModelForImageTextToText.from_pretrained(
        two / "checkpoint-4", output_loading_info=True
    )
    assert not any(loading.values())


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from datasets import load_dataset
from trainer_samples import make_stream_trainer
root = Path(sys.argv[2])
rows = load_dataset("parquet", data_files=str(root / "rows.parquet"), split="train", streaming=True)
trainer = make_stream_trainer(root / "base", root / "out", rows, batch=2)
batches = iter(trainer.get_train_dataloader())
names = [name for _ in range(4) for one in next(batches)["sequences"] for name in one["rows"]]
(root / f"names-{trainer.args.process_index}").write_text("\\n".join(names))
"""


def test_a_stream_is_split_without_loss_or_repetition(tmp_path):
    make_tiny_idefics2(tmp_path / "base", ["An answer of a row."] * 20)
    as_rows([talk([f"Answer {number}"]) for number in range(10)]).to_parquet(
        tmp_path / "rows.parquet"
    )
    (tmp_path / "script.py").write_text(SCRIPT)
    folder = str(Path(trainer_samples.__file__).parent)
    in_two_processes(str(tmp_path / "script.py"), folder, str(tmp_path))
    mine, theirs = ((tmp_path / f"names-{rank}").read_text().splitlines() for rank in (0, 1))
    # Five rows each; the sixth is the first again.
    assert len(mine) == len(theirs) == 8
    assert sorted(mine[:5] + theirs[:5]) == [f"lab/nacre train[{number}]" for number in range(10)]
    assert mine[5:] == mine[:3] and theirs[5:] == theirs[:3]


def test_configs_of_accelerate_are_shipped_and_read():
    from accelerate.commands.config.config_args import load_config_from_file

    folder = CONFIGS.with_name("accelerate_configs")
    assert {path.name for path in folder.glob("*.yaml")} == {"fsdp2.yaml", "zero3.yaml"}
    for path in folder.glob("*.yaml"):
        kept = yaml.safe_load(path.read_text())
        config = load_config_from_file(str(path))
        assert config.distributed_type.value == kept["distributed_type"]
        assert config.num_processes == 8
    slurm = CONFIGS.with_name("slurm.sh")
    subprocess.run(["bash", "-n", str(slurm)], check=True)
