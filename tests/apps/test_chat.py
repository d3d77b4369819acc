"""`cephalo chat` answers from a pipe and refuses bad input in one line."""

import shutil
import subprocess
from pathlib import Path

import pytest
from phi3_v_samples import BRIGHT, DARK, QUESTION
from warm_python import warm_python

from cephalo.cli.main import main


@pytest.fixture(scope="module")
def taught(tmp_path_factory, taught_models) -> Path:
    """A model that TRL taught, with two pictures beside it."""
    folder = tmp_path_factory.mktemp("taught")
    shutil.copytree(taught_models / "model", folder / "model")
    BRIGHT.save(folder / "bright.png")
    DARK.save(folder / "dark.png")
    return folder


def chat(*arguments: object, typed: str) -> subprocess.CompletedProcess:
    command = [warm_python(), "-m", "cephalo.cli.main", "chat", *map(str, arguments)]
    return subprocess.run(command, input=typed, capture_output=True, text=True)


def test_a_model_trained_by_trl_answers(taught):
    bright, dark = taught / "bright.png", taught / "dark.png"
    first = chat(taught / "model", "--image", bright, typed=f"{QUESTION}\n")
    assert (first.stdout, first.stderr) == ("Bright nacre.\n", "")
    typed = f"{QUESTION}\n/new\n/image {dark}\n{QUESTION}\n\n/new\n/image {bright}\n/image {dark}\n"
    talk = chat(taught / "model", typed=f"{typed}{QUESTION}\n")
    assert talk.stdout == "Only text.\nDark steel.\nBright, then dark.\n"
    assert talk.returncode == 0


def refused(capsys, monkeypatch, *arguments: object, typed: str = "") -> str:
    lines = iter(typed.splitlines())
    monkeypatch.setattr("builtins.input", lambda _: next(lines))
    with pytest.raises(SystemExit) as error:
        main(["chat", *map(str, arguments)])
    message = str(error.value)
    assert message.startswith("cephalo: error: ") and "\n" not in message
    return message


def test_bad_input_is_refused_in_one_line(taught, tmp_path, capsys, monkeypatch):
    model = taught / "model"
    found = refused(capsys, monkeypatch, tmp_path)
    assert found.endswith(f"{tmp_path} is not a checkpoint: it has no config.json")
    found = refused(capsys, monkeypatch, model, "--image", tmp_path / "none.png")
    assert "none.png; give the path of an image" in found
    found = refused(capsys, monkeypatch, model, typed="<|image_1|> what?")
    assert "the text contains the control token <|image_1|>; remove it" in found
    found = refused(capsys, monkeypatch, model, typed="steel " * 9000)
    assert "the model reads 8,192; ask with fewer images or less text" in found
    found = refused(capsys, monkeypatch, model, "--max-new-tokens", 0)
    assert "max-new-tokens" in found


def test_in_a_terminal_a_bad_line_does_not_end_the_talk(taught, capsys, monkeypatch):
    lines = iter(["/image none.png", QUESTION])

    def typed(prompt: str) -> str:
        assert prompt == "> "
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", typed)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    main(["chat", str(taught / "model")])
    shown = capsys.readouterr()
    assert "Ctrl-D ends" in shown.out and shown.out.endswith("Only text.\n")
    assert "cephalo: no image none.png" in shown.err
