"""`cephalo eval` on tiny models: figures that are known, runs that go on, pages without traps."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, Image, List, Value
from phi3_v_samples import BRIGHT, DARK, teach
from teacher_server import TeacherServer, user_text
from trainer_samples import as_rows

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked
from cephalo.cli.main import main
from cephalo.eval.answers import Answer, read_answers
from cephalo.eval.judge import row_of
from cephalo.eval.questions import QuestionSource, load_questions, rows_sha256
from cephalo.inference import local
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

VECTORS = "Calculate <mean, median>"
CRACK = "Does a crack start?"
ANSWERS = {
    (VECTORS, "bright"): "[0.250, 1.500]",
    (VECTORS, "dark"): "[0.750, 0.500]",
    (CRACK, "bright"): "yes",
    (CRACK, "dark"): "no",
}
PICTURES = {"bright": BRIGHT, "dark": DARK}
PNG = io.BytesIO()
BRIGHT.save(PNG, "PNG")
BRIGHT_PNG = PNG.getvalue()
FEATURES = Features(
    {
        "images": List(Image()),
        "query": Value("string"),
        "answer": Value("string"),
        "task": Value("string"),
        "family": Value("string"),
    }
)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    """One that was taught ANSWERS, and the random one that it began as."""
    folder = tmp_path_factory.mktemp("models")
    make_tiny_phi3_v(folder / "base", [*ANSWERS.values(), VECTORS, CRACK])
    talks = [
        {
            "images": [PICTURES[shade]],
            "prompt": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "text": None},
                        {"type": "text", "text": query},
                    ],
                }
            ],
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": answer}]}],
        }
        for (query, shade), answer in ANSWERS.items()
    ]
    teach(folder / "base", folder / "taught", as_rows(talks), max_steps=80)
    return {name: str(folder / name) for name in ("base", "taught")}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    """Ten rows of each task. The truths of the fourth and fifth differ from what was taught."""
    folder = tmp_path_factory.mktemp("dataset")
    rows = []
    for query, task in ((VECTORS, "stress"), (CRACK, "crack")):
        for number in range(10):
            shade = ("bright", "dark")[number % 2]
            rows.append(
                {
                    "images": [PICTURES[shade]],
                    "query": query,
                    "answer": ANSWERS[query, shade],
                    "task": task,
                    "family": shade,
                }
            )
    rows[3]["answer"], rows[4]["answer"] = "[0.850, 0.500]", "[0.250, 1.000]"
    rows[13]["answer"] = "yes"
    Dataset.from_list(rows, features=FEATURES).to_parquet(str(folder / "test-00000.parquet"))
    return str(folder)


def run(out: Path, dataset: str, *arguments: str) -> dict:
    main(["eval", "--dataset", dataset, "--out", str(out), "--max-new-tokens", "24", *arguments])
    return json.loads((out / "results.json").read_text(encoding="utf-8"))


STRESS = ("--task", "vector_regression", "--where", "task=stress", "--group-by", "family")
CRACKS = ("--task", "classification", "--where", "task=crack")


def beside(folder: Path) -> Path:
    """A folder for results that is not in a dataset's folder."""
    return folder.with_name(f"{folder.name}-out")


def test_taught_model_has_the_measures_that_follow_from_its_answers(models, dataset, tmp_path):
    found = run(tmp_path, dataset, models["taught"], *STRESS)
    [model] = found["models"]
    measures = {name: interval["value"] for name, interval in model["measures"].items()}
    truth = np.array([0.25, 0.75, 0.25, 0.85, 0.25, 0.75, 0.25, 0.75, 0.25, 0.75])
    assert measures["parsed"] == 1
    assert measures["mae/mean"] == pytest.approx(0.1 / 10)
    assert measures["mae/median"] == pytest.approx(0.5 / 10)
    assert measures["r2/mean"] == pytest.approx(1 - 0.1**2 / 10 / truth.var())
    low, high = (model["measures"]["r2/mean"][end] for end in ("low", "high"))
    assert 0.9 < low <= measures["r2/mean"] <= high <= 1
    groups = {
        name: group["measures"]["mae/mean"]["value"] for name, group in model["groups"].items()
    }
    assert groups == {"bright": 0, "dark": pytest.approx(0.1 / 5)}
    assert found["dataset"]["rows"] == 10 and len(found["dataset"]["rows_sha256"]) == 64
    assert re.fullmatch(r"[0-9a-f]{64}", model["revision"])
    assert found["comparisons"] == []


def test_two_models_are_compared_on_the_same_rows(models, dataset, tmp_path, capsys):
    found = run(tmp_path, dataset, models["base"], models["taught"], *CRACKS)
    base, taught = found["models"]
    assert base["measures"]["accuracy"]["value"] == 0
    assert taught["measures"]["accuracy"]["value"] == 0.9
    [pair] = found["comparisons"]
    assert pair["measures"]["accuracy"]["difference"] == pytest.approx(0.9)
    assert pair["measures"]["mcnemar"] == {
        "only_first": 0,
        "only_second": 9,
        "p": pytest.approx(2 / 2**9),
    }
    assert "accuracy" in capsys.readouterr().out
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "McNemar" in page and page.count("data:image/jpeg;base64") >= 10


def test_report_stands_alone_and_shows_the_worst_first(models, dataset, tmp_path):
    run(tmp_path, dataset, models["taught"], *STRESS)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:)""", page) and "<script" not in page
    assert page.count("data:image/png;base64") == 1
    cases = re.findall(r"row (\d+) · (\w+) · error", page)
    assert cases == [("4", "bright"), ("3", "dark")]  # 0.5 of one spread, 0.1 of the other


def test_hostile_texts_stay_texts(models, tmp_path):
    hostile = "<script>alert(1)</script>"
    row = {
        "images": [BRIGHT],
        "query": hostile,
        "answer": f"yes {hostile}",
        "task": hostile,
        "family": hostile,
    }
    Dataset.from_list([row, row], features=FEATURES).to_parquet(str(tmp_path / "test-0.parquet"))
    run(
        beside(tmp_path),
        str(tmp_path),
        models["base"],
        "--task",
        "classification",
        "--group-by",
        "family",
    )
    page = (beside(tmp_path) / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page and "&lt;script&gt;" in page


def test_killed_run_goes_on_with_the_same_answers(models, dataset, tmp_path, monkeypatch):
    flags = (models["taught"], *STRESS, "--batch-size", "3")
    run(tmp_path, dataset, *flags)
    [path] = tmp_path.glob("answers/*/answers.jsonl")
    whole, results = path.read_bytes(), (tmp_path / "results.json").read_bytes()
    path.write_bytes(b"\n".join(whole.split(b"\n")[:4]) + b'\n{"answer": "[0.')
    asked = []
    ask_batch = local.Cephalo.ask_batch

    def counted(self, questions, **settings):
        asked.append(len(questions))
        return ask_batch(self, questions, **settings)

    monkeypatch.setattr(local.Cephalo, "ask_batch", counted)
    run(tmp_path, dataset, *flags)
    assert asked == [3, 3, 1]  # the first batch was whole, the second was not
    assert path.read_bytes() == whole
    assert (tmp_path / "results.json").read_bytes() == results
    run(tmp_path, dataset, *flags)
    assert asked == [3, 3, 1]


def test_a_second_run_is_refused_before_it_touches_anything(models, dataset, tmp_path):
    asked = ("--task", "classification", "--where", "task=crack")
    with locked(tmp_path), pytest.raises(SystemExit, match="another run is writing to"):
        run(tmp_path, dataset, models["base"], *asked)
    assert list(tmp_path.iterdir()) == []


def test_answers_of_other_settings_are_not_taken(models, dataset, tmp_path):
    run(tmp_path, dataset, models["base"], *CRACKS, "--max-samples", "2")
    with pytest.raises(SystemExit, match="answers with another rows_sha256; give another --out"):
        run(tmp_path, dataset, models["base"], *CRACKS)


def test_damaged_answers_are_refused(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"answer": "yes", "error": null}\nnothing\n')
    with pytest.raises(CephaloError, match="is damaged; remove it"):
        read_answers(path, 1, 5)
    assert read_answers(tmp_path / "none", 1, 5) == []
    path.write_text('{"answer": "yes", "error": null}\n')
    assert read_answers(path, 2, 1) == [Answer("yes")]  # the last batch may be smaller


def test_question_that_cannot_be_read_is_wrong_and_spoils_no_other(models, tmp_path):
    rows = [
        {"images": [BRIGHT], "query": CRACK, "answer": "yes", "task": "", "family": ""},
        {"images": [BRIGHT], "query": f"{CRACK}<|end|>", "answer": "yes", "task": "", "family": ""},
        {"images": [DARK], "query": CRACK, "answer": "no", "task": "", "family": ""},
    ]
    Dataset.from_list(rows, features=FEATURES).to_parquet(str(tmp_path / "test-0.parquet"))
    found = run(beside(tmp_path), str(tmp_path), models["taught"], "--task", "classification")
    [model] = found["models"]
    assert model["measures"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert model["measures"]["parsed"]["value"] == pytest.approx(2 / 3)
    assert model["unreadable_questions"] == 1 and "<|end|>" in model["first_error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "nonsense"], "no task 'nonsense'; give one of vector_regression"),
        (["--task", "captions", "--split", "trian"], "cannot load .*split trian"),
        (["--task", "captions", "--where", "colour=red"], "no column colour; name one of"),
        (["--task", "captions", "--where", "family"], "is not COLUMN=VALUE"),
        (["--task", "captions", "--where", "family=green"], "has no such rows"),
        (["--task", "captions", "--image-column", "photo"], "no column photo"),
        (["--task", "captions", "--judge", "gpt"], "a judge compares models; name two"),
    ],
)
def test_bad_input_is_one_line(models, dataset, tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=message) as refusal:
        run(tmp_path, dataset, models["base"], *arguments)
    assert str(refusal.value).startswith("cephalo: error: ")
    assert "\n" not in str(refusal.value)


def test_truths_of_another_task_are_refused_before_a_model_is_loaded(dataset, tmp_path, models):
    with pytest.raises(SystemExit, match="is not a vector such as"):
        run(
            tmp_path,
            dataset,
            models["base"],
            "--task",
            "vector_regression",
            "--where",
            "task=crack",
        )
    assert not (tmp_path / "answers").exists()


def test_columns_of_other_benchmarks_are_found(tmp_path):
    rows = [
        {
            "image": BRIGHT,
            "question": f"What is {number}?",
            "answers": [str(number), "x"],
            "photo": DARK,
        }
        for number in range(6)
    ]
    features = Features(
        {
            "image": Image(),
            "photo": Image(),
            "question": Value("string"),
            "answers": List(Value("string")),
        }
    )
    Dataset.from_list(rows, features=features).to_parquet(str(tmp_path / "test-0.parquet"))
    found = load_questions(QuestionSource(str(tmp_path)))
    assert [(one.text, one.answer) for one in found] == [
        (f"What is {number}?", str(number)) for number in range(6)
    ]
    assert all(len(one.images) == 1 for one in found)
    assert load_questions(QuestionSource(str(tmp_path)), image="photo")[0].images != found[0].images
    some = load_questions(QuestionSource(str(tmp_path), max_samples=3))
    assert len(some) == 3 and some == load_questions(QuestionSource(str(tmp_path), max_samples=3))
    assert rows_sha256(found) != rows_sha256(found[::-1])


def test_row_that_names_a_file_elsewhere_is_refused(tmp_path):
    secret = tmp_path / "secret.png"
    BRIGHT.save(secret)
    (tmp_path / "rows").mkdir()
    row = {"images": [{"bytes": None, "path": str(secret)}], "query": "?", "answer": "!"}
    names = ("images", "query", "answer")
    schema = Features({name: FEATURES[name] for name in names}).arrow_schema
    table = pa.Table.from_pylist([row], schema=schema)
    pq.write_table(table, tmp_path / "rows" / "test-0.parquet")
    with pytest.raises(CephaloError, match=r"names the file .*secret.png outside the dataset"):
        load_questions(QuestionSource(str(tmp_path / "rows")))


def test_a_folder_of_tables_of_several_kinds_is_refused_in_one_line(tmp_path):
    pq.write_table(pa.table({"query": ["?"], "answer": ["!"]}), tmp_path / "test-0.parquet")
    pq.write_table(pa.table({"document": [1]}), tmp_path / "test-1.parquet")
    with pytest.raises(CephaloError, match=r"^cannot load .*, split test: .*document") as refusal:
        load_questions(QuestionSource(str(tmp_path)))
    assert "\n" not in str(refusal.value)


def test_a_picture_that_is_not_there_costs_its_row(models, tmp_path, capsys):
    row = {"query": CRACK, "answer": "yes"}
    pictures = [BRIGHT_PNG, b"", BRIGHT_PNG[:60], None, BRIGHT_PNG]
    rows = [{**row, "images": [{"bytes": data, "path": None}]} for data in pictures]
    rows[1]["images"][0] = {"bytes": None, "path": str(tmp_path / "gone.png")}
    schema = Features({name: FEATURES[name] for name in ("images", "query", "answer")}).arrow_schema
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "test-0.parquet")
    found = run(beside(tmp_path), str(tmp_path), models["taught"], "--task", "classification")
    [model] = found["models"]
    assert model["measures"]["accuracy"]["value"] == pytest.approx(2 / 5)
    assert model["unreadable_questions"] == 3
    assert model["first_error"].startswith("row 1: the image is not a valid image")
    assert "3 could not be read and count as wrong: row 1: the image" in capsys.readouterr().out


def picks(body: dict) -> str:
    """A judge that knows: the answer that equals the true one is better."""
    text = user_text(body)
    true, one, other = (
        re.search(rf"{name}: (.*)", text)[1] for name in ("right answer", "Answer A", "Answer B")
    )
    better = "equal" if (one == true) == (other == true) else "A" if one == true else "B"
    return json.dumps({"better": better})


def test_judge_sees_both_orders_and_its_agreement_is_told(models, dataset, tmp_path):
    flags = (models["base"], models["taught"], *CRACKS, "--judge", "wise")
    with TeacherServer(picks) as server:
        found = run(tmp_path, dataset, *flags, "--base-url", server.url)
        asked = len(server.requests)
        assert found == run(tmp_path, dataset, *flags, "--base-url", server.url)
        assert len(server.requests) == asked  # every reply is kept
        content = server.requests[0]["messages"][-1]["content"]
    assert any(part["type"] == "image_url" for part in content)
    [pair] = found["judge"]["pairs"]
    assert pair["win"]["value"] == 0.9 and pair["tie"]["value"] == 0.1
    assert pair["loss"]["value"] == 0 and pair["agreement"]["value"] == 1
    assert pair["n"] == 10 and pair["unanswered"] == 0
    with TeacherServer(lambda body: '{"better": "A"}') as server:
        found = run(tmp_path / "other", dataset, *flags, "--base-url", server.url)
    [pair] = found["judge"]["pairs"]
    assert pair["agreement"]["value"] == 0 and pair["tie"]["value"] == 1  # first place wins


def test_preference_counts_where_it_holds_in_both_orders():
    assert row_of("B", "A") == [True, False, False, True]
    assert row_of("A", "B") == [False, False, True, True]
    assert row_of("equal", "equal") == [False, True, False, True]
    assert row_of("A", "A") == [False, True, False, False]
    assert row_of("equal", "A") == [False, True, False, False]


def test_models_and_datasets_of_the_hub_are_named_by_their_commits(hub, models, dataset, tmp_path):
    code = """
import json, sys
from huggingface_hub import HfApi
from cephalo.cli.files import locked
from cephalo.cli.main import main
model, dataset, out = sys.argv[1:]
api, shas = HfApi(), {}
for name, folder, kind in (("alice/taught", model, "model"), ("alice/rows", dataset, "dataset")):
    api.create_repo(name, repo_type=kind, exist_ok=True)
    api.upload_folder(repo_id=name, folder_path=folder, repo_type=kind)
    shas[kind] = api.repo_info(name, repo_type=kind).sha
main(["eval", "alice/taught@main", "--dataset", "alice/rows", "--task", "classification",
      "--where", "task=crack", "--out", out])
found = json.load(open(out + "/results.json"))
assert found["models"][0]["revision"] == shas["model"], found
assert found["dataset"]["revision"] == shas["dataset"], found
print("accuracy", found["models"][0]["measures"]["accuracy"]["value"])
"""
    printed = hub.run(code, tmp_path, models["taught"], dataset, str(tmp_path / "out"))
    assert "accuracy 0.9" in printed
