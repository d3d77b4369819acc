"""Write the dataset folder that `cephalo publish` pushes: configs, splits and the card."""

import logging
import shutil
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
from datasets import DatasetInfo, Features, SplitDict, SplitInfo
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.logs import no_bars
from cephalo.dataset_scripts.common.chosen import columns_of, conditions_on, takes
from cephalo.dataset_scripts.common.corrected import left_out, read_corrected
from cephalo.dataset_scripts.common.decisions import count_rejected
from cephalo.dataset_scripts.common.language import language_of
from cephalo.dataset_scripts.common.shards import ShardWriter, count_rows, read_rows
from cephalo.dataset_scripts.common.splits import SPLITS
from cephalo.dataset_scripts.common.tables import CONFIGS, Tables, config_rows, find_tables
from cephalo.dataset_scripts.publication.dedup import EncodedImages, select_rows
from cephalo.dataset_scripts.publication.selection import Selection
from cephalo.model_cards.dataset_card import REASONS, DatasetFacts, read_reports, write_card
from cephalo.model_cards.licenses import is_non_commercial, is_open
from cephalo.model_cards.sources import Sources

logger = logging.getLogger(__name__)

NON_COMMERCIAL = "_nc"  # suffix of the configs with rows under non-commercial licences
PUBLISHED = [f"{config}{apart}" for config in CONFIGS for apart in ("", NON_COMMERCIAL)]
FIGURES_A_PROCESS = 200  # with fewer, starting another process takes longer than comparing


def check_licenses(folders: Iterable[Path], where: str | None = None) -> None:
    """Raise CephaloError, with counts by licence, if rows for which `where` holds have no open
    licence."""
    tables = find_tables(folders)
    conditions = conditions_on(tables, where)
    for config, shards in tables.items():
        condition = conditions.get(config)
        columns = dict.fromkeys(["license", *columns_of(condition)])
        read = read_corrected if config == "figures" else read_rows
        licenses = Counter(
            row["license"]
            for row in read(shards, columns, 1000)
            if not left_out(row) and takes(condition, row)
        )
        closed = {
            name: count
            for name, count in licenses.items()
            if not is_open(name) and not is_non_commercial(name)
        }
        if closed:
            listed = ", ".join(f"{count} {name or 'unknown'}" for name, count in closed.items())
            raise CephaloError(
                f"{sum(closed.values())} of {licenses.total()} rows of {config} have no known open "
                f"licence ({listed}); publish with --private, with --only-open-licenses, or with "
                "--allow-unknown-license if you may"
            )


def check_names(tables: Tables, names: Collection[str]) -> None:
    """Raise CephaloError if one of the names is not a document's."""
    left = set(names)
    for shards in tables.values() if left else ():
        left -= {row["document"] for row in read_rows(shards, ["document"], 1000)}
    if left:
        raise CephaloError(
            f"--leave-out {min(left)!r}: no document of this name; give it as the column "
            "`document` has it"
        )


def build_dataset(
    folders: Iterable[Path],
    repo_id: str,
    *,
    only_open: bool = False,
    third_party: bool = True,
    leave_out: Collection[str] = (),
    where: str | None = None,
    exclude: Mapping[str, EncodedImages] | None = None,
    workers: int = 1,
) -> Path:
    """Write the configs and the card to the first folder's `dataset`, and return its path.

    The caller holds the lock of the first folder. `dataset` is written beside and renamed when
    complete; `dataset.compared` holds the data for the comparisons meanwhile.

    Args:
        folders: Folders of figures and conversations.
        repo_id: Name of the dataset on the Hub, for the card.
        only_open: Whether to publish only rows under open licences.
        third_party: Whether to publish figures whose captions state a third party's rights.
        leave_out: Documents to exclude, as in the column `document`.
        where: Condition on the rows to publish.
        exclude: Images to exclude, by the name of their dataset.
        workers: Maximum number of processes that compare images, one per `FIGURES_A_PROCESS`
            figures.

    Raises:
        CephaloError: If the folders contain no rows, or none of a document in `leave_out`.
    """
    folders = list(folders)
    tables = find_tables(folders)
    check_names(tables, leave_out)
    aside, folder = folders[0] / "dataset.partial", folders[0] / "dataset"
    compared = folders[0] / "dataset.compared"
    for left in (aside, compared):
        shutil.rmtree(left, ignore_errors=True)
    try:
        enough = 1 + count_rows(tables["figures"] or tables["conversations"]) // FIGURES_A_PROCESS
        selected = select_rows(
            compared,
            tables,
            only_open=only_open,
            third_party=third_party,
            leave_out=leave_out,
            where=conditions_on(tables, where),
            exclude=exclude,
            workers=min(workers, enough),
        )
        with closing(selected) as selection:
            write_dataset(aside, selection, repo_id, folders)
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    except sqlite3.OperationalError as error:
        raise CephaloError(
            f"{compared}: {error}; free disk space there, and run it again"
        ) from error
    finally:
        for left in (aside, compared):
            shutil.rmtree(left, ignore_errors=True)
    return folder


def write_dataset(folder: Path, selection: Selection, repo_id: str, folders: list[Path]) -> None:
    """Write the published rows to FOLDER/CONFIG/SPLIT-*.parquet, and their card.

    Raises CephaloError if there are none.
    """
    dropped = selection.dropped()
    if rejected := count_rejected(selection.tables["conversations"]):
        dropped["conversations", "person"] = rejected  # they are not among the selection's rows
    for (config, reason), count in dropped.items():
        logger.info("left out %d rows of %s: %s", count, config, REASONS[reason])
    split_of = selection.splits()
    counts = np.bincount(split_of[split_of >= 0], minlength=len(SPLITS)).tolist()
    documents = +Counter[str](dict(zip(reversed(SPLITS), reversed(counts), strict=True)))
    if not documents:
        reasons = [f"{n} of {config} ({REASONS[why]})" for (config, why), n in dropped.items()]
        told = f"left out {'; '.join(reasons)}" if reasons else "run `cephalo extract` on papers"
        raise CephaloError(f"{folders[0]}: no rows to publish; {told}")
    facts = DatasetFacts(
        repo_id=repo_id,
        documents=documents,
        dropped=dropped,
        excluded=selection.excluded,
        reports=read_reports(folders),
        figures_a_document=selection.figures_a_document(),
        sources=Sources(selection.folder / "sources.sqlite"),
    )
    infos = {}
    for config in selection.configs():
        features = CONFIGS[config]
        writers = {
            name: {split: ShardWriter(folder / name, split, features) for split in SPLITS}
            for name in (config, f"{config}{NON_COMMERCIAL}")
        }
        rows = config_rows(config, selection.tables)
        decided = zip(rows, selection.decisions(config), strict=True)
        total = selection.count_rows(config)
        for (_, row), (document, keep) in tqdm(
            decided, total=total, desc=f"Writing {config}", unit=" rows", disable=no_bars()
        ):
            if keep:
                split = SPLITS[split_of[document]]
                apart = NON_COMMERCIAL * is_non_commercial(row["license"])
                writers[f"{config}{apart}"][split].add(row)
                text = row[{"figures": "caption", "text": "text"}.get(config, "answer")]
                facts.count(config, row, split, language_of(text or ""))
                verdict = row.get("verdict")
                facts.seen += bool(verdict and verdict.person)
        for name, own in writers.items():
            for writer in own.values():
                writer.close()
            if any(writer.rows for writer in own.values()):
                infos[name] = dataset_info(features, own)
    write_card(folder, facts, infos)
    for line in summary(documents, dropped, selection.count_links(), infos):
        logger.info(line)


def summary(
    documents: Mapping[str, int],
    dropped: Mapping[tuple[str, str], int],
    links: int,
    infos: Mapping[str, DatasetInfo],
) -> list[str]:
    """Format what was published, one line each: documents and near-copies, rows and splits."""
    splits = ", ".join(f"{name} {documents[name]}" for name in SPLITS if name in documents)
    copies = sum(count for (_, reason), count in dropped.items() if reason == "duplicate")
    lines = [
        f"documents: {sum(documents.values())} ({splits}); linked by images or text: {links} "
        f"pair{'' if links == 1 else 's'}; near-copies left out: {copies}"
    ]
    for name, info in infos.items():
        rows = {split: one.num_examples for split, one in (info.splits or {}).items()}
        splits = ", ".join(f"{split} {count}" for split, count in rows.items())
        lines.append(f"{name}: {sum(rows.values())} rows ({splits})")
    return lines


def dataset_info(features: Features, writers: dict[str, ShardWriter]) -> DatasetInfo:
    """Build the metadata of a config for the Hub's viewer and `load_dataset`: splits that have
    rows."""
    splits = SplitDict()
    for split, writer in writers.items():
        if writer.rows:
            splits.add(SplitInfo(split, num_bytes=writer.bytes, num_examples=writer.rows))
    size = sum(writer.bytes for writer in writers.values())
    return DatasetInfo(features=features, splits=splits, download_size=size, dataset_size=size)
