"""Cephalo in smolagents: as the model of an agent, and as its tool that sees; roles that use it."""

import json
import sys

import pytest
import smolagents
from phi3_v_samples import TEXTS, picture
from teacher_server import TeacherServer, user_text

from cephalo.apps.discuss.discussion import hold_discussion
from cephalo.apps.discuss.panel import Panel
from cephalo.apps.discuss.smolagents_parts import CephaloModel, ImageTool, ask_with_tool
from cephalo.apps.model_sources import Models, ModelSource, as_picture
from cephalo.cli.main import main
from cephalo.inference.questions import NoAnswerError, Question, Sampling
from modeling_cephalo.tiny import make_tiny_idefics2

SHORT = Sampling(max_tokens=8)
PICTURE = as_picture(picture(60, 50))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> ModelSource:
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny_idefics2(folder, TEXTS)
    return ModelSource(model=str(folder))


def call(name: str, **arguments: object) -> str:
    return json.dumps({"name": name, "arguments": arguments})


def looks_then_answers(body: dict) -> str:
    """A fake model that asks the tool once, and answers with what it heard."""
    text = user_text(body)
    if "Observation" not in text:
        return f"I look first. {call('look_at_images', question='How fine?')}"
    return call("final_answer", answer=f"Heard: {text.rpartition('Observation:')[2].split()[0]}")


def served(fake: TeacherServer) -> ModelSource:
    return ModelSource(model="mind", base_url=fake.url)


def test_a_role_asks_about_the_images_with_a_tool(tiny):
    role = {"name": "Engineer", "model": "mind", "prompt": "Use {{ braces }}.", "image_tool": "eye"}
    moderator = {"name": "Moderator", "model": "mind", "prompt": "Sum up."}
    found, bodies = [], []
    with TeacherServer(looks_then_answers) as fake:
        panel = Panel.model_validate(
            {
                "models": {"eye": tiny, "mind": served(fake)},
                "roles": [role],
                "moderator": moderator,
                "max_tokens": 8,
                "rounds": 1,
            }
        )
        for _ in range(2):
            with Models(panel.models) as models:
                found.append(hold_discussion(panel, models, "How fine?", [PICTURE], ["a.png"]))
        bodies = [json.dumps(body) for body in fake.requests]
    [turn] = found[0].turns
    [look] = turn.looks
    assert found[0] == found[1] and bodies[: len(bodies) // 2] == bodies[len(bodies) // 2 :]
    assert (turn.error, look.question) == (None, "How fine?")
    assert look.answer and turn.text == f"Heard: {look.answer.split()[0]}"
    assert "image_url" not in bodies[0], "the mind sees no image"
    assert "Use {{ braces }}." in bodies[0] and "look_at_images: Answers a question" in bodies[0]


def test_the_tool_sees_what_the_checkpoint_sees(tiny):
    with Models({"eye": tiny}) as models:
        tool = ImageTool(models, "eye", [PICTURE], SHORT)
        answer = tool(question="What is shown?")
        assert tool(question="What is shown?") == answer
        blind = ImageTool(models, "eye", [], SHORT)
        assert answer and blind(question="What is shown?") != answer
    assert [look.question for look in tool.looks] == ["What is shown?"] * 2


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (call("python_interpreter", code="open('ran', 'w')"), "Error:\nUnknown tool"),
        (call("look_at_images", question="What?", path="/etc/passwd"), "Error:\nArgument path"),
        (call("look_at_images", path="/etc/passwd"), "Error:\nArgument path"),
        ("no call at all", "Error:\nError while parsing tool call"),
    ],
)
def test_bad_calls_are_told_and_nothing_else_happens(tmp_path, monkeypatch, tiny, bad, told):
    monkeypatch.chdir(tmp_path)
    with TeacherServer(lambda body: call("final_answer", answer="Done.")) as fake:
        fake.faults = [bad]
        with Models({"eye": tiny, "mind": served(fake)}) as models:
            question = Question("Be brief.", (PICTURE, "What?"))
            answer = ask_with_tool(models, "mind", "eye", question, [PICTURE], SHORT)
        assert answer == ("Done.", [])
        assert told in user_text(fake.requests[1]) and "root:" not in user_text(fake.requests[1])
    assert not list(tmp_path.iterdir())


def test_steps_are_bounded_and_the_last_answer_is_prose(tiny):
    asks = call("look_at_images", question="And now?")

    def never_ends(body: dict) -> str:
        return "Prose." if "No steps are left" in user_text(body) else asks

    with (
        TeacherServer(never_ends) as fake,
        Models({"eye": tiny, "mind": served(fake)}) as models,
    ):
        question = Question("Be brief.", ("What?",))
        text, looks = ask_with_tool(models, "mind", "eye", question, [PICTURE], SHORT)
        assert (text, len(looks), len(fake.requests)) == ("Prose.", 4, 5)


@pytest.mark.parametrize("answered", [0, 1, 4])
def test_a_mind_that_fails_at_any_step_is_an_error(tiny, answered):
    with TeacherServer(lambda body: call("look_at_images", question="What?")) as fake:
        fake.faults = [None] * answered + [(400, {}, b'{"error": {"message": "no"}}')] * 9
        with Models({"eye": tiny, "mind": served(fake)}) as models:
            question = Question("Be brief.", ("What?",))
            with pytest.raises(NoAnswerError, match="the server answers 400"):
                ask_with_tool(models, "mind", "eye", question, [PICTURE], SHORT)


def test_an_eye_that_fails_is_named_to_the_mind(tmp_path):
    with TeacherServer(looks_then_answers) as fake:
        sources = {"eye": ModelSource(model=str(tmp_path)), "mind": served(fake)}
        with Models(sources) as models:
            question = Question("Be brief.", ("What?",))
            text, [look] = ask_with_tool(models, "mind", "eye", question, [PICTURE], SHORT)
    assert look.answer.startswith(f"{tmp_path} failed: {tmp_path} is not a checkpoint")
    assert text == f"Heard: {tmp_path}"


def test_a_local_checkpoint_is_a_model_of_smolagents(tiny):
    content = [{"type": "image", "image": picture(60, 50)}, {"type": "text", "text": "What?"}]
    messages = [
        smolagents.ChatMessage("system", "Be brief."),
        smolagents.ChatMessage("user", content),
        smolagents.ChatMessage("assistant", "Grains."),
        smolagents.ChatMessage("user", [{"type": "text", "text": "How fine?"}]),
    ]
    with Models({"mind": tiny}) as models:
        model = CephaloModel(models, "mind", SHORT)
        message = model.generate(messages)
        asked = Question("Be brief.", (PICTURE, "What?\n", "You wrote: Grains.\n", "How fine?\n"))
        assert message.content == models.ask("mind", asked, SHORT).reply.text
        assert message.token_usage.output_tokens and model.model_id == tiny.model
        first = message.content[0]
        assert model.generate(messages, stop_sequences=[first]).content == ""
        agent = smolagents.ToolCallingAgent(
            tools=[ImageTool(models, "mind", [PICTURE], SHORT)],
            model=CephaloModel(models, "mind", Sampling(max_tokens=4)),
            max_steps=1,
            verbosity_level=smolagents.LogLevel.OFF,
        )
        with pytest.raises(smolagents.AgentError, match=r"the prompt has [\d,]+ tokens"):
            agent.run("What is shown?")  # smolagents' own prompt is too long for the tiny model


def test_a_missing_package_is_told_with_its_command(tiny, monkeypatch, tmp_path):
    role = {"name": "Engineer", "model": "eye", "prompt": "Look.", "image_tool": "eye"}
    moderator = {"name": "Moderator", "model": "eye", "prompt": "Sum up."}
    panel = {"models": {"eye": tiny.model_dump()}, "roles": [role], "moderator": moderator}
    (tmp_path / "panel.yaml").write_text(json.dumps(panel))
    (tmp_path / "a.png").write_bytes(PICTURE.data)
    monkeypatch.setitem(sys.modules, "smolagents", None)
    given = ["--question", "How fine?", "--panel", str(tmp_path / "panel.yaml")]
    with pytest.raises(SystemExit, match=r"needs smolagents; run: pip install 'cephalo\[agents\]'"):
        main(["discuss", str(tmp_path / "a.png"), *given, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
