"""Every model of the series, at scale `check` and, by its own script, at scale `tiny`."""

import importlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from transformers.utils import is_torchvision_available
from warm_python import warm_python

from cephalo.cli.errors import CephaloError
from cephalo.inference import local
from cephalo.series import tiny_bases
from cephalo.series.check import check, real_config
from cephalo.series.duration import duration, flop_per_token
from cephalo.series.estimate import estimate, gates_estimate
from cephalo.series.published import smolvlm
from cephalo.series.table import LATER, Row, find_row, markdown_tables, read_series, train_settings
from cephalo.series.tiny import noise, question_rows, run_tiny
from cephalo.train.freezing import part_of
from modeling_cephalo.published import on_meta

ROOT = Path(__file__).parents[2]
ROWS = read_series()
SCRIPTS = {row.script: row for row in ROWS}  # alpha and beta of the 10b are one run
# Scripts that run in slow tests alone, with those beside them that take all of their way.
ALIKE = {
    "idefics2-8b-alpha.sh": "idefics2-8b-beta.sh",
    "phi3-4b-alpha.sh": "phi3-4b-beta.sh",
    "idefics2-12b-alpha.sh": "idefics2-10b.sh",
    "moe-3x4b.sh": "moe-3x8b.sh",
}
OF_LATER = "smolvlm-2b.sh"  # the one of the later bases whose script runs in every run of the tests


def test_table_is_that_of_the_readme():
    assert len(ROWS) == len({row.name for row in ROWS}) >= 10
    assert sum(row.of_paper for row in ROWS) == 10 and all(row.of_paper for row in ROWS[:10])
    assert markdown_tables() in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_real_configuration_has_the_published_shape(row):
    assert check(row) == {
        "layers": row.layers,
        "parameters": row.parameters,
        "trains": row.trains,
    }


def test_wrong_count_is_named():
    row = ROWS[0].model_copy(update={"parameters": 7})
    with pytest.raises(CephaloError, match="parameters is 4,146,621,440, not 7"):
        check(row)


def test_models_are_found_with_and_without_the_prefix_in_any_case():
    assert find_row("Idefics-2-vision-8b-beta") == find_row("Cephalo-Idefics-2-vision-8b-beta")
    assert find_row("qwen3-vl-8b").name == "Cephalo-Qwen3-VL-8b"
    with pytest.raises(CephaloError, match="no model GPT in the series; choose from: Cephalo-Phi"):
        find_row("GPT")


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_names_its_config_and_wants_its_inputs(script):
    row = SCRIPTS[script]
    made_by = f"--config {row.config} " if row.config else f"cephalo moe {row.script_path.stem}.yml"
    assert made_by in row.script_path.read_text(encoding="utf-8")
    environment = {"PATH": os.environ["PATH"]}
    process = subprocess.run(
        ["bash", row.script_path], env=environment, capture_output=True, text=True
    )
    wanted = "set DATASET to a dataset" if row.config else "set NAMESPACE to where"
    assert process.returncode == 1 and wanted in process.stderr


def test_duration_is_that_of_the_operations_and_stands_in_the_scripts():
    tuned, stacked = find_row("Idefics-2-vision-8b-beta"), find_row("Idefics-2-vision-10b-beta")
    assert flop_per_token(tuned) == 6 * 8_402_768_112
    assert flop_per_token(stacked) == 2 * 10_147_664_112 + 6 * 8 * 218_112_000
    # 50.4e15 operations at 93.6e12 a second are 539 seconds.
    assert duration(tuned).startswith("About 9 minutes per million tokens and epoch (epochs: 2) ")
    for script, row in SCRIPTS.items():
        if row.config:
            text = row.script_path.read_text(encoding="utf-8").replace("\n# ", " ")
            assert duration(row) in text, script


def scripts(mixtures: bool) -> list[Any]:
    """The scripts that make mixtures, or those that train; most of the later bases are slow."""
    found = [row for row in SCRIPTS.values() if (row.experts > 1) == mixtures]
    return [
        pytest.param(
            row.script,
            marks=()
            if row.script == OF_LATER or (row.of_paper and row.script not in ALIKE)
            else pytest.mark.slow,
        )
        for row in found
    ]


@pytest.mark.parametrize(("slow", "quick"), ALIKE.items())
def test_what_runs_in_slow_tests_alone_goes_another_scripts_way(slow, quick):
    """The same commands with the same options, and settings of the same names and kinds."""
    rows = [SCRIPTS[slow], SCRIPTS[quick]]
    texts = [row.script_path.read_text(encoding="utf-8") for row in rows]
    commands = [re.findall(r"^[^#\n]*?\bcephalo (\w+)", text, re.M) for text in texts]
    options = [set(re.findall(r" --[\w-]+", text)) for text in texts]
    assert commands[0] == commands[1] and options[0] <= options[1]
    if rows[0].config:
        one, other = (
            yaml.safe_load((ROOT / "train" / "configs" / row.config).read_text()) for row in rows
        )
        assert one.keys() <= other.keys()
        assert one.keys() ^ other.keys() <= {"text_dataset_name", "text_share"}
        assert {type(value) for value in one.values()} <= {type(value) for value in other.values()}
        differ = {name for name in one if one[name] != other[name]}
        assert differ <= {
            *("output_dir", "model_name_or_path", "train_last_layers", "num_train_epochs"),
        }


def test_estimate_of_layers_trained_in_full():
    row = find_row("Idefics-2-vision-10b-beta")
    settings = train_settings(row)
    found = estimate(on_meta(real_config(row)), settings)
    assert found.weights == 2 * row.parameters and found.adapters == 0
    assert found.gradients == 2 * row.trains
    # Two states in 8 bits, each block of 256 with a scale in 32; norms are small and many.
    assert found.states == pytest.approx(2 * row.trains * (1 + 4 / 256), rel=1e-5)
    # Inputs of 8 layers of 4,096 tokens, in 16 bits, are the least that is kept.
    kept = 8 * 4096 * 4096 * 2
    assert kept < found.activations < 8 * kept
    # 2 for each weight of a matrix and token; the head sees 1,024 answers alone.
    tokens, layer = 4096, 218_103_808
    head, attention = 2 * 32003 * 4096 * 1024, 4 * 512 * 4096 * tokens
    assert found.forward == 40 * (2 * layer * tokens + attention) + head
    # Backward, gradients of weights and of inputs, and each layer again but for its last matrix,
    # whose output no gradient needs; of the head, the gradient of its input.
    last = 14336 * 4096
    assert found.backward == 8 * (2 * (3 * layer - last) * tokens + 3 * attention) + head
    assert found.peak == pytest.approx(30.2e9, abs=1e8)
    without = estimate(on_meta(real_config(row)), settings | {"activation_checkpointing": False})
    assert without.activations > 4 * found.activations
    assert without.backward == found.backward - 8 * (2 * (layer - last) * tokens + attention)


def test_estimate_of_4_bit_weights_under_adapters():
    """Of a small model: linear layers but the head in 4 bits, all else in 16."""
    settings = {
        **train_settings(find_row("SmolVLM-2b")),
        "load_in_4bit": True,
        "use_bnb_nested_quant": True,
    }
    found = estimate(on_meta(smolvlm("256m")), settings)
    linear = sum(
        module.weight.numel()
        for name, module in on_meta(smolvlm("256m")).named_modules()
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name
    )
    bits = 4 + 8 / 64 + 32 / (64 * 256)
    assert found.weights == pytest.approx(2 * (256_484_928 - linear) + linear * bits / 8)
    assert (
        found.gradients
        == found.adapters
        == 2 * 30 * 8 * (2 * (576 + 576) + 2 * (576 + 192) + 3 * (576 + 1536))
    )
    assert "\n".join(found.lines(settings)).startswith(
        "Memory at the peak of a sequence of 4,096 tokens, 1,024 of them answers:\n"
        "  weights in 4-bit"
    )


def test_estimate_of_training_gates():
    row = find_row("Idefics2-vision-3x8b-beta")
    said = gates_estimate(on_meta(real_config(row)))
    assert said.startswith(
        "Memory to train the gates: 40.9 GB, of which weights in bfloat16 take 39.4"
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a model, of one file or several."""
    return {
        name: t for path in folder.glob("model*.safetensors") for name, t in load_file(path).items()
    }


def answer_of(folder: Path) -> str:
    """What the model of a folder says of the first row of the data."""
    row = question_rows()[0] | {"image": Image.open(io.BytesIO(noise(0)["bytes"]))}
    return local.load(str(folder)).ask(row["query"], [row["image"]], max_new_tokens=12)


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name].to(after[name]), after[name])}


def run_quickly(row: Row, folder: Path) -> dict[str, Any]:
    """`run_tiny`, whose processes are forks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.executable", warm_python())
        return run_tiny(row, folder)


@pytest.mark.parametrize("script", scripts(mixtures=True))
def test_mixtures_at_tiny_scale(script, tmp_path):
    row = SCRIPTS[script]
    found = run_quickly(row, tmp_path)
    layers = 2
    assert found["layers"] == layers
    assert found["answer"] == answer_of(tmp_path / "runs" / row.script_path.stem)
    merged = weights(tmp_path / "runs" / row.script_path.stem)
    assert found["parameters"] == sum(tensor.numel() for tensor in merged.values())
    gates = {name: tensor for name, tensor in merged.items() if ".mlp.gate." in name}
    assert len(gates) == 2 * layers and all(tensor.any() for tensor in gates.values())
    assert all(tensor.dtype == torch.float32 for tensor in gates.values())
    # Every expert is its own source, layer by layer.
    sources = [weights(tmp_path / "bases" / name.replace("/", "--")) for name in row.starts_from]
    for layer in range(layers):
        [down] = [t for n, t in merged.items() if f".layers.{layer}.mlp.experts.down_proj" in n]
        for expert, source in enumerate(sources):
            [own] = [
                t
                for n, t in source.items()
                if f".layers.{layer}.mlp.down_proj" in n and part_of(n) == "text"
            ]
            assert torch.equal(down[expert], own.bfloat16())


# Runs a module as `python -m` does where torchvision has no build, which Qwen3-VL's processor wants
# for videos: `family_samples` takes its part for videos away.
WITHOUT_VIDEOS = """#!{python}
import runpy, sys
sys.path.insert(0, {samples!r})
import family_samples
words = {words} + sys.argv[1:]
sys.argv = words[words.index("-m") + 1 :]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def python_without_videos(folder: Path) -> str:
    """The path of a command to use in place of `sys.executable`; `cephalo` lies beside it."""
    importlib.import_module("family_samples")  # for this process
    folder.mkdir()
    for name, words in (("python", []), ("cephalo", ["-m", "cephalo.cli.main"])):
        samples = str(ROOT / "tests" / "samples")
        script = WITHOUT_VIDEOS.format(python=sys.executable, samples=samples, words=words)
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return str(folder / "python")


def test_a_processor_that_needs_torchvision_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(tiny_bases, "is_torchvision_available", lambda: False)
    with pytest.raises(CephaloError, match=r"Qwen3-VL needs torchvision.*run: pip install torchv"):
        run_tiny(find_row("Qwen3-VL-4b"), tmp_path)


@pytest.mark.parametrize("script", scripts(mixtures=False))
def test_all_stages_at_tiny_scale(script, tmp_path, monkeypatch):
    row = SCRIPTS[script]
    if row.family == "qwen3_vl" and not is_torchvision_available():
        monkeypatch.setattr(tiny_bases, "qwen3_vl_videos", lambda: None)
        monkeypatch.setattr("sys.executable", python_without_videos(tmp_path / "bin"))
        found = run_tiny(row, tmp_path)
    else:
        found = run_quickly(row, tmp_path)
    tiny_layers = row.layers if row.stacked else 2
    assert found["layers"] == tiny_layers
    settings = yaml.safe_load((ROOT / "train" / "configs" / row.config).read_text())
    assert found["answer"] == answer_of(tmp_path / settings["output_dir"])
    after = weights(tmp_path / settings["output_dir"])
    assert found["parameters"] == sum(tensor.numel() for tensor in after.values())
    if settings.get("use_peft"):
        before = weights(tmp_path / "bases" / row.base.replace("/", "--"))
        [target] = settings["lora_target_modules"]
        # Some families are saved under other names than the model's own, up to the layers.
        within = re.compile(rf"layers{target.split('layers')[-1]}\.weight$")
        targets = {n for n in after if part_of(n) == "text" and within.search(n)}
        assert len(targets) == tiny_layers * (2 if row.family == "phi3_v" else 7)
    else:
        before = weights(tmp_path / settings["model_name_or_path"])
        new = range(row.layers - settings["train_last_layers"], row.layers)
        targets = {
            name
            for name in after
            if part_of(name) == "text" and any(f".layers.{layer}." in name for layer in new)
        }
        assert len(targets) == 9 * len(new)
        assert_stacked(before, row, tmp_path / "bases", len(new))
    assert moved(before, after) == targets


def assert_stacked(merged: dict[str, torch.Tensor], row: Row, bases: Path, added: int) -> None:
    """Layer by layer: first all of the first source, then the last of the second."""
    first, second = (weights(bases / name.replace("/", "--")) for name in row.starts_from)
    name = "model.text_model.layers.{}.self_attn.q_proj.weight".format
    depth = row.layers - added
    for layer in range(depth):
        assert torch.equal(merged[name(layer)], first[name(layer)].bfloat16())
    for layer in range(depth, row.layers):
        assert torch.equal(merged[name(layer)], second[name(layer - added)].bfloat16())
    assert name(row.layers) not in merged
    assert not torch.equal(first[name(depth - 1)], second[name(depth - 1)])


def test_command_shows_table_check_and_script(tmp_path):
    def cephalo(*arguments: str) -> subprocess.CompletedProcess:
        command = [warm_python(), "-m", "cephalo.cli.main", "series", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    table = cephalo().stdout.splitlines()
    assert max(map(len, table)) <= 80 and table.pop(1 + 10) == LATER
    assert len(table) == 1 + len(ROWS)
    for line, row in zip(table[1:], ROWS, strict=True):
        name, layers = line.split()[:2]
        assert f"Cephalo-{name}" == row.name and int(layers) == row.layers
        assert line.split()[-1] == row.script
    name = "Idefics-2-vision-10b-beta"
    assert cephalo(name, "--scale", "full").stdout == find_row(name).script_path.read_text()
    checked = cephalo(name, "--scale", "check").stdout
    assert "trains 1,744,896,000\nMemory at the peak of a sequence of 4,096 tokens" in checked
    assert "\nAbout 5 minutes per million tokens" in checked
    refused = cephalo("--scale", "check")
    assert refused.returncode == 1 and not refused.stdout
    assert refused.stderr == "cephalo: error: --scale check needs the NAME of a model\n"
    refused = cephalo(name)
    assert refused.returncode == 1 and "--scale tiny, check or full" in refused.stderr
