"""Training stages: what is frozen stays, what is mixed in arrives, each epoch has its model."""

import json
import subprocess
from pathlib import Path

import pytest
import torch
from datasets import Dataset, Features, Image, Value
from figure_samples import figure_row, write_figures
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForImageTextToText
from warm_python import warm_python

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset
from cephalo.train.arguments import parse_arguments
from cephalo.train.freezing import PARTS, freeze, part_of, ranges, trained_parts
from cephalo.train.rows import mix, to_conversations
from cephalo.train.sft import find_config, run_training
from modeling_cephalo.tiny import make_tiny_idefics2
from modeling_cephalo.tiny_llava_next import make_tiny_llava_next
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

TINY = find_config("tiny.yaml")
TEXTS = ["Scanning electron micrograph of nacre."] * 20
MAKERS = {
    "idefics2": make_tiny_idefics2,
    "llava_next": make_tiny_llava_next,
    "phi3_v": make_tiny_phi3_v,
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return build_dataset([write_figures(tmp_path_factory.mktemp("made") / "figures")], "lab/nacre")


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    for family, make in MAKERS.items():
        make(root / family, TEXTS)
    return {family: root / family for family in MAKERS}


def moved(before: Path, after: Path) -> set[str]:
    """The names of the tensors that differ."""
    old, new = (load_file(folder / "model.safetensors") for folder in (before, after))
    assert old.keys() == new.keys()
    return {name for name in old if not torch.equal(old[name], new[name])}


def train(base: Path, out: Path, dataset: Path, *more: str) -> Path:
    overrides = ["--tiny_base", "false", "--model_name_or_path", str(base)]
    overrides += ["--dataset_name", str(dataset), "--output_dir", str(out), *more]
    run_training(*parse_arguments(TINY, overrides))
    return out


@pytest.mark.parametrize("family", MAKERS)
def test_every_part_of_every_family_is_found(family, bases):
    model = AutoModelForImageTextToText.from_pretrained(bases[family])
    parts = {name: part_of(name) for name, _ in model.named_parameters()}
    assert set(parts.values()) == set(PARTS)
    text = {name for name, part in parts.items() if part == "text"}
    assert all(".layers." in name or name.endswith("norm.weight") for name in text)
    assert [name for name in text if "vision" in name or "clip" in name] == []
    [head] = [name for name, part in parts.items() if part == "head"]
    assert head == "lm_head.weight"


@pytest.mark.parametrize("family", MAKERS)
def test_last_layers_train_alone(family, bases, dataset, tmp_path):
    out = train(
        bases[family], tmp_path / "out", dataset, "--max_steps", "2", "--train_last_layers", "1"
    )
    last = {name for name in load_file(out / "model.safetensors") if ".layers.1." in name}
    last = {name for name in last if part_of(name) == "text"}
    assert len(last) == {"idefics2": 9, "llava_next": 9, "phi3_v": 6}[family]
    assert moved(bases[family], out) == last


def test_frozen_parts_stay_and_all_else_moves(bases, dataset, tmp_path):
    more = ("--max_steps", "2", "--freeze_parts", "vision", "embeddings")
    out = train(bases["idefics2"], tmp_path / "out", dataset, *more)
    names = load_file(out / "model.safetensors")
    expected = {name for name in names if part_of(name) not in ("vision", "embeddings")}
    assert moved(bases["idefics2"], out) == expected


def test_merged_adapter_is_a_whole_model_that_differs_where_lora_was(bases, dataset, tmp_path):
    more = ("--max_steps", "2", "--use_peft", "--lora_r", "4", "--merge_adapter")
    more += ("--lora_target_modules", r".*text_model.*(q_proj|v_proj)")
    out = train(bases["idefics2"], tmp_path / "out", dataset, *more)
    assert moved(bases["idefics2"], out) == {
        f"model.text_model.layers.{layer}.self_attn.{name}_proj.weight"
        for layer in (0, 1)
        for name in "qv"
    }
    assert not (out / "adapter_model.safetensors").exists()
    adapter = load_file(out / "checkpoint-2" / "adapter_model.safetensors")
    key = "base_model.model.model.text_model.layers.0.self_attn.q_proj.lora_{}.weight"
    name = "model.text_model.layers.0.self_attn.q_proj.weight"
    before, after = (load_file(f / "model.safetensors")[name] for f in (bases["idefics2"], out))
    scale = json.loads((out / "checkpoint-2" / "adapter_config.json").read_text())["lora_alpha"] / 4
    update = scale * adapter[key.format("B")] @ adapter[key.format("A")]
    torch.testing.assert_close(after - before, update, atol=1e-6, rtol=1e-3)


def test_wrong_parts_and_layers_are_refused(bases):
    model = AutoModelForImageTextToText.from_pretrained(bases["idefics2"])
    with pytest.raises(CephaloError, match="no part eyes; choose from vision, connector"):
        freeze(model, ["eyes"], None)
    with pytest.raises(CephaloError, match="train_last_layers: 3; the decoder has 2 layers"):
        freeze(model, [], 3)
    freeze(model, list(PARTS), None)
    with pytest.raises(CephaloError, match="nothing trains"):
        trained_parts(model)


def test_a_head_that_is_the_embeddings_is_not_frozen_alone(bases):
    config = AutoConfig.from_pretrained(bases["idefics2"])
    config.tie_word_embeddings = config.get_text_config().tie_word_embeddings = True
    model = AutoModelForImageTextToText.from_config(config)
    with pytest.raises(CephaloError, match=r"the head of this model is its embeddings .*; freeze"):
        freeze(model, ["head"], None)
    assert all(parameter.requires_grad for parameter in model.parameters())
    freeze(model, ["embeddings"], None)
    assert not model.lm_head.weight.requires_grad


def test_line_of_trained_parts_counts(bases):
    model = AutoModelForImageTextToText.from_pretrained(bases["idefics2"])
    freeze(model, [], 1)
    count = sum(p.numel() for p in model.model.text_model.layers[1].parameters())
    total = sum(p.numel() for p in model.parameters())
    assert trained_parts(model) == (
        f"training {count:,} of {total:,} parameters: text {count:,} (layers 1)"
    )
    assert ranges({5, 0, 1, 2, 9, 10}) == "0-2, 5, 9-10"


def question_rows(count: int, image: bool) -> Dataset:
    """Rows in the columns of the original Cephalo datasets."""
    columns = {"query": Value("string"), "answer": Value("string")}
    rows = [{"query": f"question {n}", "answer": f"answer {n}"} for n in range(count)]
    if image:
        columns["image"] = Image()
        rows = [row | {"image": figure_row(0, n)["image"]} for n, row in enumerate(rows)]
    return Dataset.from_list(rows, features=Features(columns))


def test_rows_of_the_original_datasets_become_conversations():
    row = to_conversations(question_rows(2, image=True), "lab/wiki")[1]
    assert row["images"][0].size == (90, 60)
    lines = [{"type": "image", "text": None}, {"type": "text", "text": "question 1"}]
    assert row["prompt"] == [{"role": "user", "content": lines}]
    answer = [{"type": "text", "text": "answer 1"}]
    assert row["completion"] == [{"role": "assistant", "content": answer}]
    row = to_conversations(question_rows(2, image=False), "lab/text")[0]
    assert row["images"] == [] and row["prompt"][0]["content"] == [
        {"type": "text", "text": "question 0"}
    ]
    with pytest.raises(
        CephaloError, match="dataset lab/x has no column completion, images, prompt"
    ):
        to_conversations(Dataset.from_dict({"text": ["a"]}), "lab/x")


@pytest.mark.parametrize(("available", "wanted"), [(10, 6), (2, 6), (6, 6)])
def test_share_of_text_rows(available, wanted):
    rows = to_conversations(question_rows(14, image=True), "a")
    text = to_conversations(question_rows(available, image=False), "b")
    mixed = mix(rows, text, 0.3)  # 6 of 20
    without = [row for row in mixed if not row["images"]]
    assert (len(mixed), len(without)) == (20, wanted)
    asked = [row["prompt"][0]["content"][0]["text"] for row in without]
    counts = [asked.count(question) for question in set(asked)]
    assert len(counts) == min(available, 6) and max(counts) - min(counts) <= 1


def test_mixture_of_images_and_text_trains(bases, dataset, tmp_path):
    question_rows(5, image=False).to_parquet(tmp_path / "text" / "train.parquet")
    more = ("--max_steps", "2", "--text_dataset_name", str(tmp_path / "text"))
    out = train(bases["idefics2"], tmp_path / "out", dataset, *more, "--text_share", "0.5")
    assert "| rows | 8 |" in (out / "README.md").read_text()


def test_streams_of_images_and_text_train(bases, dataset, tmp_path):
    question_rows(5, image=False).to_parquet(tmp_path / "text" / "train.parquet")
    more = ("--max_steps", "4", "--dataset_streaming", "--text_share", "0.5")
    more += ("--text_dataset_name", str(tmp_path / "text"), "--batch_tokens", "60")
    out = train(bases["idefics2"], tmp_path / "out", dataset, *more)
    assert "| rows | a stream |" in (out / "README.md").read_text()
    assert len(moved(bases["idefics2"], out)) == len(load_file(out / "model.safetensors"))


def test_streams_mix_by_weight_until_the_images_end():
    rows = to_conversations(question_rows(40, image=True), "a").to_iterable_dataset()
    text = to_conversations(question_rows(3, image=False), "b").to_iterable_dataset()
    mixed = list(mix(rows, text, 0.5))
    with_image = [row for row in mixed if row["images"]]
    assert len(with_image) == 40 and 25 < len(mixed) - 40 < 60
    assert mixed == list(mix(rows, text, 0.5))


def test_text_share_and_its_dataset_go_together():
    with pytest.raises(CephaloError, match="text_share and text_dataset_name go together"):
        parse_arguments(TINY, ["--text_share", "0.5"])
    with pytest.raises(CephaloError, match=r"text_share 1.0: give a share from 0 to 0.95"):
        parse_arguments(TINY, ["--text_share", "1.0", "--text_dataset_name", "x"])


def test_every_epoch_is_pushed_as_a_repository_and_a_revision(hub, dataset, tmp_path):
    command = [warm_python(), "-m", "cephalo.cli.main", "train", "--config", "tiny.yaml"]
    command += ["--dataset_name", str(dataset), "--max_steps", "-1", "--num_train_epochs", "2"]
    command += ["--save_strategy", "epoch", "--save_total_limit", "5"]
    command += ["--push_to_hub", "--hub_model_id", "alice/deep"]
    command += ["--epoch_models", "alice/deep-alpha", "alice/deep-beta"]
    process = subprocess.run(
        command,
        cwd=tmp_path,
        env=hub.environment(tmp_path / "home"),
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    code = """
import hashlib, json
from huggingface_hub import HfApi, hf_hub_download
def weights(repo, revision="main"):
    path = hf_hub_download(repo, "model.safetensors", revision=revision)
    return hashlib.sha256(open(path, "rb").read()).hexdigest()
print(json.dumps([weights("alice/deep"), weights("alice/deep-alpha"), weights("alice/deep-beta"),
    weights("alice/deep", "epoch-1"), weights("alice/deep", "epoch-2")]))
print(sorted(HfApi().list_repo_files("alice/deep-alpha")))
print(open(hf_hub_download("alice/deep-alpha", "README.md")).read())
"""
    output = hub.run(code, tmp_path / "home").splitlines()
    final, alpha, beta, first, second = json.loads(output[0])
    assert final == beta == second and alpha == first and alpha != beta
    assert not {"optimizer.pt", "trainer_state.json", "training_args.bin"} & set(
        output[1].split("'")
    )
    assert "# deep-alpha" in output and "| steps | 1 |" in output
