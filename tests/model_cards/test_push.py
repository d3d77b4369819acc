"""`cephalo push`: what goes to the Hub and what never does, and cards whose code runs there."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from faulty_hub import faulty_hub
from figure_samples import write_figures
from huggingface_hub import HfApi, ModelCard, hf_hub_download
from safetensors.numpy import save_file

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset
from cephalo.model_cards import push
from cephalo.model_cards.model_card import read_facts, write_card
from cephalo.model_cards.push import add_to_collection, push_model
from cephalo.train.arguments import parse_arguments
from cephalo.train.sft import find_config, run_training
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

NUMBERS = itertools.count()
TEXTS = ["What is shown in this image? Nacre in rows.", "What is the stress of steel?"] * 4

# --- cards of every kind, pushed by the command, pulled and run

RUN = """
import re, sys
from huggingface_hub import ModelCard
for name in sys.argv[1:]:
    [block] = re.findall(r"```python\\n(.*?)```", ModelCard.load(name).text, re.S)
    print(name)
    if "import modeling_cephalo" in block:
        del sys.modules["modeling_cephalo"]
    else:
        sys.modules["modeling_cephalo"] = None  # cannot be imported
    exec(block, {})
"""


def train(folder: Path, *arguments: str) -> Path:
    tiny = find_config("tiny.yaml")
    arguments = (*arguments, "--output_dir", str(folder))
    run_training(*parse_arguments(tiny, list(arguments)))
    return folder


def test_code_of_every_kind_of_card_runs_against_the_pushed_model(
    hub, tmp_path_factory, monkeypatch, capsys
):
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("kinds")
    alice = HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])
    monkeypatch.setattr(push, "hub_api", lambda token: alice)
    dataset = str(build_dataset([write_figures(folder / "figures")], "lab/nacre"))
    trained = train(
        folder / "trained",
        *("--model_name_or_path", str(folder / "base"), "--dataset_name", dataset),
        *("--max_steps", "2"),
    )
    asked = ("--dataset", dataset, "--config", "conversations", "--task", "answer_match")
    asked += ("--max-new-tokens", "4", "--out", str(trained / "eval"))
    main(["eval", str(trained), *asked])
    main(["push", str(trained), "alice/trained", "--collection", "Tiny models"])
    # Its base is the folder above, which was pushed under a name.
    adapter = train(
        folder / "adapter",
        *("--model_name_or_path", str(trained), "--dataset_name", dataset, "--max_steps", "2"),
        *("--tiny_base", "false", "--use_peft", "--lora_r", "2"),
        *("--lora_target_modules", ".*text_model.*q_proj"),
    )
    phi = [folder / "phi-0", folder / "phi-1"]
    for seed, one in enumerate(phi):
        make_tiny_phi3_v(one, TEXTS, seed)
    layers = [
        {"sources": [{"model": str(one), "layer_range": [first, 2]}]}
        for first, one in enumerate(phi)
    ]
    stack = {"merge_method": "passthrough", "dtype": "float32", "slices": layers}
    experts = [
        {"source_model": str(one), "positive_prompts": [text]}
        for one, text in zip(phi, TEXTS, strict=False)
    ]
    mix = {"base_model": str(phi[0]), "dtype": "float32", "experts": experts}
    mix["gates"] = {"steps": 3}
    for command, recipe in (("merge", stack), ("moe", mix)):
        (folder / f"{command}.yml").write_text(yaml.safe_dump(recipe))
        main([command, str(folder / f"{command}.yml"), "--out", str(folder / f"{command}d")])
    kinds = [trained, adapter, folder / "moed", folder / "merged"]
    names = [f"alice/{one.name}" for one in kinds]
    for one, name in zip(kinds[1:], names[1:], strict=True):
        main(["push", str(one), name, "--collection", "Tiny models"])
    answers = hub.run(RUN, home, *names, user=None).splitlines()
    assert [line for line in answers if line in names] == names

    api = HfApi(endpoint=hub.endpoint, token=hub.tokens["bob"])
    slug = capsys.readouterr().out.splitlines()[-1].partition("/collections/")[2]
    assert [item.item_id for item in api.get_collection(slug).items] == names
    for name in names:
        held = set(api.list_repo_files(name))
        assert {"README.md", "card.json", "tokenizer.json", "chat_template.jinja"} < held
        assert not {one for one in held if "checkpoint" in one or "training_args" in one}
        assert len(api.list_repo_commits(name)) == 2
        for file in held - {"tokenizer.json"}:
            local = hf_hub_download(name, file, endpoint=hub.endpoint, local_dir=home / name)
            assert str(folder).encode() not in Path(local).read_bytes(), (name, file)
    got = json.loads((home / "alice/adapter/adapter_config.json").read_text())
    assert got["base_model_name_or_path"] == "alice/trained"
    text = ModelCard.load(home / "alice/trained/README.md").text
    assert "| anls | " in text and "[eval/results.json](eval/results.json)" in text
    card = api.model_info("alice/adapter").card_data
    assert (card.base_model, card.base_model_relation) == (["alice/trained"], "adapter")
    assert "modeling_cephalo_moe.py" in api.list_repo_files("alice/moed")


def test_adapter_of_a_local_folder_is_refused_before_training(tmp_path):
    more = ("--model_name_or_path", str(tmp_path), "--tiny_base", "false", "--use_peft")
    more += ("--push_to_hub", "--hub_model_id", "alice/adapter", "--dataset_name", "none")
    with pytest.raises(CephaloError, match=f"an adapter of the local folder {tmp_path}; push that"):
        train(tmp_path / "out", *more)
    assert list(tmp_path.iterdir()) == []


# --- what goes and what stays


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    with faulty_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def api(faulty) -> HfApi:
    faulty.faults, faulty.log[:] = [], []
    return HfApi(endpoint=faulty.endpoint, token="hf_alice")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model in the middle of all that training leaves beside it."""
    folder = tmp_path / f"model-{next(NUMBERS)}"
    (folder / "checkpoint-5").mkdir(parents=True)
    save_file({"a": np.ones((4, 5))}, folder / "model.safetensors")
    for name, text in {
        "config.json": '{"model_type": "idefics2", "_name_or_path": "/home/me/runs/base"}',
        "tokenizer.json": '{"model": {"vocab": {"/a/b": 1}}, "merges": ["/usr/lib"]}',
        "tokenizer_config.json": json.dumps({"name_or_path": str(folder), "unk_token": "<unk>"}),
        "optimizer.pt": "state",
        "training_args.bin": "pickle",
        "run.json": '{"model": "/home/me/runs/base"}',
        "checkpoint-5/model.safetensors": "x",
        "checkpoint-5/config.json": "{}",
        "token": "hf_secret",
        ".env": "HF_TOKEN=hf_secret",
        "notes.txt": "mine",
    }.items():
        (folder / name).write_text(text)
    (folder / "config.json").rename(tmp_path / "0123")  # a link, as in the Hub's cache
    (folder / "config.json").symlink_to(tmp_path / "0123")
    write_card(folder, read_facts(folder))
    for name in ("eval/results.json", "eval/answers/settings.json", ".eval_results/cephalo-a.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


ALWAYS = {".gitattributes", "README.md", "card.json", "eval/results.json"}
ALWAYS |= {".eval_results/cephalo-a.yaml"}
MODEL = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


def as_adapter(folder: Path, base: str) -> None:
    (folder / "config.json").unlink()
    (folder / "card.json").unlink()
    text = json.dumps({"peft_type": "LORA", "base_model_name_or_path": base})
    (folder / "adapter_config.json").write_text(text)


def remote(api: HfApi, name: str, file: str, tmp_path: Path) -> dict:
    path = hf_hub_download(name, file, endpoint=api.endpoint, token=api.token, local_dir=tmp_path)
    return json.loads(Path(path).read_text())


def test_only_what_makes_the_model_goes_and_no_path(api, folder, tmp_path):
    name = f"alice/{folder.name}"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    sha = push_model(api, folder, name)
    assert set(api.list_repo_files(name)) == ALWAYS | MODEL
    assert remote(api, name, "config.json", tmp_path) == {"model_type": "idefics2"}
    assert remote(api, name, "tokenizer_config.json", tmp_path) == {"unk_token": "<unk>"}
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert push_model(api, folder, name) == sha
    assert len(api.list_repo_commits(name)) == 2


def test_weights_that_are_gone_here_go_there(api, folder):
    name = f"alice/{folder.name}"
    save_file({"b": np.ones(3)}, folder / "model-00001-of-00001.safetensors")
    push_model(api, folder, name)
    (folder / "model-00001-of-00001.safetensors").unlink()
    api.upload_file(path_or_fileobj=b"a", path_in_repo="theirs.md", repo_id=name)
    push_model(api, folder, name)
    assert set(api.list_repo_files(name)) == ALWAYS | MODEL | {"theirs.md"}


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("config.json", '{"a": {"b": ["/mnt/disk/data"]}}', "a local path, '/mnt/disk"),
        ("config.json", '{"a": "C:\\\\\\\\runs\\\\\\\\base"}', "a local path, 'C:"),
        ("config.json", '{"a": "file:///runs/base"}', "a local path, 'file:///"),
        ("README.md", "see HOME/x", "README.md contains a local path, '/"),
        ("config.json", '{"a": "hf_abcdefghijklmnopqrstuvwxyz0123456789"}', "like a Hub token"),
        ("code.py", "key = 'hf_abcdefghijklmnopqrstuvwxyz0123456789'", "like a Hub token"),
    ],
)
def test_paths_and_tokens_are_refused_before_anything_is_made(api, folder, file, text, message):
    (folder / file).write_text(text.replace("HOME", str(Path.home())))
    with pytest.raises(CephaloError, match=message) as caught:
        push_model(api, folder, f"alice/{folder.name}")
    assert "remove it, then push again" in str(caught.value)
    assert not api.repo_exists(f"alice/{folder.name}")


def test_base_of_an_adapter_has_to_be_on_the_hub(api, folder, tmp_path):
    name, base = f"alice/{folder.name}", f"alice/base-{folder.name}"
    as_adapter(folder, "/home/me/runs/base")
    with pytest.raises(CephaloError, match="the Hub id of its base is unknown, /home/me/runs/"):
        push_model(api, folder, name)
    with pytest.raises(CephaloError, match=f"no model {base} on .* push it first"):
        push_model(api, folder, name, base_model=base)
    assert not api.repo_exists(name)
    api.create_repo(base)
    push_model(api, folder, name, base_model=base)
    found = remote(api, name, "adapter_config.json", tmp_path)
    assert found == {"peft_type": "LORA", "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    push_model(api, folder, name)


def test_a_file_that_arrives_otherwise_is_told(api, folder, monkeypatch):
    def corrupted(*arguments, **more):
        found = remote_files(*arguments, **more)
        found["config.json"].blob_id = "0" * 40
        return found

    remote_files = push.remote_files
    monkeypatch.setattr(push, "remote_files", corrupted)
    with pytest.raises(CephaloError, match=f"config.json of alice/{folder.name} at .* differ"):
        push_model(api, folder, f"alice/{folder.name}")


def test_collections_are_filled_once(api, folder):
    name = f"alice/{folder.name}"
    push_model(api, folder, name, private=True)
    addresses = {add_to_collection(api, "Mine", name, private=True) for _ in range(2)}
    [address] = addresses
    found = api.get_collection(address.partition("/collections/")[2])
    assert found.private and [item.item_id for item in found.items] == [name]
    with pytest.raises(CephaloError, match="this token may not write to bob/x"):
        add_to_collection(api, "Mine", "bob/x", private=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none", "alice/x"], "none is not a folder"),
        ([".", "x"], "'x' is not NAMESPACE/NAME"),
        ([".", "alice/x", "--base-model", "runs"], "'runs' is not NAMESPACE/NAME"),
        ([".", "alice/x"], ". contains no config.json; give the folder of a saved model"),
    ],
)
def test_refused_pushes_are_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message):
        main(["push", *arguments, "--token", "hf_any"])
    assert list(tmp_path.iterdir()) == []
