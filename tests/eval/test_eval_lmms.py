"""The tasks for lmms-eval: keys that it knows (0.7.3), functions that are there and work.

lmms-eval itself is not installed here: it brings dozens of packages.
"""

import importlib.util
from pathlib import Path

import pytest
import yaml
from PIL import Image

import cephalo.eval.command

FOLDER = Path(cephalo.eval.command.__file__).parent / "tasks"
# Of lmms_eval.api.task.TaskConfig.
KNOWN = {
    "task", "dataset_path", "dataset_name", "test_split", "output_type", "process_docs",
    "doc_to_visual", "doc_to_text", "doc_to_target", "process_results", "generation_kwargs",
    "metric_list", "metadata",
}  # fmt: skip
ANSWERS = {
    "stress": ["[0.1, 0.2, 0.3]", "[0.4, 0.1, 0.5]", "[0.3, 0.3, 0.9]"],
    "energy": ["[1.1, 0.2, 0.3]", "[2.4, 0.1, 0.5]", "[1.3, 0.3, 0.9]"],
    "crack": ["yes", "no", "yes"],
    "captions": ["a plate with a hole in it", "nacre has bricks and mortar", "bone is strong too"],
}
PERFECT = {"bleu": 100, "chrf": 100}


class Loader(yaml.SafeLoader):
    """Reads `!function module.name` as the text "module.name"."""


Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


@pytest.fixture(scope="module")
def functions():
    spec = importlib.util.spec_from_file_location("cephalo_utils", FOLDER / "cephalo_utils.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ANSWERS)
def test_task_scores_answers(name, functions):
    task = yaml.load((FOLDER / f"cephalo_{name}.yaml").read_text(encoding="utf-8"), Loader)
    assert set(task) <= KNOWN and task["task"] == f"cephalo_{name}"

    def function(text):
        module, attribute = text.split(".")
        assert module == "cephalo_utils"
        return getattr(functions, attribute)

    docs = [
        {"query": "What?", "images": [Image.new("L", (8, 8))], "answer": answer}
        for answer in ANSWERS[name]
    ]
    assert function(task["doc_to_text"])(docs[0], lmms_eval_specific_kwargs=None) == "What?"
    assert function(task["doc_to_visual"])(docs[0])[0].mode == "RGB"
    assert function(task["doc_to_visual"])({"image": Image.new("L", (8, 8))})[0].size == (8, 8)
    right = [function(task["process_results"])(doc, [doc["answer"]]) for doc in docs]
    wrong = [function(task["process_results"])(doc, ["what"]) for doc in docs]
    for metric in task["metric_list"]:
        measure = metric["metric"]
        aggregate = function(metric["aggregation"])
        best = aggregate([row[measure] for row in right])
        assert best == pytest.approx(PERFECT.get(measure, 1))
        assert aggregate([row[measure] for row in wrong]) < 0.2 * best


def test_rows_of_a_task_are_chosen(functions):
    from datasets import Dataset

    from cephalo.dataset_scripts.plates.rows import CRACK, ENERGY, STRESS, crack_rows, stress_rows

    talks = [*stress_rows("holes", 0, 0, 16)[1], *crack_rows("holes", 0, 0, 16)[1]]
    rows = Dataset.from_list([{"query": row["query"], "task": row["task"]} for row in talks])
    assert functions.stress_rows(rows)["query"] == [STRESS]
    assert functions.energy_rows(rows)["query"] == [ENERGY]
    assert functions.crack_rows(rows)["query"] == [CRACK]
