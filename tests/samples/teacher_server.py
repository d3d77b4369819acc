"""A fake teacher: a real server of OpenAI's chat completions whose model is a function, and which
can be told to fail."""

import json
import random
import re
import threading
import time
from collections.abc import Callable, Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = tuple[int, dict[str, str], bytes]  # status, headers, body


class TeacherServer:
    """Answers on loopback with `model(request)`, each after `latency` seconds.

    `faults` are spent one a request, in order: a Fault is sent as it is, "drop" closes the
    connection, "cut" closes it in the middle of the answer, "hang" waits until the client
    leaves, "trickle" sends a byte now and then,
    a string that begins with "{" or a letter in quotes is what the model says, None is no fault.
    """

    def __init__(self, model: Callable[[dict], str], latency: float = 0.0) -> None:
        self.model, self.latency = model, latency
        self.faults: list[Any] = []
        self.requests: list[dict] = []  # bodies
        self.headers: list[dict[str, str]] = []  # names in lower case
        self.times: list[float] = []
        self.lock = threading.Lock()

    def __enter__(self) -> "TeacherServer":
        handler = type("Handler", (Handler,), {"teacher": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *error: None  # clients that left
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def texts(self) -> list[str]:
        """The user's text of every request."""
        return [user_text(body) for body in self.requests]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    teacher: TeacherServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.teacher.lock:
            self.teacher.requests.append(body)
            self.teacher.headers.append({name.lower(): v for name, v in self.headers.items()})
            self.teacher.times.append(time.monotonic())
            fault = self.teacher.faults.pop(0) if self.teacher.faults else None
        if self.teacher.latency:
            time.sleep(self.teacher.latency)
        if fault == "drop":
            self.close_connection = True
        elif fault == "hang":
            self.close_connection = True
            time.sleep(2)
        elif fault == "trickle":
            self.send(200, {"Content-Length": "900"}, b"{")
            while not self.close_connection:
                self.trickle()
        elif isinstance(fault, tuple):
            self.send(*fault)
        else:
            said = self.teacher.model(body) if fault in (None, "cut") else fault
            self.send(200, {}, completion(said), cut=fault == "cut")

    def send(self, status: int, headers: dict[str, str], body: bytes, cut: bool = False) -> None:
        self.send_response(status)
        headers = {"Content-Type": "application/json", **headers}
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut

    def trickle(self) -> None:
        """Send one more byte; the client may have left."""
        time.sleep(0.05)
        try:
            self.wfile.write(b" ")
        except OSError:
            self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def completion(text: str, finish_reason: str = "stop") -> bytes:
    """A chat completion that used 100 prompt tokens and 20 others."""
    message = {"role": "assistant", "content": text}
    return json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "fake",
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }
    ).encode()


def error(status: int, message: str, code: str | None = None, **headers: str) -> Fault:
    """An error in OpenAI's form."""
    body = {"error": {"message": message, "type": "error", "code": code}}
    return status, headers, json.dumps(body).encode()


def user_text(body: dict) -> str:
    """The texts of the user's message."""
    content = body["messages"][-1]["content"]
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def caption_of(body: dict) -> str:
    """The first caption that is quoted in a request."""
    return re.search(r"caption: (.*)", user_text(body))[1]


OWN_WORDS = """
light dark edge region arrow grain carries turns meets fine broad smooth rough above below inside
outside slowly quickly early late bright faint curved straight thick thin open closed hidden clear
strong weak stiff soft dense loose regular random single double upper lower inner outer steep gentle
"""


def faithful(body: dict) -> str:
    """A model that does what is asked, with words of the caption and of its own."""
    if "response_format" not in body or "verdict" in str(body["response_format"]):
        return agreeing(body)
    form = user_text(body).rpartition("Form: ")[2]
    words = " ".join(re.findall(r"[a-z]{4,}", caption_of(body)))

    def say(about: str) -> str:
        """Words of the caption and of its own, no two alike."""
        mine = random.Random(f"{about} {words} {form}").sample(OWN_WORDS.split(), 25)
        return f"The picture tells about {words}: {' '.join(mine)}."

    def ask(about: str) -> str:
        """A question of its own."""
        mine = random.Random(f"ask {about} {words} {form}").sample(OWN_WORDS.split(), 8)
        return f"What does the view tell about {words}, if {' '.join(mine)}?"

    said = say("all")
    asked = ask("all")
    if form.startswith('{"description"'):
        return json.dumps({"description": said})
    if '"depth"' in form:
        depths = ("observe", "understand", "infer")
        questions = [
            {"depth": depth, "question": ask(depth), "answer": say(depth)} for depth in depths
        ]
        return json.dumps({"questions": questions})
    turn = {"question": asked, "answer": said}
    if '"reasoning"' in form:
        return json.dumps({**turn, "reasoning": [f"First, {words} is what one looks at."]})
    if '"questions"' in form:
        return json.dumps({"questions": [turn]})
    if '"turns"' in form:
        later = {
            "question": "And what follows from it?",
            "answer": f"It follows that {words} hold.",
        }
        return json.dumps({"turns": [turn, later]})
    return json.dumps(turn)


def agreeing(body: dict) -> str:
    """A judge who agrees with everything."""
    return truthful_judge(())(body)


def truthful_judge(bad: Collection[str]) -> Callable[[dict], str]:
    """A judge who knows which answers are `bad`: in its own answer it says that it looked, and it
    disagrees with an example that holds one of them."""
    known = {squash(text) for text in bad}

    def model(body: dict) -> str:
        if "response_format" not in body:
            return "I looked at the figure and read the quotations, and saw what they show."
        checked = squash(user_text(body).split("<<<END", 1)[1])
        wrong = any(text in checked for text in known)
        scores = dict.fromkeys(("correctness", "grounding", "clarity"), 1 if wrong else 5)
        verdict = "disagrees" if wrong else "agrees"
        return json.dumps({"reason": "I know the truth.", "verdict": verdict, **scores})

    return model


def squash(text: str) -> str:
    """The letters and digits of a text, in lower case."""
    return re.sub(r"[^a-z0-9]", "", text.lower())
