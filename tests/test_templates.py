"""Chat templates that do not end, or write without end, cost seconds and no memory."""

import time

import pytest

from cephalo.cli import templates
from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.cli.templates import check_template, render
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

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
    assert time.monotonic() - began < 20


def test_a_loop_ends_with_its_time_and_leaves_no_child(monkeypatch):
    monkeypatch.setattr(templates, "SECONDS", 0.5)
    with pytest.raises(CephaloError, match=r"takes more than 0\.5 seconds"):
        check_template(LOOP, (("bos_token", "<s>"),))
    assert not templates.multiprocessing.active_children()


def test_a_card_is_not_held_up(tmp_path, monkeypatch):
    monkeypatch.setattr(templates, "SECONDS", 0.5)
    make_tiny_phi3_v(tmp_path, ["Nacre in rows."])
    (tmp_path / "chat_template.jinja").write_text(LOOP)
    with pytest.raises(SystemExit, match=r"cephalo: error: .*takes more than 0.5 seconds"):
        main(["card", str(tmp_path)])
