"""Chat templates that do not end, or write without end, cost seconds and no memory."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from datasets import Dataset

from cephalo.cli import templates
from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.cli.templates import TemplateUnboundedError, check_template, render
from cephalo.inference.local import load, text_message
from cephalo.train.encoding import encode_rows
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

LOADED = 60  # seconds that a busy machine may take for what takes one
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def test_a_template_writes_what_transformers_would_write():
    template = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    template += "{% if add_generation_prompt %}me:{% endif %}"
    message = {"role": "user", "content": "What is naïve?"}
    assert render(template, [message], {"bos_token": "<s>"}) == "<s>user: What is naïve?\nme:"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ 'a' * (messages|length * 10**10) }}", "takes too much memory"),
        ("{{ 'a' * 10**10 }}", "takes too much memory"),  # as it is compiled
        ("{{ 'a' * (messages|length * 10**6) }}", "it writes 3,000,000 characters"),
        ("{{ messages.__class__ }}{{ ''.__class__.__mro__ }}", "'__class__' of 'str' object is un"),
        ("{% for a in range(999999) %}{% endfor %}", "Range too big"),
        ("{{ raise_exception('no\n\nimages') }}", "cannot write a conversation: no images"),
        ("{% if %}", "Expected an expression"),
        ("a" * 1_000_001, "has 1,000,001 characters and may have 1,000,000"),
    ],
)
def test_a_bad_template_is_refused_in_one_line(template, message):
    began = time.monotonic()
    with pytest.raises(CephaloError, match=message) as refusal:
        check_template(template, ())
    assert "\n" not in str(refusal.value)
    assert time.monotonic() - began < LOADED


def test_a_loop_ends_with_its_time_and_the_next_template_is_rendered(monkeypatch):
    monkeypatch.setattr(templates, "SECONDS", 0.5)
    with pytest.raises(TemplateUnboundedError, match=r"takes more than 0\.5 seconds"):
        check_template(LOOP, (("bos_token", "<s>"),))
    assert templates._renderer.process is None
    assert render("{{ messages|length }}", [{}, {}], {}) == "2"


def test_the_process_has_no_secrets_and_ends_with_its_parent(monkeypatch):
    """Even a parent that was killed, and that ignored the signal by which a loop ends."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, LOOP],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,  # which the process has too, and so has an end when both have ended
        text=True,
    )
    kept = Path("/proc", parent.stdout.readline().strip(), "environ").read_bytes()
    assert b"TZ=Asia/Tokyo" in kept and b"hf_secret" not in kept
    parent.kill()
    parent.communicate(timeout=LOADED)


PARENT = """
import signal, sys, threading, time
from cephalo.cli import templates
signal.signal(signal.SIGALRM, signal.SIG_IGN)
templates.SECONDS = 2
templates.render("", [], {})
threading.Thread(target=templates.render, args=(sys.argv[1], [], {})).start()
time.sleep(0.5)  # and the loop has begun
print(templates._renderer.process.pid, flush=True)
signal.pause()
"""


def test_a_process_that_cannot_begin_is_a_fault_of_ours(monkeypatch):
    templates._renderer.stop()
    monkeypatch.setattr(templates, "ENVIRONMENT", ("PYTHONHOME",))
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(RuntimeError, match="ended with exit code 1"):
        render("", [], {})


def test_the_process_is_kept_and_a_forked_process_starts_its_own():
    render("{{ 1 }}", [], {})
    kept = templates._renderer.process.pid
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        text = render("{{ 2 }}", [], {})
        os.write(writer, f"{text} {templates._renderer.process.pid != kept}".encode())
        templates._renderer.stop()
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 99) == b"2 True"
    assert render("{{ 3 }}", [], {}) == "3"
    assert templates._renderer.process.pid == kept


TRAP = "{% if 'nacre' in messages[0].content[0].text %}" + LOOP + "{% endif %}"


def test_a_loop_for_some_questions_only_holds_up_no_command(tmp_path, monkeypatch):
    make_tiny_phi3_v(tmp_path, ["Nacre in rows."])
    template = tmp_path / "chat_template.jinja"
    template.write_text(TRAP + template.read_text())
    cephalo = load(tmp_path)
    answer = cephalo.ask("What?", max_new_tokens=2)
    row = {
        "images": [],
        "prompt": [text_message("user", "What is nacre?")],
        "completion": [text_message("assistant", "Rows.")],
    }
    monkeypatch.setattr(templates, "SECONDS", 0.5)
    for attempt in (
        lambda: cephalo.ask("What is nacre?"),
        lambda: list(cephalo.stream("What is nacre?")),
        lambda: encode_rows(Dataset.from_list([row] * 40), cephalo.processor),
    ):
        began = time.monotonic()
        with pytest.raises(TemplateUnboundedError, match=r"takes more than 0.5 seconds"):
            attempt()
        assert time.monotonic() - began < LOADED
    assert cephalo.ask("What?", max_new_tokens=2) == answer


def test_a_card_is_not_held_up(tmp_path, monkeypatch):
    monkeypatch.setattr(templates, "SECONDS", 0.5)
    make_tiny_phi3_v(tmp_path, ["Nacre in rows."])
    (tmp_path / "chat_template.jinja").write_text(LOOP)
    with pytest.raises(SystemExit, match=r"cephalo: error: .*takes more than 0.5 seconds"):
        main(["card", str(tmp_path)])
