"""The steps from images to a new one: describe, design, prompt, draw, judge, and draw again."""

import io
from collections.abc import Callable, Sequence

from PIL import Image
from pydantic import BaseModel, Field

from cephalo.apps.discuss.transcript import SeenImage, Words
from cephalo.apps.make_image.generator import Generator, GeneratorSettings
from cephalo.apps.model_sources import Models, ModelSource, as_picture, clean, in_one_line
from cephalo.inference.images import open_image
from cephalo.inference.questions import NoAnswerError, Picture, Question, Sampling

GOOD_ENOUGH = 4  # of 5
MAX_TOKENS = 400
LONGEST_TEXT = 4000  # characters of an answer that are stored
LONGEST_PROMPT = 1000  # characters; most text encoders accept fewer

SYSTEM = "You are a materials scientist who reads images and designs new materials from them."
DESCRIBE = """Describe the structure that these images show: its elements, how they are arranged, \
and over which lengths."""
DESIGN = """Goal: {goal}
What the images show:
{description}

Propose one design that takes the principle of this structure to the goal: its parts, their \
arrangement and their proportions."""
WRITE = """Goal: {goal}
Design:
{design}

Write the prompt for a text-to-image model that draws this design: one line of at most 60 words \
that names what is seen, its arrangement, the viewpoint and the style. Write the prompt alone."""
JUDGE = """Goal: {goal}
Design:
{design}

This image was drawn for it with the prompt: {prompt}
Judge the image as JSON in this form and nothing else: {{"reason": "...", "score": 3, \
"prompt": "..."}}
`score` is from 1 (misses the goal) to 5 (meets it), `prompt` is a better prompt of at most 60 \
words."""


class Verdict(BaseModel):
    """What Cephalo thinks of an image: a score from 1 to 5, and the prompt for the next one."""

    reason: Words = Field(max_length=4000)
    score: int = Field(ge=1, le=5)
    prompt: str = Field("", max_length=4000)


class Try(BaseModel):
    """One image, with the seed and prompt that it was drawn from. Numbers start at 1."""

    number: int
    seed: int
    prompt: str
    image: str
    verdict: Verdict | None = None
    verdict_error: str | None = None


class Chain(BaseModel):
    """All replies and images of a run."""

    goal: str
    model: ModelSource
    generator: GeneratorSettings
    seed: int
    images: list[SeenImage]
    description: str = ""
    design: str = ""
    tries: list[Try] = []

    def best(self) -> Try:
        """Return the try with the highest score, the last of equal ones."""
        return max(
            self.tries, key=lambda one: (one.verdict.score if one.verdict else 0, one.number)
        )

    def met(self) -> bool:
        """Whether the last image reached the required score."""
        last = self.tries[-1].verdict if self.tries else None
        return last is not None and last.score >= GOOD_ENOUGH


def make_chain(
    chain: Chain,
    models: Models,
    generator: Generator,
    pictures: Sequence[Picture],
    most_tries: int,
    keep: Callable[[Chain, Image.Image | None], None],
) -> None:
    """Fill `chain` from `pictures`; the model is "cephalo" in `models`.

    `keep` is called after each step, with the new image if there is one. A judgement that cannot be
    parsed is recorded, and the same prompt is tried with another seed. Raises CephaloError if the
    model or the generator fails, NoAnswerError if the model gives no answer.
    """
    seen = tuple(pictures)
    goal = chain.goal
    chain.description = say(models, chain.seed, (*seen, DESCRIBE))
    keep(chain, None)
    task = DESIGN.format(goal=goal, description=chain.description)
    chain.design = say(models, chain.seed, (*seen, task))
    keep(chain, None)
    prompt = one_line(say(models, chain.seed, (WRITE.format(goal=goal, design=chain.design),)))
    start = open_image(io.BytesIO(pictures[0].data))
    while len(chain.tries) < most_tries and not chain.met():
        number = len(chain.tries) + 1
        one = Try(
            number=number, seed=chain.seed + number - 1, prompt=prompt, image=f"image-{number}.png"
        )
        image = generator.draw(prompt, one.seed, start)
        chain.tries.append(one)
        keep(chain, image)
        judge(one, chain, models, image)
        keep(chain, None)
        if one.verdict:
            prompt = one_line(one.verdict.prompt) or prompt


def say(models: Models, seed: int, parts: tuple[str | Picture, ...]) -> str:
    """Return free text of the model. Raises NoAnswerError and CephaloError."""
    sampling = Sampling(max_tokens=MAX_TOKENS, seed=seed)
    reply = models.ask("cephalo", Question(SYSTEM, parts), sampling).reply
    return clean(reply.text).strip()[:LONGEST_TEXT]


def judge(one: Try, chain: Chain, models: Models, image: Image.Image) -> None:
    """Add the verdict on `image`, or the reason for its absence, to its try."""
    task = JUDGE.format(goal=chain.goal, design=chain.design, prompt=one.prompt)
    question = Question(SYSTEM, (as_picture(image), task), Verdict)
    sampling = Sampling(temperature=0.0, max_tokens=MAX_TOKENS, seed=one.seed)
    try:
        verdict = models.ask("cephalo", question, sampling).value
    except NoAnswerError as error:
        one.verdict_error = in_one_line(error)
    else:
        assert isinstance(verdict, Verdict)  # as asked
        one.verdict = Verdict(
            reason=clean(verdict.reason), score=verdict.score, prompt=clean(verdict.prompt)
        )


def one_line(text: str) -> str:
    """Return a prompt without line breaks and of bounded length."""
    return " ".join(text.split())[:LONGEST_PROMPT]
