"""Write the card of a published dataset: sources, licences, splits, dropped rows, samples,
limits."""

# Untyped or partially typed: datasets, huggingface_hub and jinja2.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportMissingTypeStubs=false

import io
import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datasets import DatasetInfo
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard, DatasetCardData
from jinja2 import Environment, FileSystemLoader
from PIL import Image

from cephalo.cli.json_files import read_object
from cephalo.cli.rows import Row
from cephalo.inference.images import as_rgb, shrunk
from cephalo.model_cards.dataset_plots import write_plots
from cephalo.model_cards.licenses import hub_license, license_url
from cephalo.model_cards.markdown import escape_cell, link
from cephalo.model_cards.sources import Sources
from cephalo.model_cards.teacher_terms import NO_MODEL, teacher_terms

HERE = Path(__file__).parent
SAMPLES = 4  # rows, each of another document
SAMPLE_SIDE = 480  # pixels
# Reasons for dropped rows; the names are those of `cephalo.dataset_scripts.publication.dedup`.
REASONS = {
    "repeated": "of a document that was read again, under another name",
    "named": "of a document that was left out by its name",
    "licence": "no known open licence",
    "person": "a person rejected it",
    "uncropped": "a person corrected its box, and its page for another crop was missing",
    "where": "not chosen by the condition `--where`",
    "third_party": "the caption names a third party's rights",
    "excluded": "shows an image of an excluded dataset, or a part of one",
    "recurring": "a logo or badge, small or without a caption, on many pages or in many documents",
    "duplicate": "an earlier row shows or says the same",
    "figure": "about a figure that was left out",
    "corrected": "quotes a caption that a person corrected later",
}


UNREAD = ("schema", "no_answer")  # replies that could not be parsed
MAIN_LANGUAGE = 0.02  # of the rows; a language of fewer is a guess from a few words


@dataclass
class Sample:
    """A row for the card: an encoded image, the question, the answer."""

    image: bytes
    document: str
    query: str
    answer: str


@dataclass
class DatasetFacts:
    """The facts on the card. The first seven fields and `seen` are arguments; `count` fills in the
    others."""

    repo_id: str
    documents: Counter[str]  # by split
    figures_a_document: Counter[int]  # documents by the number of their figures
    dropped: Counter[tuple[str, str]]  # rows by config and reason
    excluded: Counter[str]  # figures by the excluding dataset
    reports: list[dict[str, Any]]  # of refinement, as its `report` writes them
    sources: Sources
    kinds: Counter[str] = field(default_factory=Counter)  # figures by kind
    licenses: dict[str, Counter[str]] = field(default_factory=dict)  # rows by config and licence
    teachers: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Conversations by teacher, task and version of the task's prompt."""
    caption_words: Counter[int] = field(default_factory=Counter)  # figures by length of caption
    languages: Counter[str] = field(default_factory=Counter)  # rows by ISO 639-1 code
    # Conversations by outcome of verification.
    looked: Counter[str] = field(default_factory=Counter)
    reviewed: int = 0  # conversations that were accepted or edited manually
    seen: int = 0  # figures that were accepted or corrected manually
    samples: list[Sample] = field(default_factory=list)

    def count(self, config: str, row: Row, split: str, language: str | None = None) -> None:
        """Count one published row and its language, if known. Figures come before conversations."""
        if language:
            self.languages[language] += 1
        self.licenses.setdefault(config, Counter())[row["license"] or "unknown"] += 1
        if config == "figures":
            self.kinds[row["kind"]] += 1
            self.caption_words[len((row["caption"] or "").split())] += 1
            self.sources.cite(row, "figures")
        elif config == "text":
            self.sources.cite(row, "passages")
        else:
            scores = json.loads(row["scores"] or "{}")
            if outcome := (scores.get("second_look") or {}).get("outcome"):
                self.looked[outcome] += 1
            self.reviewed += bool(scores.get("person"))
            self.teachers[row["teacher"], row["task"] or "", row["task_version"] or ""] += 1
            self.sample(row, split)
            if not self.sources.is_cited(row["document_sha256"]):
                self.sources.cite(row)

    def sample(self, row: Row, split: str) -> None:
        """Store a row of train for the card if it is the first of its document."""
        if len(self.samples) == SAMPLES or split != "train" or not row["images"]:
            return
        if row["document"] not in {sample.document for sample in self.samples}:
            image = row["images"][0]["bytes"]
            self.samples.append(Sample(image, row["document"], row["query"], row["answer"]))

    @property
    def captions_missing(self) -> int:
        """The number of figures without a caption."""
        return self.caption_words[0]

    @property
    def answers(self) -> Counter[str]:
        """The number of answers that refinement "accepted" and "rejected"."""
        counts: Counter[str] = Counter()
        for report in self.reports:
            for task in report.get("tasks", {}).values():
                counts.update({name: task.get(name, 0) for name in ("accepted", "rejected")})
        return counts

    @property
    def read(self) -> int:
        """The number of answers that could be parsed and were checked."""
        return self.answers.total() - sum(self.failed[name] for name in UNREAD)

    @property
    def failed(self) -> Counter[str]:
        """The number of answers that failed each check of refinement; one may fail several."""
        counts: Counter[str] = Counter()
        for report in self.reports:
            for check, by_task in report.get("checks", {}).items():
                counts[check] += sum(by_task.values())
        return counts


def read_reports(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the `report.json` files of `cephalo refine` in these folders."""
    reports: list[dict[str, Any]] = []
    for path in (folder / "report.json" for folder in folders):
        with suppress(FileNotFoundError):
            reports.append(read_object(path, "run `cephalo refine` again"))
    return reports


def write_card(folder: Path, facts: DatasetFacts, infos: dict[str, DatasetInfo]) -> None:
    """Write README.md, ATTRIBUTION.md and card/ (plots and samples) to a dataset's folder."""
    (folder / "card").mkdir(parents=True)
    write_plots(folder / "card" / "plots.png", facts)
    for number, sample in enumerate(facts.samples):
        image = shrunk(as_rgb(Image.open(io.BytesIO(sample.image))), SAMPLE_SIDE)
        image.save(folder / "card" / f"sample-{number}.jpg", quality=85)
    environment = Environment(loader=FileSystemLoader(HERE))
    environment.globals.update(escape=escape_cell, link=link, license_url=license_url)
    template = environment.get_template("attribution.md.jinja")
    with (folder / "ATTRIBUTION.md").open("w", encoding="utf-8", errors="replace") as file:
        file.writelines(template.generate(sources=facts.sources))
    card = str(dataset_card(facts, infos))
    (folder / "README.md").write_text(card, encoding="utf-8", errors="replace")


def add_configs(data: DatasetCardData, infos: dict[str, DatasetInfo]) -> None:
    """Add the files of every config and split, CONFIG/SPLIT-*, and the default config for
    `load_dataset`."""
    talks = (name for name in infos if name.startswith("conversations"))
    default = next(talks, next(iter(infos)))
    DatasetInfosDict(infos).to_dataset_card_data(data)
    MetadataConfigs(
        {
            config: {
                **({"default": True} if config == default else {}),
                "data_files": [
                    {"split": split, "path": f"{config}/{split}-*"} for split in info.splits or ()
                ],
            }
            for config, info in infos.items()
        }
    ).to_dataset_card_data(data)


def dataset_card(facts: DatasetFacts, infos: dict[str, DatasetInfo]) -> DatasetCard:
    """Build the card, with the front matter by which `load_dataset` finds every config and
    split."""
    licenses = {license for counts in facts.licenses.values() for license in counts}
    data = DatasetCardData(
        language=main_languages(facts.languages),
        license=sorted({hub_license(license) for license in licenses}),
        annotations_creators=annotators(facts),
        language_creators=["found"],
        source_datasets=["original"],
        task_categories=["image-text-to-text", "visual-question-answering"],
        size_categories=size_category(
            max(info.splits.total_num_examples for info in infos.values() if info.splits)
        ),
        tags=["materials science", "scientific figures", "cephalo"],
        pretty_name=facts.repo_id.split("/")[1],
    )
    add_configs(data, infos)
    return DatasetCard.from_template(
        data,
        template_path=str(HERE / "dataset_card.md.jinja"),
        facts=facts,
        web_pages=facts.sources.web_pages(),
        infos=infos,
        escape=escape_cell,
        license_url=license_url,
        reasons=REASONS,
        unread=UNREAD,
        link=link,
        non_commercial=[f"`{config}`" for config in infos if config.endswith("_nc")],
        terms=teacher_terms(teacher for teacher, _, _ in facts.teachers),
        year=datetime.now(tz=UTC).year,
    )


def main_languages(languages: Counter[str]) -> list[str]:
    """Return the languages of the rows, the most frequent first; English if unknown."""
    least = MAIN_LANGUAGE * languages.total()
    return [name for name, count in languages.most_common() if count >= least] or ["en"]


def annotators(facts: DatasetFacts) -> list[str]:
    """Return who wrote the texts, in the Hub's terms: the papers' authors, and models."""
    models = {teacher for teacher, _, _ in facts.teachers} - NO_MODEL
    return ["expert-generated"] + ["machine-generated"] * bool(models)


def size_category(rows: int) -> str:
    """Return the Hub's size category: "n<1K", "1K<n<10K", ..."""
    names = ["1K", "10K", "100K", "1M", "10M", "100M"]
    above = [name for power, name in enumerate(names, 3) if rows >= 10**power]
    below = names[len(above) : len(above) + 1]
    return "<".join([*above[-1:], "n", *below])
