"""Write the dataset card of the fields: contents, units, and splits."""

import io
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from datasets import DatasetInfo, Features, SplitDict, SplitInfo
from huggingface_hub import DatasetCard, DatasetCardData
from PIL import Image

from cephalo.cli.files import write_whole
from cephalo.dataset_scripts.plates import elasticity, fracture
from cephalo.dataset_scripts.plates.families import SEEN, UNSEEN
from cephalo.model_cards.dataset_card import add_configs, size_category

SPLITS = ("train", "validation", "test", "unseen_families")


def write_card(
    folder: Path, plan: dict[str, int], repo_id: str, configs: dict[str, Features]
) -> None:
    """Write README.md and card/samples.png over the shards in `folder`."""
    infos = {
        config: info
        for config, features in configs.items()
        if (info := dataset_info(folder / config, features)).splits
    }
    rows = max(info.splits.total_num_examples for info in infos.values() if info.splits)
    data = DatasetCardData(
        language="en",
        license="cc0-1.0",
        task_categories=["image-text-to-text", "visual-question-answering"],
        size_categories=size_category(rows),
        tags=["materials science", "mechanics", "finite elements", "synthetic", "cephalo"],
        pretty_name=repo_id.split("/")[-1],
    )
    add_configs(data, infos)
    write_samples(folder)
    card = DatasetCard.from_template(
        data,
        template_path=str(Path(__file__).parent / "card.md.jinja"),
        repo_id=repo_id,
        plan=plan,
        infos=infos,
        seen=list(SEEN),
        unseen=list(UNSEEN),
        elasticity=elasticity,
        fracture=fracture,
        table=family_table(folder),
    )
    write_whole(folder / "README.md", str(card))


def dataset_info(folder: Path, features: Features) -> DatasetInfo:
    """Return rows and bytes of the existing splits."""
    splits = SplitDict()
    for split in SPLITS:
        shards = sorted(folder.glob(f"{split}-*.parquet"))
        if shards:
            rows = sum(pq.read_metadata(shard).num_rows for shard in shards)
            size = sum(shard.stat().st_size for shard in shards)
            splits.add(SplitInfo(split, num_bytes=size, num_examples=rows))
    size = sum(split.num_bytes for split in splits.values())
    return DatasetInfo(features=features, splits=splits, download_size=size, dataset_size=size)


def read_columns(folder: Path, config: str, columns: list[str]) -> dict[str, list[Any]]:
    """Read some columns of all shards of a config."""
    found: dict[str, list[Any]] = {name: [] for name in columns}
    for shard in sorted((folder / config).glob("*.parquet")):
        table = pq.read_table(shard, columns=columns)
        for name in columns:
            found[name] += table[name].to_pylist()
    return found


def family_table(folder: Path) -> list[dict[str, object]]:
    """Summarize by family: plates, mean stress and spread, notched plates, share that cracks."""
    stresses, cracked = defaultdict(list), defaultdict(list)
    fields = read_columns(folder, "fields", ["family", "stress_mean"])
    for family, stress in zip(fields["family"], fields["stress_mean"], strict=True):
        stresses[family].append(stress)
    for config in ("notched", "cracks"):
        rows = read_columns(folder, config, ["family", "initiate"])
        for family, initiate in zip(rows["family"], rows["initiate"], strict=True):
            cracked[family].append(initiate)
    return [
        {
            "family": family,
            "plates": len(stresses[family]),
            "mean": np.mean(stresses[family]) if stresses[family] else None,
            "spread": np.std(stresses[family]) if stresses[family] else None,
            "notched": len(cracked[family]),
            "cracked": np.mean(cracked[family]) if cracked[family] else None,
        }
        for family in (*SEEN, *UNSEEN)
    ]


def write_samples(folder: Path) -> None:
    """Write an image with a plate of each family above its von Mises stress."""
    shown, counts = [], Counter()
    for shard in sorted((folder / "fields").glob("*.parquet")):
        rows = pq.read_table(shard, columns=["family", "microstructure", "von_mises"])
        for row in rows.slice(0, 40).to_pylist():
            if not counts[row["family"]]:
                counts[row["family"]] += 1
                shown.append(row)
    if not shown:
        return
    columns = [
        [Image.open(io.BytesIO(row[name]["bytes"])) for name in ("microstructure", "von_mises")]
        for row in sorted(shown, key=lambda row: [*SEEN, *UNSEEN].index(row["family"]))
    ]
    width, height = columns[0][1].size
    page = Image.new("RGB", (width * len(columns), 2 * height + 8), "white")
    for number, (plate, field) in enumerate(columns):
        page.paste(plate, (number * width, 0))
        page.paste(field, (number * width, height + 8))
    page.thumbnail((2000, 2000))
    (folder / "card").mkdir(exist_ok=True)
    page.save(folder / "card" / "samples.png")
