"""What servers of chat completions really reply: answers and refusals in all their forms."""

import json

import pytest

from cephalo.cli.errors import CephaloError
from cephalo.inference.endpoint import Endpoint, checked_address, proxy_of
from cephalo.inference.questions import Usage
from cephalo.inference.replies import RefusedError, read_refusal, read_reply


def body(message: dict | None = None, usage: object = None, **more: object) -> bytes:
    choice = {"message": message or {"content": "nacre"}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice | more], "usage": usage}).encode()


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": [{"type": "text", "text": "na"}, {"type": "text", "text": "cre"}]}, "nacre"),
        (
            {"content": [{"type": "thinking", "thinking": "so"}, {"type": "text", "text": "bone"}]},
            "bone",
        ),
        ({"content": None, "reasoning_content": "silk"}, "silk"),
        ({"content": "", "reasoning": "wood"}, "wood"),
        ({"content": "horn", "reasoning_content": "silk"}, "horn"),
        ({"content": None, "refusal": "I can not."}, "I can not."),
        ({"content": None}, ""),
    ],
)
def test_the_text_of_a_reply(message, text):
    assert read_reply(body(message)).text == text


def test_thoughts_of_a_reply_that_was_cut_are_no_answer():
    message = {"content": None, "reasoning_content": "First of all, silk"}
    found = read_reply(body(message, finish_reason="length"))
    assert (found.text, found.finish_reason) == ("", "length")


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ('{"prompt_tokens": 7, "completion_tokens": 5}', (7, 5)),
        ('{"prompt_tokens": "many", "completion_tokens": 1e400}', (0, 0)),
        ('{"prompt_tokens": -3, "completion_tokens": NaN}', (0, 0)),
        ('{"prompt_tokens": [1], "completion_tokens": 1e300}', (0, 0)),
        ('"none"', (0, 0)),
        ("null", (0, 0)),
    ],
)
def test_a_usage_that_is_no_number_counts_nothing(usage, tokens):
    found = read_reply(body().replace(b'"usage": null', b'"usage": ' + usage.encode()))
    assert (found.prompt_tokens, found.completion_tokens) == tokens


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ('{"error": {"message": "no memory", "code": 503}}', 503, "no memory"),
        ('{"error": {"message": "bad prompt", "code": 400}}', 400, "bad prompt"),
        ('{"error": "model runner has stopped"}', 500, "model runner has stopped"),
        ('{"choices": [{"error": {"message": "upstream is gone"}}]}', 500, "upstream is gone"),
    ],
)
def test_an_error_within_a_reply_of_status_200(text, status, reason):
    with pytest.raises(RefusedError) as refusal:
        read_reply(text.encode())
    assert (refusal.value.status, refusal.value.reason) == (status, reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "an empty reply"),
        ("<html><head><title>Sign in</title></head>", "a page of HTML, 'Sign in'"),
        ("<h1>Bad\n gateway</h1><script>x()</script>", "a page of HTML, 'Bad gateway'"),
        ('{"choices": []}', '{"choices": []}'),
        ("[" * 100_000, "[[["),
    ],
)
def test_what_is_no_completion_is_shown_in_one_line(text, reason):
    with pytest.raises(ValueError, match="not a chat completion but") as refusal:
        read_reply(text.encode())
    said = str(refusal.value).partition("but ")[2]
    assert said.startswith(reason) and "\n" not in said and len(said) < 400
    found = read_refusal(502, {}, text.encode())
    assert found.status == 502 and str(found).startswith("the server answers 502: ")
    assert "\n" not in str(found) and len(str(found)) < 400


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"error": "model \'x\' not found"}', "model 'x' not found"),
        ('{"object": "error", "message": "too long"}', "too long"),
        ('{"detail": "Not authenticated"}', "Not authenticated"),
        ('{"error": {"message": "a\\u001b[31mb\\nc", "code": null}}', "a [31mb c"),
    ],
)
def test_the_reason_of_a_refusal(text, reason):
    assert read_refusal(400, {}, text.encode()).reason == reason


def test_a_redirection_is_named_and_not_followed():
    found = read_refusal(307, {"location": "https://other.example/v1"}, b"")
    assert str(found) == "the server answers 307: it redirects to https://other.example/v1"


@pytest.mark.parametrize(
    "address",
    [
        "http://host:0/v1",
        "ftp://host/v1",
        "http://",
        "localhost:8000",
        "http://host:99999/v1",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(CephaloError, match="give one like http://127"):
        checked_address(address)


def test_a_key_that_no_header_takes_is_refused():
    with pytest.raises(CephaloError, match="copy it again"):
        Endpoint("http://host/v1", "model", "sk-\u00e4\n", Usage())


def test_proxies_of_the_environment_are_used(monkeypatch):
    for name in ("HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "gate:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert proxy_of("http://host/v1") == "http://gate:3128"
    assert proxy_of("https://host/v1") is None
    assert proxy_of("http://127.0.0.1:8000/v1") is None


def test_half_a_surrogate_pair_is_a_question_mark():
    reply = read_reply(body({"content": "a\ud800b"}, finish_reason="st\udfffop"))
    assert (reply.text, reply.finish_reason) == ("a?b", "st?op")
