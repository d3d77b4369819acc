"""Cephalo in agents of smolagents: as the agent's model, and as a tool that answers about images.

    from smolagents import ToolCallingAgent

    with Models({"eye": ModelSource(model="runs/nacre"), "mind": ModelSource(...)}) as models:
        tool = ImageTool(models, "eye", [as_picture("nacre.png")], Sampling())
        agent = ToolCallingAgent([tool], CephaloModel(models, "mind", Sampling()))
        agent.run("Which way do the platelets lie, and why is that tough?")

No agent here runs code: tools are called by name, with arguments in JSON.
"""

from collections.abc import Sequence
from typing import ClassVar

import smolagents
from smolagents.agents import EMPTY_PROMPT_TEMPLATES, PromptTemplates, ToolCallingAgent
from smolagents.models import Model, remove_content_after_stop_sequences
from smolagents.tools import Tool

from cephalo.apps.discuss.transcript import LONGEST_TURN, Look
from cephalo.apps.model_sources import Models, as_picture, clean, in_one_line
from cephalo.cli.errors import CephaloError
from cephalo.inference.questions import NoAnswerError, Picture, Question, Sampling

MOST_STEPS = 4  # tool calls in one turn
LONGEST_QUESTION = 2000  # characters of a question to the image tool

# Shorter than smolagents' own, which fills the context of a small model.
STEPS = """{{custom_instructions}}
You work in steps. Each step is one JSON object and nothing else, a call of one of these tools:
{%- for tool in tools.values() %}
{{ tool.to_tool_calling_prompt() }}
{%- endfor %}
For example {"name": "look_at_images", "arguments": {"question": "What is shown?"}}
End with {"name": "final_answer", "arguments": {"answer": "..."}}"""
PROMPTS: PromptTemplates = {
    **EMPTY_PROMPT_TEMPLATES,
    "system_prompt": STEPS,
    "final_answer": {
        "pre_messages": "These are the steps so far:",
        "post_messages": "No steps are left. Write the answer itself, no JSON, to: {{task}}",
    },
}


class CephaloModel(Model):
    """One of `models` as the model of an agent. Tools are called in the text of the answer, so any
    checkpoint and any server will do. `failure` is the last error if there was no answer."""

    def __init__(self, models: Models, name: str, sampling: Sampling) -> None:
        super().__init__(model_id=models.sources[name].model)
        self.models, self.name, self.sampling = models, name, sampling
        self.failure: NoAnswerError | CephaloError | None = None
        self.calls = 0

    def generate(
        self,
        messages: list[smolagents.ChatMessage],
        stop_sequences: list[str] | None = None,
        response_format: dict[str, str] | None = None,
        tools_to_call_from: list[Tool] | None = None,
        **kwargs: object,
    ) -> smolagents.ChatMessage:
        """Return the next message. Raises NoAnswerError and CephaloError."""
        try:
            reply = self.models.ask(self.name, as_question(messages), self.sampling).reply
        except (NoAnswerError, CephaloError) as error:
            self.failure = error
            raise
        return smolagents.ChatMessage(
            role=smolagents.MessageRole.ASSISTANT,
            content=remove_content_after_stop_sequences(reply.text, stop_sequences),
            token_usage=smolagents.TokenUsage(reply.prompt_tokens, reply.completion_tokens),
        )

    def parse_tool_calls(self, message: smolagents.ChatMessage) -> smolagents.ChatMessage:
        """Parse tool calls as smolagents does, with numbers instead of random ids, which are part
        of later prompts."""
        message = super().parse_tool_calls(message)
        for call in message.tool_calls or ():
            self.calls += 1
            call.id = f"call_{self.calls}"
        return message


def as_question(messages: Sequence[smolagents.ChatMessage]) -> Question:
    """Convert messages of smolagents to one question, since not every family's template has all
    their roles."""
    system, parts = [], []
    for message in messages:
        content = message.content or ""
        content = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in content:
            if part["type"] == "image":
                parts.append(as_picture(part["image"]))
            elif message.role == smolagents.MessageRole.SYSTEM:
                system.append(part["text"])
            elif message.role == smolagents.MessageRole.ASSISTANT:
                parts.append(f"You wrote: {part['text']}\n")
            else:
                parts.append(f"{part['text']}\n")
    return Question("\n".join(system), tuple(parts))


class ImageTool(Tool):
    """Cephalo as a tool: answers questions about the images that it was made with.

    It takes no path or URL, so an agent can see no other image. `looks` are the questions that were
    put to it, with their answers.
    """

    name = "look_at_images"
    description = "Answers a question about the images that are discussed."
    inputs: ClassVar = {"question": {"type": "string", "description": "What to look for, in full."}}
    output_type = "string"

    def __init__(
        self,
        models: Models,
        model: str,
        pictures: Sequence[Picture],
        sampling: Sampling,
    ) -> None:
        super().__init__()
        self.models, self.model, self.sampling = models, model, sampling
        self.pictures = tuple(pictures)
        self.looks: list[Look] = []

    def forward(self, question: str) -> str:
        """Return the answer, or the reason for its absence, so that the agent can rephrase."""
        question = clean(str(question))[:LONGEST_QUESTION]
        asked = Question("You read images of materials.", (*self.pictures, question))
        try:
            found = self.models.ask(self.model, asked, self.sampling).reply
            answer = clean(found.text).strip()[:LONGEST_TURN]
        except (NoAnswerError, CephaloError) as error:
            answer = f"{self.models.sources[self.model].model} failed: {in_one_line(error)}"
        self.looks.append(Look(question=question, answer=answer))
        return answer


def ask_with_tool(
    models: Models,
    mind: str,
    eye: str,
    question: Question,
    pictures: Sequence[Picture],
    sampling: Sampling,
) -> tuple[str, list[Look]]:
    """Return the answer of the model `mind`, which may ask the model `eye` about the images, and
    these questions.

    Raises NoAnswerError and CephaloError.
    """
    tool = ImageTool(models, eye, pictures, sampling)
    model = CephaloModel(models, mind, sampling)
    agent = ToolCallingAgent(
        tools=[tool],
        model=model,
        prompt_templates=PROMPTS,
        instructions=question.system,
        max_steps=MOST_STEPS,
        max_tool_threads=1,
        verbosity_level=smolagents.LogLevel.OFF,
    )
    task = "\n".join(part for part in question.parts if isinstance(part, str))
    try:
        text = str(agent.run(task))
    except smolagents.AgentError as error:
        raise model.failure or NoAnswerError(in_one_line(error)) from error
    if model.failure:  # smolagents turns an error in the last step into an answer
        raise model.failure
    return text, tool.looks
