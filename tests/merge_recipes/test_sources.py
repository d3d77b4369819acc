"""What cannot be a source or a base is told by what it is: an adapter, quantized weights."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from figure_samples import write_figures
from safetensors.torch import load_file, save_file

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset
from cephalo.merge_recipes.sources import fetch
from modeling_cephalo.tiny import make_tiny_idefics2

MERGE = """merge_method: passthrough
slices:
- sources: [{{model: {base}, layer_range: [0, 2]}}]
- sources: [{{model: {other}, layer_range: [0, 2]}}]
dtype: float32
"""
MOE = """base_model: {base}
dtype: float32
experts:
- {{source_model: {base}, positive_prompts: [nacre]}}
- {{source_model: {other}, positive_prompts: [bone]}}
"""
ADAPTER = (
    r"{} is an adapter \(LoRA\) of lab/base, not a whole model; give lab/base, or train .*again"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "dense"
    make_tiny_idefics2(folder, ["Scanning electron micrograph of nacre."] * 20)
    return folder


def adapter(folder: Path) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "lab/base"}')
    save_file({"a": torch.zeros(2)}, folder / "adapter_model.safetensors")
    return folder


def quantized(base: Path, folder: Path, told: bool) -> Path:
    shutil.copytree(base, folder)
    tensors = load_file(folder / "model.safetensors")
    name = "model.text_model.layers.0.mlp.down_proj.weight"
    tensors[name] = tensors[name].to(torch.float8_e4m3fn)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    if told:
        config = json.loads((folder / "config.json").read_text())
        config["quantization_config"] = {"quant_method": "fp8"}
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def refusal(command: str, text: str, tmp_path: Path) -> str:
    (tmp_path / "recipe.yml").write_text(text)
    with pytest.raises(SystemExit) as stop:
        main([command, str(tmp_path / "recipe.yml"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
    return str(stop.value.code)


@pytest.mark.parametrize(("command", "recipe"), [("merge", MERGE), ("moe", MOE)])
def test_sources_are_whole_models_with_plain_weights(command, recipe, base, tmp_path):
    own, told = adapter(tmp_path / "lora"), quantized(base, tmp_path / "fp8", told=True)
    for order in ({"base": base, "other": own}, {"base": own, "other": base}):
        assert refusal(command, recipe.format(**order), tmp_path) == (
            "cephalo: error: lora is an adapter (LoRA) of lab/base, not a whole model; give "
            "lab/base, or train the adapter again with merge_adapter: true, which saves a whole "
            "model"
        )
    for order in ({"base": base, "other": told}, {"base": told, "other": base}):
        assert refusal(command, recipe.format(**order), tmp_path) == (
            "cephalo: error: fp8 is quantized (fp8), so its weights are codes that cannot be "
            "merged; give the model that was quantized, or save it dequantized, in bfloat16"
        )
    bare = quantized(base, tmp_path / "bare", told=False)
    said = refusal(command, recipe.format(base=base, other=bare), tmp_path)
    assert "of bare is F8_E4M3, as quantized weights are; only" in said


def test_a_method_may_be_in_the_settings_of_the_decoder(base, tmp_path):
    folder = quantized(base, tmp_path / "awq", told=False)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["quantization_config"] = {"quant_method": "awq"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CephaloError, match=r"awq is quantized \(awq\)"):
        fetch(str(folder))


def test_training_an_adapter_is_refused_by_name(tmp_path):
    dataset = build_dataset([write_figures(tmp_path / "figures")], "lab/nacre")
    own, out = adapter(tmp_path / "lora"), tmp_path / "out"
    command = ["train", "--config", "tiny.yaml", "--tiny_base", "false"]
    command += ["--dataset_name", str(dataset), "--output_dir", str(out)]
    with pytest.raises(SystemExit, match=ADAPTER.format(own)):
        main([*command, "--model_name_or_path", str(own)])
    assert not list(out.glob("checkpoint-*"))
