"""Publish, load back, train, push, `from_pretrained`: the commands and the real clients."""

import json
import subprocess
from pathlib import Path

import pytest
from figure_samples import figure_row, write_figures
from warm_python import warm_python


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def figures(tmp_path_factory) -> Path:
    return write_figures(tmp_path_factory.mktemp("loop") / "figures")


def cephalo(hub, home: Path, *arguments: str, user: str | None = "alice", **more):
    return subprocess.run(
        [warm_python(), "-m", "cephalo.cli.main", *arguments],
        env=hub.environment(home, user),
        capture_output=True,
        text=True,
        **more,
    )


@pytest.fixture(scope="module")
def published(hub, home, figures) -> str:
    process = cephalo(hub, home, "publish", str(figures), "alice/nacre")
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith(f"published {hub.endpoint}/datasets/alice/nacre at ")
    return process.stdout.split()[-1]


def test_published_dataset_streams_pil_images(hub, home, published):
    code = """
import json
from datasets import load_dataset
rows = load_dataset("alice/nacre", "conversations", split="train", streaming=True)
images = [(row["figures"][0]["image_sha256"], row["images"][0]) for row in rows]
found = [(sha, type(image).__name__, image.size) for sha, image in images]
figures = load_dataset("alice/nacre", "figures")
print(json.dumps([found, {split: list(figures[split]["image_sha256"]) for split in figures}]))
"""
    found, figures = json.loads(hub.run(code, home).splitlines()[-1])
    assert [entry[1:] for entry in found] == [["PngImageFile", [90, 60]]] * 4
    assert [sha for sha, *_ in found] == figures["train"]
    assert sorted(sha for shas in figures.values() for sha in shas) == sorted(
        figure_row(document, number + 1)["image_sha256"]
        for document in range(3)
        for number in range(4)
    )


def test_publishing_again_changes_nothing(hub, home, figures, published):
    process = cephalo(hub, home, "publish", str(figures), "alice/nacre")
    assert process.stdout.split()[-1] == published


def test_trained_model_is_pushed_and_the_code_of_its_card_runs(hub, home, published, tmp_path):
    arguments = ["--config", "tiny.yaml", "--max_steps", "5", "--dataset_name", "alice/nacre"]
    arguments += ["--push_to_hub", "--hub_model_id", "alice/tiny"]
    process = cephalo(hub, home, "train", *arguments, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1].startswith(f"pushed {hub.endpoint}/alice/tiny at ")
    code = """
import re
from huggingface_hub import HfApi, ModelCard
api, card = HfApi(), ModelCard.load("alice/tiny")
print(sorted(api.list_repo_files("alice/tiny")))
print(card.data.datasets, card.data.pipeline_tag, api.model_info("alice/tiny").tags)
assert "`PUBLISHED`" in card.text
[block] = re.findall(r"```python\\n(.*?)```", card.text, re.S)
exec(block)
""".replace("PUBLISHED", published)
    files, data, *answer = hub.run(code, home, user=None).splitlines()
    assert json.loads(files.replace("'", '"')) == [
        ".gitattributes",
        "README.md",
        "card.json",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "loss.png",
        "model.safetensors",
        "processor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert data.startswith("['alice/nacre'] image-text-to-text")
    assert any(answer)


@pytest.mark.parametrize(
    ("name", "user", "message"),
    [
        ("nacre", "alice", "'nacre' is not NAMESPACE/NAME"),
        ("alice/nacre", None, "no Hub token; run `hf auth login`"),
        ("bob/nacre", "alice", "this token may not write to bob/nacre"),
    ],
)
def test_refused_publishing_is_one_line_and_pushes_nothing(hub, home, figures, name, user, message):
    process = cephalo(hub, home, "publish", str(figures), name, user=user)
    assert process.returncode == 1
    last = process.stderr.splitlines()[-1]
    assert last.startswith("cephalo: error: ") and message in last
    assert "Traceback" not in process.stderr


def test_closed_figures_are_published_privately_or_when_told_to(hub, home, tmp_path):
    closed = str(write_figures(tmp_path / "closed", license=None))
    refused = cephalo(hub, home, "publish", closed, "alice/closed")
    assert refused.returncode == 1 and "12 of 12 rows of figures have no known" in refused.stderr
    for number, flag in enumerate(("--private", "--allow-unknown-license")):
        name = f"alice/closed-{number}"
        assert cephalo(hub, home, "publish", closed, name, flag).returncode == 0
        code = f"""
from huggingface_hub import HfApi
for token in (None, False):
    print(HfApi(token=token).repo_exists({name!r}, repo_type="dataset"))
"""
        assert hub.run(code, home).split() == ["True", str(flag != "--private")]


def test_training_on_a_dataset_that_is_not_there_is_one_line(hub, home, tmp_path):
    arguments = ["--config", "tiny.yaml", "--dataset_name", "alice/none"]
    process = cephalo(hub, home, "train", *arguments, cwd=tmp_path)
    assert process.returncode == 1
    assert "no folder and no dataset alice/none on http://127.0.0.1:" in process.stderr
    assert "Traceback" not in process.stderr
    assert list(tmp_path.iterdir()) == []
