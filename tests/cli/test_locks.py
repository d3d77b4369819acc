"""One run at a time writes a folder, whatever the command; a killed one holds nobody up."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from figure_samples import write_figures
from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked, locked_name, replacing, written_aside
from cephalo.cli.main import main

HOLD = """
import sys, time
from pathlib import Path
from cephalo.cli.files import locked
import multiprocessing
with locked(Path(sys.argv[1])):
    def forked():  # which has let go of the lock when it begins
        print("held", flush=True)
        time.sleep(60)
    multiprocessing.get_context("fork").Process(target=forked).start()
    time.sleep(60)
"""


def test_a_folder_is_held_once_and_its_lock_goes_at_the_end(tmp_path):
    folder = tmp_path / "deep" / "out"
    with locked(folder):
        taken = f"another run is writing to {folder}; wait"
        with pytest.raises(CephaloError, match=taken), locked(folder):
            pass
        assert [path.name for path in folder.iterdir()] == [".lock"]
    assert list(folder.iterdir()) == []
    folder = tmp_path / "file" / "out"
    folder.parent.write_text("")
    refused = f"cannot write to {folder}: Not a directory"
    with pytest.raises(CephaloError, match=refused), locked(folder):
        pass


def test_a_run_that_fails_leaves_no_empty_folder_and_one_beside_it_goes_on(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    with pytest.raises(ZeroDivisionError), locked(folder):
        raise ZeroDivisionError
    assert not folder.exists()
    folder.mkdir()
    with pytest.raises(ZeroDivisionError), locked(folder):
        raise ZeroDivisionError
    assert folder.exists()  # it was there before
    opened = Path.open

    def after_the_other_failed(path, mode):
        monkeypatch.setattr(Path, "open", opened)
        folder.rmdir()
        return path.open(mode)

    monkeypatch.setattr(Path, "open", after_the_other_failed)
    with locked(folder):
        assert [path.name for path in folder.iterdir()] == [".lock"]
        (folder / "kept").touch()
    assert [path.name for path in folder.iterdir()] == ["kept"]


def test_a_killed_run_holds_nothing_though_a_process_that_it_forked_lives(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(CephaloError, match="another run"), locked(tmp_path):
            pass
        process.kill()
        process.wait()
        os.killpg(process.pid, 0)  # the forked one is there
        with locked(tmp_path):
            pass
    finally:
        os.killpg(process.pid, signal.SIGKILL)


def test_a_folder_that_appears_whole(tmp_path):
    out = tmp_path / "out"
    (tmp_path / ".out.partial-1").mkdir()  # of a killed run
    (tmp_path / "out.partial").mkdir()  # of the user's own
    with pytest.raises(ZeroDivisionError), locked_name(out), written_aside(out) as aside:
        taken = f"another run is writing to {out}"
        with pytest.raises(CephaloError, match=taken), locked_name(out):
            pass
        (aside / "a").write_text("a")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["out.partial"]
    with locked_name(out), written_aside(out) as aside:
        (aside / "a").write_text("a")
        assert not out.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.partial"]
    assert (out / "a").read_text() == "a"


CARD = (
    """{"repo_id": "x", "model_type": null, "parameters": 1, "base_models": [], "relation": null}"""
)
SLICE = {"sources": [{"model": "a/b", "layer_range": [0, 1]}]}
MERGE = {"merge_method": "passthrough", "dtype": "float32", "slices": [SLICE]}
EXPERT = {"positive_prompts": ["Why?"]}
MIXTURE = {
    "base_model": "a/b",
    "dtype": "float32",
    "experts": [{"source_model": name, **EXPERT} for name in ("a/b", "a/c")],
}


@pytest.mark.parametrize(
    "command",
    [
        "extract IN --out OUT",
        "refine IN --out OUT --teacher caption",
        "plots OUT --rows 3",
        "publish OUT a/b --private --token hf_x",
        "merge merge.yml --out OUT",
        "moe moe.yml --out OUT",
        "card OUT",
        "push OUT a/b --token hf_x",
        "make-mesh gyroid --out OUT",
        "make-image a.png --goal G --model m --generator g --base-url http://127.0.0.1:9 --out OUT",
        "discuss a.png --question Q --model m --base-url http://127.0.0.1:9 --out OUT",
        "series Cephalo-Idefics-2-vision-8b-beta --scale tiny --out SERIES",
    ],
)
def test_a_second_run_is_refused_before_it_touches_anything(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_figures(Path("IN"), documents=1, figures=1)
    (tmp_path / "IN" / "a.pdf").write_bytes(b"%PDF-1.7")
    write_figures(Path("OUT"), documents=1, figures=1)
    (tmp_path / "OUT" / "config.json").write_text('{"model_type": "idefics2"}')
    (tmp_path / "OUT" / "card.json").write_text(CARD)
    (tmp_path / "OUT" / "figures" / ".half.tmp").write_text("of the first run")
    Image.new("RGB", (9, 9)).save("a.png")
    for name, recipe in (("merge", MERGE), ("moe", MIXTURE)):
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(recipe))
    hold = locked_name if command.startswith("m") and ".yml" in command else locked
    folder = Path("SERIES/Cephalo-Idefics-2-vision-8b-beta" if "SERIES" in command else "OUT")
    with hold(folder):
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        with pytest.raises(SystemExit) as ended:
            main(command.split())
        assert ended.value.code == (
            f"cephalo: error: another run is writing to {folder}; wait until it ends"
        )
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


WAIT = """
import asyncio, signal, time
from cephalo.cli import main
def began():
    print("began", flush=True)
async def sleep():  # the loop is there before the signal
    began()
    await asyncio.sleep(60)
def wait(name, arguments):
    {wait}
main.run_command = wait
{ignore}
main.main(["extract"])
"""
SLEEP = "began(); time.sleep(60)"
IGNORE = "signal.signal(signal.SIGINT, signal.SIG_IGN)"  # in the background of a script


@pytest.mark.parametrize(
    ("wait", "ignore"),
    [(SLEEP, ""), ("asyncio.run(sleep())", ""), (SLEEP, IGNORE)],
)
def test_sigterm_ends_as_ctrl_c_does(wait, ignore):
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT.format(wait=wait, ignore=ignore)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "began\n"
    process.terminate()
    said = process.communicate(timeout=60)[1]
    assert said == "cephalo: stopped; the same command resumes\n"
    assert process.returncode == 130


def test_a_file_is_replaced_whole_or_stays_as_it_was(tmp_path):
    path = tmp_path / "report.json"
    for shared in (False, True):
        path.write_text("before")
        with pytest.raises(ZeroDivisionError), replacing(path, shared) as aside:
            aside.write_text("half")
            assert aside.parent == tmp_path and path.read_text() == "before"
            raise ZeroDivisionError
        assert path.read_text() == "before"
        with replacing(path, shared) as aside:
            assert (str(os.getpid()) in aside.name) == shared
            aside.write_text("after")
        assert path.read_text() == "after" and [*tmp_path.iterdir()] == [path]
