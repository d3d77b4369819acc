"""The client of endpoints: faults, budgets, the cache, what is sent. The server is a fake one."""

import asyncio
import base64
import email.utils
import io
import time

import pytest
from PIL import Image
from pydantic import BaseModel
from teacher_server import TeacherServer, completion, error

from cephalo.cli.errors import CephaloError
from cephalo.inference import endpoint as endpoint_module
from cephalo.inference.data_urls import data_url
from cephalo.inference.endpoint import Endpoint, Limits
from cephalo.inference.questions import (
    BudgetSpentError,
    NoAnswerError,
    Picture,
    Question,
    ReplyCache,
    Respondent,
    Sampling,
    Usage,
    parse_reply,
)
from cephalo.inference.replies import retry_after

KEY = "sk-very-secret-key"
GOOD = '{"word": "nacre"}'


class Form(BaseModel):
    word: str


def png(width: int = 8, height: int = 8, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height)).save(out, "PNG")
    return out.getvalue()


QUESTION = Question("Be brief.", (Picture("0" * 64, png()), "What is it?"), Form)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(endpoint_module, "FIRST_WAIT", 0.01)


@pytest.fixture
def server():
    with TeacherServer(lambda body: GOOD) as server:
        yield server


def ask(server, usage=None, questions=(QUESTION,), cache=None, rejected=(), **limits):
    """The answers, or errors, of `questions` asked at once, or in turn where one may be in
    flight."""
    limits = {"max_retries": 2, "timeout": 5.0, **limits}
    usage = usage or Usage()

    async def run():
        async with Endpoint(server.url, "fake", KEY, usage, Limits(**limits)) as endpoint:
            kept = cache or ReplyCache(":memory:")
            one = Respondent(endpoint, Sampling(), kept, usage, limits["max_retries"])
            asked = [one.ask(question, rejected) for question in questions]
            if limits.get("max_concurrency") == 1:
                return [(await asyncio.gather(ask, return_exceptions=True))[0] for ask in asked]
            return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(run())


RETRIED = {
    "429 with Retry-After": error(429, "slow down", **{"Retry-After": "0.3"}),
    "408": error(408, "too late"),
    "500": error(500, "oops"),
    "503": (503, {}, b"<html>busy</html>"),
    "a dropped connection": "drop",
    "a connection dropped in the middle of the answer": "cut",
    "a time-out": "hang",
    "a reply that never ends": "trickle",
    "an error in a reply of status 200": (200, {}, b'{"error": {"message": "busy"}}'),
    "a body that is no JSON": (200, {}, b"<html>"),
    "a body that is no completion": (200, {}, b'{"choices": []}'),
    "broken JSON from the model": '{"word": "nac',
    "prose from the model": '"I see nacre."',
    "JSON in another form": '{"term": "nacre"}',
}


def seconds(fault: str) -> float:
    """A limit that only a fault meets: a busy machine may take seconds for a good reply."""
    return 0.5 if RETRIED[fault] in ("hang", "trickle") else 60


@pytest.mark.parametrize("fault", RETRIED)
def test_faults_that_pass_are_retried(server, fault):
    server.faults = [RETRIED[fault]]
    usage = Usage()
    [answer] = ask(server, usage, timeout=seconds(fault))
    assert answer.value == Form(word="nacre") and answer.error is None
    assert len(server.requests) == usage.requests == 2
    if "Retry-After" in fault:
        assert 0.3 <= server.times[1] - server.times[0] < 1.5


@pytest.mark.parametrize("fault", RETRIED)
def test_faults_that_stay_fail_one_question_with_a_reason(server, fault):
    server.faults = [RETRIED[fault]] * 3
    failed, answer = ask(
        server,
        questions=[other("First?"), other("Then?")],
        timeout=seconds(fault),
        max_concurrency=1,
    )
    assert answer.value == Form(word="nacre")
    assert len(server.requests) == 4
    if "model" in fault or "form" in fault:  # there is a reply, and what is wrong with it
        assert failed.value is None and "\n" not in failed.error
    else:
        assert isinstance(failed, NoAnswerError)
        assert str(failed).startswith("no answer after 3 tries: ")


def other(text: str) -> Question:
    return Question("Be brief.", (text,), Form)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (error(401, f"wrong key {KEY}"), r"answers 401 to model fake: .*wrong key \[key\]"),
        (error(404, "The model `fake` does not exist"), "answers 404 .*does not exist"),
        (error(400, "model fake not found"), "answers 400 .*not found"),
        (error(429, "no credit", code="insufficient_quota"), "no credit.*when there is credit"),
        (error(429, "come tomorrow", **{"Retry-After": "86400"}), "asks to wait 86,400 seconds"),
        (error(500, "Image input is not supported"), "sees no images.*--text-only"),
        (error(400, "image_url is only supported by certain models"), "sees no images"),
        (error(400, "At most 0 image(s) may be provided in one prompt."), "sees no images"),
        (error(422, "unknown variant `image_url`, expected `text`"), "sees no images"),
        ((308, {"Location": "https://x.example/v1"}, b""), "redirects to https://x.example/v1"),
    ],
)
def test_faults_that_no_question_escapes_end_the_run(server, fault, message):
    server.faults = [fault]
    [failure] = ask(server)
    assert isinstance(failure, CephaloError)
    with pytest.raises(CephaloError, match=message):
        raise failure
    assert KEY not in str(failure) and "\n" not in str(failure)
    assert len(server.requests) == 1


def test_nothing_is_asked_after_a_fault_that_no_question_escapes(server):
    server.faults = [error(401, "no")]
    failures = ask(server, questions=[other("First?"), other("Then?")], max_concurrency=1)
    assert [type(one) for one in failures] == [CephaloError] * 2
    assert str(failures[0]) == str(failures[1]) and len(server.requests) == 1


def test_a_403_costs_its_question_and_many_without_a_reply_end_the_run(server):
    server.faults = [error(403, "flagged by moderation")]
    failed, answer = ask(server, questions=[other("First?"), other("Then?")], max_concurrency=1)
    assert str(failed) == "the server answers 403: flagged by moderation" and answer.value
    server.faults = [error(403, "not yours")] * endpoint_module.MOST_FORBIDDEN
    questions = [other(str(number)) for number in range(endpoint_module.MOST_FORBIDDEN)]
    *refused, last = ask(server, questions=questions, max_concurrency=1)
    assert all(isinstance(one, NoAnswerError) for one in refused)
    assert isinstance(last, CephaloError) and "answers 403 to model fake: not yours" in str(last)


def test_an_image_that_a_server_does_not_take_costs_its_question(server):
    server.faults = [error(400, "Image format image/png is not supported, or its size")]
    failed, answer = ask(server, questions=[QUESTION, other("Then?")], max_concurrency=1)
    assert isinstance(failed, NoAnswerError) and "not supported, or its size" in str(failed)
    assert answer.value and len(server.requests) == 2


def test_a_server_that_is_not_there_ends_the_run():
    gone = TeacherServer(lambda body: GOOD)
    gone.url = "http://127.0.0.1:9/v1"
    [failure] = ask(gone)
    assert isinstance(failure, CephaloError) and "cannot be reached" in str(failure)


def test_a_refused_question_is_not_asked_again(server):
    server.faults = [error(400, "the prompt has 9,000 tokens and the model reads 8,192")]
    failed, answer = ask(server, questions=[other("First?"), other("Then?")], max_concurrency=1)
    assert str(failed).startswith("the server answers 400: ") and answer.value
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("message", "gone", "instead"),
    [
        ("response_format is not supported", "response_format", None),
        ("500 json_schema is unknown", "response_format", None),
        ("Unsupported parameter: 'max_tokens'", "max_tokens", "max_completion_tokens"),
        ("unknown field seed", "seed", None),
        ("temperature does not support 0.7 with this model", "temperature", None),
    ],
)
def test_fields_that_a_server_refuses_are_left_out_from_then_on(server, message, gone, instead):
    server.faults = [error(500 if message.startswith("500") else 400, message)]
    answers = ask(server, questions=[other("First?"), other("Then?")], max_concurrency=1)
    assert all(answer.value for answer in answers)
    first, *later = server.requests
    assert gone in first and len(later) == 2
    assert all(gone not in body and (instead is None or instead in body) for body in later)


def test_what_is_sent(server):
    ask(server)
    [body] = server.requests
    assert body["model"] == "fake" and body["max_tokens"] == 1024 and body["seed"] == 0
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] and schema["schema"]["required"] == ["word"]
    system, user = body["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    image, text = user["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        (png(100, 50), "png", (100, 50)),
        (png(3000, 1500), "jpeg", (256, 128)),
        (png(3000, 1500, "P"), "jpeg", (256, 128)),
        (png(40, 3000, "LA"), "jpeg", (3, 256)),
    ],
)
def test_images_are_shrunk_to_the_edge(data, kind, size):
    head, encoded = data_url(data, 256).decode().split(",")
    assert head == f"data:image/{kind};base64"
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == size


def test_a_broken_image_fails_its_question_only(server):
    broken = Question("Be brief.", (Picture("1" * 64, b"no image"), "What is it?"), Form)
    failed, answer = ask(server, questions=[broken, QUESTION])
    assert isinstance(failed, NoAnswerError) and "not a valid image" in str(failed)
    assert answer.value and len(server.requests) == 1


def test_replies_are_kept_under_all_that_determines_them(server, tmp_path):
    cache = ReplyCache(tmp_path / "replies.sqlite")
    ask(server, cache=cache)
    usage = Usage()
    [again] = ask(server, usage, cache=ReplyCache(tmp_path / "replies.sqlite"))
    assert again.value == Form(word="nacre") and len(server.requests) == 1
    assert (usage.requests, usage.cached) == (0, 1)
    changed = [
        Question("Be long.", QUESTION.parts, Form),
        Question("Be brief.", (Picture("1" * 64, png()), "What is it?"), Form),
        Question("Be brief.", (QUESTION.parts[0], "What is that?"), Form),
    ]
    ask(server, questions=changed, cache=cache)
    ask(server, cache=cache, max_image_edge=512)
    assert len(server.requests) == 5
    assert cache.totals() == (5, 500, 100)


def test_malformed_replies_are_kept_and_counted_against_the_retries(server):
    server.faults = ["{", "{", "{"]
    cache = ReplyCache(":memory:")
    [failed] = ask(server, cache=cache)
    assert failed.value is None and failed.error.startswith("broken JSON")
    assert [body["seed"] for body in server.requests] == [0, 1, 2]
    [again] = ask(server, cache=cache)
    assert again == failed and len(server.requests) == 3
    # Asked again as rejected: a new round, which then holds without being asked for.
    [answer] = ask(server, cache=cache, rejected=[0])
    assert answer.round == 1 and answer.value and server.requests[-1]["seed"] == 1000
    assert ask(server, cache=cache) == ask(server, cache=cache, rejected=[0]) == [answer]
    assert len(server.requests) == 4


def test_an_answer_cut_at_its_tokens_is_not_asked_for_again(server):
    server.faults = [(200, {}, completion('{"word": "na', "length"))]
    [failed] = ask(server)
    assert failed.value is None and failed.reply.finish_reason == "length"
    assert len(server.requests) == 1


def test_budgets_of_requests_and_tokens(server):
    questions = [other(str(number)) for number in range(10)]
    usage = Usage(max_requests=4)
    found = ask(server, usage, questions)
    assert len(server.requests) == 4
    assert sum(isinstance(one, BudgetSpentError) for one in found) == 6
    usage = Usage(max_total_tokens=360)  # 120 a reply
    found = ask(server, usage, questions, max_concurrency=1)
    assert usage.requests == 3 and usage.prompt_tokens == 300 and usage.completion_tokens == 60
    assert "360 tokens were used" in str(found[-1])


def test_requests_in_flight_are_bounded():
    now, most = 0, 0

    def model(body):
        nonlocal now, most
        now += 1
        most = max(most, now)
        time.sleep(0.05)
        now -= 1
        return GOOD

    with TeacherServer(model) as server:
        ask(server, questions=[other(str(number)) for number in range(24)], max_concurrency=6)
    assert most == 6


def test_retry_after_is_seconds_or_a_date():
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({}) is None and retry_after({"retry-after": "soon"}) is None
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert 57 < retry_after({"retry-after": date}) <= 60


def test_free_text_is_asked_for_without_a_form_and_again_where_it_is_empty(server):
    server.faults = [" \n", "A shell."]
    [answer] = ask(server, questions=[Question("Be brief.", ("What is nacre?",))])
    assert (answer.reply.text, answer.value, answer.error) == ("A shell.", None, None)
    first, second = server.requests
    assert "response_format" not in first and second["seed"] == first["seed"] + 1


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Here {{it}} is: {GOOD} I hope it helps.",
        '{"term": "x"} {"word": "nacre", "more": 1}',
    ],
)
def test_json_is_found_in_what_surrounds_it(text):
    assert parse_reply(Form, text) == Form(word="nacre")


def test_half_a_surrogate_pair_in_an_answer_is_a_question_mark():
    assert parse_reply(Form, r'{"word": "na\ud800cre \ud83d\ude00"}') == Form(word="na?cre 😀")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nacre", "no JSON object"),
        ('{"word": ', "broken JSON"),
        ('{"word": 3}', "word: Input should be a valid string"),
        ("{" * 200_000, "200,000 characters"),
        ('{"a":' * 19_000, "broken JSON"),
    ],
)
def test_what_is_no_answer_is_refused_in_one_line(text, message):
    start = time.process_time()
    with pytest.raises(ValueError, match=message) as refusal:
        parse_reply(Form, text)
    assert "\n" not in str(refusal.value) and time.process_time() - start < 5


def test_a_damaged_cache_is_named(tmp_path):
    path = tmp_path / "replies.sqlite"
    path.write_bytes(b"no database, " * 100)
    with pytest.raises(CephaloError, match=r"replies.sqlite: .*move it away"):
        ReplyCache(path)


def test_half_a_surrogate_pair_is_read_the_same_from_the_cache(server):
    server.faults = [(200, {}, completion("@").replace(b"@", b'{\\"word\\": \\"\\ud800\\"}'))]
    cache = ReplyCache(":memory:")
    [answer] = ask(server, cache=cache)
    assert (answer.reply.text, answer.value) == ('{"word": "?"}', Form(word="?"))
    assert ask(server, cache=cache)[0] == answer and len(server.requests) == 1
