"""Long runs survive: a kill, a loss that is no number, a full disk, a lost hub."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from faulty_hub import Fault, faulty_hub
from figure_samples import write_figures
from huggingface_hub import HfApi
from moe_samples import make_dense
from safetensors.torch import load_file
from trainer_samples import as_rows, make_trainer
from training_samples import mixed_talks
from transformers import AutoModelForImageTextToText
from warm_python import kill, warm_python

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset
from cephalo.model_cards import upload
from cephalo.train.finished import last_whole_checkpoint
from cephalo.train.pushing import BRANCH, CheckpointPusher


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    made = write_figures(tmp_path_factory.mktemp("made") / "figures", documents=3)
    return build_dataset([made], "lab/nacre")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return make_dense(tmp_path_factory.mktemp("base"), "idefics2", seed=0)


def command(folder: Path, dataset: Path, *more: str) -> list[str]:
    words = ["train", "--config", "tiny.yaml", "--dataset_name", str(dataset)]
    words += ["--model_name_or_path", str(folder / "base"), "--output_dir", str(folder / "out")]
    return [*words, *more]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "out" / "model.safetensors")


def same(first: Path, second: Path) -> bool:
    one, two = weights(first), weights(second)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def run_and_kill(words: list[str], checkpoint: Path) -> None:
    """Start a run and kill -9 it, and its workers, once `checkpoint` is whole and training has
    gone on."""
    process = subprocess.Popen(
        [warm_python(), "-m", "cephalo.cli.main", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not (checkpoint / "trainer_state.json").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        kill(process)


def test_killed_run_goes_on_and_ends_with_the_same_weights(tmp_path, dataset):
    """With every switch that holds a state: packed batches, stored features, a worker."""
    more = ("--max_steps", "60", "--save_steps", "10", "--per_device_train_batch_size", "3")
    more += ("--batch_tokens", "150", "--dataloader_num_workers", "1")
    more += ("--dataloader_persistent_workers",)
    more += ("--freeze_parts", "vision", "connector", "--feature_cache_gb", "0.1")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    main(command(whole, dataset, *more))
    run_and_kill(command(killed, dataset, *more), killed / "out" / "checkpoint-20")
    assert not (killed / "out" / "model.safetensors").exists()
    main(command(killed, dataset, *more))
    assert same(whole, killed)
    assert list((killed / "out" / "features").rglob("*.safetensors"))
    cards = [(folder / "out" / "README.md").read_text() for folder in (whole, killed)]
    assert cards[0] == cards[1]


def test_full_disk_costs_no_checkpoint(tmp_path, dataset):
    more = ("--max_steps", "6", "--save_steps", "2", "--save_total_limit", "2")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    main(command(whole, dataset, *more))
    # Writing to /dev/full is writing to a disk without room.
    full = stopped / "out" / "checkpoint-4" / "optimizer.pt"
    full.parent.mkdir(parents=True)
    full.symlink_to("/dev/full")
    with pytest.raises(SystemExit, match=r"full; free disk space, .* resumes .*\(one takes 0.0"):
        main(command(stopped, dataset, *more))
    assert last_whole_checkpoint(str(stopped / "out")) == str(stopped / "out" / "checkpoint-2")
    shutil.rmtree(full.parent)
    main(command(stopped, dataset, *more))
    assert same(whole, stopped)


def test_a_loss_that_is_no_number_stops_with_its_rows(base, tmp_path):
    model = AutoModelForImageTextToText.from_pretrained(base)
    trainer = make_trainer(model, base, tmp_path, as_rows(mixed_talks()), collator={"max_tiles": 1})
    with torch.no_grad():
        model.model.connector.modality_projection.down_proj.weight.fill_(float("nan"))
    before = model.lm_head.weight.clone()
    with pytest.raises(CephaloError, match=r"the loss is nan in step 1, .*train\[[013]\]"):
        trainer.train()
    assert torch.equal(model.lm_head.weight, before)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(upload.time, "sleep", lambda seconds: None)
    with faulty_hub(tmp_path / "hub") as hub:
        yield hub


def train_and_push(hub, base: Path, out: Path) -> HfApi:
    """Four steps with a checkpoint each, pushed in the background."""
    api = HfApi(endpoint=hub.endpoint, token="hf_alice")
    model = AutoModelForImageTextToText.from_pretrained(base)
    rows = as_rows(mixed_talks())
    saving = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 1, "max_steps": 4}
    trainer = make_trainer(model, base, out, rows, **saving)
    pusher = CheckpointPusher(
        api, SimpleNamespace(hub_model_id="alice/run", hub_private_repo=None, output_dir=out)
    )
    trainer.add_callback(pusher)
    trainer.train()
    pusher.finish()
    assert last_whole_checkpoint(str(out)) == str(out / "checkpoint-4")
    assert not list(out.glob(".push-*"))
    return api


def test_checkpoints_are_pushed_beside_the_training(hub, base, tmp_path):
    api = train_and_push(hub, base, tmp_path / "out")
    files = set(api.list_repo_files("alice/run", revision=BRANCH))
    assert {"model.safetensors", "optimizer.pt", "trainer_state.json", "rng_state.pth"} < files
    assert "training_args.bin" not in files
    assert "model.safetensors" not in api.list_repo_files("alice/run")


def test_a_failed_push_is_told_and_made_again(hub, base, tmp_path, caplog):
    hub.faults.append(Fault("POST", "/commit/", 403))
    api = train_and_push(hub, base, tmp_path / "out")
    said = caplog.text
    assert "could not push checkpoint-1, training continues: this token may not write" in said
    assert "optimizer.pt" in api.list_repo_files("alice/run", revision=BRANCH)
    state = api.hf_hub_download("alice/run", "trainer_state.json", revision=BRANCH)
    assert json.loads(Path(state).read_text())["global_step"] == 4  # though others were skipped


def test_a_lost_hub_costs_no_checkpoint(hub, base, tmp_path, caplog):
    hub.faults.append(Fault("POST", "/", None, times=10_000, served=False))
    train_and_push(hub, base, tmp_path / "out")
    assert "could not push checkpoint-" in caplog.text
