"""A discussion: the roles of a panel speak in turn, then the moderator reports.

smolagents has agents that call each other, but no turn-taking; so this is plain Python, and
smolagents serves the roles that ask about the images with a tool.
"""

from collections.abc import Callable, Sequence

from cephalo.apps.discuss.panel import Panel, Role
from cephalo.apps.discuss.transcript import (
    LONGEST_TURN,
    Minutes,
    Transcript,
    Turn,
    checked,
    seen_image,
)
from cephalo.apps.model_sources import Models, clean, in_one_line
from cephalo.cli.errors import CephaloError
from cephalo.inference.questions import NoAnswerError, Picture, Question, Sampling

LONGEST_HISTORY = 16_000  # characters of earlier turns in a prompt
LEAST_OF_TURN = 200  # characters of each turn that are kept in a long discussion

SPEAK = """Round {round} of {rounds}. Speak as {role}: add what is missing, answer what was said, \
and name earlier turns by their number, such as [1]. Do not repeat and do not speak for others."""

REPORT = """The discussion is over. Write its report as JSON in this form and nothing else:
{"summary": "...", "claims": [{"text": "...", "turn": 1, "quote": "..."}], \
"open_questions": ["..."]}
Each claim names the number of the one turn that says it and quotes a few words of that turn. Take \
no claim from elsewhere."""


def hold_discussion(
    panel: Panel,
    models: Models,
    question: str,
    pictures: Sequence[Picture],
    names: Sequence[str],
    seed: int = 0,
    advance: Callable[[], object] = lambda: None,
) -> Transcript:
    """Return the transcript of a discussion of `question` about `pictures` with the names `names`.

    If the model of a role fails, its turn has the error, and the others continue. `advance` is
    called after each turn.
    """
    transcript = Transcript(
        question=clean(question),
        seed=seed,
        images=list(map(seen_image, names, pictures)),
        panel=panel.model_dump(),
    )
    for round in range(1, panel.rounds + 1):
        for role in panel.roles:
            task = SPEAK.format(round=round, rounds=panel.rounds, role=role.name)
            prompt = asked(panel, role, transcript, task, pictures)
            turn = Turn(
                number=len(transcript.turns) + 1,
                round=round,
                role=role.name,
                model=panel.models[role.model].model,
            )
            try:
                speak(turn, panel, role, models, prompt, pictures, seed)
            except (NoAnswerError, CephaloError) as error:
                turn.error = in_one_line(error)
            transcript.turns.append(turn)
            advance()
    report(transcript, panel, models, pictures)
    return transcript


def speak(
    turn: Turn,
    panel: Panel,
    role: Role,
    models: Models,
    prompt: Question,
    pictures: Sequence[Picture],
    seed: int,
) -> None:
    """Fill `turn` with the answer of its role. Raises NoAnswerError and CephaloError."""
    sampling = Sampling(role.temperature, panel.max_tokens, seed)
    if role.image_tool:
        from cephalo.apps.discuss.smolagents_parts import ask_with_tool

        text, turn.looks = ask_with_tool(
            models, role.model, role.image_tool, prompt, pictures, sampling
        )
    else:
        reply = models.ask(role.model, prompt, sampling).reply
        text, turn.finish_reason = reply.text, reply.finish_reason
        turn.prompt_tokens, turn.completion_tokens = reply.prompt_tokens, reply.completion_tokens
    turn.text = clean(text).strip()[:LONGEST_TURN]


def report(
    transcript: Transcript, panel: Panel, models: Models, pictures: Sequence[Picture]
) -> None:
    """Add the moderator's report to `transcript`, or the error if there is none."""
    if not transcript.said():
        transcript.report_error = "no model replied"
        return
    moderator = panel.moderator
    prompt = asked(panel, moderator, transcript, REPORT, pictures, Minutes)
    sampling = Sampling(moderator.temperature, panel.max_report_tokens, transcript.seed)
    try:
        minutes = models.ask(moderator.model, prompt, sampling).value
        assert isinstance(minutes, Minutes)  # as asked
        transcript.report = checked(minutes, transcript.said())
    except (NoAnswerError, CephaloError) as error:
        name = panel.models[moderator.model].model
        transcript.report_error = f"{name}: {in_one_line(error)}"


def asked(
    panel: Panel,
    role: Role,
    transcript: Transcript,
    task: str,
    pictures: Sequence[Picture],
    schema: type[Minutes] | None = None,
) -> Question:
    """Build the question for a role: its images, the question, the turns so far, and `task`."""
    others = ", ".join(other.name for other in panel.roles if other.name != role.name)
    system = f"You are {role.name} in a discussion with {others or 'nobody else'}. {role.prompt}"
    seen = tuple(pictures) if role.sees_images else ()
    text = f"Question: {transcript.question}\n\n{history(transcript.said())}\n\n{task}"
    return Question(system, (*seen, text), schema)


def history(turns: Sequence[Turn]) -> str:
    """Return the turns so far, each line marked as quoted, so that no text can imitate another
    turn.

    Long discussions are shortened evenly: every turn keeps its number and its beginning.
    """
    if not turns:
        return "Nobody has spoken yet."
    room = max(LEAST_OF_TURN, LONGEST_HISTORY // len(turns))
    return "\n".join(f"[{turn.number}] {turn.role}:\n" + quoted(turn.text[:room]) for turn in turns)


def quoted(text: str) -> str:
    """Prefix every line of `text` with a quotation mark."""
    return "\n".join(f"> {line}" for line in text.splitlines())
