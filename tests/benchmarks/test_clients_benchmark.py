"""`python -m benchmarks.clients`: what it says without mistral.rs, and the table it prints."""

import sys
from types import SimpleNamespace

import pytest

from benchmarks.clients import __main__ as clients
from benchmarks.clients import families


def test_without_mistralrs_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mistralrs", None)
    assert clients.main() == 1
    assert capsys.readouterr().err == "mistral.rs is missing; pip install mistralrs\n"


def stand_in(answers):
    """A module like mistralrs whose model answers `answers`, in order."""
    texts = iter(answers)

    def answer(request):
        message = SimpleNamespace(content=next(texts))
        return SimpleNamespace(
            choices=[SimpleNamespace(message=message)], usage=SimpleNamespace(prompt_tokens=7)
        )

    return SimpleNamespace(
        Runner=lambda **_: SimpleNamespace(send_chat_completion_request=answer),
        Which=SimpleNamespace(MultimodalPlain=dict),
        MultimodalArchitecture=SimpleNamespace(Idefics2="idefics2"),
        ModelDType=SimpleNamespace(F32="f32"),
        ChatCompletionRequest=dict,
    )


def test_the_last_layer_is_named_where_it_explains_an_answer():
    answers = [clients.Answer(text, 5) for text in ("a", "b", "c")]
    own, last, other = answers
    assert [clients.verdict(own, last, one) for one in answers] == ["same", "last layer", "other"]
    assert clients.verdict(own, own, other) == "other"


def test_the_last_layer_of_clip_is_another_one(tmp_path):
    family = families.FAMILIES["LLaVA-NeXT"]
    family.make(tmp_path / "model")
    asked = clients.pictures(tmp_path, family.white)
    first, last = (
        clients.ask_transformers(tmp_path / "model", family, asked, layer)
        for layer in (False, True)
    )
    assert first["white"].prompt_tokens == last["white"].prompt_tokens == 130
    assert first["white"].text != last["white"].text


@pytest.mark.parametrize(("text", "code", "verdict"), [(0, 0, "same"), (1, 1, "other")])
def test_an_answer_to_a_text_that_differs_fails(tmp_path, monkeypatch, capsys, text, code, verdict):
    merge = {"Idefics2 merge": families.FAMILIES["Idefics2 merge"]}
    merge["Idefics2 merge"].make(tmp_path / "model")
    asked = {"text": None, **clients.pictures(tmp_path, 112)}
    own = clients.ask_transformers(tmp_path / "model", merge["Idefics2 merge"], asked)
    told = ["another" if text else " " + own["text"].text, "another", own["white"].text]
    monkeypatch.setitem(sys.modules, "mistralrs", stand_in(told))
    monkeypatch.setattr(clients, "FAMILIES", merge)
    assert clients.main() == code
    rows = [line.split()[2:] for line in capsys.readouterr().out.splitlines()[1:]]
    prompts = [str(own[kind].prompt_tokens) for kind in ("text", "noise", "white")]
    found = [verdict, "other", "same"]
    assert rows == [
        [kind, same, prompt, "7"]
        for kind, same, prompt in zip(("text", "noise", "white"), found, prompts, strict=True)
    ]
