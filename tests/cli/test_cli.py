"""The command table: quick, lazy, and one line for errors that the user can fix."""

import errno
import logging
import os
import resource
import subprocess
import sys
import time
from unittest.mock import Mock

import pytest
from warm_python import warm_python

from cephalo.cli import logs
from cephalo.cli.main import COMMANDS, main


def test_help_is_quick_and_imports_no_command():
    code = (
        "import sys; from cephalo.cli.main import main; main(['--help']); "
        "print(sorted({'torch', 'typer', 'transformers', 'datasets'} & set(sys.modules)))"
    )
    start = time.perf_counter()
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert time.perf_counter() - start < 1
    assert output.endswith("[]\n")
    assert all(f"  {name} " in output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name, capsys):
    main([name, "--help"])
    text = capsys.readouterr().out
    if "Commands:" in text:  # a group: its commands carry the examples
        command = text.split("Commands:")[1].split()[0]
        main([name, command, "--help"])
        text = capsys.readouterr().out
    assert "Example:" in text
    assert f"cephalo {name} " in text.split("Example:")[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_takes_less_than_a_second(name):
    """Of the processor, and the quickest of three, since other work may run on the machine."""
    code = "import sys; from cephalo.cli.main import main; main(sys.argv[1:])"

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-c", code, name, "--help"], check=True, capture_output=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert any(seconds() < 1 for _ in range(3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["extrakt"], "no command named 'extrakt'; did you mean 'extract'?"),
        (["train"], "Missing option '--config'"),
        (["publish"], "Missing argument 'FOLDER'"),
        (["train", "--config", "none.yaml"], "no config none.yaml"),
    ],
)
def test_bad_arguments_end_in_one_line_and_exit_code_1(arguments, message):
    process = subprocess.run(
        [warm_python(), "-m", "cephalo.cli.main", *arguments], capture_output=True, text=True
    )
    assert process.returncode == 1
    assert process.stderr.startswith(f"cephalo: error: {message}")
    assert process.stderr.count("\n") == 1
    assert process.stdout == ""


def test_operating_system_errors_are_one_line(monkeypatch):
    monkeypatch.setattr(
        "cephalo.cli.main.run_command",
        lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device", "/data/x")),
    )
    with pytest.raises(SystemExit) as stop:
        main(["extract"])
    said = "cephalo: error: [Errno 28] No space left on device: '/data/x'; / has "
    assert stop.value.code.startswith(said) and "MB left: free disk space" in stop.value.code


@pytest.mark.parametrize(
    ("number", "name", "todo"),
    [
        (errno.ENOENT, "{}/no/file", "; create the folder {}/no"),
        (errno.ENOENT, "{}/file", "; give a file that exists"),
        (errno.EISDIR, "{}", "; give the path of a file"),
        (errno.EACCES, "{}/file", "; change its permissions or give another path"),
        (errno.EIO, "{}/file", ""),
    ],
)
def test_errors_of_files_say_what_to_do(monkeypatch, tmp_path, number, name, todo):
    failed = OSError(number, os.strerror(number), name.format(tmp_path))
    monkeypatch.setattr("cephalo.cli.main.run_command", Mock(side_effect=failed))
    with pytest.raises(SystemExit) as stop:
        main(["extract"])
    assert stop.value.code == f"cephalo: error: {failed}{todo.format(tmp_path)}"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("extract", "cephalo: stopped; the same command resumes\n"),
        *((name, "cephalo: stopped\n") for name in ("serve", "demo", "hub", "chat")),
    ],
)
def test_ctrl_c_says_how_to_go_on_where_there_is_something(monkeypatch, capsys, command, said):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cephalo.cli.main.run_command", interrupted)
    with pytest.raises(SystemExit) as stop:
        main([command])
    assert stop.value.code == 130
    assert capsys.readouterr().err == said


def test_a_defect_of_ours_keeps_its_traceback(monkeypatch):
    def broken(*_):
        raise KeyError("defect")

    monkeypatch.setattr("cephalo.cli.main.run_command", broken)
    with pytest.raises(KeyError, match="defect"):
        main(["extract"])


def test_quiet_and_verbose_stand_anywhere_and_only_the_former_hides_notes(capsys, monkeypatch):
    for name in logs.LIBRARIES:
        monkeypatch.setenv(name, "warning")
    logger = logging.getLogger("cephalo.test")

    def shown(*arguments: str) -> tuple[list[str], str, bool | None]:
        rest, level = logs.take_flags(list(arguments))
        logs.show_notes(level)
        logger.debug("fine"), logger.info("a note"), logger.warning("a warning")
        return rest, capsys.readouterr().err, logs.no_bars()

    assert shown("--out", "x") == (["--out", "x"], "a note\na warning\n", None)
    assert shown("-q", "x", "--", "-v") == (["x", "--", "-v"], "a warning\n", True)
    rest, said, bars = shown("x", "--verbose")
    assert (rest, bars) == (["x"], None)
    lines = said.splitlines()
    assert len(lines) == 3 and lines[1].endswith(" INFO cephalo.test: a note")
    with pytest.raises(SystemExit, match="--quiet and --verbose are mutually exclusive"):
        main(["series", "--quiet", "-v"])
    logs.show_notes()
