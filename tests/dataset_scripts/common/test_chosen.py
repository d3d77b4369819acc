"""`--where` in refine, publish and train: the rows that it takes, of each table."""

import json
import logging
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from correction_samples import correct
from figure_samples import write_figures

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset, check_licenses
from cephalo.train.rows import load_splits


def rows_of(folder: Path) -> list[dict]:
    return [row for path in sorted(folder.glob("*")) for row in pq.read_table(path).to_pylist()]


def captions(folder: Path) -> list[str]:
    return sorted(row["orig_caption"] for row in rows_of(folder / "conversations"))


def caption(batch: int, specimen: int) -> str:
    return f"Stress and strain of specimen {specimen} of batch {batch} in tension."


def refine(folder: Path, *options: str) -> None:
    main(["refine", str(folder), "--teacher", "caption", "--out", str(folder), *options])


def test_refine_takes_the_figures_for_which_it_holds(tmp_path, capsys):
    folder = write_figures(tmp_path / "in", documents=2, figures=2)
    correct(folder, "kind", "micrograph")
    correct(folder, "state", "accepted", document="paper-1.pdf", label="Figure 2")
    refine(folder, "--where", "kind = 'micrograph'")
    assert captions(folder) == [caption(0, 1)]
    assert "--where takes 1 of 4 figures" in capsys.readouterr().err
    refine(folder, "--where", "person = 'accepted' and width < 100")
    assert captions(folder) == [caption(1, 2)]
    refine(folder)
    assert len(captions(folder)) == 4
    with pytest.raises(SystemExit, match="takes none of 4 figures"):
        refine(folder, "--where", "page > 70")
    with pytest.raises(SystemExit, match=r"no column 'knid'; did you mean 'kind'"):
        refine(folder, "--where", "knid = 'x'")
    assert len(captions(folder)) == 4


def test_publish_takes_figures_and_their_conversations(tmp_path, caplog):
    folder = write_figures(tmp_path / "in", documents=2, figures=2)
    refine(folder)
    correct(folder, "state", "accepted")
    made = build_dataset([folder], "lab/nacre", where="person is not null")
    assert [row["caption"] for row in rows_of(made / "figures")] == [caption(0, 1)]
    assert captions(made) == [caption(0, 1)]
    card = (made / "README.md").read_text()
    assert "not chosen by the condition" in card
    assert "Looked at by a person: 1 of 1 figures." in card

    made = build_dataset([folder], "lab/nacre", where="task = 'caption' and answer like '%men 2%'")
    assert len(rows_of(made / "figures")) == 4
    assert captions(made) == [caption(0, 2), caption(1, 2)]

    with pytest.raises(CephaloError, match=r"no column 'knid'; .*the columns of figures are"):
        build_dataset([folder], "lab/nacre", where="knid = 1")
    with caplog.at_level(logging.INFO, "cephalo"):
        build_dataset([folder], "lab/nacre", where="page = 1")
    assert "conversations, except by their figures" in caplog.text


def test_licences_are_checked_of_what_is_published_alone(tmp_path):
    folder = write_figures(tmp_path / "in", documents=1, figures=2, license=None)
    with pytest.raises(CephaloError, match="2 of 2 rows of figures have no known open licence"):
        check_licenses([folder])
    correct(folder, "state", "rejected")
    with pytest.raises(CephaloError, match="1 of 1 rows"):
        check_licenses([folder])
    check_licenses([folder], "license like 'CC-BY%'")


@pytest.mark.parametrize("streaming", [False, True])
def test_train_reads_the_rows_for_which_it_holds(tmp_path, streaming):
    folder = write_figures(tmp_path / "in", documents=2, figures=2)
    refine(folder)
    (tmp_path / "data").mkdir()
    for path in (folder / "conversations").glob("*"):
        path.rename(tmp_path / "data" / path.name)

    def load(where: str) -> list[dict]:
        found = load_splits(str(tmp_path / "data"), None, streaming=streaming, where=where)
        return list(found["train"])

    rows = load("document = 'paper-1.pdf' and answer like '%specimen 2%'")
    assert [row["completion"][0]["content"][0]["text"] for row in rows] == [caption(1, 2)]
    assert rows[0]["row"].endswith(" train where document = 'paper-1.pdf' and answer like "
                                   "'%specimen 2%' [0]")  # fmt: skip
    assert json.dumps(rows[0]["prompt"]) and rows[0]["images"][0]["bytes"]
    with pytest.raises(CephaloError, match=r"no column 'kind'; .* answer, "):
        load("kind = 'figure'")
    if not streaming:
        with pytest.raises(CephaloError, match="takes none of 4 rows"):
            load("answer = ''")
