"""Figures, conversations and text from the Hub: loaded in every way, trained on as they are."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from figure_samples import figure_row, write_figures
from warm_python import kill, warm_python

from cephalo.dataset_scripts.common.conversations import conversation
from cephalo.dataset_scripts.common.schema import CONVERSATIONS, TEXT
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset

DOCUMENTS = 3


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    """A folder as extraction leaves it, with text, and one as refinement does."""
    root = tmp_path_factory.mktemp("made")
    figures = write_figures(root / "figures", documents=DOCUMENTS)
    for folder, features, rows in (
        (figures / "text", TEXT, [passage(document) for document in range(DOCUMENTS)]),
        (root / "conv" / "conversations", CONVERSATIONS, list(asked())),
    ):
        folder.mkdir(parents=True)
        table = pa.Table.from_pylist(rows, schema=features.arrow_schema)
        pq.write_table(table, folder / "rows.parquet")
    return [figures, root / "conv"]


def passage(document: int) -> dict:
    figure = figure_row(document, 1)
    first, rest = (f"The {part} of paper {document} tells of its {part}." for part in ("a", "b"))
    return {name: figure[name] for name in TEXT if name in figure} | {
        "images": [],
        "prompt": [{"role": "user", "content": [{"type": "text", "text": first}]}],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": rest}]}],
        "text": f"{first} {rest}",
    }


def asked():
    """Of each document a conversation about one figure, one of two turns, one of two figures."""
    for document in range(DOCUMENTS):
        one, two = figure_row(document, 1), figure_row(document, 2)
        turns = [("What is seen?", f"Paper {document}."), ("And why?", "For its strength.")]
        for figures, count in (([one], 1), ([two], 2), ([one, two], 1)):
            yield conversation(
                figures, turns[:count], teacher="a model", task="talk", task_version="2"
            )


def cephalo(hub, home: Path, *arguments: str, **more) -> subprocess.CompletedProcess:
    environment = hub.environment(home)
    command = [warm_python(), "-m", "cephalo.cli.main", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, **more)


@pytest.fixture(scope="module")
def published(hub, home, folders) -> str:
    done = cephalo(hub, home, "publish", *map(str, folders), "alice/all")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def test_every_config_loads_whole_streamed_and_by_columns(hub, home, published):
    code = """
import json
from datasets import load_dataset
columns = {"figures": "caption", "conversations": "answer", "text": "text"}
found = {}
for config, column in columns.items():
    plain = load_dataset("alice/all", config)
    stream = load_dataset("alice/all", config, split="train", streaming=True)
    few = load_dataset("alice/all", config, split="train", streaming=True, columns=[column])
    assert [row[column] for row in stream] == plain["train"][column]
    assert list(few) == [{column: value} for value in plain["train"][column]]
    found[config] = {split: len(rows) for split, rows in plain.items()}
sizes = [[image.size for image in row["images"]]
         for row in load_dataset("alice/all", "conversations", split="train")]
print(json.dumps([found, sizes]))
"""
    found, sizes = json.loads(hub.run(code, home).splitlines()[-1])
    each = {"train": 1, "validation": 1, "test": 1}
    assert found == {
        "figures": {split: 4 for split in each},
        "conversations": {split: 3 for split in each},
        "text": each,
    }
    assert sizes == [[[90, 60]], [[90, 60]], [[90, 60], [90, 60]]]


def test_publishing_again_changes_nothing(hub, home, folders, published):
    done = cephalo(hub, home, "publish", *map(str, folders), "alice/all")
    assert done.stdout.split()[-1] == published
    code = """
from huggingface_hub import HfApi
print(len(HfApi().list_repo_commits("alice/all", repo_type="dataset")))
"""
    assert hub.run(code, home).split()[-1] == "2"  # the repository's first, and ours


def test_images_of_a_hub_dataset_are_kept_out(hub, home, published, tmp_path):
    made = str(write_figures(tmp_path / "made", documents=DOCUMENTS + 2))
    exclude = ["--exclude", "alice/all:figures@main"]
    done = cephalo(hub, home, "publish", made, "alice/rest", *exclude)
    assert done.returncode == 0, done.stderr
    assert "left out 12 rows of figures: shows an image of an excluded dataset" in done.stderr
    code = """
from datasets import load_dataset
print(sorted({name for rows in load_dataset("alice/rest", "figures").values()
              for name in rows["document"]}))
"""
    assert hub.run(code, home).splitlines()[-1] == "['paper-3.pdf', 'paper-4.pdf']"
    done = cephalo(hub, home, "publish", made, "alice/rest", "--exclude", "alice/nothing")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "--exclude alice/nothing cannot be loaded" in done.stderr.splitlines()[-1]


def test_trl_trains_on_conversations_and_text_with_no_code_between(hub, home, published, tmp_path):
    arguments = ["--config", "tiny.yaml", "--max_steps", "2", "--dataset_name", "alice/all"]
    arguments += ["--text_dataset_name", "alice/all", "--text_dataset_config", "text"]
    arguments += ["--text_share", "0.3", "--model_name_or_path", "base", "--output_dir", "out"]
    done = cephalo(hub, home, "train", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    code = """
import sys
from datasets import concatenate_datasets, load_dataset
from trl import SFTConfig, SFTTrainer
columns = ["images", "prompt", "completion"]
parts = [load_dataset("alice/all", config, split="train", columns=columns)
         for config in ("conversations", "text")]
settings = SFTConfig(sys.argv[1] + "/trl", max_steps=2, per_device_train_batch_size=2,
                     max_length=None, bf16=False, use_cpu=True, report_to="none", logging_steps=1)
trainer = SFTTrainer(sys.argv[1] + "/out", settings, train_dataset=concatenate_datasets(parts))
print(trainer.train().metrics["train_loss"])
"""
    assert float(hub.run(code, home, str(tmp_path)).split()[-1]) > 0


def test_killed_publishing_is_made_good_by_running_it_again(hub, home, folders, tmp_path):
    made = write_figures(tmp_path / "made", documents=12, figures=20)
    command = [warm_python(), "-m", "cephalo.cli.main", "publish", str(made), "alice/killed"]
    process = subprocess.Popen(
        command, env=hub.environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (made / "dataset.partial").exists() and process.poll() is None:
        time.sleep(0.002)
    kill(process)
    assert process.returncode == -signal.SIGKILL
    assert not (made / "dataset").exists()
    assert cephalo(hub, home, "publish", str(made), "alice/killed").returncode == 0
    assert not (made / "dataset.partial").exists()
    whole = build_dataset([write_figures(tmp_path / "b", documents=12, figures=20)], "alice/killed")
    assert contents(made / "dataset") == contents(whole)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}
