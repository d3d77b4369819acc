"""Passages of a dataset on the Hub, from a real hub with the real client."""

import pyarrow.parquet as pq
import pytest
from hub_fixture import hub as hub
from pdf_samples import FIRST, SECOND, THIRD

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import run_command

PUSH = """
import sys
from datasets import Dataset
from huggingface_hub import DatasetCard
rows = {sys.argv[2]: [sys.argv[3], "Too short.", None]}
Dataset.from_dict(rows).push_to_hub(sys.argv[1])
DatasetCard("---\\nlicense: cc-by-sa-4.0\\n---\\n").push_to_hub(sys.argv[1])
"""
EXTRACT = """
import sys
from cephalo.cli.main import main
for name in sys.argv[2:]:
    try:
        main(["extract", "--dataset", name, "--text", "--out", sys.argv[1]])
    except SystemExit as end:
        print(end)
"""


def test_passages_of_a_dataset(hub, tmp_path):
    text = f"{FIRST}\n\n{SECOND}\n\n{THIRD}"
    hub.run(PUSH, tmp_path, "alice/essays", "text", text)
    out = tmp_path / "out"
    first, second = hub.run(EXTRACT, tmp_path, str(out), *["alice/essays"] * 2).splitlines()
    assert "1 documents read, 0 read before" in first
    assert "0 documents read, 1 read before" in second
    [shard] = (out / "text").glob("*.parquet")
    [row] = pq.read_table(shard).to_pylist()
    assert (row["text"], row["images"]) == (text, [])
    assert (row["document"], row["author"]) == ("alice/essays#0", "alice")
    assert (row["license"], row["title"]) == ("CC-BY-SA-4.0", None)
    assert row["source_url"] == f"{hub.endpoint}/datasets/alice/essays"
    assert len(row["revision"]) == 40


def test_datasets_without_text_are_refused_in_one_line(hub, tmp_path):
    hub.run(PUSH, tmp_path, "alice/answers", "answer", "x")
    names = ["alice/answers", "alice/none"]
    first, second = hub.run(EXTRACT, tmp_path, str(tmp_path / "out"), *names).splitlines()
    assert "has no column text, only answer" in first
    assert "no folder and no dataset" in second


def test_a_dataset_gives_text_only(tmp_path):
    with pytest.raises(CephaloError, match="add --text"):
        run_command("extract", ["--dataset", "a/b", "--out", str(tmp_path)])
