"""JSON that crashed runs, users and other programs left: one line, or passed over."""

import json

import pytest

from cephalo.cli.errors import CephaloError
from cephalo.cli.json_files import parse_object, read_object
from cephalo.dataset_scripts.common.chunks import check_plan
from cephalo.dataset_scripts.common.inputs import leave_out_gone
from cephalo.dataset_scripts.pdf.jobs import prepare
from cephalo.dataset_scripts.pdf.settings import Settings
from cephalo.dataset_scripts.refinement.documents import read_lines
from cephalo.eval.answers import check_settings, read_answers
from cephalo.model_cards.dataset_card import read_reports
from cephalo.model_cards.model_folder import read_json
from cephalo.train.finished import is_finished, keep_run, last_whole_checkpoint, passed_over
from modeling_cephalo.checkpoint import read_object as read_settings

DEEP = b"[" * 100_000
DAMAGED = (b"", b"[]", b"null", b"{", b'"x"', b"1e999", b"\xff\xfe\x00\x01", DEEP)

READERS = {
    "run.json": lambda path: is_finished(path.parent, {}),
    "run.json, kept": lambda path: keep_run(path.parent, {}),
    "extract.json": lambda path: prepare(path.parent, Settings(150, ("figure",), False, False)),
    "inputs.json": lambda path: leave_out_gone(path.parent, [], {}, []),
    "report.json": lambda path: read_reports([path.parent]),
    "card.json": read_json,
    "config.json": read_settings,
    "plan/plan.json": lambda path: check_plan(path, {"rows": 3}),
    "rejected.jsonl": read_lines,
    "settings.json": lambda path: check_settings(path, {"rows": 3}, path),
    "answers.jsonl": lambda path: read_answers(path, 1, 5),
}


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: repr(data[:4]))
@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_named_in_one_line(tmp_path, name, data):
    path = tmp_path / name.partition(",")[0]
    path.parent.mkdir(exist_ok=True)
    lines = path.suffix == ".jsonl"
    path.write_bytes(data + b"\n" * lines)
    if lines and not data:
        path.write_bytes(b"\n")
    with pytest.raises(CephaloError) as stop:
        READERS[name](path)
    assert path.name in str(stop.value) and "\n" not in str(stop.value)
    assert len(str(stop.value)) < 500


def test_what_is_an_object():
    assert parse_object(b'{"a": [1]}') == {"a": [1]}
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_object(DEEP)
    with pytest.raises(ValueError, match="not a JSON object"):
        parse_object("[]")


def test_a_missing_file_is_not_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_object(tmp_path / "none.json", "remove it")


@pytest.mark.parametrize(
    "state",
    ["", "[]", "{", '{"global_step": "x"}', '{"global_step": 3, "who": 1}', '{"log_history": 1}'],
)
def test_a_broken_checkpoint_is_passed_over_for_the_one_before(tmp_path, state):
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-11", "checkpoint-last"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-9/trainer_state.json").write_text('{"global_step": 9}')
    (tmp_path / "checkpoint-10/trainer_state.json").write_text(json.dumps({"global_step": 10}))
    (tmp_path / "checkpoint-11/trainer_state.json").write_text(state)
    assert last_whole_checkpoint(str(tmp_path)) == str(tmp_path / "checkpoint-10")
    [line] = passed_over(str(tmp_path))
    assert line.startswith("skipped checkpoint-11, which is incomplete: trainer_state.json: ")
    (tmp_path / "checkpoint-11/trainer_state.json").unlink()
    (tmp_path / "checkpoint-10/trainer_state.json").unlink()
    assert passed_over(str(tmp_path)) == [
        f"skipped checkpoint-{step}, which is incomplete: it has no trainer_state.json"
        for step in (11, 10)
    ]
