"""What `cephalo serve` lets through to the model, and what it answers to the rest. No model here:
behind the gate is an application that says what reached it."""

import asyncio
import base64
import json
from types import SimpleNamespace

import pytest
from aiohttp import web
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse
from starlette.testclient import TestClient
from transformers import GenerationConfig

from cephalo.apps import serve_images, serve_requests
from cephalo.apps.serve import answer_error, asked_settings
from cephalo.apps.serve_images import FetchError, ImageFetcher, is_public
from cephalo.apps.serve_requests import CHAT, Gate, Served

HELLO = [{"role": "user", "content": "Hello"}]


async def echo(scope, receive, send):
    """Answer with the body that arrived."""
    body = (await receive())["body"]
    await JSONResponse({"reached": json.loads(body or b"null")})(scope, receive, send)


def ask(body: object, path: str = CHAT, method: str = "POST", **served) -> tuple[int, dict]:
    """The status and the body of the answer to a request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = []

    async def receive():
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message):
        sent.append(message)

    gate = Gate(echo, Served("nacre", context=1000, vocabulary=50, **served))
    scope = {"type": "http", "method": method, "path": path, "headers": []}
    asyncio.run(gate(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"max_tokens": 5, "temperature": 0, "seed": 7, "n": 1, "stop": ["x"], "stream": True},
        {"max_completion_tokens": 1000, "top_p": 1, "logit_bias": {"49": -100}},
        {"messages": [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}]},
        {"tools": [], "tool_choice": "none", "logprobs": False, "presence_penalty": 0},
        {"response_format": {"type": "text"}, "modalities": ["text"], "user": "me"},
    ],
)
def test_good_requests_reach_the_server_as_they_are(more):
    status, answer = ask({"model": "nacre", "messages": HELLO, **more})
    assert (status, answer["reached"]) == (200, {"model": "nacre", "messages": HELLO, **more})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"messages": "Hello"}, "messages: Input should be a valid list"),
        ({"messages": []}, "messages: List should have at least 1 item"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
        ({"messages": [{"role": "foo", "content": "x"}]}, "messages.0.role: Input should be"),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "messages.0.content"),
        ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 1"),
        ({"max_tokens": 2.5}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 1001}, "max_tokens is more than the 1,000 tokens"),
        ({"seed": 1e30}, "seed: Input should be a valid integer"),
        ({"temperature": float("nan")}, "temperature: Input should be a finite number"),
        ({"temperature": -1}, "temperature: Input should be greater than or equal to 0"),
        ({"n": 5}, "n: Input should be 1"),
        ({"top_p": 0}, "top_p: Input should be greater than 0"),
        ({"stop": [""]}, "stop"),
        ({"logit_bias": {"50": 1}}, "logit_bias names a token beyond the 50"),
        ({"logit_bias": {"0": 101}}, "logit_bias.0: Input should be less than or equal to 100"),
        ({"generation_config": "{}"}, "generation_config: Input should be None"),
        ({"tools": [{"type": "function"}]}, "tools is not supported here; leave it out"),
        ({"logprobs": True}, "logprobs is not supported here"),
        ({"presence_penalty": 0.5}, "presence_penalty is not supported here"),
        ({"response_format": {"type": "json_object"}}, "response_format is not supported here"),
        ({"chat_template_kwargs": {"enable_thinking": False}}, "chat_template_kwargs is not"),
    ],
)
def test_what_a_client_can_mend_is_answered_with_400_in_openais_form(more, message):
    status, answer = ask({"messages": HELLO} | more)
    error = answer["error"]
    assert status == 400 and error["message"].startswith(message)
    assert error["type"] == "invalid_request_error" and error.keys() >= {"param", "code"}


def test_an_answer_without_text_is_sent_back_as_openais_clients_do():
    """Null is an empty text in answers; calls of tools are refused by name."""
    answer = {"role": "assistant", "content": None, "tool_calls": None, "refusal": None}
    for sent in (answer, answer | {"tool_calls": []}):
        status, got = ask({"messages": [*HELLO, sent, *HELLO]})
        reached = [*HELLO, {"role": "assistant", "content": ""}, *HELLO]
        assert (status, got["reached"]["messages"]) == (200, reached)
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for sent in (answer | {"tool_calls": [call]}, {"role": "assistant", "tool_calls": [call]}):
        status, got = ask({"messages": [*HELLO, sent]})
        assert (status, got["error"]["param"]) == (400, "messages.1.tool_calls")
        assert "calls of tools are not supported here" in got["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"[]", b"null"])
def test_a_body_that_is_no_chat_completion(body):
    status, answer = ask(body)
    assert status == 400 and answer["error"]["message"]


def test_a_long_prompt_is_refused_by_its_length(monkeypatch):
    status, answer = ask({"messages": [{"role": "user", "content": "a " * 4001}]})
    assert (status, answer["error"]["param"]) == (400, "messages")
    told = "the prompt has 8,002 characters and the model reads 1,000 tokens"
    assert answer["error"]["message"].startswith(told)
    assert ask({"messages": [{"role": "user", "content": "a " * 4000}]})[0] == 200
    monkeypatch.setattr(serve_requests, "MAX_BODY", 100)
    assert ask({"messages": [{"role": "user", "content": "a " * 100}]})[0] == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/reset"), ("POST", "/load_model"), ("POST", "/v1/completions"), ("GET", CHAT)],
)
def test_other_paths_are_not_served(method, path):
    status, answer = ask({}, path, method)
    assert status == 404 and answer["error"]["message"].startswith(f"no {method} {path} here")
    assert ask({}, "/v1/models", "GET")[0] == 200


def test_a_body_that_is_not_declared_as_json_is_answered_with_400():
    app = FastAPI()
    app.add_exception_handler(RequestValidationError, answer_error)

    @app.post(CHAT)
    async def chat(body: dict) -> dict:
        return body

    client = TestClient(Gate(app, Served("nacre", context=1000, vocabulary=50)))
    body = json.dumps({"messages": HELLO})
    answer = client.post(CHAT, content=body, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400 and "application/json" in answer.json()["error"]["message"]
    assert client.post(CHAT, json={"messages": HELLO}).json() == {"messages": HELLO}


@pytest.mark.parametrize(
    ("stop", "stops"),
    [(None, ["USER:"]), ([], ["USER:"]), ("x", ["x", "USER:"]), (["x", "y"], ["x", "y", "USER:"])],
)
def test_stop_strings_stand_beside_those_that_end_the_models_turns(stop, stops):
    processor = SimpleNamespace(room=5, cephalo=SimpleNamespace(stop_strings=["USER:"]))
    settings = asked_settings(GenerationConfig(max_new_tokens=9), {"stop": stop}, processor)
    assert (settings.stop_strings, settings.max_new_tokens) == (stops, 5)


# --- images


def image_at(url: str, **served) -> tuple[int, dict]:
    part = {"type": "image_url", "image_url": {"url": url}}
    return ask({"messages": [{"role": "user", "content": [part]}]}, **served)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/a.png", "https://example.org/a.png", "file:///etc/passwd", "a.png"]
)
def test_nothing_is_fetched_unless_it_was_asked_for(url):
    status, answer = image_at(url)
    assert status == 400 and "must be a data URL" in answer["error"]["message"]
    data = "data:image/png;base64,AAAA"
    status, answer = image_at(data)
    [part] = answer["reached"]["messages"][0]["content"]
    assert (status, part["image_url"]["url"]) == (200, data)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/a.png",
        "http://localhost:9/a.png",
        "http://[::1]:9/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/a.png",
        "http://2130706433/a.png",
        "ftp://example.org/a.png",
    ],
)
def test_fetched_images_are_public_ones(url):
    status, answer = image_at(url, fetch_images=True)
    assert status == 400
    told = answer["error"]["message"]
    assert any(why in told for why in ("not public", "must be a data URL", "not a canonical"))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("fe80::1%eth0", False),
    ],
)
def test_public_addresses(address, public):
    assert is_public(address) == public


def test_what_is_fetched_is_bounded_and_not_redirected(monkeypatch):
    """Loopback stands for the public internet here."""
    monkeypatch.setattr(serve_images, "is_public", lambda address: True)
    monkeypatch.setattr(serve_images, "MAX_BYTES", 1000)

    async def picture(request):
        if request.path == "/moved":
            raise web.HTTPFound("/small")
        return web.Response(body=b"x" * (2000 if request.path == "/large" else 10))

    async def fetch():
        app = web.Application()
        app.add_routes([web.get("/{name}", picture)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        found = []
        for name in ("small", "large", "moved"):
            try:
                found.append(await ImageFetcher().fetch(f"{base}/{name}"))
            except FetchError as error:
                found.append(str(error))
        await runner.cleanup()
        return found

    small, large, moved = asyncio.run(fetch())
    assert base64.b64decode(small.partition("base64,")[2]) == b"x" * 10
    assert large == "it has more than 0 MB" and "status 302; redirections" in moved
