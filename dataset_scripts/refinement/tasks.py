"""Tasks of a teacher: a prompt in `prompts/NAME.md` and the form of the answer.

The front matter of a prompt is a `Facts`. Example answers may be in `NAME.examples.yaml` beside it.
A custom folder (`--prompts`) overrides `prompts`, and may add tasks.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from cephalo.cli.errors import CephaloError, fault_of
from cephalo.cli.yaml_files import parse_yaml
from cephalo.dataset_scripts.common.conversations import QUERY
from cephalo.dataset_scripts.refinement.forms import FORMS, Form, Talk, Turn, text_sha256
from cephalo.dataset_scripts.refinement.showing import NEEDS

PROMPTS = Path(__file__).with_name("prompts")
# Prompts that are not tasks.
NO_TASKS = ("system", "second_answer", "second_verdict", "blind_answer", "blind_verdict")
DIGEST = 8  # hexadecimal digits of a SHA-256 that identify a version
MAX_PROMPT_BYTES = 100_000  # of a file of --prompts


class Facts(BaseModel):
    """The front matter of a prompt.

    `version` is informative, since prompts are also identified by their text. `min_words` applies
    to an answer; `figures` is the number of figures of one paper shown together; `talks`, the
    number of conversations in a usual reply, is used for the cost estimate. `needs` names what a
    figure must have to be asked about (`NEEDS`). `openings` are questions of which each answer gets
    one if the form has none. `form` names the form of a custom task.
    """

    model_config = ConfigDict(extra="forbid")

    version: str = "1"
    min_words: int = Field(default=1, ge=1)
    figures: int = Field(default=1, ge=1, le=8)
    talks: int = Field(default=1, ge=1)
    needs: str | None = None
    openings: tuple[str, ...] = Field(default=(QUERY,), min_length=1)
    form: str | None = None

    @field_validator("needs", "form")
    @classmethod
    def known(cls, name: str | None, info: ValidationInfo) -> str | None:
        """Raises ValueError for an unknown name."""
        names = FORMS if info.field_name == "form" else NEEDS
        if name is not None and name not in names:
            raise ValueError(f"choose from {', '.join(names)}")
        return name


class Example(BaseModel):
    """An entry of NAME.examples.yaml: what a paper says about a figure, and a good reply."""

    model_config = ConfigDict(extra="forbid")

    quotation: str
    reply: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What is asked about each figure, or about groups of up to `figures` of one paper."""

    name: str
    version: str
    min_words: int
    figures: int
    prompt: str
    form: type[Form] | None  # None without a model
    openings: tuple[str, ...] = (QUERY,)
    needs: str | None = None
    usual_talks: int = 1

    def talks(self, value: Form) -> list[Talk]:
        """Return the conversations of a reply; those that begin with QUERY get an opening."""
        return [self.opened(talk) for talk in value.talks()]

    def opened(self, talk: Talk) -> Talk:
        """Return `talk` with an opening chosen by its answer, always the same one."""
        first, *later = talk.turns
        if first.question != QUERY:
            return talk
        opening = self.openings[int(text_sha256(first.answer), 16) % len(self.openings)]
        return talk._replace(turns=(Turn(opening, first.answer), *later))


class Prompt(NamedTuple):
    """The text of a prompt and its version."""

    text: str
    version: str


def load_prompt(name: str, folder: Path | None = None) -> Prompt:
    """Load a prompt that is not a task, from `folder` if it exists there: "system", "second_answer"
    or "second_verdict"."""
    facts, text = read_prompt(name, folder)
    return Prompt(text, versioned(facts, text))


def load_task(name: str, folder: Path | None = None) -> Task:
    """Load the task of a name in FORMS, or of a custom folder. Raises CephaloError."""
    facts, text = read_prompt(name, folder)
    if name not in FORMS and not facts.form:
        forms = ", ".join(FORMS)
        raise CephaloError(f"{folder}/{name}.md: a new task needs a `form`, one of {forms}")
    form = FORMS[facts.form or name]
    prompt = "\n\n".join([*load_examples(name, form, folder), text])
    schema = json.dumps(form.model_json_schema(), sort_keys=True)
    return Task(
        name=name,
        version=versioned(facts, prompt, schema),
        min_words=facts.min_words,
        figures=facts.figures,
        prompt=prompt,
        form=form,
        openings=facts.openings,
        needs=facts.needs,
        usual_talks=facts.talks,
    )


def versioned(facts: Facts, *texts: str) -> str:
    """Return the version of a prompt: the stated one and a digest of its content."""
    digest = text_sha256(json.dumps([facts.model_dump(), *texts], sort_keys=True))
    return f"{facts.version}+{digest[:DIGEST]}"


def read_prompt(name: str, folder: Path | None = None) -> tuple[Facts, str]:
    """Read the front matter and the text of NAME.md, from `folder` if it exists there.

    Raises CephaloError if the file is not a prompt.
    """
    path = found(f"{name}.md", folder)
    parts = read_bounded(path).split("---\n", 2)
    if len(parts) != 3 or parts[0].strip() or not parts[2].strip():
        raise CephaloError(f"{path}: begin with a line ---, facts, a line ---, then the prompt")
    try:
        facts = Facts.model_validate(parse_yaml(parts[1]) or {})
    except (ValidationError, yaml.YAMLError) as error:
        raise CephaloError(f"{path}: {told(error)}") from error
    return facts, parts[2].strip()


def load_examples(name: str, form: type[Form], folder: Path | None) -> list[str]:
    """Format the examples of a task for its prompt. Raises CephaloError if one is invalid."""
    path = found(f"{name}.examples.yaml", folder)
    if not path.exists():
        return []
    try:
        examples = [Example.model_validate(one) for one in parse_yaml(read_bounded(path)) or []]
        for example in examples:
            form.model_validate(example.reply)
    except (ValidationError, yaml.YAMLError, TypeError) as error:
        raise CephaloError(f"{path}: {told(error)}") from error
    return [
        f"An example, of another paper. It said: {example.quotation}\n"
        f"A good reply: {json.dumps(example.reply, ensure_ascii=False)}"
        for example in examples
    ]


def found(name: str, folder: Path | None) -> Path:
    """Return a file of `folder` if it exists, else the packaged one."""
    own = folder / name if folder else None
    return own if own and own.is_file() else PROMPTS / name


def read_bounded(path: Path) -> str:
    """Read a prompt file of limited size. Raises CephaloError if it cannot be read."""
    try:
        data = path.read_bytes()
        if len(data) > MAX_PROMPT_BYTES:
            raise CephaloError(f"{path}: {len(data):,} bytes are too many for a prompt; shorten it")
        return data.decode("utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CephaloError(f"{path} cannot be read: {error}") from error


def told(error: Exception) -> str:
    """Format a validation error in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {fault_of(first)}"
    return " ".join(str(error).split())[:200]


def parse_tasks(text: str, folder: Path | None = None) -> list[Task]:
    """Parse a comma separated list of tasks; returns them in the order of FORMS, then custom ones.

    Raises CephaloError.
    """
    if folder and not folder.is_dir():
        raise CephaloError(f"--prompts {folder}: no such folder")
    if folder and not any(folder.glob("*.md")) and not any(folder.glob("*.examples.yaml")):
        raise CephaloError(f"--prompts {folder}: no NAME.md and no NAME.examples.yaml in it")
    own = sorted(path.stem for path in folder.glob("*.md")) if folder else []
    known = [*FORMS, *(name for name in own if name not in FORMS and name not in NO_TASKS)]
    names = {name.strip() for name in text.split(",") if name.strip()}
    if not names or names - set(known):
        raise CephaloError(f"--tasks {text!r}: choose from {', '.join(known)}")
    return [load_task(name, folder) for name in known if name in names]
