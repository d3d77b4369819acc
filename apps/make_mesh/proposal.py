"""Let a model propose a design for a goal, from an image."""

import json
import logging
from pathlib import Path

from pydantic import BaseModel, Field

from cephalo.apps.make_mesh.designs import Architecture
from cephalo.apps.make_mesh.fields import solid_of
from cephalo.apps.make_mesh.surface import Surface, surface_with
from cephalo.apps.model_sources import Models, as_picture, in_one_line, source_of
from cephalo.cli.errors import CephaloError
from cephalo.inference.questions import NoAnswerError, Question, Sampling

logger = logging.getLogger(__name__)

NAME = "designer"
LONGEST_GOAL = 2000  # characters
SYSTEM = (
    "You design parts for 3D printing whose inner architecture follows what a picture of a "
    "material shows. You answer with JSON only."
)
TASK = """Look at the picture and choose an architecture for this goal: {goal}

gyroid and schwarz-p are smooth sheets in a cube, honeycomb is hexagonal cells, pollen is a hollow
ball with spikes. Answer with one JSON object of this schema; lengths are in millimetres:
{schema}"""
AGAIN = "Your last answer could not be used: {error}. Answer again with the whole JSON object."


class Proposal(BaseModel):
    """What a model answers."""

    reason: str = Field(max_length=2000, description="why this suits the goal, in a sentence")
    design: Architecture


def propose(
    image: Path,
    goal: str,
    model: str,
    base_url: str | None,
    replies: Path,
    tries: int,
    seed: int,
) -> tuple[Proposal, Surface]:
    """Return a model's design for `goal`, and its solid.

    The error of an invalid answer is printed and fed back to the model, which is asked again.
    Replies are cached in the SQLite file `replies`. Raises CephaloError if none of `tries` answers
    is valid, if the input is not an image, and if the model cannot be used.
    """
    if not goal.strip() or len(goal) > LONGEST_GOAL:
        raise CephaloError(f"--goal: give 1 to {LONGEST_GOAL:,} characters")
    task = TASK.format(goal=goal.strip(), schema=json.dumps(Proposal.model_json_schema()))
    parts = (as_picture(image), task)
    source = source_of(model, base_url)
    wrong = ""
    with Models({NAME: source}, replies, wrong_form_retries=0) as models:
        for number in range(1, tries + 1):
            complaint = (AGAIN.format(error=wrong),) if wrong else ()
            question = Question(SYSTEM, parts + complaint, Proposal)
            try:
                answer = models.ask(NAME, question, Sampling(seed=seed + number - 1))
            except NoAnswerError as error:
                wrong = in_one_line(error)
            else:
                proposal = answer.value
                assert isinstance(proposal, Proposal)  # as asked
                try:
                    return proposal, make(proposal)
                except CephaloError as error:
                    wrong = in_one_line(error)
            logger.warning("answer %d of %d cannot be used: %s", number, tries, wrong)
    raise CephaloError(
        f"{model} gave no design in {tries} tries, the last one because {wrong}; use a "
        "larger model or raise --tries"
    )


def make(proposal: Proposal) -> Surface:
    """Return the solid of a proposal. Raises CephaloError if it cannot be made."""
    return surface_with(solid_of(proposal.design), proposal.design.volume_fraction)
