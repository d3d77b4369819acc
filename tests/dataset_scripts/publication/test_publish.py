"""Figures become conversations, splits and a dataset that `load_dataset` opens."""

import errno
import hashlib
import io
import json
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from figure_samples import figure_row, write_figures
from huggingface_hub import DatasetCard
from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.cli.logs import show_notes
from cephalo.dataset_scripts.common import shards
from cephalo.dataset_scripts.common.conversations import caption_conversation
from cephalo.dataset_scripts.common.schema import CONVERSATIONS, FIGURES, PROVENANCE, TEXT
from cephalo.dataset_scripts.common.shards import ShardWriter, read_rows
from cephalo.dataset_scripts.common.splits import SPLITS
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset, check_licenses
from cephalo.model_cards.dataset_card import escape_cell
from cephalo.model_cards.teacher_terms import teacher_terms


def test_caption_conversation_holds_query_answer_and_the_way_back():
    figure = figure_row(7, 2)
    row = caption_conversation(figure)
    assert set(row) == set(CONVERSATIONS)
    assert row["prompt"] == [
        {
            "role": "user",
            "content": [
                {"type": "image", "text": None},
                {"type": "text", "text": "What is shown in this image?"},
            ],
        }
    ]
    text = "Stress and strain of specimen 2 of batch 7 in tension."
    assert row["completion"] == [{"role": "assistant", "content": [{"type": "text", "text": text}]}]
    assert (row["query"], row["answer"]) == ("What is shown in this image?", text)
    assert row["images"] == [figure["image"]]
    assert row["teacher"] == "caption" and json.loads(row["teacher_params"]) == {}
    assert row["figures"] == [{key: figure[key] for key in ("label", "page", "image_sha256")}]
    for key in ("document", "document_sha256", *PROVENANCE):
        assert row[key] == figure[key]


@pytest.fixture
def dataset(tmp_path):
    return build_dataset([write_figures(tmp_path / "made", documents=4)], "lab/nacre")


def test_every_row_arrives_once_with_its_pixels(dataset):
    figures = load_dataset(str(dataset), "figures", cache_dir=str(dataset.parent / "cache"))
    assert {split: len(rows) for split, rows in figures.items()} == {
        "train": 8,
        "validation": 4,
        "test": 4,
    }
    rows = [row for split in figures.values() for row in split]
    assert {row["image_sha256"] for row in rows} == {
        figure_row(document, number + 1)["image_sha256"]
        for document in range(4)
        for number in range(4)
    }
    for row in rows:
        pixels = np.asarray(row["image"])
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == row["image_sha256"]
    assert rows[0]["panels"][0]["bbox"] == [72, 72, 100, 100]


def test_no_document_is_in_two_splits_and_both_configs_agree(dataset):
    split_of: dict[str, set[str]] = {}
    for config in ("figures", "conversations"):
        data = load_dataset(str(dataset), config, cache_dir=str(dataset.parent / "cache"))
        assert (
            data["train"].features == {"figures": FIGURES, "conversations": CONVERSATIONS}[config]
        )
        for split, rows in data.items():
            for document in rows["document_sha256"]:
                split_of.setdefault(document, set()).add(split)
    assert len(split_of) == 4
    assert all(len(splits) == 1 for splits in split_of.values())


def test_streaming_gives_pil_images(dataset):
    rows = load_dataset(str(dataset), "conversations", split="train", streaming=True)
    row = next(iter(rows))
    assert isinstance(row["images"][0], Image.Image) and row["images"][0].size == (90, 60)


def test_card_tells_counts_sources_and_configs(dataset):
    card = DatasetCard.load(dataset / "README.md")
    assert [config["config_name"] for config in card.data.configs] == ["conversations", "figures"]
    [figures] = [info for info in card.data.dataset_info if info["config_name"] == "figures"]
    assert {split["name"]: split["num_examples"] for split in figures["splits"]} == {
        "train": 8,
        "validation": 4,
        "test": 4,
    }
    link = "[CC-BY-4.0](https://creativecommons.org/licenses/by/4.0/)"
    assert f"| `figures` | {link} | 16 | 100.0 % |" in card.text
    assert card.data.license == ["cc-by-4.0"] and card.data.size_categories == "n<1K"
    attribution = (dataset / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert f"| paper-3.pdf | Paper 3 |  |  | {link} | 4 | 0 |" in attribution
    assert "Documents: 1 test, 1 validation, 2 train." in card.text
    assert "have no caption" not in card.text


def test_figures_without_a_caption_make_no_conversation_and_are_counted(tmp_path):
    made = write_figures(tmp_path / "made", documents=1, caption="")
    folder = build_dataset([made], "lab/nacre")
    assert not (folder / "conversations").exists()
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "- 4 figures have no caption." in text


def test_building_again_gives_the_same_bytes(tmp_path):
    folder = write_figures(tmp_path / "made")
    first = {path: path.read_bytes() for path in build_dataset([folder], "a/b").rglob("*.*")}
    second = {path: path.read_bytes() for path in build_dataset([folder], "a/b").rglob("*.*")}
    # Two configs of three splits; the card, its plots and its sample, and the attribution.
    assert len(first) == 6 + 4
    assert first == second


def test_folder_without_figures_or_with_a_broken_shard_is_refused(tmp_path):
    with pytest.raises(CephaloError, match="contains no figures; run `cephalo extract`"):
        build_dataset([tmp_path], "a/b")
    folder = write_figures(tmp_path / "made")
    (folder / "figures" / "paper-1.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(CephaloError, match=r"paper-1.parquet is not a complete Parquet file"):
        build_dataset([folder], "a/b")
    assert not (folder / "dataset").exists()


def test_a_fault_of_the_system_is_not_one_of_the_shard(tmp_path, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(shards.pq, "ParquetFile", fails)
    with pytest.raises(CephaloError, match=r"^cannot read .*a\.parquet: Too many open files$"):
        shards.open_shard(tmp_path / "a.parquet")


def test_shards_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MAX_SHARD_BYTES", 100_000)
    monkeypatch.setattr(shards, "MAX_GROUP_ROWS", 3)
    writer = ShardWriter(tmp_path, "train", FIGURES)
    for number in range(20):
        writer.add(figure_row(0, number))
    writer.close()
    paths = sorted(tmp_path.glob("train-*.parquet"))
    assert [path.name for path in paths] == [f"train-{i:05d}.parquet" for i in range(len(paths))]
    assert len(paths) == writer.shards > 2
    assert max(path.stat().st_size for path in paths) < 100_000 + 3 * 20_000
    assert writer.bytes == sum(path.stat().st_size for path in paths)
    pages = [page for path in paths for page in pq.read_table(path)["page"].to_pylist()]
    assert pages == list(range(20)) and writer.rows == 20


def test_card_cells_are_plain_text():
    hostile = "<script>alert(1)</script> | [x](javascript:y)\n`{{ 7 * 7 }}`"
    cell = escape_cell(hostile)
    assert not set("<>|[]`{}\n") & set(cell)
    assert escape_cell(None) == ""


def test_hostile_title_stays_in_its_cell(tmp_path):
    folder = write_figures(
        tmp_path / "made", documents=1, title="a | b\n---\nlicense: mit\n{{ 1 }}"
    )
    made = build_dataset([folder], "a/b")
    assert DatasetCard.load(made / "README.md").data.license == ["cc-by-4.0"]
    attribution = (made / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "| a &#124; b --- license: mit &#123;&#123; 1 &#125;&#125; |" in attribution


def test_image_bytes_are_those_of_the_figure(dataset):
    table = pq.read_table(dataset / "conversations" / "test-00000.parquet")
    [image] = table["images"][0].as_py()
    assert Image.open(io.BytesIO(image["bytes"])).size == (90, 60)


def test_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    folder = write_figures(tmp_path / "made")
    before = build_dataset([folder], "a/b")
    kept = sorted(path.name for path in before.rglob("*"))

    def full(writer, table):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        build_dataset([folder], "a/b")
    assert sorted(path.name for path in folder.iterdir()) == ["dataset", "figures"]
    assert sorted(path.name for path in before.rglob("*")) == kept


@pytest.mark.parametrize("license", ["CC-BY-4.0", "CC-BY-NC-4.0"])
def test_conversations_are_what_loads_without_a_config(tmp_path, license):
    folder = write_figures(tmp_path / "made", documents=1, figures=1, license=license)
    rows = load_dataset(str(build_dataset([folder], "lab/nacre")), split="train", streaming=True)
    assert next(iter(rows))["query"] == "What is shown in this image?"


def test_what_was_published_is_told(tmp_path, capsys):
    folder = write_figures(tmp_path / "made", documents=3, figures=2)
    again = [figure_row(0, 1, document_sha256="9" * 64)]
    table = pa.Table.from_pylist(again, schema=FIGURES.arrow_schema)
    pq.write_table(table, folder / "figures" / "zcopy.parquet")
    show_notes()
    made = build_dataset([folder], "lab/nacre")
    said = capsys.readouterr().err.splitlines()
    counts = {path.parent.name: Counter() for path in made.rglob("*.parquet")}
    for path in made.rglob("*.parquet"):
        counts[path.parent.name][path.name.partition("-")[0]] += pq.read_metadata(path).num_rows
    for name, splits in counts.items():
        listed = ", ".join(f"{split} {splits[split]}" for split in SPLITS if splits[split])
        assert f"{name}: {splits.total()} rows ({listed})" in said
    [line] = [line for line in said if line.startswith("documents: 3 (train ")]
    assert line.endswith("; linked by images or text: 1 pair; near-copies left out: 1")


@pytest.mark.parametrize("name", ["CC0-1.0", "PDM-1.0", "CC-BY", "CC-BY-3.0", "CC-BY-SA-4.0"])
def test_open_licences_may_be_published(tmp_path, name):
    """They are refused only with others, and are then not among those that are counted."""
    folder = write_figures(tmp_path / "made", documents=2, license=name)
    assert check_licenses([folder]) is None
    other = write_figures(tmp_path / "other", documents=1, figures=1, license="CC-BY-ND-4.0")
    (other / "figures" / "paper-0.parquet").rename(folder / "figures" / "closed.parquet")
    with pytest.raises(CephaloError, match=r"^1 of 9 rows .* \(1 CC-BY-ND-4\.0\);"):
        check_licenses([folder])


@pytest.mark.parametrize(
    ("name", "told"),
    [(None, "unknown"), ("CC-BY-NC-ND-4.0", "CC-BY-NC-ND-4.0"), ("CC-BY-ND-4.0", "CC-BY-ND-4.0")],
)
def test_other_licences_are_counted_and_refused(tmp_path, name, told):
    folder = write_figures(tmp_path / "made", documents=2)
    other = write_figures(tmp_path / "other", documents=1, figures=3, license=name)
    (other / "figures" / "paper-0.parquet").rename(folder / "figures" / "closed.parquet")
    with pytest.raises(CephaloError) as refusal:
        check_licenses([folder])
    assert str(refusal.value).startswith(
        f"3 of 11 rows of figures have no known open licence (3 {told}); publish with --private"
    )


def test_rows_under_non_commercial_licences_stand_in_configs_of_their_own(tmp_path):
    folder = write_figures(tmp_path / "made", documents=2)
    other = write_figures(tmp_path / "other", documents=3, license="CC-BY-NC-4.0")
    (other / "figures" / "paper-2.parquet").rename(folder / "figures" / "nc.parquet")
    check_licenses([folder])
    made = build_dataset([folder], "lab/nacre")
    rows = [
        [
            row["license"]
            for path in (made / name).iterdir()
            for row in read_rows([path], ["license"])
        ]
        for name in ("figures", "conversations", "figures_nc", "conversations_nc")
    ]
    assert [sorted(set(own)) for own in rows] == [["CC-BY-4.0"]] * 2 + [["CC-BY-NC-4.0"]] * 2
    assert [len(own) for own in rows] == [8, 8, 4, 4]
    card = DatasetCard.load(made / "README.md")
    [meant] = [own["config_name"] for own in card.data.configs if own.get("default")]
    assert meant == "conversations"
    assert "`figures_nc`, `conversations_nc`: rows under CC BY-NC" in card.text
    loaded = load_dataset(str(made), split="train", cache_dir=str(tmp_path / "cache"))
    assert "query" in loaded.column_names and {*loaded["license"]} == {"CC-BY-4.0"}


def test_figures_of_third_parties_are_left_out_of_what_is_public(tmp_path):
    claim = "Stress of nacre. Reproduced with permission from Ref. 3."
    folder = write_figures(tmp_path / "made", documents=2)
    other = write_figures(tmp_path / "other", documents=3, figures=2, caption=claim)
    (other / "figures" / "paper-2.parquet").rename(folder / "figures" / "claimed.parquet")
    counts = {}
    for third_party in (True, False):
        made = build_dataset([folder], "lab/nacre", third_party=third_party)
        for name, column in (("figures", "caption"), ("conversations", "answer")):
            paths = sorted((made / name).iterdir())
            captions = [row[column] for row in read_rows(paths, [column])]
            counts[third_party, name] = captions.count(claim), len(captions)
    assert counts[False, "figures"] == counts[False, "conversations"] == (0, 8)
    assert counts[True, "figures"] == (2, 10)
    text = (made / "README.md").read_text(encoding="utf-8")
    assert "| `figures` | the caption names a third party's rights | 2 |" in text


def test_a_document_is_left_out_by_its_name(tmp_path):
    folder = write_figures(tmp_path / "made", documents=4)
    copy = figure_row(0, 1) | {"document": "copy.pdf", "document_sha256": "c" * 64}
    table = pa.Table.from_pylist([copy], schema=FIGURES.arrow_schema)
    pq.write_table(table, folder / "figures" / "zz.parquet")
    made = build_dataset([folder], "lab/nacre", leave_out=["paper-0.pdf"])
    for config in ("figures", "conversations"):
        shards = sorted((made / config).glob("*.parquet"))
        names = Counter(row["document"] for row in read_rows(shards, ["document"]))
        # The copy's original is not published, so it is kept.
        assert names == {"copy.pdf": 1} | {f"paper-{number}.pdf": 4 for number in (1, 2, 3)}
    card = (made / "README.md").read_text()
    for config in ("figures", "conversations"):
        assert f"| `{config}` | of a document that was left out by its name | 4 |" in card
    documents = re.search(r"Documents: (.*)\.", card)[1]
    assert sum(map(int, re.findall(r"\d+", documents))) == 4
    assert "paper-0.pdf" not in (made / "ATTRIBUTION.md").read_text()
    with pytest.raises(CephaloError, match="no document of this name"):
        build_dataset([folder], "lab/nacre", leave_out=["no.pdf"])


def test_card_tells_what_the_hub_asks(tmp_path):
    folder = write_figures(tmp_path / "made", documents=2, author="Ana Silva")
    card = DatasetCard.load(build_dataset([folder], "lab/nacre") / "README.md")
    assert card.data.annotations_creators == ["expert-generated"]
    assert card.data.source_datasets == ["original"]
    for part in ("## Intended use", "## Personal data", "@misc{nacre,", "eprint = {2405.19076}"):
        assert part in card.text
    assert "looked up" not in card.text and "{{" not in card.text


def test_card_counts_unread_replies_people_and_languages(tmp_path):
    folder = write_figures(
        tmp_path / "made", documents=3, caption="Die Härte der Proben und der Stahl."
    )
    rows = []
    for number, scores in enumerate([{"person": "edited"}, {"second_look": {"outcome": "agrees"}}]):
        row = caption_conversation(figure_row(0, number + 1))
        rows.append(
            row | {"answer": f"It is number {number} of the two.", "scores": json.dumps(scores)}
        )
    write_table(tmp_path / "conv" / "conversations", CONVERSATIONS, rows)
    report = {
        "tasks": {"describe": {"accepted": 2, "rejected": 5}},
        "checks": {"schema": {"describe": 3}, "number": {"describe": 2}},
    }
    (tmp_path / "conv" / "report.json").write_text(json.dumps(report))
    card = DatasetCard.load(build_dataset([folder, tmp_path / "conv"], "a/b") / "README.md")
    assert card.data.language == ["de", "en"]
    assert "3 replies could not be read; no check looked at them." in card.text
    assert "| number | 2 | 2 |" in card.text and "| schema |" not in card.text
    assert "Reviewed manually: 1 of 2 conversations." in card.text
    assert "agreed with 1 of these" in card.text


def test_terms_of_teachers():
    known = teacher_terms(["caption", "gpt-4o", "Qwen/Qwen3-VL-8B", "meta-llama/Llama-4"])
    assert {name: terms and terms[0] for name, terms in known.items()} == {
        "gpt-4o": "OpenAI",
        "Qwen/Qwen3-VL-8B": None,
        "meta-llama/Llama-4": "Meta",
    }


def test_card_tells_what_refinement_passed_and_failed(tmp_path):
    folder = write_figures(tmp_path / "made", documents=2)
    report = {
        "tasks": {
            "describe": {"accepted": 5, "rejected": 2},
            "talk": {"accepted": 1, "rejected": 0},
        },
        "checks": {"numbers": {"describe": 2}, "<b>length": {"describe": 1}},
    }
    (folder / "report.json").write_text(json.dumps(report))
    text = (build_dataset([folder], "a/b") / "README.md").read_text(encoding="utf-8")
    assert "Of 8 answers 6 passed every check and 2 were set aside." in text
    assert "| numbers | 6 | 2 |" in text and "| &#60;b&#62;length | 7 | 1 |" in text
    assert "| caption | caption | 1 | 8 |" in text
    (folder / "report.json").write_text("{")
    with pytest.raises(CephaloError, match=r"report.json is damaged .*; run `cephalo"):
        build_dataset([folder], "a/b")


def web_row(number: int, **changes) -> dict:
    """A figure of a web page: no place on a page, a licence and an author of its own."""
    unknown = dict.fromkeys(("bbox", "caption_bbox", "dpi", "doi", "page", "label"))
    return figure_row(9, number, **unknown) | {
        "document": "https://en.wikipedia.org/wiki/Nacre",
        "title": "Nacre",
        "license": "CC-BY-SA-3.0",
        "author": "A. | Photographer",
        "source_url": "https://commons.wikimedia.org/wiki/File:Nacre_(shell).jpg",
        "revision": "123",
        **changes,
    }


def test_rows_of_the_web_are_published_with_the_licence_of_each_image(tmp_path):
    folder = write_figures(tmp_path / "made", documents=2)
    rows = [web_row(1), web_row(2, license="PDM-1.0", author=None, source_url="javascript:x")]
    rows.append(web_row(3, source_url="http://[nowhere"))
    table = pa.Table.from_pylist(rows, schema=FIGURES.arrow_schema)
    pq.write_table(table, folder / "figures" / "web.parquet")
    dataset = build_dataset([folder], "a/b")
    data = load_dataset(str(dataset), "figures", cache_dir=str(tmp_path / "cache"))
    row, _ = [row for rows in data.values() for row in rows if row["license"] == "CC-BY-SA-3.0"]
    assert row["page"] is row["dpi"] is row["bbox"] is row["label"] is None
    attribution = (dataset / "ATTRIBUTION.md").read_text(encoding="utf-8")
    page = "https://commons.wikimedia.org/wiki/File:Nacre_%28shell%29.jpg"
    license = "[CC-BY-SA-3.0](https://creativecommons.org/licenses/by-sa/3.0/)"
    assert f"A. &#124; Photographer | [commons.wikimedia.org]({page}) | {license}" in attribution
    assert "javascript" not in attribution and "nowhere" not in attribution
    assert "[PDM-1.0](https://creativecommons.org/publicdomain/mark/1.0/)" in attribution
    text = (dataset / "README.md").read_text(encoding="utf-8")
    assert "2 files and 1 web pages." in text
    assert "| `figures` | [CC-BY-SA-3.0]" in text and "| 2 | 18.2 % |" in text


def test_tables_of_several_folders_are_one_dataset(tmp_path):
    figures = write_figures(tmp_path / "figs", documents=4)
    made = [figure_row(document, 1) for document in (0, 3)]
    asked = [
        caption_conversation(figure)
        | {"query": "Why?", "answer": "Since.", "teacher": "gpt-4o", "task": "explain"}
        for figure in [*made, figure_row(77, 1)]
    ]
    write_table(tmp_path / "conv" / "conversations", CONVERSATIONS, asked)
    passages = [text_row(document, number) for document in range(4) for number in range(3)]
    write_table(tmp_path / "more" / "text", TEXT, passages)
    folders = [figures, tmp_path / "conv", tmp_path / "more"]
    dataset = build_dataset(folders, "a/b")
    assert dataset == figures / "dataset"
    cache = str(tmp_path / "cache")
    tables = {
        config: load_dataset(str(dataset), config, cache_dir=cache)
        for config in ("figures", "conversations", "text")
    }
    assert {name: sum(map(len, data.values())) for name, data in tables.items()} == {
        "figures": 16,
        "conversations": 2,  # the third is about a figure that is not there
        "text": 12,
    }
    split_of = {}
    for data in tables.values():
        for split, rows in data.items():
            for document in rows["document_sha256"]:
                assert split_of.setdefault(document, split) == split
    text = (dataset / "README.md").read_text(encoding="utf-8")
    assert "| gpt-4o | explain | 1 | 2 |" in text
    assert "| `conversations` | about a figure that was left out | 1 |" in text


def test_text_alone_is_a_dataset(tmp_path):
    passages = [text_row(document, number) for document in range(3) for number in range(2)]
    write_table(tmp_path / "text", TEXT, passages)
    dataset = build_dataset([tmp_path], "a/b")
    data = load_dataset(str(dataset), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in data.items()} == {
        "train": 2,
        "validation": 2,
        "test": 2,
    }
    card = (dataset / "README.md").read_text(encoding="utf-8")
    assert "From scientific documents: text." in card and "plots.png" not in card
    assert "- `text`: passages" in card and "- `figures`" not in card


def test_columns_can_be_chosen_in_every_config(tmp_path):
    folder = write_figures(tmp_path / "made")
    write_table(folder / "text", TEXT, [text_row(document, 0) for document in range(3)])
    dataset = str(build_dataset([folder], "a/b"))
    for config, column in (("figures", "caption"), ("conversations", "answer"), ("text", "text")):
        columns = [column, "license"]
        rows = load_dataset(dataset, config, split="train", streaming=True, columns=columns)
        assert set(next(iter(rows))) == set(columns)


def write_table(folder, features, rows):
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist(rows, schema=features.arrow_schema)
    pq.write_table(table, folder / "all.parquet")


def text_row(document: int, number: int) -> dict:
    figure = figure_row(document, number)
    said = " ".join(f"word{document}{number}{place}" for place in range(30))
    message = [{"type": "text", "text": said}]
    return {name: figure[name] for name in TEXT if name in figure} | {
        "images": [],
        "prompt": [{"role": "user", "content": message}],
        "completion": [{"role": "assistant", "content": message}],
        "text": said,
    }
