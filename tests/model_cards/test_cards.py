"""`cephalo card`: what it tells of a folder, whose numbers it shows, what the Hub gets of them."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard, constants, parse_eval_result_entries
from safetensors.numpy import save_file

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.eval.results import shown_names
from cephalo.model_cards import evaluation
from cephalo.model_cards.model_card import (
    Gates,
    Merge,
    MergeSource,
    ModelFacts,
    Training,
    read_facts,
    write_card,
)
from cephalo.model_cards.model_folder import (
    count_parameters,
    hub_id,
    model_sha256,
    pushed_files,
)
from cephalo.train.report import cached_commit

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% for part in message['content'] %}"
    "{{ '<image>' if part['type'] == 'image' else part['text'] }}{% endfor %}{% endfor %}"
)
TRAINING = Training(
    base_revision="abcdef0",
    dataset="lab/figures",
    dataset_config="conversations",
    dataset_revision="0123456",
    rows=12,
    steps=30,
    trained_parameters=6,
    trained="text 6 (layers 0-1)",
    train_loss=1.5,
    eval_loss=None,
    settings={"learning_rate": 0.001},
    hardware="2 x NVIDIA H200",
    versions={"torch": "2.13.0"},
)
MERGE = Merge(
    "merge_method: passthrough\n", [MergeSource("lab/a", "abc", {"a.safetensors": "ff"})], 40
)


def saved_model(folder: Path, **config: object) -> Path:
    """What a saved model leaves, with 30 parameters."""
    folder.mkdir()
    save_file({"a": np.ones((4, 5)), "b": np.ones((10,))}, folder / "model.safetensors")
    config = {"model_type": "idefics2", **config}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text('{"bos_token": {"content": "<s>"}}')
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    return saved_model(tmp_path / "nacre")


def card_of(folder: Path, facts: ModelFacts | None = None) -> ModelCard:
    write_card(folder, facts or read_facts(folder))
    return ModelCard.load(folder / "README.md")


def trained(folder: Path, **changes: object) -> ModelFacts:
    facts = replace(read_facts(folder), relation="finetune", base_models=["lab/base"])
    return replace(facts, training=TRAINING, **changes)


def measured(name: str, value: float) -> dict:
    return {name: {"value": value, "low": value - 0.1, "high": value + 0.1}}


def put_results(folder: Path, place: str = "eval", *models: dict, **dataset: object) -> Path:
    """A results.json as `cephalo eval` writes it, of the model in `folder` if of no other."""
    source = {"dataset": "lab/plates", "config": "conversations", "split": "test"}
    source |= {"revision": "f" * 40, "where": "task=stress", **dataset}
    own = {"model": folder.name, "revision": model_sha256(folder)}
    numbers = {
        "n": 250,
        "unreadable_questions": 0,
        "measures": measured("r2/mean", 0.9) | measured("mae/mean", 0.2),
        "groups": {"holes": {"n": 9, "measures": measured("r2/mean", 0.7)}},
    }
    results = {
        "task": "vector_regression",
        "dataset": source,
        "models": [numbers | one for one in models or [own]],
    }
    path = folder / place / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results))
    return path


def refused(*arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what a card tells


def test_card_of_a_folder_that_nothing_is_known_of(folder, capsys):
    main(["card", str(folder)])
    assert capsys.readouterr().out.strip() == str(folder / "README.md")
    card = ModelCard.load(folder / "README.md")
    assert "30 parameters" in card.text and 'name = "nacre"' in card.text
    assert "```text\n<s><image>What is shown in this image?\n```" in card.text
    assert "## Training" not in card.text and "## Recipe" not in card.text
    assert (card.data.license, card.data.library_name) == ("apache-2.0", "transformers")
    again = (folder / "README.md").read_bytes(), (folder / "card.json").read_bytes()
    main(["card", str(folder)])
    assert again == ((folder / "README.md").read_bytes(), (folder / "card.json").read_bytes())


def test_card_of_a_trained_model_tells_the_run(folder):
    card = card_of(folder, trained(folder))
    for text in (
        "| base | `lab/base`, revision `abcdef0` |",
        "| dataset | `lab/figures`, config `conversations`, revision `0123456` |",
        "| parameters trained | 6 of 30 |",
        "| of which | text 6 (layers 0-1) |",
        "| hardware | 2 x NVIDIA H200 |",
        "| training loss, last logged | 1.5000 |",
        "learning_rate: 0.001\n",
        "Libraries: torch 2.13.0.",
        "@article{buehler2024cephalo,",
    ):
        assert text in card.text
    assert "loss on the validation split" not in card.text and "loss.png" not in card.text
    assert card.data.base_model == ["lab/base"] and card.data.datasets == ["lab/figures"]
    assert card.data.base_model_relation == "finetune" and "sft" in card.data.tags


def test_card_of_a_model_trained_on_a_local_merge_names_its_sources(folder):
    training = replace(TRAINING, base_revision=None, base_folder="deeper")
    facts = replace(trained(folder), base_models=["lab/a", "lab/b"], training=training)
    card = card_of(folder, facts)
    row = "| base | the local folder `deeper`, made from `lab/a`, `lab/b` |"
    assert row in card.text and card.data.base_model == ["lab/a", "lab/b"]


def test_card_of_an_adapter_names_its_library(folder):
    card = card_of(folder, replace(trained(folder), relation="adapter"))
    assert card.data.library_name == "peft" and "an adapter with TRL" in card.text


def test_card_of_merges_holds_recipe_and_sources(folder):
    facts = replace(read_facts(folder), merge=MERGE, base_models=["lab/a"], relation="merge")
    card = card_of(folder, facts)
    assert "into 40 layers" in card.text and "merge_method: passthrough" in card.text
    assert "- `lab/a` at revision `abc`\n  - `a.safetensors` SHA-256 `ff`" in card.text
    assert {"merge", "mergekit"} < set(card.data.tags)
    gates = Gates(3, 1, prompts=40, unseen=True, accuracy=0.975, token_share=0.7)
    card = card_of(folder, replace(facts, merge=replace(MERGE, gates=gates)))
    assert "97.5% of 40 unseen prompts go to their expert, with 70.0% of" in card.text
    assert {"merge", "moe"} < set(card.data.tags)


def test_words_changed_in_card_json_stay(folder):
    card_of(folder, trained(folder))
    told = json.loads((folder / "card.json").read_text())
    told |= {"license": "mit", "intended_use": "Only for nacre.", "limits": "Bone."}
    (folder / "card.json").write_text(json.dumps(told))
    main(["card", str(folder)])
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "mit"
    assert "## Intended use\n\nOnly for nacre.\n\n## Limits\n\nBone.\n" in card.text
    assert read_facts(folder).training == TRAINING


@pytest.mark.parametrize(
    ("model_type", "auto_map", "line", "trusts"),
    [
        ("idefics2", {}, "import torch", False),
        ("phi3_v", {}, "import modeling_cephalo  # of Cephalo", False),
        ("phi3_v", {"AutoModel": "modeling_gone.Model"}, "import modeling_cephalo  #", False),
        ("phi3_v", {"AutoModel": "modeling_here.Model"}, "import torch", True),
    ],
)
def test_code_loads_what_transformers_does_not_know(tmp_path, model_type, auto_map, line, trusts):
    folder = saved_model(tmp_path / "m", model_type=model_type, auto_map=auto_map)
    (folder / "modeling_here.py").write_text("")
    text = card_of(folder).text
    assert text.partition("```python\n")[2].startswith(line)
    assert text.count("trust_remote_code=True") == 2 * trusts


def test_a_template_that_asks_for_more_is_left_out(folder):
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no images') }}")
    assert "The prompt, as the chat template" not in card_of(folder).text


# --- whose numbers it shows


def test_card_shows_the_numbers_of_these_weights_with_intervals(folder):
    put_results(folder)
    put_results(folder, "checkpoint-5", {"model": "other", "revision": "0" * 64})
    text = card_of(folder).text
    assert (
        "`vector_regression` on `lab/plates`, config `conversations`, split `test`, where "
        "`task=stress`, at revision `ffffffffffff`: 250 rows ([eval/results.json]" in text
    )
    assert "| r2/mean | all | 0.9 | 0.8 to 1 |" in text
    assert "| mae/mean | all | 0.2 | 0.1 to 0.3 |" in text
    assert "| r2/mean | holes | 0.7 | 0.6 to 0.8 |" in text and "mae/mean | holes" not in text


def test_numbers_of_other_weights_are_refused(folder):
    path = put_results(folder)
    save_file({"a": np.zeros((4, 5))}, folder / "model.safetensors")
    with pytest.raises(CephaloError, match="measured nacre, not the weights that are in"):
        write_card(folder, trained(folder))
    assert str(path) in refused("card", str(folder))
    assert not (folder / "README.md").exists()
    path.unlink()
    main(["card", str(folder)])
    assert read_facts(folder).training == TRAINING


def test_numbers_measured_on_the_hub_are_those_of_that_name(folder):
    facts = replace(read_facts(folder), repo_id="lab/nacre")
    put_results(folder, "eval", {"model": "lab/nacre@main", "revision": "1" * 40})
    text = card_of(folder, facts).text
    assert "| r2/mean | all | 0.9 |" in text and "by this model at `111111111111`: 250" in text
    put_results(folder, "eval", {"model": "lab/nacre", "revision": "1" * 64})  # a folder lab/nacre
    assert "measured lab/nacre, not the weights" in refused("card", str(folder))


def test_numbers_measured_on_the_hub_are_those_of_the_same_weights(folder, monkeypatch):
    """Under a name that card.json does not tell."""
    measured = {"model": "alice/trained@main", "revision": "1" * 40}
    path = folder / "model.safetensors"
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    put_results(folder, "eval", measured)
    for theirs, taken in ((sha256, True), ("0" * 64, False)):
        file = SimpleNamespace(rfilename=path.name, lfs=SimpleNamespace(sha256=theirs))
        config = SimpleNamespace(rfilename="config.json", lfs=None)
        api = SimpleNamespace(
            model_info=lambda *_, files=(file, config), **__: SimpleNamespace(siblings=files)
        )
        monkeypatch.setattr(evaluation, "HfApi", lambda api=api: api)
        if taken:
            main(["card", str(folder)])
            text = (folder / "README.md").read_text()
            assert "| r2/mean | all | 0.9 |" in text and "at `111111111111`: 250" in text
        else:
            assert "measured alice/trained@main, not the weights" in refused("card", str(folder))


def test_entries_for_the_hub_are_headlines_on_datasets_of_the_hub(folder):
    facts = replace(read_facts(folder), repo_id="lab/nacre")
    put_results(folder)
    put_results(folder, "more/local", dataset="plates")
    write_card(folder, facts)
    [file] = (folder / ".eval_results").iterdir()
    assert ".eval_results/cephalo-eval-results.yaml" in pushed_files(folder)
    [entry] = parse_eval_result_entries(yaml.safe_load(file.read_text()))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("lab/plates", "r2/mean", 0.9)
    assert entry.dataset_revision == "f" * 40
    assert entry.source_url.endswith("/lab/nacre/blob/main/eval/results.json")
    assert entry.notes == (
        "split test, 250 rows, config conversations, where task=stress, 95 % interval 0.8 to 1"
    )
    (folder / "eval" / "results.json").unlink()
    write_card(folder, facts)
    assert list((folder / ".eval_results").iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"models": [{}]}', '{"models": 3}'])
def test_damaged_results_are_one_line(folder, text):
    (folder / "results.json").write_text(text)
    assert str(folder / "results.json") in refused("card", str(folder))


def test_damaged_folders_are_one_line(folder, tmp_path):
    assert "is not a folder" in refused("card", str(tmp_path / "none"))
    (folder / "card.json").write_text('{"repo_id": "a"}')
    assert "card.json: model_type: Field required; fix or remove it" in refused("card", str(folder))
    (folder / "card.json").unlink()
    save_file({"a": np.full((4, 5), np.nan)}, folder / "model.safetensors")
    assert "model.safetensors contains NaN or infinity in a" in refused("card", str(folder))
    (folder / "model.safetensors").write_bytes(b"\xff" * 40)
    assert "is not a complete safetensors file" in refused("card", str(folder))
    (folder / "model.safetensors").unlink()
    assert "contains no *.safetensors" in refused("card", str(folder))
    (folder / "config.json").unlink()
    assert "contains no config.json" in refused("card", str(folder))


@pytest.mark.parametrize("file", ["config.json", "adapter_config.json"])
def test_values_of_another_kind_are_one_line(folder, file):
    key = "model_type" if file == "config.json" else "base_model_name_or_path"
    for value in ([], {"a": 1}, 5):
        (folder / file).write_text(json.dumps({key: value}))
        assert f"{file} is damaged, it names {value!r}; save" in refused("card", str(folder))
    for value in (None, [], "x", {"AutoConfig": ["a.b"]}):  # as good as none
        (folder / file).write_text(json.dumps({"auto_map": value, key: "a/b"}))
        main(["card", str(folder)])
        (folder / "card.json").unlink()


def test_weights_that_are_not_finite_get_no_card(folder):
    """Neither in the only file nor in a later one of several; README.md stays as it was."""
    (folder / "README.md").write_text("By hand.")
    save_file({"a": np.full((4, 5), np.nan)}, folder / "model.safetensors")
    assert "model.safetensors contains NaN or infinity in a; " in refused("card", str(folder))
    save_file({"a": np.ones((4, 5))}, folder / "model-1.safetensors")
    save_file({"b": np.array([1, np.inf])}, folder / "model-2.safetensors")
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-2.safetensors contains NaN or infinity in b; " in refused("card", str(folder))
    assert (folder / "README.md").read_text() == "By hand."
    assert not (folder / "card.json").exists()


# --- names


def test_hash_of_a_model_is_that_of_what_makes_it(folder):
    before = model_sha256(folder)
    card_of(folder)
    put_results(folder)
    assert model_sha256(folder) == before
    (folder / "chat_template.jinja").write_text("other")
    assert model_sha256(folder) != before
    assert count_parameters(folder) == 30


def test_hub_id_of_folders(folder, tmp_path):
    assert hub_id("lab/nacre") == "lab/nacre"
    assert (
        hub_id("nacre") is None and hub_id("/a/b") is None and hub_id("a/b/c") is hub_id("") is None
    )
    assert hub_id(str(folder)) is None
    write_card(folder, replace(read_facts(folder), repo_id="lab/nacre"))
    assert hub_id(str(folder)) == "lab/nacre"
    snapshot = tmp_path / "models--lab--bone" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    assert hub_id(str(snapshot)) == "lab/bone"


def test_commit_of_a_base_is_that_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit, base = "a" * 40, tmp_path / "models--lab--base"
    (base / "snapshots" / commit).mkdir(parents=True)
    (base / "snapshots" / commit / "config.json").write_text("{}")
    (base / "refs").mkdir()
    (base / "refs" / "main").write_text(commit)

    def found(name: str, revision: str) -> str | None:
        return cached_commit(SimpleNamespace(model_name_or_path=name, model_revision=revision))

    assert found("lab/base", "main") == found("lab/base", commit) == commit
    assert found("lab/other", "main") is found(str(tmp_path), "main") is None


def test_results_name_no_path(tmp_path):
    folders = [tmp_path / "a" / "out", tmp_path / "b" / "out", tmp_path / "c"]
    for one in folders:
        one.mkdir(parents=True)
    names = [*map(str, folders), "lab/nacre@main"]
    top = tmp_path.name
    assert list(shown_names(names).values()) == ["a/out", "b/out", f"{top}/c", "lab/nacre@main"]
    assert shown_names([str(folders[0])]) == {str(folders[0]): "out"}
