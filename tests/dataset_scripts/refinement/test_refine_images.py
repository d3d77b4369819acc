"""Images of a shard are read when they are wanted, and only some are held."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from figure_samples import figure_row

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.common.schema import FIGURES
from cephalo.dataset_scripts.refinement import shard_images
from cephalo.dataset_scripts.refinement.documents import part_figures, read_figures
from cephalo.dataset_scripts.refinement.shard_images import Images


@pytest.fixture
def shard(tmp_path):
    """Ten figures in row groups of three; the third one has no image."""
    rows = [figure_row(0, number) for number in range(10)]
    rows[2]["image"] = None
    table = pa.Table.from_pylist(rows, schema=FIGURES.arrow_schema)
    pq.write_table(table, tmp_path / "paper.parquet", row_group_size=3)
    return tmp_path / "paper.parquet"


def test_images_of_rows_in_any_order(shard, monkeypatch):
    whole = {row["label"]: row["image"] for row in read_figures(shard)}
    figures, unread = part_figures(shard)
    assert len(unread) == 1 and ", row 2: " in unread[0]
    assert [figure["row"] for figure in figures] == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    assert all(figure["image"]["bytes"] is None for figure in figures)
    monkeypatch.setattr(shard_images, "KEPT", 2 * len(whole[figures[0]["label"]]["bytes"]))
    images = Images()
    for order in ([0, 1, 2], [8, 7, 3], [4, 4, 0], range(9)):
        for figure in images.filled(shard, [figures[place] for place in order]):
            assert figure["image"] == whole[figure["label"]]
        assert images.size == sum(map(len, images.kept.values())) <= shard_images.KEPT


def test_reading_on_reads_each_row_once(shard, monkeypatch):
    read = []
    keep = Images.keep
    monkeypatch.setattr(Images, "keep", lambda self, *one: read.append(one[1]) or keep(self, *one))
    images = Images()
    figures, _ = part_figures(shard)
    images.filled(shard, figures)
    assert read == [0, 1, *range(3, 10)]  # the third row, which is left out, ends its group
    images.kept.clear()
    images.size = 0
    images.image(shard, 7)  # in the third group
    assert read[9:] == [6, 7]


def test_a_shard_that_changed_is_named(shard):
    figures, _ = part_figures(shard)
    pq.write_table(pq.read_table(shard).slice(0, 2), shard)
    with pytest.raises(CephaloError, match=r"paper.parquet changed while it was read"):
        Images().filled(shard, figures[-1:])
