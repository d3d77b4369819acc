"""Arguments that nothing can go with end in one line that names them."""

import errno
import os
from dataclasses import fields
from pathlib import Path

import pytest
from datasets import Dataset, Features, Image, List, Value
from transformers import GenerationConfig
from trl import ModelConfig, ScriptArguments, SFTConfig

from cephalo.apps.discuss.panel import read_panel
from cephalo.cli.errors import CephaloError
from cephalo.cli.keys import check_environment
from cephalo.cli.main import main, room
from cephalo.dataset_scripts.refinement.forms import QuestionAnswer
from cephalo.dataset_scripts.refinement.tasks import load_examples, read_prompt
from cephalo.eval.questions import check_pictures, check_plain
from cephalo.inference.endpoint import checked_address
from cephalo.inference.local import checked_device
from cephalo.merge_recipes.moe_recipe import read_moe_recipe
from cephalo.merge_recipes.recipe import read_recipe
from cephalo.model_cards.upload import hub_api
from cephalo.train.arguments import CephaloArguments, parse_arguments
from cephalo.train.help import GROUPS
from cephalo.train.sft import find_config
from cephalo.train.values import check_installed, make_savable


def parsed(*words: str):
    return parse_arguments(find_config("tiny.yaml"), ["--output_dir", "unused", *words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--learning_rate nan", "learning_rate nan: give a number above 0"),
        ("--learning_rate -0.1", "learning_rate -0.1: give a number above 0"),
        ("--per_device_train_batch_size 0", "per_device_train_batch_size 0: give a whole number"),
        ("--dataloader_num_workers -1", "dataloader_num_workers -1: give a number from 0"),
        ("--seed -1", "seed -1: give a whole number from 0 to 4294967295"),
        ("--seed 4294967296", "seed 4294967296: give a whole number from 0 to 4294967295"),
        ("--num_train_epochs nan", "num_train_epochs nan: give a number"),
        ("--lora_r 0", "lora_r 0: give a whole number from 1"),
        ("--adam_beta1 nan", "adam_beta1 nan: give a number from 0 to 0.9999"),
        ("--adam_beta2 1", "adam_beta2 1.0: give a number from 0 to 0.9999"),
        ("--adam_epsilon -1", "adam_epsilon -1.0: give a number from 0"),
        ("--warmup_steps nan", "warmup_steps nan: give a number from 0"),
        ("--label_smoothing_factor 5", "label_smoothing_factor 5.0: give a number from 0 to 0"),
        ("--neftune_noise_alpha -1", "neftune_noise_alpha -1.0: give a number from 0"),
        ("--dataloader_num_workers 100000", "dataloader_num_workers 100000: give a number from 0 "),
        ("--max_broken_rows -1", ".*tiny.yaml: max_broken_rows -1: give a number from 0"),
        ("--feature_cache_gb nan", ".*tiny.yaml: feature_cache_gb nan: give a number from 0"),
        ("--deepspeed none.json", ".*tiny.yaml: .*deepspeed"),
        (
            "--attn_implementation foo",
            "attn_implementation foo: give one of eager, .*flash_attention_2",
        ),
        ("--save_only_model true", "save_only_model: leave it out; a run could not resume"),
        ("--report_to foo", "report_to foo: give none, or some of azure_ml"),
    ],
)
def test_values_of_training(words, message):
    with pytest.raises(CephaloError, match=f"^{message}"):
        parsed(*words.split())


def test_a_run_without_a_model(tmp_path):
    config = tmp_path / "mine.yaml"
    text = "dataset_name: rows\noutput_dir: unused\nuse_cpu: true\nbf16: false\n"
    config.write_text(text, encoding="utf-8")
    with pytest.raises(CephaloError, match="no model; set model_name_or_path in the config"):
        parse_arguments(config, [])


def test_the_help_lists_shipped_configs_and_fields_that_there_are(capsys):
    main(["train", "--help"])
    said = capsys.readouterr().out
    assert "Shipped configs:\n    gemma3-4b-16gb.yaml\n" in said and "\n    tiny.yaml\n" in said
    assert "\n  What trains:\n    --freeze_parts " in said
    assert max(map(len, said.splitlines())) <= 96
    listed = {name for fields in GROUPS.values() for name in fields}
    own = {one.name for one in fields(CephaloArguments)}
    known = own | {one.name for kind in (SFTConfig, ModelConfig) for one in fields(kind)}
    assert listed <= known
    assert own - {one.name for one in fields(ScriptArguments)} <= listed


def test_what_is_not_installed_is_named_before_training():
    parsed("--seed", "4294967295", "--attn_implementation", "some/kernel", "--report_to", "none")
    for words, message in (
        (("--load_in_4bit",), r"^load_in_4bit needs bitsandb.* pip install 'cephalo\[quantize\]'"),
        (("--optim", "paged_adamw_8bit"), "optim paged_adamw_8bit needs bitsandbytes; run: pip"),
        (("--use_liger_kernel", "true"), "use_liger_kernel needs liger-kernel; run: pip install"),
        (("--report_to", "wandb"), "report_to wandb: it is not installed"),
        (("--attn_implementation", "flash_attention_2"), "needs flash-attn and a GPU"),
    ):
        _, *arguments = parsed(*words)
        with pytest.raises(CephaloError, match=message):
            check_installed(*arguments)


def test_binary_files_are_no_yaml(tmp_path):
    path = tmp_path / "bin.yml"
    path.write_bytes(bytes(range(256)))
    for read in (read_recipe, read_moe_recipe, lambda name: parse_arguments(path, [])):
        with pytest.raises(CephaloError, match=r"bin\.yml is not valid YAML"):
            read(str(path))


def test_keys_that_no_header_holds(capsys, monkeypatch):
    for key in ("hf_é", "hf_a\nb", "hf_a b"):
        with pytest.raises(CephaloError, match=r"^the Hub token has a character") as refused:
            hub_api(key)
        assert key not in str(refused.value)
        with pytest.raises(CephaloError, match=r"^HF_TOKEN has a character that keys cannot have"):
            check_environment({"HF_TOKEN": key})
    for address in ("http://127.0.0.1:99999", "http://a:0", "ftp://a", "huggingface.co"):
        with pytest.raises(CephaloError, match=f"^HF_ENDPOINT '{address}' is not an address; set"):
            check_environment({"HF_ENDPOINT": address})
    check_environment({"HF_TOKEN": "hf_abc", "HF_ENDPOINT": "http://127.0.0.1:8931"})
    monkeypatch.setenv("OPENAI_API_KEY", "sk-\u2026")
    with pytest.raises(SystemExit, match="cephalo: error: OPENAI_API_KEY has a character"):
        main(["extract", "--help"])


def test_addresses_and_devices_that_there_are_not():
    for port in (80, 65535):
        assert checked_address(f"http://a:{port}/v1/") == f"http://a:{port}/v1"
    for url in (
        "http://a:65536/v1",
        "http://a:99999/v1",
        "http://a:0/v1",
        "ftp://a/v1",
        "http:///v1",
    ):
        with pytest.raises(CephaloError, match="give one like http"):
            checked_address(url)
    wiki = ("extract", "--wikipedia", "A", "--contact", "a@b.c", "--out", "unused", "--wiki")
    for command in (("hub", "serve", "--root", "unused", "--upstream"), wiki):
        with pytest.raises(SystemExit, match=r"'http://127\.0\.0\.1:99999' is (not an?|no) "):
            main([*command, "http://127.0.0.1:99999"])
    assert not Path("unused").exists()
    assert checked_device("cpu") == "cpu"
    for device in ("cuda:99", "nonsense", "meta"):
        with pytest.raises(CephaloError, match=f"--device {device}: this machine has no such"):
            checked_device(device)


def test_answers_are_texts_or_numbers():
    features = Features({"a": List(Value("string")), "i": List(Image()), "b": Value("binary")})
    rows = Dataset.from_list([{"a": ["x"], "i": [], "b": b""}], features=features)
    check_plain(rows, "a", "--answer-column")
    for name in ("i", "b"):
        with pytest.raises(CephaloError, match=f"column {name} has neither .* --answer-column"):
            check_plain(rows, name, "--answer-column")


def test_images_are_images():
    plain = {"bytes": Value("binary"), "path": Value("string")}
    features = Features({"i": Image(), "l": List(Image()), "p": plain, "s": Value("string")})
    rows = Dataset.from_list([{"i": None, "l": [], "p": None, "s": "a.png"}], features=features)
    for name in ("i", "l", "p"):
        check_pictures(rows, name, "--image-column")
    with pytest.raises(CephaloError, match=r"^column s holds no images; name"):
        check_pictures(rows, "s", "--image-column")


def test_a_full_disk_says_where_and_how_much_is_left(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "deep" / "file"))
    assert f"; {tmp_path} has " in room(full) and "MB left: free disk space" in room(full)
    assert room(OSError(errno.EACCES, "no")) == room(CephaloError("x")) == ""


def test_sampling_settings_of_a_base_are_mended_or_refused_before_training():
    vicuna = GenerationConfig(temperature=0.9, top_p=0.6)
    make_savable(vicuna)
    assert (vicuna.do_sample, vicuna.temperature, vicuna.top_p) == (True, 0.9, 0.6)
    plain = GenerationConfig(max_length=20)
    make_savable(plain)
    assert not plain.do_sample
    with pytest.raises(CephaloError, match=r"generation_config\.json is invalid: .*pad_token_id"):
        make_savable(GenerationConfig(pad_token_id=-1))


SEEDED = (
    "refine x --out x",
    "plots x",
    "discuss x --question x --out x",
    "make-image x --goal x --model x --generator x --out x",
    "make-mesh propose x --goal x --model x --out x",
    "make-mesh generate --prompt x --generator x --out x",
)


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
@pytest.mark.parametrize("command", SEEDED)
def test_seeds_are_those_that_every_library_takes(command, seed):
    with pytest.raises(SystemExit, match="cephalo: error: Invalid value for '--seed'"):
        main([*command.split(), "--seed", seed])


@pytest.mark.parametrize(
    ("option", "most"),
    [("--timeout", 86400), ("--temperature", 100), ("--price-out", 1000000)],
)
def test_refine_takes_no_infinite_number(option, most):
    with pytest.raises(SystemExit, match=f"'{option}': .* less than or equal to {most}"):
        main(["refine", "unused", "--out", "unused", option, "inf"])


def test_extract_asks_for_a_contact_before_it_reads_files(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    out = tmp_path / "out"
    with pytest.raises(SystemExit, match="give --contact"):
        main(["extract", str(tmp_path), "--wikipedia", "Nacre", "--out", str(out)])
    assert not out.exists()


HOSTILE_YAML = {
    "lists": ("[" * 5000, "nested too deeply"),
    "maps": ("{a: " * 3000 + "1" + "}" * 3000, "nested too deeply"),
    "date": ("2024-13-45", "month must be in 1..12"),
    "integer": ("9" * 5000, "Exceeds the limit"),
}


@pytest.mark.parametrize("kind", HOSTILE_YAML)
def test_yaml_that_python_cannot_hold_is_refused_by_every_reader(kind, tmp_path):
    value, message = HOSTILE_YAML[kind]
    file = tmp_path / "given.yaml"
    file.write_text(f"seed: {value}\n")
    (tmp_path / "asked.md").write_text(f"---\nseed: {value}\n---\nAsk.\n")
    (tmp_path / "asked.examples.yaml").write_text(f"seed: {value}\n")
    for read in (
        lambda: read_recipe(str(file)),
        lambda: read_moe_recipe(str(file)),
        lambda: parse_arguments(file, ["--output_dir", "unused"]),
        lambda: read_panel(file),
        lambda: read_prompt("asked", tmp_path),
        lambda: load_examples("asked", QuestionAnswer, tmp_path),
    ):
        with pytest.raises(CephaloError, match=rf"(given|asked)\S* .*{message}"):
            read()
