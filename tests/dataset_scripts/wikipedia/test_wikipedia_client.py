"""The polite client, against a wiki on loopback that fails on demand."""

import contextlib
import socket
import threading
from itertools import pairwise

import pytest
from mediawiki_server import MediaWiki, WikiFile, picture

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.wikipedia import client as module
from cephalo.dataset_scripts.wikipedia.api import Wiki
from cephalo.dataset_scripts.wikipedia.client import Client, PageError, checked_contact


@pytest.fixture
def server():
    with MediaWiki(pages={"Nacre": "<p>Nacre is strong.</p>"}) as wiki:
        yield wiki


@pytest.fixture
def naps(monkeypatch) -> list[float]:
    """No waiting between requests; what `sleep` was asked for goes into this list."""
    asked: list[float] = []
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    monkeypatch.setattr(module.time, "sleep", asked.append)
    return asked


@pytest.fixture
def wiki(server, tmp_path):
    with Client(tmp_path / "cache", "me@example.org") as client:
        yield Wiki(client, server.url)


def waits(naps: list[float]) -> list[float]:
    return [nap for nap in naps if nap]


def test_a_page_with_revision_and_licence(server, wiki, naps):
    page = wiki.page("Nacre")
    assert page.html == b"<p>Nacre is strong.</p>"
    assert (page.document, page.revision) == (f"{server.url}/wiki/Nacre", "1005")
    assert (page.title, page.license) == ("Nacre", "CC-BY-SA-4.0")
    assert server.paths() == ["/w/rest.php/v1/page/Nacre/with_html"]
    [(_, _, agent)] = server.log
    assert agent.startswith("Cephalo/") and "(me@example.org) httpx2/" in agent


def test_an_answer_is_asked_for_once(server, wiki, naps, tmp_path):
    first = wiki.page("Nacre")
    with Client(tmp_path / "cache", "me@example.org") as again:
        assert Wiki(again, server.url).page("Nacre") == first
    assert len(server.log) == 1


def test_a_full_disk_ends_the_run_in_one_line(server, wiki, naps):
    wiki.client.folder.rmdir()
    with pytest.raises(CephaloError, match=r"cannot write to .*free disk space"):
        wiki.page("Nacre")


def test_a_redirect_leads_to_the_page_and_its_address(server, wiki, naps):
    server.redirects["Mother of pearl"] = "Nacre"
    assert wiki.page("Mother of pearl").document == f"{server.url}/wiki/Nacre"


def test_at_most_three_requests_in_a_second(server, wiki):
    server.pages |= {f"Page {k}": "<p>x</p>" for k in range(4)}
    for k in range(4):
        wiki.page(f"Page {k}")
    times = [seconds for seconds, _, _ in server.log]
    assert all(b - a > 0.3 for a, b in pairwise(times))


@pytest.mark.parametrize(
    ("faults", "waited"),
    [
        (["429"], [1.0]),
        (["503", "500"], []),  # Retry-After: 0
        (["truncate", "truncate"], [1.0, 2.0]),
    ],
)
def test_faults_that_pass(server, wiki, naps, faults, waited):
    server.faults["with_html"] = [*faults]
    assert wiki.page("Nacre").title == "Nacre"
    assert len(server.log) == len(faults) + 1
    assert waits(naps) == waited


def test_a_lagging_database_is_waited_for(server, wiki, naps):
    server.categories["Category:Shells"] = ["Nacre", "Conch", "Cowrie", "Abalone", "Oyster"]
    server.faults["api.php"] = ["maxlag", "maxlag"]
    assert wiki.category("Category:Shells") == ["Nacre", "Conch", "Cowrie", "Abalone", "Oyster"]
    asked = server.paths()
    assert len(asked) == 2 + 3  # two of lag, and two members in each answer
    assert all("maxlag=5" in path for path in asked)
    assert "cmcontinue=2" in asked[3] and "cmcontinue=4" in asked[4]


def test_a_server_that_stays_busy_ends_the_run_and_keeps_nothing(server, wiki, naps, tmp_path):
    server.faults["with_html"] = ["503"] * 5
    with pytest.raises(CephaloError, match=r"status 503.*run the same command again later"):
        wiki.page("Nacre")
    assert len(server.log) == 5
    assert wiki.page("Nacre").title == "Nacre"
    assert not list((tmp_path / "cache").glob("*.tmp"))


def test_a_server_that_asks_for_an_hour_is_left_alone(server, wiki, naps, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAIT", 0.5)
    server.faults["with_html"] = ["429"]
    with pytest.raises(CephaloError, match="asks to wait 1 s"):
        wiki.page("Nacre")
    assert len(server.log) == 1


def test_a_wiki_that_is_not_there(naps, tmp_path):
    with Client(tmp_path, "me@example.org") as client:
        wiki = Wiki(client, "http://127.0.0.1:9")
        with pytest.raises(CephaloError, match="ConnectError"):
            wiki.page("Nacre")
    assert waits(naps) == [1.0, 2.0, 4.0, 8.0]
    for address in ("ftp://127.0.0.1", "http://[", "en.wikipedia.org"):
        with pytest.raises(CephaloError, match="is not a web address"):
            Wiki(client, address)


def test_pages_that_others_may_still_follow(server, wiki, naps):
    with pytest.raises(PageError, match="there is nothing at"):
        wiki.page("No such page")
    server.faults["with_html"] = ["redirect"] * 20
    with pytest.raises(PageError, match="redirects too often"):
        wiki.page("Nacre")
    assert len(server.log) == 1 + 6


def test_answers_that_no_mediawiki_gives(server, wiki, naps, monkeypatch):
    server.rest_page = lambda title: {"html": 3}
    with pytest.raises(PageError, match="does not answer like a MediaWiki"):
        wiki.page("Nacre")
    server.imageinfo = lambda query: {"query": {"pages": [{"imageinfo": [{"width": None}]}]}}
    with pytest.raises(PageError, match="does not answer like a MediaWiki"):
        wiki.files(["A.png"], 220)
    server.category = lambda query: ["no query"]
    with pytest.raises(PageError, match="refuses"):
        wiki.category("Category:A")
    numbers = iter(range(100))
    server.category = lambda query: {"continue": {"cmcontinue": str(next(numbers))}}
    monkeypatch.setattr("cephalo.dataset_scripts.wikipedia.api.MAX_ANSWERS", 5)
    with pytest.raises(PageError, match="never ends its answer"):
        wiki.category("Category:B")


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_of_a_byte_at_a_time_is_given_up(tmp_path, monkeypatch, begin):
    monkeypatch.setattr(module, "MAX_SECONDS", 0.5)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Client(tmp_path, "me@lab.org") as client,
    ):

        def answer():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):  # the client has left
                connection.sendall(begin)
                while not over.wait(0.1):
                    connection.sendall(b"a")

        over, thread = threading.Event(), threading.Thread(target=answer)
        thread.start()
        try:
            with pytest.raises(PageError, match="took longer than 0 s"):
                client.fetch(f"http://127.0.0.1:{listener.getsockname()[1]}", 10**6)
        finally:
            over.set()
            thread.join()


def test_sizes_are_bounded_by_the_header_and_by_the_count(server, wiki, naps):
    server.files["A.png"] = WikiFile(picture(200, 200))
    with pytest.raises(PageError, match="is larger than 0 MB"):
        wiki.client.fetch(f"{server.url}/images/A.png", limit=1000)

    server.faults["A.png"] = ["unbounded"]
    with pytest.raises(PageError, match="is larger than 1 MB"):
        wiki.client.fetch(f"{server.url}/images/A.png", limit=1 << 20)
    assert wiki.client.fetch(f"{server.url}/images/A.png").stat().st_size > 1000


def test_files_come_in_the_width_that_is_asked_for(server, wiki, naps):
    server.files |= {
        "Small.png": WikiFile(picture(100, 80)),
        "Wide one.jpg": WikiFile(picture(700, 350, kind="JPEG"), "image/jpeg", "CC0", None),
        "Drawing.svg": WikiFile(b"<svg/>", "image/svg+xml", rendered=picture(512, 512)),
        "Film.webm": WikiFile(b"film", "video/webm", rendered=picture(300, 200)),
    }
    files = wiki.files(["Small.png", "Wide one.jpg", "Drawing.svg", "Film.webm", "None.png"], 220)
    assert set(files) == {"Small.png", "Wide one.jpg", "Drawing.svg"}
    assert wiki.files(["small.png"], 220) == {"small.png": files["Small.png"]}
    assert files["Small.png"].url == f"{server.url}/images/Small.png"
    assert files["Wide one.jpg"].url.endswith("/thumb/Wide_one.jpg/250px-Wide_one.jpg")
    assert files["Drawing.svg"].url.endswith("/thumb/Drawing.svg/250px-Drawing.svg")
    assert (files["Wide one.jpg"].license, files["Wide one.jpg"].author) == ("CC0", "")
    assert "Jane" in files["Small.png"].author
    assert files["Small.png"].page == f"{server.url}/wiki/File:Small.png"


def test_fifty_files_in_one_query(server, wiki, naps):
    names = [f"{k}.png" for k in range(70)]
    server.files |= {name: WikiFile(picture(80, 80)) for name in names}
    assert set(wiki.files(names, 500)) == set(names)
    assert [path.count("File") for path in server.paths()] == [50, 20]
    wiki.files([f"{k} {'試料' * 60}.png" for k in range(20)], 500)
    assert max(map(len, server.paths())) < 8000


@pytest.mark.parametrize("contact", [None, "", "me\r\nX: y", "mé@example.org"])
def test_someone_must_answer_for_the_requests(contact):
    with pytest.raises(CephaloError, match="give --contact"):
        checked_contact(contact)
