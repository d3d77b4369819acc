"""Broken models are refused in one line by every command, and what is only unusual loads."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
import torch
from phi3_v_samples import TEXTS, picture
from safetensors.torch import load_file, save_file
from trainer_samples import as_rows
from training_samples import mixed_talks
from transformers import AutoProcessor

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.cli.weights import check_finite
from cephalo.eval.answers import check_settings
from cephalo.inference import local
from cephalo.merge_recipes.merge import run_merge
from cephalo.merge_recipes.moe import run_moe
from cephalo.merge_recipes.moe_recipe import MoeRecipe
from cephalo.merge_recipes.recipe import DepthRecipe
from cephalo.model_cards import push
from cephalo.train.arguments import parse_arguments
from cephalo.train.finished import keep_run, record_of
from cephalo.train.sft import find_config, run_training
from modeling_cephalo import checkpoint
from modeling_cephalo.checkpoint import check_model, check_weights, local_folder, told
from modeling_cephalo.tiny import make_tiny_idefics2
from modeling_cephalo.tiny_llava_next import make_tiny_llava_next
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

WEIGHTS = "model.safetensors"
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "nacre"
    make_tiny_idefics2(folder, TEXTS)
    return folder


@pytest.fixture
def model(good, tmp_path) -> Path:
    """A copy to break."""
    return shutil.copytree(good, tmp_path / "model")


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Change:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    return apply


def of_nan(tensors: dict[str, torch.Tensor]) -> None:
    tensors["lm_head.weight"][-1, -1] = torch.nan


def settings(file: str, **values: object) -> Change:
    def apply(folder: Path) -> None:
        stored = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(stored | values))

    return apply


def without(*patterns: str) -> Change:
    def apply(folder: Path) -> None:
        for path in [path for pattern in patterns for path in folder.glob(pattern)]:
            path.unlink()

    return apply


def text(file: str, content: str) -> Change:
    return lambda folder: (folder / file).write_text(content)


def of_another_model(folder: Path) -> None:
    words = [f"{number}: {number**3}" for number in range(3000)]
    make_tiny_idefics2(folder.with_name("other"), words)
    shutil.copy(folder.with_name("other") / "tokenizer.json", folder)


HEAD = "lm_head.weight"
BROKEN: dict[str, tuple[Change, str]] = {
    "NaN": (weights(of_nan), "model.safetensors contains NaN or infinity in lm_head.weight"),
    "a tensor gone": (weights(lambda own: own.pop(HEAD)), "missing keys .*: lm_head.weight"),
    "a tensor more": (
        weights(lambda own: own.update(more=torch.ones(2))),
        "unexpected keys .*: more",
    ),
    "another shape": (
        weights(lambda own: own.update({HEAD: torch.ones(3, 128)})),
        "mismatched keys .*: lm_head.weight",
    ),
    "cut short": (
        lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:9999]),
        "is not a complete safetensors file",
    ),
    "no weights": (without(WEIGHTS), r"it has no model\.safetensors"),
    "an index of elsewhere": (
        text("model.safetensors.index.json", '{"weight_map": {"a": "../good/nacre"}}'),
        r"it has no \.\./good",
    ),
    "a broken index": (text("model.safetensors.index.json", "[]"), "index.json is broken"),
    "no tokenizer": (without("tokenizer*"), r"has no tokenizer \(tokenizer\.json\)"),
    "a broken tokenizer": (text("tokenizer.json", "[]"), "cannot load the processor of"),
    "another tokenizer": (of_another_model, r"has [\d,]+ tokens and its weights \d+; it belongs"),
    "another image token": (settings("config.json", image_token_id=9), "an image is token 4 for"),
    "no processor": (without("*processor_config.json"), "has no image processor"),
    "no template": (without("chat_template.jinja"), "has no chat template"),
    "a hostile template": (
        text("chat_template.jinja", "{{ ''.__class__.__mro__ }}"),
        "cannot write a conversation: access to attribute '__class__'",
    ),
    "broken settings": (text("config.json", "{"), "config.json is not a valid JSON file"),
    "settings of no object": (text("config.json", "[]"), "not a JSON object"),
    "an unknown type": (settings("config.json", model_type="new"), "know no model_type 'new'"),
    "of a later transformers": (
        settings("config.json", model_type="new", transformers_version="99.1.0"),
        r"'new'; transformers 99\.1\.0 saved it, 5.* run: pip install 'transformers>=99\.1\.0'",
    ),
    "a version that is none": (
        settings("config.json", model_type="new", transformers_version="1; rm"),
        "know no model_type 'new'$",
    ),
    "a model of texts": (settings("config.json", model_type="llama"), "not a model for images"),
    "a part that is no object": (settings("config.json", text_config="x"), "its config.json: "),
    "broken answering settings": (
        text("generation_config.json", "{"),
        "generation_config.json is not a valid JSON file",
    ),
    "an end that is no token": (
        settings("generation_config.json", eos_token_id="a"),
        "cannot load .*model: its generation_config.json has eos_token_id 'a'",
    ),
    "a number as class": (settings("config.json", architectures=5), "names the class None"),
    "no class": (settings("config.json", architectures=None), "names the class None"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_model_is_refused_in_one_line(fault, model, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    change, message = BROKEN[fault]
    change(model)
    with pytest.raises(CephaloError, match=message) as refusal:
        check_model(model)
    assert "\n" not in str(refusal.value) and "model" in str(refusal.value)
    if "class" not in fault:  # nobody who asks a model needs its name
        with pytest.raises(CephaloError, match=message):
            local.load(model)
    assert "LOAD REPORT" not in caplog.text  # of transformers, many lines


def test_a_folder_has_no_revisions(good):
    assert local_folder(good, "main") == good
    with pytest.raises(CephaloError, match=r"nacre is a folder, without a revision v1; give none"):
        local.load(good, revision="v1")


@pytest.mark.parametrize(
    ("text", "told_of"),
    [
        ("\nA requires the Torchvision library but it was not\nfound.", "torchvision"),
        ("No module named 'timm'", "timm"),
    ],
)
def test_a_part_that_needs_another_package_names_it(text, told_of):
    line = f"cannot load model: it needs {told_of}; run: pip install {told_of}"
    with pytest.raises(CephaloError, match=f"(?i)^{line}$"), told("cannot load model"):
        raise ImportError(text)


def test_every_command_checks_the_models_that_it_is_given(good, model, tmp_path, monkeypatch):
    weights(of_nan)(model)
    for models in ((model, good), (good, model)):
        recipe = stacked(*models)
        with pytest.raises(CephaloError, match="NaN or infinity in lm_head"):
            run_merge("", DepthRecipe.model_validate(recipe), tmp_path / "out")
        experts = [{"source_model": str(one), "positive_prompts": ["a"]} for one in models]
        mixture = {"base_model": str(good), "dtype": "float32", "experts": experts}
        with pytest.raises(CephaloError, match="NaN or infinity in lm_head"):
            run_moe("", MoeRecipe.model_validate(mixture), tmp_path / "out")
    rows = as_rows(mixed_talks()).remove_columns("row")
    rows.to_parquet(str(tmp_path / "rows" / "train-0.parquet"))
    more = ("--dataset_name", str(tmp_path / "rows"), "--dataset_config", "default")
    more += ("--tiny_base", "false", "--output_dir", str(tmp_path / "out"))
    parsed = parse_arguments(find_config("tiny.yaml"), [*more, "--model_name_or_path", str(model)])
    with pytest.raises(CephaloError, match="NaN or infinity in lm_head"):
        run_training(*parsed)
    monkeypatch.setattr(push, "hub_api", lambda token: None)
    with pytest.raises(SystemExit, match="NaN or infinity in lm_head"):
        main(["push", str(model), "alice/nacre"])
    assert {path.name for path in tmp_path.rglob("*.safetensors")} == {WEIGHTS}


def stacked(first: Path, second: Path) -> dict[str, object]:
    parts = [{"sources": [{"model": str(one), "layer_range": [0, 2]}]} for one in (first, second)]
    return {"merge_method": "passthrough", "dtype": "float32", "slices": parts}


def test_only_the_first_source_of_a_merge_needs_a_processor(good, model, tmp_path):
    without("*processor_config.json", "tokenizer*")(model)
    with pytest.raises(CephaloError, match="has no tokenizer"):
        run_merge("", DepthRecipe.model_validate(stacked(model, good)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    run_merge("", DepthRecipe.model_validate(stacked(good, model)), tmp_path / "out")
    check_model(tmp_path / "out")


def test_code_of_others_does_not_come_along(tmp_path):
    """Phi-3-vision's code is of this package, whatever its source says."""
    make_tiny_phi3_v(tmp_path / "source", TEXTS)
    foreign = {"AutoConfig": "evil/code--configuration.Config", "AutoProcessor": "evil/code--p.P"}
    for file in ("config.json", "processor_config.json", "tokenizer_config.json"):
        settings(file, auto_map=foreign)(tmp_path / "source")
    settings("config.json", _attn_implementation="flash_attention_2")(tmp_path / "source")
    source = tmp_path / "source"
    (source / "modeling_phi3_v.py").write_text("raise SystemExit")
    run_merge("", DepthRecipe.model_validate(stacked(source, source)), tmp_path / "out")
    for path in (tmp_path / "out").glob("*.json"):
        assert "evil" not in path.read_text(), path.name
    stored = json.loads((tmp_path / "out/config.json").read_text())
    assert stored["auto_map"]["AutoConfig"] == "configuration_phi3_v.Phi3VConfig"
    assert stored["num_hidden_layers"] == 4 and "_attn_implementation" not in stored
    own = Path(checkpoint.__file__).with_name("modeling_phi3_v.py")
    assert (tmp_path / "out/modeling_phi3_v.py").read_text() == own.read_text()


@pytest.mark.parametrize(
    ("dtype", "finite", "wrong"),
    [
        ("F64", 1.7e308, torch.inf),
        ("F32", -3.4e38, torch.nan),
        ("F16", 65504.0, -torch.inf),
        ("BF16", 3.3e38, torch.nan),
        ("F8_E5M2", 57344.0, torch.inf),
        ("F8_E4M3", -448.0, torch.nan),
    ],
)
def test_the_last_of_many_values_is_seen(dtype, finite, wrong, tmp_path):
    """Two million values and one are read in more than one piece."""
    names = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    names |= {"F8_E5M2": "float8_e5m2", "F8_E4M3": "float8_e4m3fn"}
    values = torch.full((2**21 + 1,), finite, dtype=torch.float64)
    values = values.to(getattr(torch, names[dtype]))
    path = tmp_path / WEIGHTS
    save_file({"a": values, "b": torch.full((3,), -1)}, path)
    check_finite(path)
    values[-1] = wrong
    save_file({"a": values, "b": torch.full((3,), -1)}, path)
    with pytest.raises(CephaloError, match="contains NaN or infinity in a;"):
        check_finite(path)


def test_attention_that_is_not_here_is_left_to_transformers(model, tmp_path):
    """The published Phi-3-vision asks for FlashAttention."""
    settings("config.json", _attn_implementation="flash_attention_2")(model)
    check_weights(model)
    loaded = local.load(model)
    assert loaded.model.config._attn_implementation == "sdpa"
    loaded = local.load(model, attn_implementation="eager")
    assert loaded.model.config._attn_implementation == "eager"


def test_what_was_checked_is_what_loads(good, monkeypatch):
    """A branch of the Hub can move after its model was checked."""
    monkeypatch.setattr(checkpoint, "snapshot_download", lambda *_, **__: str(good))
    assert local.load("lab/nacre").model.name_or_path == str(good)


def test_llava_next_of_old_files_has_its_patch_size_from_the_settings(tmp_path):
    make_tiny_llava_next(tmp_path, TEXTS)
    question = ("What is shown?", picture(60, 50))
    expected = local.load(tmp_path).ask(*question, max_new_tokens=6)
    AutoProcessor.from_pretrained(tmp_path).image_processor.save_pretrained(tmp_path)
    (tmp_path / "processor_config.json").unlink()
    loaded = local.load(tmp_path)
    assert loaded.processor.patch_size == 14
    assert loaded.ask(*question, max_new_tokens=6) == expected


def test_a_run_that_failed_keeps_no_other_away(tmp_path):
    config = find_config("tiny.yaml")
    given = ["--dataset_name", "lab/nacre", "--model_name_or_path"]
    runs = [record_of(*parse_arguments(config, [*given, name])) for name in ("broken", "good")]
    for run in runs:
        keep_run(tmp_path, run)
    kept = tmp_path / "run.json"
    assert json.loads(kept.read_text())["model"] == "good"
    before = kept.stat()
    keep_run(tmp_path, runs[1])  # as each process of a run does
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CephaloError, match="contains a run with model good, this one has broken"):
        keep_run(tmp_path, runs[0])
    answers, kept = tmp_path / "answers.jsonl", tmp_path / "settings.json"
    for batch in (8, 4):
        check_settings(kept, {"batch_size": batch}, answers)
    answers.touch()
    with pytest.raises(CephaloError, match="has answers with another batch_size"):
        check_settings(kept, {"batch_size": 8}, answers)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (httpx2.ConnectError("refused"), "^http.* cannot be reached for a/b "),
        (json.JSONDecodeError("no JSON", "<", 0), "^http.* gave no valid answer for a/b"),
        (OSError(28, "No space left on device"), "^cannot load a/b: .*No space left on device"),
    ],
)
def test_a_hub_that_does_not_answer_is_told(fault, message, monkeypatch):
    def failing(*arguments: object, **options: object) -> None:
        raise fault

    monkeypatch.setattr(checkpoint, "snapshot_download", failing)
    with pytest.raises(CephaloError, match=message):
        local_folder("a/b")


@pytest.mark.parametrize(("epochs", "steps"), [("-1", "-1"), ("0", "0")])
def test_a_run_without_a_step_is_refused(epochs, steps):
    given = ["--num_train_epochs", epochs, "--max_steps", steps]
    with pytest.raises(CephaloError, match=f"max_steps {steps} train nothing; give one above 0"):
        parse_arguments(find_config("tiny.yaml"), given)
