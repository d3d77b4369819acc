"""Search in all texts of figures with the index of `cephalo search`."""

from pathlib import Path

from cephalo.dataset_scripts.searching.index import open_index
from cephalo.dataset_scripts.workbench.catalogue import Catalogue

MOST = 1000  # figures of a result


def in_all_texts(catalogue: Catalogue, refined: Path, text: str) -> list[int]:
    """Return the numbers of the figures that `cephalo search` finds, best matches first.

    Raises:
        CephaloError: If the index cannot be read or written, or the text has no words.
    """
    with open_index(catalogue.folder, refined, catalogue.verdicts_in) as index:
        index.update()
        hits, _ = index.find(text, MOST)
    return catalogue.numbers((hit.shard, hit.place) for hit in hits)
