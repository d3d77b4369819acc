"""The participants of a discussion: roles with their prompts and models, from a YAML file."""

from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from cephalo.apps.model_sources import ModelSource
from cephalo.cli.errors import CephaloError, fault_of
from cephalo.cli.yaml_files import parse_yaml

SHIPPED = Path(__file__).with_name("panel.yaml")
LARGEST_FILE = 100_000  # bytes

Name = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^\n\r\[\]]+$")]
Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class Strict(BaseModel):
    """Unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Role(Strict):
    """A participant. `model` names one of the panel's models.

    A role sees the images itself (`sees_images`), asks another of the panel's models about them
    through a tool of smolagents (`image_tool` names it), or only knows what the others say.
    """

    name: Name
    model: str
    prompt: Prompt
    sees_images: bool = False
    image_tool: str | None = None
    temperature: float = Field(0.7, ge=0, le=2)


class Panel(Strict):
    """The roles speak in turn for some rounds; then the moderator writes the report.

    `max_tokens` limits one answer, `max_report_tokens` the report, `timeout` one request to a
    server and `max_seconds` the whole discussion, in seconds; `max_image_edge` is in pixels.
    """

    models: dict[str, ModelSource] = Field(min_length=1, max_length=16)
    roles: tuple[Role, ...] = Field(min_length=1, max_length=12)
    moderator: Role
    rounds: int = Field(2, ge=1, le=10)
    max_tokens: int = Field(400, ge=1, le=8192)
    max_report_tokens: int = Field(1500, ge=1, le=8192)
    max_image_edge: int = Field(1024, ge=16, le=2048)
    timeout: float = Field(120.0, gt=0, le=3600)
    max_seconds: float = Field(3600.0, gt=0, le=86_400)

    @model_validator(mode="after")
    def fits_together(self) -> Self:
        """Reject unknown models and two roles of one name."""
        everyone = (*self.roles, self.moderator)
        for role in everyone:
            for model in filter(None, (role.model, role.image_tool)):
                if model not in self.models:
                    raise ValueError(f"{role.name} names {model}, which is not among the models")
            if role.sees_images and role.image_tool:
                raise ValueError(f"{role.name} sees the images and needs no image_tool")
        if len({role.name for role in everyone}) < len(everyone):
            raise ValueError("two roles have the same name")
        if self.moderator.image_tool:
            raise ValueError(
                "the moderator writes the report from the turns; remove its image_tool"
            )
        return self


def read_panel(path: Path) -> Panel:
    """Read the panel of a YAML file.

    Raises CephaloError for a missing file, invalid YAML, an unknown key and an invalid value.
    """
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise CephaloError(f"cannot read the panel {path}: {error.strerror}") from error
    if len(text) > LARGEST_FILE:
        raise CephaloError(f"{path} has more than {LARGEST_FILE:,} bytes; a panel is a short YAML")
    try:
        return Panel.model_validate(parse_yaml(text))
    except yaml.YAMLError as error:
        raise CephaloError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise CephaloError(f"{path}: {where}: {fault_of(first)}") from error
