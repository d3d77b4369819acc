"""What is said of a Hub or a store that answers otherwise than it should, or not at all."""

from argparse import Namespace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.cluster.store import Store
from cephalo.dataset_scripts.hub_text import read_dataset
from cephalo.eval.questions import hub_revision
from cephalo.merge_recipes.sources import fetch
from cephalo.train.rows import dataset_revision


@pytest.fixture(scope="module")
def server():
    """A server that answers everything with its `status` and a page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(server.status)
            self.send_header("Content-Length", "9")
            self.end_headers()
            self.wfile.write(b"<p>no</p>" if self.command == "GET" else b"")

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ask_for_model(_):
    hub_revision("a/b", None, "model")


def ask_for_training_data(_):
    dataset_revision(Namespace(dataset_name="a/b", dataset_revision=None))


def ask_for_source(_):
    fetch("a/b")


def ask_for_text(folder):
    read_dataset("a/b", folder)


ASKING = [ask_for_model, ask_for_training_data, ask_for_source, ask_for_text]


@pytest.mark.parametrize("ask", ASKING)
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, r"answered 404 for a/b; is it a Hub\? correct HF_ENDPOINT$"),
        (403, r"denies this token access to a/b \(it answered 403\); run `hf auth login`"),
        (500, "answered 500 for a/b; try again later$"),
        (200, r"gave no valid answer for a/b \(JSONDecodeError: .*\); is it a Hub\? correct HF_"),
        (None, r"cannot be reached for a/b \(ConnectError: .*; check the network and HF_ENDPOINT"),
    ],
)
def test_a_hub_that_answered_was_reached(server, ask, status, said, tmp_path, monkeypatch):
    server.status = status
    endpoint = f"http://127.0.0.1:{server.server_port if status else 9}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    with pytest.raises(CephaloError, match=f"^{endpoint} {said}"):
        ask(tmp_path)


def test_a_store_that_refuses_was_reached(server, monkeypatch):
    server.status = 403
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    store = Store("s3://other")
    with pytest.raises(CephaloError, match=r"^s3://other refuses \(PermissionError"):
        store.read("run.json")
    store.fs.clear_instance_cache()
