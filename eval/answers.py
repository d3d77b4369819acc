"""Collect a model's answers to questions, saved as they arrive, so that a killed run resumes."""

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked, write_whole
from cephalo.cli.json_files import parse_object, read_object
from cephalo.cli.logs import no_bars
from cephalo.cli.templates import TemplateUnboundedError
from cephalo.eval.questions import Question
from cephalo.inference.thoughts import UNFINISHED

if TYPE_CHECKING:
    from cephalo.inference.local import Cephalo


@dataclass(frozen=True)
class Answer:
    """The answer of a model, or the error if it could not process the question or was cut before it
    answered."""

    answer: str
    error: str | None = None


def answer_all(
    model: str,
    revision: str | None,
    questions: Sequence[Question],
    folder: Path,
    settings: Mapping[str, Any],  # of several types
) -> list[Answer]:
    """Return the answers of a model by greedy decoding, reading existing ones from
    FOLDER/answers.jsonl.

    `settings` are everything that the answers depend on; "batch_size" and "max_new_tokens" are
    used. A resumed run has the same batches as an uninterrupted one. Raises CephaloError if FOLDER
    contains answers of other settings, or the model cannot be loaded.
    """
    with locked(folder):
        path, size = folder / "answers.jsonl", settings["batch_size"]
        check_settings(folder / "settings.json", settings, path)
        answers = read_answers(path, size, len(questions))
        if len(answers) < len(questions):
            from cephalo.inference import local

            cephalo = local.load(model, revision=revision)
            starts = range(len(answers), len(questions), size)
            with path.open("a", encoding="utf-8") as file:
                for start in tqdm(starts, desc=model[-40:], unit=" batches", disable=no_bars()):
                    batch = questions[start : start + size]
                    found = ask(cephalo, batch, settings["max_new_tokens"])
                    file.write("".join(json.dumps(asdict(answer)) + "\n" for answer in found))
                    file.flush()
                    answers += found
    return answers


def check_settings(path: Path, settings: Mapping[str, object], answers: Path) -> None:
    """Save the settings, or raise CephaloError if `answers` exist with other settings."""
    if not path.exists() or not answers.exists():
        write_whole(path, json.dumps(settings, indent=2) + "\n")
        return
    kept = read_object(path, "remove its folder and run again")
    if changed := [name for name in settings if kept.get(name) != settings[name]]:
        raise CephaloError(
            f"{path.parent} has answers with another {', '.join(changed)}; give another --out"
        )


def read_answers(path: Path, batch_size: int, questions: int) -> list[Answer]:
    """Return the answers of complete batches; an incomplete batch of a killed run is removed."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]  # a last line without a line end is incomplete
    whole = len(lines) if len(lines) == questions else len(lines) // batch_size * batch_size
    kept = lines[:whole]
    size = sum(len(line) + 1 for line in kept)
    if size < path.stat().st_size:
        os.truncate(path, size)
    try:
        return [read_answer(line) for line in kept]
    except (ValueError, TypeError) as error:
        raise CephaloError(f"{path} is damaged; remove it and run again") from error


def read_answer(line: bytes) -> Answer:
    """Read an answer as it was written. Raises ValueError and TypeError for another line."""
    fields: dict[str, Any] = parse_object(line)
    return Answer(**fields)


def ask(cephalo: "Cephalo", batch: Sequence[Question], max_new_tokens: int) -> list[Answer]:
    """Return the answers to a batch; a question that cannot be processed does not affect others."""
    asked = [(question.text, [*map(io.BytesIO, question.images)]) for question in batch]
    try:
        answers = cephalo.ask_batch(asked, max_new_tokens=max_new_tokens)
        return [
            Answer(answer.text, UNFINISHED if answer.cut_in_thoughts else None)
            for answer in answers
        ]
    except TemplateUnboundedError:  # every other question would take as much time
        raise
    except CephaloError as error:
        if len(batch) == 1:
            return [Answer("", str(error))]
    return [answer for question in batch for answer in ask(cephalo, [question], max_new_tokens)]
