"""Training moves what it should, takes loss on answers only, and goes on where it was."""

import json
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
import torch
from datasets import Dataset, load_dataset
from figure_samples import figure_row, write_figures
from huggingface_hub.errors import RepositoryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked
from cephalo.cli.main import main
from cephalo.dataset_scripts.common.conversations import caption_conversation
from cephalo.dataset_scripts.common.schema import CONVERSATIONS
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset
from cephalo.train.arguments import parse_arguments
from cephalo.train.finished import last_whole_checkpoint
from cephalo.train.rights import Rights, check_publishable, model_license, rights_of
from cephalo.train.rows import named, without_special_tokens
from cephalo.train.sft import find_config, run_training

TINY = find_config("tiny.yaml")
MISSING = httpx2.Response(404, request=httpx2.Request("GET", "http://127.0.0.1"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return build_dataset([write_figures(tmp_path_factory.mktemp("made") / "figures")], "lab/nacre")


def arguments(folder: Path, dataset: Path, *more: str) -> list[str]:
    return [
        *("--dataset_name", str(dataset)),
        *("--model_name_or_path", str(folder / "base"), "--output_dir", str(folder / "out")),
        *more,
    ]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, dataset) -> Path:
    """A folder with `base`, and `out` trained in full from it for 30 steps."""
    folder = tmp_path_factory.mktemp("trained")
    run_training(*parse_arguments(TINY, arguments(folder, dataset, "--max_steps", "30")))
    return folder


def test_full_training_moves_every_parameter_and_learns(trained):
    before, after = weights(trained / "base"), weights(trained / "out")
    assert before.keys() == after.keys()
    # The checkpoint holds no frozen part: every tensor must have moved.
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    state = json.loads((trained / "out/checkpoint-30/trainer_state.json").read_text())
    losses = [entry["loss"] for entry in state["log_history"] if "loss" in entry]
    assert losses[-1] < 0.6 * losses[0]


def test_saved_model_reloads_whole_and_answers(trained, dataset):
    model, loading = AutoModelForImageTextToText.from_pretrained(
        trained / "out", output_loading_info=True
    )
    assert not any(loading.values())
    assert sum(parameter.numel() for parameter in model.parameters()) < 10_000_000
    processor = AutoProcessor.from_pretrained(trained / "out")
    row = load_dataset(str(dataset), "conversations", split="train", streaming=True)
    row = next(iter(row))
    prompt = processor.apply_chat_template(row["prompt"], add_generation_prompt=True)
    inputs = processor(text=prompt, images=row["images"], return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    answer = processor.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    # Four captions that differ by a digit: thirty steps learn all but the digit.
    assert answer.strip().startswith("Stress and strain of specimen")


def test_card_tells_the_run_and_no_path_of_the_machine(trained):
    text = (trained / "out" / "README.md").read_text(encoding="utf-8")
    assert "| rows | 4 |" in text and "| steps | 30 |" in text
    parameters = sum(tensor.numel() for tensor in weights(trained / "base").values())
    assert f"| parameters trained | {parameters:,} of {parameters:,} |" in text
    assert "learning_rate: 0.001\n" in text and "max_steps: 30\n" in text
    assert "A test of the pipeline, not a usable model" in text
    assert str(trained) not in text and "/tmp" not in text


def test_lora_moves_only_the_adapter_on_the_text_model(tmp_path, dataset, trained):
    more = ("--max_steps", "3", "--use_peft", "--lora_r", "4")
    more += ("--lora_target_modules", r".*text_model.*(q_proj|v_proj)")
    more += ("--tiny_base", "false", "--model_name_or_path", str(trained / "base"))
    run_training(*parse_arguments(TINY, arguments(tmp_path, dataset, *more)))
    adapter = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert len(adapter) == 2 * 2 * 2  # layers, projections, A and B
    assert all("text_model" in name and "lora_" in name for name in adapter)
    assert all(tensor.abs().sum() > 0 for name, tensor in adapter.items() if "lora_B" in name)
    assert not (tmp_path / "out" / "model.safetensors").exists()
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    trained_count = sum(tensor.numel() for tensor in adapter.values())
    assert f"| parameters trained | {trained_count:,} of " in text


def test_a_lone_name_of_layers_gets_its_adapters(tmp_path, dataset, trained):
    more = ("--max_steps", "1", "--use_peft", "--lora_target_modules", "gate_proj")
    more += ("--tiny_base", "false", "--model_name_or_path", str(trained / "base"))
    run_training(*parse_arguments(TINY, arguments(tmp_path, dataset, *more)))
    adapter = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert adapter and all(".gate_proj.lora_" in name for name in adapter)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--packing true", "these settings cannot train: Packing is not supported for vision"),
        ("--eos_token foo", r"these settings cannot train: .*eos_token.*\('foo'\)"),
        ("--optim_args zzz", "these settings cannot train: "),
        (
            "--use_peft --lora_task_type FOO",
            "these settings cannot train: Invalid task type: 'FOO'",
        ),
        ("--use_peft --lora_target_modules foo bar", "lora_target_modules .*no such parts; give"),
    ],
)
def test_settings_that_do_not_go_together_are_one_line(words, message, tmp_path, dataset, trained):
    more = ("--tiny_base", "false", "--model_name_or_path", str(trained / "base"), *words.split())
    with pytest.raises(CephaloError, match=f"^{message}") as refused:
        run_training(*parse_arguments(TINY, arguments(tmp_path, dataset, *more)))
    assert "\n" not in str(refused.value)


def test_rows_with_special_tokens_in_their_text_are_left_out(trained, caplog):
    processor = AutoProcessor.from_pretrained(trained / "base")
    captions = ["Steel.", "An <image> token.", "Ends<end_of_utterance>", "</s>"]
    rows = Dataset.from_list(
        [caption_conversation(figure_row(0, 1, caption=caption)) for caption in captions],
        features=CONVERSATIONS,
    )
    rows = named(rows, "lab/nacre train")
    kept = without_special_tokens(rows, processor)
    assert kept["answer"] == ["Steel."]
    names = ", ".join(f"lab/nacre train[{row}]" for row in (1, 2, 3))
    assert "excluded 3 rows" in caplog.text and caplog.text.rstrip().endswith(f": {names}")
    with pytest.raises(CephaloError, match="no rows to train on"):
        without_special_tokens(rows.select([1]), processor)


def test_run_of_another_model_is_refused(trained, dataset, tmp_path):
    more = ("--tiny_base", "false", "--model_name_or_path", str(tmp_path / "other"))
    with pytest.raises(
        CephaloError, match=r"contains a run with model .*/base, this one has .*/other"
    ):
        run_training(*parse_arguments(TINY, arguments(trained, dataset, *more)))
    with pytest.raises(CephaloError, match="resume_from_checkpoint: leave it out"):
        run_training(
            *parse_arguments(TINY, arguments(tmp_path, dataset, "--resume_from_checkpoint", "a"))
        )


def test_card_shows_the_loss(trained):
    assert "![Loss over the steps](loss.png)" in (trained / "out" / "README.md").read_text()
    assert (trained / "out" / "loss.png").stat().st_size > 5000


def test_a_finished_run_changes_nothing(trained, dataset, capsys):
    words = arguments(trained, dataset, "--max_steps", "30", "--logging_steps", "7")
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    run_training(*parse_arguments(TINY, words))
    out = trained / "out"
    assert capsys.readouterr().out == (
        f"{out} is finished: trained before with these settings; nothing changed\n"
    )
    after = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    assert after.pop(out) and before.pop(out)  # the lock came and went
    assert after == before
    with locked(out), pytest.raises(CephaloError, match="another run is writing to"):
        run_training(*parse_arguments(TINY, words))


def test_a_run_killed_after_its_last_step_takes_no_other(tmp_path, trained, dataset):
    """At a constant rate a step more would be seen."""
    more = ("--max_steps", "3", "--save_steps", "1", "--save_total_limit", "2")
    more += ("--lr_scheduler_type", "constant", "--tiny_base", "false")
    words = arguments(tmp_path, dataset, *more, "--model_name_or_path", str(trained / "base"))
    run_training(*parse_arguments(TINY, words))
    out = tmp_path / "out"
    whole, card = weights(out), (out / "README.md").read_text()
    run = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({key: run[key] for key in run.keys() - {"finished"}}))
    for name in ("model.safetensors", "README.md"):
        (out / name).unlink()
    run_training(*parse_arguments(TINY, words))
    again = weights(out)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert (out / "README.md").read_text() == card
    assert sorted(path.name for path in out.glob("checkpoint-*")) == [
        "checkpoint-2",
        "checkpoint-3",
    ]
    state = json.loads((out / "checkpoint-3/trainer_state.json").read_text())
    assert state["global_step"] == 3


def test_a_public_model_of_private_or_unlicensed_data_is_refused(tmp_path):
    def refusal(private: bool | None, exists: bool, *rights: Rights) -> str | None:
        def model_info(name: str) -> SimpleNamespace:
            if exists:
                return SimpleNamespace(private=True)
            raise RepositoryNotFoundError("none", response=MISSING)

        wanted = SimpleNamespace(hub_model_id="lab/model", hub_private_repo=private)
        try:
            check_publishable(SimpleNamespace(model_info=model_info), rights, wanted)
        except CephaloError as error:
            return str(error)
        return None

    fine = Rights("lab/fine", False, ("cc-by-4.0", "cc0-1.0"))
    secret = Rights("lab/secret", True, ("cc-by-4.0",))
    mixed = Rights("lab/mixed", False, ("cc-by-4.0", "unknown"))
    assert refusal(None, False, fine) is None
    assert refusal(None, False, fine, secret) == (
        "dataset lab/secret is private, and the model lab/model would be public; give "
        "--hub_private_repo true, or false if you may publish it"
    )
    assert "lab/mixed has rows without a known licence" in refusal(None, False, mixed)
    for private, exists in ((True, False), (False, False), (None, True)):
        assert refusal(private, exists, secret, mixed) is None
    bound = Rights("lab/nc", False, ("cc-by-nc-4.0", "cc-by-4.0"))
    assert [model_license([one]) for one in (fine, mixed, bound)] == [
        "apache-2.0",
        "unknown",
        "cc-by-nc-4.0",
    ]

    def no_answer(name: str) -> None:
        raise httpx2.ConnectError("refused")

    away = SimpleNamespace(model_info=no_answer, endpoint="http://hub")
    wanted = SimpleNamespace(hub_model_id="lab/model", hub_private_repo=None)
    with pytest.raises(CephaloError, match=r"^http://hub cannot be reached for lab/model"):
        check_publishable(away, [], wanted)
    assert rights_of(str(tmp_path)) == Rights(tmp_path.name, False, ())
    (tmp_path / "README.md").write_text("---\nlicense: [mit, cc0-1.0]\n---\n")
    assert rights_of(str(tmp_path)).licenses == ("mit", "cc0-1.0")
    (tmp_path / "README.md").write_text("---\nlicense: [mit\n---\n")
    assert not rights_of(str(tmp_path)).known


def test_a_seed_gives_the_same_run(trained, tmp_path, dataset):
    found = []
    for name in ("one", "two"):
        more = ("--max_steps", "2", "--tiny_base", "false")
        more += ("--model_name_or_path", str(trained / "base"), "--batch_tokens", "100")
        run_training(*parse_arguments(TINY, arguments(tmp_path / name, dataset, *more)))
        found.append(weights(tmp_path / name / "out"))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_half_written_checkpoint_is_passed_over(tmp_path):
    assert last_whole_checkpoint(str(tmp_path)) is None
    for step, state in ((5, '{"global_step": 5}'), (10, '{"glob'), (100, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_whole_checkpoint(str(tmp_path)) == str(tmp_path / "checkpoint-5")


def test_folder_of_another_run_is_refused(trained, tmp_path):
    other = build_dataset([write_figures(tmp_path / "other", documents=1)], "lab/other")
    with pytest.raises(CephaloError, match=r"contains a run with dataset .*another --output_dir"):
        run_training(*parse_arguments(TINY, arguments(trained, other)))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--max_stepz", "3"], r"the command has no field max_stepz; did you mean max_steps\?"),
        (["--batch-tokenz=3"], r"no field batch_tokenz; did you mean batch_tokens\?"),
        (
            ["--max_image_edge", "0"],
            "max_image_edge 0: give a number above 0, or null",
        ),
        (["--max_image_edge", "-5"], "max_image_edge -5: give a number above 0"),
        (["--max_steps", "three"], "invalid int value: 'three'"),
    ],
)
def test_wrong_fields_are_named(overrides, message):
    with pytest.raises(CephaloError, match=message):
        parse_arguments(TINY, overrides)


def test_unknown_key_and_broken_yaml_name_the_file(tmp_path):
    path = tmp_path / "mine.yaml"
    for text, message in (
        (
            "learning_ratte: 1\n",
            r"mine.yaml has no field learning_ratte; did you mean learning_rate\?",
        ),
        ("a: [", "mine.yaml is not valid YAML: "),
        ("just words\n", "mine.yaml contains no fields"),
        ("use_cpu: true\nbf16: false\nbatch_tokens: 0\n", "batch_tokens 0: give a number above 0"),
    ):
        path.write_text(text)
        with pytest.raises(CephaloError, match=message):
            parse_arguments(path, [])


def test_wrong_datasets_are_refused_before_any_work(tmp_path, dataset):
    def refused(*more: str) -> str:
        with pytest.raises(CephaloError) as refusal:
            run_training(*parse_arguments(TINY, arguments(tmp_path, *more)))
        return str(refusal.value)

    assert "has no column completion, images, prompt" in refused(
        dataset, "--dataset_config", "figures"
    )
    assert "cannot load dataset" in refused(dataset, "--dataset_config", "none")
    assert "has no split 'dev'" in refused(dataset, "--dataset_train_split", "dev")
    assert "is not NAMESPACE/NAME" in refused(
        dataset, "--push_to_hub", "--hub_model_id", "one/two/three"
    )
    assert not (tmp_path / "base").exists()


@pytest.mark.parametrize(
    "error",
    [
        SafetensorError(
            "Error while serializing: I/O error: No space left on device (os error 28)"
        ),
        RuntimeError("PytorchStreamWriter failed writing file data/7: file write failed"),
    ],
)
def test_full_disk_says_how_to_go_on(monkeypatch, error):
    def full(*_):
        raise error

    monkeypatch.setattr("cephalo.train.sft.run_training", full)
    with pytest.raises(SystemExit) as stop:
        main(["train", "--config", "tiny.yaml"])
    assert stop.value.code == (
        "cephalo: error: the disk of runs/tiny is full; free disk space, then the same command "
        "resumes from the last complete checkpoint"
    )
