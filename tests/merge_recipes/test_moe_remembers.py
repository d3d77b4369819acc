"""A mixture of a family is built, trained and asked, each by its command."""

import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from family_samples import make_family
from safetensors.torch import load_file
from taught_talks import ANSWERS, PICTURES, QUESTIONS, talk_of
from test_moe_build_families import slow_but
from trainer_samples import as_rows
from warm_python import warm_python

from cephalo.cli.main import main

TEXTS = [*QUESTIONS, *ANSWERS] * 3
SETTINGS = {
    "tiny_base": "false",
    "max_steps": "100",
    "learning_rate": "4.0e-3",
    "per_device_train_batch_size": "2",
    "save_strategy": "no",
}


def as_data(folder: Path) -> Path:
    """The talk to remember, as a dataset folder."""
    folder.mkdir()
    messages = [
        *talk_of(1),
        {"role": "assistant", "content": [{"type": "text", "text": ANSWERS[1]}]},
    ]
    for message in messages:
        message["content"] = [
            {"type": part["type"], "text": part.get("text")} for part in message["content"]
        ]
    row = {"images": PICTURES, "prompt": messages[:1], "completion": messages[1:]}
    as_rows([row]).remove_columns("row").to_parquet(folder / "train.parquet")
    return folder


def cephalo(*words: object, typed: str = "") -> subprocess.CompletedProcess:
    """`cephalo`, in a process that knows of the parts of processors that are missing here."""
    run = [warm_python(("family_samples",)), "-m", "cephalo.cli.main", *map(str, words)]
    return subprocess.run(run, input=typed, capture_output=True, text=True)


@pytest.mark.parametrize("family", slow_but())
def test_a_mixture_is_trained_and_answers_in_chat(family, tmp_path):
    sources = [make_family(tmp_path / f"{family}-{seed}", family, TEXTS, seed) for seed in (0, 1)]
    experts = [
        {"source_model": str(source), "positive_prompts": [question]}
        for source, question in zip(sources, QUESTIONS, strict=True)
    ]
    recipe = {"base_model": str(sources[0]), "dtype": "float32", "experts": experts}
    (tmp_path / "r.yml").write_text(yaml.safe_dump(recipe))
    main(["moe", str(tmp_path / "r.yml"), "--out", str(tmp_path / "mixture")])

    places = {
        "model_name_or_path": tmp_path / "mixture",
        "dataset_name": as_data(tmp_path / "data"),
        "dataset_config": "default",
        "output_dir": tmp_path / "trained",
    }
    words = [word for name, value in (SETTINGS | places).items() for word in (f"--{name}", value)]
    run = cephalo("train", "--config", "tiny.yaml", *words)
    assert run.returncode == 0, run.stderr[-2000:]
    after = load_file(tmp_path / "trained" / "model.safetensors")
    before = {
        name: tensor
        for file in (tmp_path / "mixture").glob("*.safetensors")
        for name, tensor in load_file(file).items()
    }
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert any(".mlp.gate." in name for name in moved)
    assert any(".mlp.experts." in name for name in moved)

    for number, image in enumerate(PICTURES):
        image.save(tmp_path / f"{number}.png")
    typed = "".join(f"/image {tmp_path / f'{number}.png'}\n" for number in range(len(PICTURES)))
    typed += "".join(f"{question}\n" for question in QUESTIONS)
    found = cephalo("chat", tmp_path / "trained", typed=typed)
    assert (found.stdout.splitlines(), found.stderr) == (list(ANSWERS), "")
