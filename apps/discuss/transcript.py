"""The transcript of a discussion: numbered turns, and a report whose claims refer to turns."""

import io
from typing import Annotated

from PIL import Image
from pydantic import AfterValidator, BaseModel, Field

from cephalo.apps.model_sources import clean
from cephalo.inference.questions import Picture

LONGEST_TURN = 20_000  # characters of an answer that are stored


def with_words(text: str) -> str:
    """Return `text`. Raises ValueError if it has no letters, as in the template that models
    copy."""
    if not any(map(str.isalnum, text)):
        raise ValueError("it has no words")
    return text


Words = Annotated[str, AfterValidator(with_words)]


class Look(BaseModel):
    """A question that a role asked the image tool, with the answer."""

    question: str
    answer: str


class Turn(BaseModel):
    """What one role said, or the `error` if it failed. Numbers start at 1."""

    number: int
    round: int
    role: str
    model: str
    text: str = ""
    error: str | None = None
    looks: list[Look] = []
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str | None = None


class Claim(BaseModel):
    """One finding of the discussion, with a quote from the turn that states it."""

    text: Words = Field(max_length=2000)
    turn: int
    quote: str = Field("", max_length=2000)


class Minutes(BaseModel):
    """The form in which the moderator answers."""

    summary: Words = Field(max_length=4000)
    claims: list[Claim] = Field(max_length=40)
    open_questions: list[str] = Field([], max_length=20)


class CheckedClaim(Claim):
    """`quote_found` is whether the quoted words are in the turn."""

    quote_found: bool


class Report(BaseModel):
    """The validated minutes; `dropped_claims` counts claims that refer to no successful turn."""

    summary: str
    claims: list[CheckedClaim]
    open_questions: list[str]
    dropped_claims: int


class SeenImage(BaseModel):
    """An image as the models saw it: its size in pixels and the SHA-256 of its PNG."""

    name: str
    width: int
    height: int
    sha256: str


class Transcript(BaseModel):
    """A whole discussion. `panel` is the content of the panel's file."""

    question: str
    seed: int
    images: list[SeenImage]
    panel: dict
    turns: list[Turn] = []
    report: Report | None = None
    report_error: str | None = None

    def said(self) -> list[Turn]:
        """Return the turns without an error."""
        return [turn for turn in self.turns if turn.error is None]

    def failed_models(self) -> dict[str, str]:
        """Return the models that failed, each with its first error."""
        failed: dict[str, str] = {}
        for turn in self.turns:
            if turn.error is not None:
                failed.setdefault(turn.model, turn.error)
        return failed

    def summary(self) -> str:
        """Format the outcome of the discussion in one line."""
        said = f"{len(self.said())} of {len(self.turns)} turns"
        if self.report is None:
            return f"{said}, no report: {self.report_error}"
        found = [claim.quote_found for claim in self.report.claims]
        return (
            f"{said}, {len(found)} claims, {sum(found)} of them quote their turn, "
            f"{self.report.dropped_claims} dropped"
        )


def seen_image(name: str, picture: Picture) -> SeenImage:
    """Return the record of an image for the transcript."""
    with Image.open(io.BytesIO(picture.data)) as image:
        return SeenImage(
            name=clean(name), width=image.width, height=image.height, sha256=picture.sha256
        )


def checked(minutes: Minutes, turns: list[Turn]) -> Report:
    """Build the report from the moderator's minutes, with the claims that refer to one of
    `turns`."""
    texts = {turn.number: folded(turn.text) for turn in turns}
    claims = [
        checked_claim(claim, texts[claim.turn]) for claim in minutes.claims if claim.turn in texts
    ]
    return Report(
        summary=clean(minutes.summary),
        claims=claims,
        open_questions=list(map(clean, minutes.open_questions)),
        dropped_claims=len(minutes.claims) - len(claims),
    )


def checked_claim(claim: Claim, text: str) -> CheckedClaim:
    """Check whether the quote of a claim is in the folded `text` of its turn."""
    quote = clean(claim.quote)
    found = bool(quote.strip()) and folded(quote) in text
    return CheckedClaim(text=clean(claim.text), turn=claim.turn, quote=quote, quote_found=found)


def folded(text: str) -> str:
    """Return `text` without what a model changes when it copies: case and line breaks."""
    return " ".join(text.split()).casefold()
