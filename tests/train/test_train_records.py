"""A folder belongs to one run: another, with settings that change the model, is refused there."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from figure_samples import write_figures
from safetensors.torch import load_file

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset
from cephalo.train.arguments import parse_arguments
from cephalo.train.finished import differences, record_of
from cephalo.train.sft import find_config, run_training

TINY = find_config("tiny.yaml")
FIXED = ("--max_steps", "3", "--save_steps", "1", "--per_device_train_batch_size", "2")

REFUSED = [
    ("--learning_rate 0.1", "learning_rate 0.001, this one has 0.1"),
    ("--per_device_train_batch_size 4", "per_device_train_batch_size 2, this one has 4"),
    ("--gradient_accumulation_steps 2", "gradient_accumulation_steps 1, this one has 2"),
    ("--split_images true", "split_images null, this one has true"),
    ("--max_image_edge 40", "max_image_edge null, this one has 40"),
    ("--dtype bfloat16", "dtype float32, this one has bfloat16"),
    ("--optim sgd", "optim adamw_torch_fused, this one has sgd"),
    ("--use_peft", "use_peft false, this one has true"),
    ("--train_last_layers 1", "train_last_layers null, this one has 1"),
    ("--freeze_parts head", r'freeze_parts \[\], this one has \["head"\]'),
    ("--seed 7", "seed 0, this one has 7"),
    ("--lr_scheduler_type linear", "lr_scheduler_type cosine, this one has linear"),
    ("--weight_decay 0.1", "weight_decay 0.0, this one has 0.1"),
    ("--max_length 900", "max_length null, this one has 900"),
    ("--merge_adapter", "merge_adapter false, this one has true"),
    ("--dataloader_drop_last", "dataloader_drop_last false, this one has true"),
    ("--max_steps 2", "max_steps 3, this one has 2"),
    ("--max_steps 5", "max_steps 3, this one has 5"),
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return build_dataset([write_figures(tmp_path_factory.mktemp("made") / "figures")], "lab/nacre")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, dataset) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run(folder, dataset)
    return folder


@pytest.fixture
def interrupted(tmp_path, finished) -> Path:
    """As if killed in step 3."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    out = tmp_path / "out"
    for name in ("model.safetensors", "config.json", "README.md"):
        (out / name).unlink()
    shutil.rmtree(out / "checkpoint-3")
    change_record(out, lambda run: run.pop("finished"))
    return tmp_path


def run(folder: Path, dataset: Path, *more: str) -> None:
    words = ["--dataset_name", str(dataset), "--output_dir", str(folder / "out"), *FIXED]
    words += ["--model_name_or_path", str(folder.parent / "base"), *more]
    run_training(*parse_arguments(TINY, words))


def change_record(out: Path, change) -> None:
    record = json.loads((out / "run.json").read_text())
    change(record)
    (out / "run.json").write_text(json.dumps(record))


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def same_model(first: Path, second: Path) -> bool:
    one, two = (load_file(folder / "out" / "model.safetensors") for folder in (first, second))
    return all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_other_settings_are_refused_and_nothing_changes(words, message, finished, dataset):
    before = content(finished / "out")
    with pytest.raises(
        CephaloError, match=f"contains a run with {message}.*; give another --output_dir"
    ) as refused:
        run(finished, dataset, *words.split())
    old = message.partition(", this")[0].replace("\\", "")
    assert str(refused.value).endswith(f", or {old} as before")
    assert "\n" not in str(refused.value) and content(finished / "out") == before


def test_a_longer_run_says_how_to_train_further(finished, dataset):
    with pytest.raises(CephaloError, match=r"with --model_name_or_path .*out to train its model"):
        run(finished, dataset, "--max_steps", "5")


def test_what_cannot_affect_the_model_may_change(finished, dataset, capsys):
    before = content(finished / "out")
    words = "--logging_steps 7 --save_steps 2 --save_total_limit 4 --feature_cache_gb 0.1"
    words += " --dataloader_num_workers 1 --batch_tokens 90 --batch_tiles 9 --max_broken_rows 50"
    words += " --attn_implementation sdpa --per_device_train_batch_size 1"
    run(finished, dataset, *words.split(), "--gradient_accumulation_steps", "2")
    assert "is finished: trained before with these settings" in capsys.readouterr().out
    assert content(finished / "out") == before


@pytest.mark.parametrize(
    "words", ["--learning_rate 0.1", "--max_steps 9", "--optim sgd", "--train_last_layers 1"]
)
def test_an_interrupted_run_goes_on_with_its_own_settings_only(
    words, interrupted, finished, dataset
):
    before = content(interrupted / "out")
    base = ("--model_name_or_path", str(finished.parent / "base"))
    with pytest.raises(CephaloError, match=r"contains a run with .*, this one has "):
        run(interrupted, dataset, *base, *words.split())
    assert content(interrupted / "out") == before
    run(interrupted, dataset, *base)
    assert same_model(finished, interrupted)


def test_an_interrupted_run_goes_on_with_its_rows_in_other_batches(interrupted, finished, dataset):
    """As after memory did not suffice: two batches of one row are a step too."""
    more = ("--per_device_train_batch_size", "1", "--gradient_accumulation_steps", "2")
    run(interrupted, dataset, *more, "--model_name_or_path", str(finished.parent / "base"))
    one, two = (load_file(f / "out" / "model.safetensors") for f in (finished, interrupted))
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=3e-5, rtol=0)


def test_other_numbers_of_processes_change_the_steps_of_an_interrupted_run(dataset):
    words = ["--dataset_name", str(dataset), *FIXED]
    record = record_of(*parse_arguments(TINY, words))
    assert record["settings"]["processes"] == 1
    two = record | {"settings": record["settings"] | {"processes": 2}}
    half = record | {"settings": two["settings"] | {"per_device_train_batch_size": 1}}
    assert differences(two, record, finished=False) == [("processes", 2, 1)]
    assert differences(two, record, finished=True) == []
    assert differences(half, record, finished=False) == []


def test_records_of_earlier_versions(interrupted, finished, dataset, tmp_path, caplog):
    """Finished runs had their settings, interrupted ones only model and data."""
    old = tmp_path / "old"
    shutil.copytree(finished, old)
    base = ("--model_name_or_path", str(finished.parent / "base"))
    change_record(old / "out", lambda run: run.update(finished=run.pop("settings")))
    before = content(old / "out")
    with pytest.raises(CephaloError, match=r"learning_rate 0.001, this one has 0.1"):
        run(old, dataset, *base, "--learning_rate", "0.1")
    run(old, dataset, *base)
    assert content(old / "out") == before
    change_record(interrupted / "out", lambda run: run.pop("settings"))
    run(interrupted, dataset, *base)
    assert caplog.text.count("does not record the settings of its run") == 1
    with pytest.raises(CephaloError, match="contains a run with seed 0, this one has 7"):
        run(interrupted, dataset, *base, "--seed", "7")


def test_a_folder_without_a_record_is_not_continued(interrupted, finished, dataset):
    (interrupted / "out" / "run.json").unlink()
    before = content(interrupted / "out")
    with pytest.raises(CephaloError, match=r"checkpoints without the settings of their run"):
        run(interrupted, dataset, "--model_name_or_path", str(finished.parent / "base"))
    assert content(interrupted / "out") == before
