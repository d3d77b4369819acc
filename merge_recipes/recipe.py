"""Depth-merge recipes: the part of mergekit's YAML that stacks layers, read strictly."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cephalo.cli.errors import CephaloError, fault_of
from cephalo.cli.yaml_files import parse_yaml

RECIPES = Path(__file__).with_name("recipes")


class Strict(BaseModel):
    """Unknown keys are an error; mergekit ignores them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LayerSource(Strict):
    """`model` is a Hub id, NAME@REVISION, or a folder; `layer_range` is [first, end)."""

    model: str
    layer_range: tuple[int, int]

    @field_validator("layer_range")
    @classmethod
    def ordered(cls, value: tuple[int, int]) -> tuple[int, int]:
        """Reject an empty or negative range."""
        if not 0 <= value[0] < value[1]:
            raise ValueError(
                f"{list(value)} is not a range; give [first, end) with 0 <= first < end"
            )
        return value


class Slice(Strict):
    """A run of layers from one model."""

    sources: tuple[LayerSource] = Field(min_length=1, max_length=1)


class DepthRecipe(Strict):
    """Layers of one or more models stacked in order; all other weights come from the first."""

    merge_method: Literal["passthrough"]
    dtype: Literal["bfloat16", "float16", "float32"]
    slices: tuple[Slice, ...] = Field(min_length=1)

    @property
    def sources(self) -> list[LayerSource]:
        """The sources of all slices, in order."""
        return [part.sources[0] for part in self.slices]

    @property
    def layers(self) -> int:
        """The depth of the merged model."""
        return sum(source.layer_range[1] - source.layer_range[0] for source in self.sources)


def read_recipe(name: str) -> tuple[str, DepthRecipe]:
    """Return the YAML text and the recipe of a file, or of a packaged recipe such as 10b.yml.

    Raises CephaloError for a missing file, invalid YAML, an unknown key and an invalid value.
    """
    path = next((path for path in (Path(name), RECIPES / name) if path.is_file()), None)
    if path is None:
        shipped = ", ".join(sorted(path.name for path in RECIPES.glob("*.yml")))
        raise CephaloError(f"no recipe {name}; give a YAML file or one of: {shipped}")
    try:
        text = path.read_text(encoding="utf-8")
        return text, DepthRecipe.model_validate(parse_yaml(text))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CephaloError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise CephaloError(f"{path}: {where}: {fault_of(first)}") from error
