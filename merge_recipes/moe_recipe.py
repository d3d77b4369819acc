"""Recipes of mixtures of experts, read strictly."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from cephalo.cli.errors import CephaloError, fault_of
from cephalo.cli.yaml_files import parse_yaml
from cephalo.merge_recipes.recipe import RECIPES, Strict


class Prompt(Strict):
    """A user's question, and the image file that it is about, if any."""

    text: str = Field(min_length=1)
    image: str | None = None

    @model_validator(mode="before")
    @classmethod
    def plain(cls, value: object) -> object:
        """Accept a plain string as a prompt without an image."""
        return {"text": value} if isinstance(value, str) else value


class Expert(Strict):
    """`source_model` is a Hub id, NAME@REVISION, or a folder.

    The gates learn to send prompts like `positive_prompts` to it; `test_prompts`, which are not
    trained on, measure their accuracy.
    """

    source_model: str
    positive_prompts: tuple[Prompt, ...] = Field(min_length=1)
    test_prompts: tuple[Prompt, ...] = ()


class GateTraining(Strict):
    """How the gates are trained: full-batch Adam steps on each layer, and the seed."""

    steps: int = Field(default=300, ge=1)
    learning_rate: float = Field(default=0.01, gt=0)
    seed: int = 0


class MoeRecipe(Strict):
    """The decoder MLPs of `experts`; all other weights come from `base_model`."""

    base_model: str
    dtype: Literal["bfloat16", "float16", "float32"]
    experts_per_token: int = Field(default=1, ge=1)
    experts: tuple[Expert, ...]
    gates: GateTraining = GateTraining()

    @model_validator(mode="after")
    def enough_experts(self) -> "MoeRecipe":
        """Reject fewer than two experts, and more experts per token than there are."""
        if len(self.experts) < 2:
            raise ValueError(f"experts has {len(self.experts)} entries; a mixture needs two")
        if self.experts_per_token > len(self.experts):
            raise ValueError(
                f"experts_per_token is {self.experts_per_token} of {len(self.experts)} experts"
            )
        return self


def read_moe_recipe(name: str) -> tuple[str, MoeRecipe]:
    """Return the YAML text and the recipe of a file, or of a packaged recipe such as moe-3x8b.yml.

    Image files are resolved relative to the recipe. Raises CephaloError for a missing file or
    image, invalid YAML, an unknown key and an invalid value, with their names.
    """
    path = next((path for path in (Path(name), RECIPES / name) if path.is_file()), None)
    if path is None:
        shipped = ", ".join(sorted(path.name for path in RECIPES.glob("moe-*.yml")))
        raise CephaloError(f"no recipe {name}; give a YAML file or one of: {shipped}")
    try:
        text = path.read_text(encoding="utf-8")
        recipe = MoeRecipe.model_validate(parse_yaml(text))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CephaloError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        found = [
            f"{'.'.join(map(str, one['loc'])) or 'the file'}: {fault_of(one)}"
            for one in error.errors()
        ]
        raise CephaloError(f"{path}: {'; '.join(found)}") from error
    return text, with_images_beside(recipe, path.parent)


def with_images_beside(recipe: MoeRecipe, folder: Path) -> MoeRecipe:
    """Resolve the paths of a recipe's images relative to `folder`.

    Raises CephaloError if one is missing.
    """

    def placed(prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
        return tuple(
            prompt.model_copy(update={"image": str(folder / prompt.image)})
            if prompt.image
            else prompt
            for prompt in prompts
        )

    experts = tuple(
        expert.model_copy(
            update={
                "positive_prompts": placed(expert.positive_prompts),
                "test_prompts": placed(expert.test_prompts),
            }
        )
        for expert in recipe.experts
    )
    for expert in experts:
        for prompt in (*expert.positive_prompts, *expert.test_prompts):
            if prompt.image and not Path(prompt.image).is_file():
                raise CephaloError(f"no image {prompt.image}, of a prompt of {expert.source_model}")
    return recipe.model_copy(update={"experts": experts})
