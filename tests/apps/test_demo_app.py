"""`cephalo demo`: its page through Gradio's client and in a browser, and what it refuses."""

import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import trimesh
from figure_samples import write_figures
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from huggingface_hub import HfApi, ModelCard
from phi3_v_samples import BRIGHT, DARK, QUESTION
from PIL import Image
from warm_python import warm_python

from cephalo.apps.demo import talk as talks
from cephalo.apps.demo.figures import PAGE, load_figures
from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.inference import local

TOKENS = 16
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)


@pytest.fixture(scope="module")
def files(tmp_path_factory, taught_models) -> Path:
    """A taught model, an untaught one, figures, and pictures good and bad."""
    folder = tmp_path_factory.mktemp("demo")
    for name in ("base", "model"):
        shutil.copytree(taught_models / name, folder / name)
    write_figures(folder / "figures", documents=4)
    BRIGHT.save(folder / "bright.png")
    DARK.save(folder / "dark.png")
    (folder / "text.png").write_text("no picture")
    Image.new("1", (20_000, 5_000)).save(folder / "huge.png")
    return folder


@pytest.fixture(scope="module")
def demo(files) -> Iterator[SimpleNamespace]:
    """A running demo of both models, its address, and the folder for its temporary files."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [warm_python(), "-m", "cephalo.cli.main", "demo", files / "model", files / "base"]
    command += ["--dataset", files / "figures", "--port", port, "--max-new-tokens", TOKENS]
    temporary = files / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    address = f"http://127.0.0.1:{port}"
    wait_for(address, process)
    yield SimpleNamespace(address=address, process=process, temporary=temporary)
    process.kill()
    process.communicate()


def wait_for(address: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError


@pytest.fixture
def client(demo, tmp_path) -> Client:
    """A visitor."""
    return Client(demo.address, verbose=False, download_files=str(tmp_path))


def question(text: str, *images: Path) -> dict:
    return {"text": text, "files": [handle_file(str(image)) for image in images]}


def said(chat: list[dict]) -> list[str]:
    """The texts of the assistant."""
    return [turn["content"][0]["text"] for turn in chat if turn["role"] == "assistant"]


def test_two_models_stream_and_remember(client, files):
    job = client.submit(question(QUESTION, files / "bright.png"), api_name="/ask")
    taught, untaught, box, status = job.result(timeout=60)
    own = local.load(files / "model").conversation()
    other = local.load(files / "base").conversation()
    expected = other.ask(QUESTION, [BRIGHT], max_new_tokens=TOKENS)
    assert said(taught) == [own.ask(QUESTION, [BRIGHT])] == ["Bright nacre."]
    assert said(untaught) == [expected] and expected
    assert job.outputs()[0][2] == {"text": "", "files": []}
    assert box == {"__type__": "update"} and status == ""
    grown = [said(first)[0] for first, *_ in job.outputs() if said(first)]
    assert len(set(grown)) > 1 and all("Bright nacre.".startswith(piece) for piece in grown)

    taught, untaught, *_ = client.predict(question("And now?"), api_name="/ask")
    settings = {"max_new_tokens": TOKENS}
    assert said(taught)[1:] == [own.ask("And now?", **settings)]
    assert said(untaught)[1:] == [other.ask("And now?", **settings)]

    assert client.predict(api_name="/clear") == ([], [], {"text": "", "files": []}, "")
    both = question(QUESTION, files / "bright.png", files / "dark.png")
    assert said(client.predict(both, api_name="/ask")[0]) == ["Bright, then dark."]


@pytest.mark.parametrize(
    ("text", "images", "words"),
    [
        (QUESTION, ["text.png"], "text.png: the image is not a valid image; give a PNG"),
        (QUESTION, ["huge.png"], "huge.png: the image has more than 89,478,485 pixels; scale"),
        (QUESTION, ["bright.png"] * 9, "9 images; a talk has 8 at most"),
        (" ", ["bright.png"], "the question is empty; enter one"),
        ("Go.<|end|>", [], "the text contains the control token <|end|>; remove it"),
        ("steel " * 1400, [], "the question has 8,400 characters; give 8,000 at most"),
    ],
)
def test_what_is_refused_stays_in_the_box(client, files, text, images, words):
    asked = question(text, *(files / image for image in images))
    taught, untaught, box, status = client.predict(asked, api_name="/ask")
    assert taught == untaught == []
    assert status.startswith(words) and "\n" not in status
    assert (box["text"], len(box["files"])) == (text, len(images))


def test_files_of_the_server_are_not_read(demo, files):
    stolen = {"path": str(files / "bright.png"), "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [{"text": QUESTION, "files": [stolen]}]}).encode()
    call = f"{demo.address}/gradio_api/call/ask"
    request = urllib.request.Request(call, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{call}/{event}") as stream:
        assert stream.read().decode().startswith("event: error")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{demo.address}/gradio_api/file={files / 'bright.png'}")


def test_one_question_at_a_time(files):
    talk = talks.Talk({"taught": local.load(files / "model")}, {"max_new_tokens": TOKENS})
    first, second = talk.ask(QUESTION, [], []), talk.ask(QUESTION, [], [])
    assert next(first) == ([talks.Turn(QUESTION, ())], "taught reads the question.")
    assert next(second) == ([talks.Turn(QUESTION, ())], talks.BUSY)
    first.close()  # the visitor left
    assert [*second][-1] == ([talks.Turn(QUESTION, (), ("Only text.",))], "")
    turn = talks.Turn(QUESTION, (), ("Only text.",))
    with pytest.raises(CephaloError, match="the talk has 20 turns; clear it to continue"):
        next(talk.ask(QUESTION, [], [turn] * 20))
    assert not talk.busy.locked()


def test_figures(client, files):
    figures = load_figures(str(files / "figures"))
    assert (len(figures), figures.pages, PAGE) == (16, 2, 12)
    shown = figures.figure(12)
    assert shown.caption == "Stress and strain of specimen 1 of batch 3 in tension."
    assert (shown.label, shown.source) == ("Figure 1", "paper-3.pdf, page 2, CC-BY-4.0")
    page = client.predict(2, api_name="/figures")
    assert [entry["caption"] for entry in page] == [f"Figure {n}" for n in range(1, 5)]
    with Image.open(page[0]["image"]) as thumbnail:
        assert thumbnail.size == (90, 60)


def test_figures_are_searched(client, files):
    figures = load_figures(str(files / "figures"))
    assert figures.search('"specimens 2 of batch 3"') == [13]
    assert [figures.figure(n).source.split(",")[0] for n in figures.search("paper-1.pdf")] == [
        "paper-1.pdf"
    ] * 4
    for nothing in ("nacre", "", "–", 'x" OR texts MATCH "', "NEAR(", "</b>" * 1000):
        assert figures.search(nothing) == []
    assert len(figures.search("stress")) == PAGE
    page = client.predict("specimen 4 tension", 1, api_name="/search")
    assert [entry["caption"] for entry in page] == ["Figure 4"] * 4
    assert len(client.predict(" ", 2, api_name="/search")) == 4


def test_a_broken_figure_is_named(tmp_path):
    image = {"bytes": b"no picture", "path": None}
    write_figures(tmp_path, documents=1, figures=1, image=image)
    found = load_figures(str(tmp_path)).figure(0)
    assert found.caption.startswith(
        "the image is not a valid image; give a PNG, JPEG or another image."
    )
    secret = tmp_path / "secret.png"
    BRIGHT.save(secret)
    other = tmp_path / "paths"
    write_figures(other, documents=1, figures=1, image={"bytes": None, "path": str(secret)})
    assert load_figures(str(other)).figure(0).caption.startswith("the image is not in the dataset")


def test_a_part(client):
    view, words, files = client.predict(10, 1, 0.4, api_name="/make-gyroid")
    assert words.startswith("volume fraction 0.4") and "watertight, one body" in words
    assert [Path(file).name for file in files] == ["part.stl", "part.3mf", "part.glb"]
    mesh = trimesh.load_mesh(files[0])
    assert mesh.extents == pytest.approx([10, 10, 10], abs=0.01)
    assert trimesh.load_scene(view).extents == pytest.approx([0.01] * 3, abs=1e-5)
    view, words, files = client.predict(300, 8, 24, 0.05, api_name="/make-honeycomb")
    assert (view, files) == (None, None) and "million grid points, over 4: use fewer" in words
    with pytest.raises(AppError, match="greater than maximum value 300"):
        client.predict(301, 8, 24, 0.05, api_name="/make-honeycomb")


def refused(*arguments: object) -> str:
    with pytest.raises(SystemExit) as error:
        main(["demo", *map(str, arguments)])
    message = str(error.value)
    assert message.startswith("cephalo: error: ") and "\n" not in message
    return message


def test_bad_input_is_refused_before_the_server_starts(files, tmp_path):
    model = files / "model"
    assert "is not a checkpoint: it has no config.json" in refused(tmp_path)
    assert "give one model or two different ones" in refused(model, model)
    assert "give one model or two different ones" in refused(*"abc")
    assert f"cannot load dataset {tmp_path}" in refused(model, "--dataset", tmp_path)
    assert "cannot load dataset" in refused(model, "--dataset", tmp_path / "none")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen at 127.0.0.1:{port}" in refused(model, "--port", port)


def test_a_space_goes_up_in_one_commit(hub, tmp_path, capsys, monkeypatch):
    space, model, dataset = tmp_path / "space", "alice/nacre", "alice/figures"
    main(["demo", model, "--dataset", dataset, "--space", str(space)])
    assert f"hf upload NAMESPACE/NAME {space} --repo-type space" in capsys.readouterr().out
    card = ModelCard.load(space / "README.md").data
    assert (card.sdk, card.models, card.datasets) == ("gradio", [model], [dataset])
    started = []
    monkeypatch.setattr("cephalo.cli.main.main", started.append)
    runpy.run_path(str(space / "app.py"))
    assert started == [["demo", model, "--dataset", dataset, "--host", "0.0.0.0", "--port", "7860"]]
    upload = [Path(sys.executable).with_name("hf"), "upload", "alice/demo", space]
    subprocess.run(
        [*map(str, upload), "--repo-type", "space"],
        env=hub.environment(tmp_path / "home"),
        check=True,
        capture_output=True,
    )
    api = HfApi(hub.endpoint, hub.tokens["alice"])
    files = set(api.list_repo_files("alice/demo", repo_type="space"))
    assert files == {".gitattributes", "README.md", "app.py", "requirements.txt"}
    commits = api.list_repo_commits("alice/demo", repo_type="space")
    assert len(commits) == 2  # the first one made the repository
    assert "alice is not on the Hub; push it" in refused("alice", "--space", tmp_path)
    assert f"{tmp_path} is not on the Hub; push it" in refused(tmp_path, "--space", space)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_in_a_browser(demo, files):
    from playwright.sync_api import expect, sync_playwright

    elsewhere = socket.create_server(("127.0.0.1", 0))
    elsewhere.setblocking(False)
    address = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/spy.png"
    with elsewhere, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(demo.address)
        ask = page.locator("#question textarea")
        answers = page.get_by_test_id("bot")

        ask.wait_for()
        page.evaluate(WATCH)
        page.set_input_files("#question input[type=file]", str(files / "bright.png"))
        expect(page.locator("#question img")).to_be_visible()
        ask.fill(QUESTION)
        ask.press("Enter")
        expect(page.get_by_text("Bright nacre.", exact=True)).to_be_visible()
        expect(answers).to_have_count(2)  # of two models
        expect(page.locator("#status")).to_have_text("")
        expect(ask).to_have_value("")

        ask.fill(f"And now? ![spy]({address})")
        ask.press("Enter")
        expect(answers).to_have_count(4)
        expect(page.locator("#status")).to_have_text("")
        assert any("Bright" in text and "nacre" not in text for text in page.evaluate("seen"))

        page.get_by_role("button", name="Clear", exact=True).last.click()
        expect(answers).to_have_count(0)
        expect(page.get_by_text("How would you make a material like this?").first).to_be_visible()

        page.set_input_files("#question input[type=file]", str(files / "text.png"))
        ask.fill(QUESTION)
        page.wait_for_timeout(300)
        ask.press("Enter")
        expect(page.locator("#status")).to_contain_text("text.png: the image is not a valid image")

        page.get_by_role("tab", name="Figures").click()
        page.get_by_role("button", name="Thumbnail 2 of 12").click()
        caption = "Stress and strain of specimen 2 of batch 0 in tension."
        expect(page.get_by_label("Caption")).to_have_value(caption)
        page.get_by_role("button", name="Ask about this figure").click()
        expect(ask).to_have_value("What is shown?")
        browser.close()
        assert complaints == []
        with pytest.raises(BlockingIOError):
            elsewhere.accept()  # nothing in a talk is loaded from another server


# Keeps the texts that the page showed on the way.
WATCH = """() => {
    window.seen = [];
    new MutationObserver(() => window.seen.push(document.body.innerText))
        .observe(document.body, {childList: true, subtree: true, characterData: true});
}"""


def test_temporary_files_go_with_the_server(demo, client, files):
    with urllib.request.urlopen(demo.address) as page:
        policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self' blob: data:")
    client.predict(question(QUESTION, files / "dark.png"), api_name="/ask")
    assert [*demo.temporary.glob("cephalo-demo-*/*/dark.png")]
    demo.process.send_signal(signal.SIGTERM)
    _, errors = demo.process.communicate(timeout=30)
    assert demo.process.returncode == 130
    assert errors.endswith("cephalo: stopped\n")
    assert [*demo.temporary.iterdir()] == []
