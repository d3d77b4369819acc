"""The page of `cephalo review` in a browser, by the keyboard: what is pressed is recorded."""

import json
import os
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from figure_samples import figure_row, write_figures
from workbench_samples import (
    CHROMIUM,
    HOSTILE,
    PAPER,
    Review,
    reviewing,
    write_folder,
    write_shard,
)

from cephalo.dataset_scripts.common.corrections import NAME, read_corrections

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

FIGURE_COUNT = 8  # of `write_folder`
MOST_MILLISECONDS = 100  # from a key to what it shows
MOST_OF_SERVER = 40  # milliseconds of processor time that a key takes in the server
MOST_MEMORY = 500_000_000  # bytes, of the server with its processes
PRESSES = 100


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = write_folder(tmp_path_factory.mktemp("page") / "made")
    key = {"label": "Figure 1", "page": 1, "image_sha256": figure_row(0, 1)["image_sha256"]}
    line = {"id": "a" * 16, "figures": [key], "failed": {"number": HOSTILE}, "task": "describe"}
    line |= {"turns": [{"question": HOSTILE, "answer": "Nacre."}], "text": None, "scores": {}}
    line |= {"key": None, "round": 0}
    (folder / "rejected").mkdir()
    (folder / "rejected" / "paper-0.jsonl").write_text(json.dumps(line) + "\n")
    return folder


@pytest.fixture(scope="module")
def review(folder) -> Iterator[Review]:
    with reviewing(folder, FIGURE_COUNT) as running:
        yield running


@pytest.fixture
def page(browser, review, folder) -> Iterator:
    """The page, with nothing decided; afterwards it has complained of nothing."""
    for figure in review.list():
        for name, value in figure["extracted"].items():
            review.decide(figure["id"], name, value)
        review.decide(figure["id"], "state", None)
    page = opened(browser, review)
    yield page
    assert page.complaints == []
    page.close()


def opened(browser, review: Review, figures: int = FIGURE_COUNT):
    from playwright.sync_api import expect

    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: page.complaints.append(dialog.message))
    page.goto(review.address)
    expect(page.locator("#counts")).to_contain_text(f"of {figures}", timeout=60_000)
    expect(page.locator(".card img").first).to_be_visible()
    return page


def settle(page) -> None:
    """Wait until all decisions are on disk."""
    from playwright.sync_api import expect

    expect(page.locator("#saved")).to_have_text("saved")


def recorded(folder: Path, since: int = 0) -> list[tuple]:
    lines = read_corrections(folder / NAME)[since:]
    return [(one.key.document, one.key.label, one.what, one.after) for one in lines]


def test_figures_are_judged_by_single_keys(page, folder):
    from playwright.sync_api import expect

    before = len(recorded(folder))
    page.keyboard.press("ArrowRight")  # beyond the paper
    for key in ("a", "r", "ArrowRight", "a", "u", "1", "2"):
        page.keyboard.press(key)
    settle(page)
    assert recorded(folder, before) == [
        ("paper-0.pdf", "Figure 1", "state", "accepted"),
        ("paper-0.pdf", "Figure 2", "state", "rejected"),
        ("paper-1.pdf", "Figure 1", "state", "accepted"),
        ("paper-1.pdf", "Figure 1", "state", None),
        ("paper-1.pdf", "Figure 1", "kind", "scheme"),
    ]
    expect(page.locator("#counts")).to_have_text("1 accepted · 1 rejected · 1 edited of 8")
    expect(page.locator(".mark.accepted")).to_have_count(1)
    expect(page.locator(".card.rejected")).to_have_count(1)
    page.keyboard.press("End")
    page.keyboard.press("n")  # from the last one on to the first that is undecided
    expect(page.locator(".card.current b")).to_have_text("Figure 1")


def test_captions_labels_and_classes_are_edited_in_place(page, folder):
    from playwright.sync_api import expect

    before = len(recorded(folder))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("e")
    expect(page.locator("#single")).to_be_visible()
    page.keyboard.type("Truly: ")
    page.keyboard.press("Enter")
    expect(page.locator("#caption")).to_contain_text("Truly: Stress and strain")
    page.keyboard.press("l")
    page.keyboard.type("Figure 1a")
    page.keyboard.press("Enter")
    page.keyboard.press("t")
    page.keyboard.type("micrograph")
    page.keyboard.press("Enter")
    page.keyboard.press("e")
    page.keyboard.type("given up")
    page.keyboard.press("Escape")
    settle(page)
    caption = figure_row(0, 1)["caption"]
    assert recorded(folder, before) == [
        ("paper-0.pdf", "Figure 1", "caption", f"Truly: {caption}"),
        ("paper-0.pdf", "Figure 1", "label", "Figure 1a"),
        ("paper-0.pdf", "Figure 1", "kind", "micrograph"),
    ]
    expect(page.locator("#extracted")).to_have_text(
        f"caption: {caption}\nlabel: Figure 1\nkind: figure", use_inner_text=True
    )
    expect(page.locator("#figure-panels .box")).to_have_text("a")
    expect(page.locator("#mentions")).to_have_text("The strength is seen in Fig. 1.")
    picture = page.locator("#figure-image").bounding_box()
    layer = page.locator("#figure-panels").bounding_box()
    assert layer == pytest.approx(picture, abs=1)  # after the texts below took their room
    page.keyboard.press("p")
    expect(page.locator("#figure-panels .box")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("#grid")).to_be_visible()


def test_a_box_is_moved_by_keys_and_by_the_pointer(page, folder, review):
    from playwright.sync_api import expect

    [paper] = review.list(document=PAPER)
    left, top, right, bottom = paper["bbox"]
    before = len(recorded(folder))
    page.keyboard.press("Enter")
    expect(page.locator("#page-boxes .box.this > span")).to_have_text("Figure 1")
    page.keyboard.press("b")
    expect(page.locator("#box-help")).to_be_visible()
    for key in ("Tab", "Shift+ArrowLeft", "ArrowUp", "Tab", "Tab", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    settle(page)
    moved = [left - 10, top - 1, right + 1, bottom]
    [(*_, what, box)] = recorded(folder, before)
    assert what == "bbox" and box == pytest.approx(moved, abs=0.01)

    page.keyboard.press("b")
    frame = page.locator("#page-boxes").bounding_box()
    points = frame["width"] / 612
    handle = page.locator(".handle.se").bounding_box()
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 30 * points, y - 20 * points, steps=3)
    page.mouse.up()
    page.keyboard.press("Enter")
    settle(page)
    moved[2:] = [right + 1 - 30, bottom - 20]
    assert recorded(folder)[-1][-1] == pytest.approx(moved, abs=0.5)
    page.keyboard.press("b")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    settle(page)
    assert recorded(folder)[-1][-1] == pytest.approx(paper["bbox"], abs=0.01)
    assert len(recorded(folder)) == before + 3
    assert review.list(document=PAPER)[0]["extracted"] == {}


def test_panels_are_moved_lettered_merged_split_and_drawn(page, folder, review):
    from playwright.sync_api import expect

    page.keyboard.press("ArrowRight")  # 90 by 60 points, with one panel of 28 by 28
    before = len(recorded(folder))
    page.keyboard.press("Enter")
    page.keyboard.press("d")
    expect(page.locator("#panel-help")).to_be_visible()
    for key in ("c", "c", "c", "Shift+ArrowRight", "Shift+ArrowRight", "v", "h"):
        page.keyboard.press(key)  # its lower right corner, then in halves, and one in halves again
    expect(page.locator("#figure-panels .box.part > span")).to_have_text(["a", "c", "b"])
    page.keyboard.press("r")
    page.keyboard.press("Tab")
    page.keyboard.press("l")
    page.keyboard.type("iii")
    page.keyboard.press("Enter")
    page.keyboard.press("e")
    page.keyboard.type("the right, of nacre")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    settle(page)
    [(*_, what, panels)] = recorded(folder, before)
    assert what == "panels"
    assert [(one["letter"], one["bbox"], one["caption"]) for one in panels] == [
        ("a", [72, 72, 96, 86], "left"),
        ("iii", [96, 72, 120, 100], "the right, of nacre"),
        ("c", [72, 86, 96, 100], ""),
    ]
    expect(page.locator("#panels b")).to_have_text(["a", "iii", "c"])
    expect(page.locator("#extracted")).to_have_text("panels: a")
    page.keyboard.press("d")
    page.keyboard.press("m")
    page.keyboard.press("Tab")
    page.keyboard.press("x")
    layer = page.locator("#figure-panels").bounding_box()
    points = layer["width"] / 90
    x, y = layer["x"] + 60 * points, layer["y"] + 35 * points
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20 * points, y + 10 * points, steps=3)
    page.mouse.up()
    page.keyboard.press("Enter")
    settle(page)
    first, drawn = recorded(folder)[-1][-1]
    assert first == {
        "letter": "a",
        "bbox": [72, 72, 120, 100],
        "caption": "left the right, of nacre",
    }
    assert drawn["letter"] == "b" and drawn["bbox"] == pytest.approx([132, 107, 156, 121], abs=1)
    page.keyboard.press("d")
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    settle(page)
    assert recorded(folder)[-1][-1] == figure_row(0, 1)["panels"]
    page.keyboard.press("d")
    page.keyboard.press("n")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    assert len(recorded(folder)) == before + 3


def test_filters_and_search(page):
    from playwright.sync_api import expect

    page.keyboard.press("/")
    page.keyboard.type("specimen 2")
    page.keyboard.press("Enter")
    expect(page.locator(".card")).to_have_count(2)
    page.keyboard.press("a")
    page.keyboard.press("f")
    page.select_option("#filter-state", "accepted")
    page.keyboard.press("Escape")
    expect(page.locator(".card")).to_have_count(1)
    page.fill("#filter-text", "")
    page.select_option("#filter-state", "")
    page.select_option("#filter-check", "number")
    expect(page.locator(".card.current")).to_have_attribute("title", "paper-0.pdf, page 2")
    expect(page.locator(".card")).to_have_count(1)
    page.fill("#filter-text", "nothing at all")
    expect(page.locator("#nothing")).to_be_visible()


def test_all_texts_are_searched_and_the_best_come_first(page):
    from playwright.sync_api import expect

    page.keyboard.press("/")
    page.keyboard.type("strengths seen")  # in a paragraph that cites them
    expect(page.locator("#nothing")).to_be_visible()
    page.select_option("#filter-within", "all")
    expect(page.locator(".card")).to_have_count(FIGURE_COUNT)
    page.select_option("#filter-kind", HOSTILE)
    expect(page.locator(".card")).to_have_count(1)
    page.select_option("#filter-kind", "")
    page.fill("#filter-text", "–")
    expect(page.locator("#notice")).to_contain_text("no word in")
    page.fill("#filter-text", "")
    expect(page.locator(".card")).to_have_count(FIGURE_COUNT)


def test_hostile_texts_stay_texts(page, review):
    from playwright.sync_api import expect

    page.keyboard.press("End")
    expect(page.locator(".card.current b")).to_have_text(HOSTILE)
    page.keyboard.press("Enter")
    expect(page.locator("#caption")).to_have_text(HOSTILE)
    expect(page.locator("#source")).to_have_text(f"{HOSTILE}, page 2")
    expect(page.locator("#faults")).to_have_text(HOSTILE)
    expect(page.locator("#page-problem")).to_contain_text("was moved or changed")
    page.keyboard.press("e")
    page.keyboard.press("Escape")
    assert page.evaluate("document.querySelectorAll('script, img[src=x]').length") == 1
    assert page.title() == "made · Cephalo review"
    page.keyboard.press("b")
    expect(page.locator("#notice")).to_contain_text("its box cannot be corrected")


def test_conversations_stand_beside_the_figure(page, folder):
    from playwright.sync_api import expect

    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".talk.rejected .question")).to_have_text(HOSTILE, timeout=60_000)
    expect(page.locator(".talk .reason")).to_have_text(f"number: {HOSTILE}")
    page.keyboard.press("c")
    page.keyboard.press("Enter")
    expect(page.locator(".talk .edited")).to_have_text("to be accepted in the next run of refine")
    before = [{"question": HOSTILE, "answer": "Nacre."}]
    expected = {"id": "a" * 16, "shard": "paper-0", "decision": "accept", "note": "", "by": "ann"}
    assert decided(folder) == expected | {"before": before}
    page.keyboard.press("e")
    page.keyboard.type("<b>Is</b> ")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("It is.")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("Truly.")
    page.keyboard.press("Enter")
    expect(page.locator(".talk .edited")).to_have_text(
        "edited, to be accepted in the next run of refine"
    )
    expect(page.locator(".talk .question")).to_have_text(f"<b>Is</b> {HOSTILE}")
    edited = [{"question": f"<b>Is</b> {HOSTILE}", "answer": "It is.\nTruly."}]
    expected |= {"decision": "edit", "turns": edited}
    assert decided(folder) == expected | {"before": before}
    page.keyboard.press("e")
    page.keyboard.type("given up")
    page.keyboard.press("Escape")
    expect(page.locator(".talk .question")).to_have_text(f"<b>Is</b> {HOSTILE}")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#talks-row")).to_be_hidden()


def decided(folder: Path) -> dict:
    """The only decision about a conversation, without its time."""
    [line] = (folder / "decisions.jsonl").read_text().splitlines()
    decision = json.loads(line)
    assert decision.pop("at").endswith("Z")
    return decision


def test_figures_that_extraction_adds_come_in(browser, tmp_path):
    from playwright.sync_api import expect

    folder = write_figures(tmp_path / "made", documents=1, figures=1)
    with reviewing(folder, 1) as review:
        page = opened(browser, review, 1)
        write_shard(folder / "figures" / "a-new.parquet", figure_row(5, 1))
        expect(page.locator(".card")).to_have_count(2, timeout=20_000)
        expect(page.locator(".card.current")).to_have_attribute("title", "paper-0.pdf, page 2")
        review.kill()
        page.keyboard.press("a")
        expect(page.locator("#notice")).to_contain_text("The server does not answer")
        expect(page.locator(".mark.accepted")).to_have_count(0)
        assert page.complaints == []
        page.close()


TIMES = """() => {
    window.shown = [];
    window.saved = [];
    let pressed = 0;
    document.addEventListener("keydown", () => {
        const from = pressed = performance.now();
        requestAnimationFrame(() => setTimeout(() => shown.push(performance.now() - from)));
    }, true);
    new MutationObserver(() => {
        const text = document.getElementById("saved").textContent;
        if (text === "saved") saved.push(performance.now() - pressed);
    }).observe(document.getElementById("saved"), {childList: true});
}"""


@pytest.mark.slow
def test_a_hundred_keys_at_ten_thousand_figures(browser, tmp_path, capsys):
    folder = write_figures(tmp_path / "made", documents=1000, figures=10)
    with reviewing(folder, 10_000) as review:
        page = opened(browser, review, 10_000)
        page.wait_for_timeout(1000)
        page.wait_for_load_state("networkidle")  # the first thumbnails
        page.evaluate(TIMES)
        meter = page.context.new_cdp_session(page)
        meter.send("Performance.enable", {"timeDomain": "threadTicks"})
        for view in ("grid", "single"):
            page.evaluate("() => { shown.length = saved.length = 0; }")
            idle = os.getloadavg()[0] < (os.cpu_count() or 1)
            before = processor_time(meter, review.process.pid)
            of_keys = []
            for number in range(PRESSES):
                start = server_time(review.process.pid)
                page.keyboard.press("r" if number % 7 == 0 else "a")
                while not page.evaluate(f"shown.length > {number} && saved.length > {number}"):
                    pass
                of_keys.append(server_time(review.process.pid) - start)
            spent = (processor_time(meter, review.process.pid) - before) / PRESSES
            shown, saved = page.evaluate("[shown, saved]")
            with capsys.disabled():
                print(
                    f"\n{view}: shown in {statistics.median(shown):.0f} ms (at most "
                    f"{max(shown):.0f}), on disk in {statistics.median(saved):.0f} ms (at most "
                    f"{max(saved):.0f}); processor time {spent:.0f} ms a key, of which the server "
                    f"{statistics.median(of_keys):.1f} (nine of ten "
                    f"{sorted(of_keys)[PRESSES * 9 // 10]:.1f}, at most {max(of_keys):.1f})"
                )
            # Nothing in the server goes through all figures, or collects garbage in them.
            assert max(of_keys) < MOST_OF_SERVER
            assert statistics.median(shown) < MOST_MILLISECONDS and spent < MOST_MILLISECONDS
            # Where others keep all cores busy, some keys wait for their turn.
            assert max(shown) < MOST_MILLISECONDS or not idle
            page.keyboard.press("Enter")
        assert len(read_corrections(folder / NAME)) == 2 * PRESSES
        memory = proportional_memory(review.process.pid)
        with capsys.disabled():
            print(f"memory of the server and its processes: {memory / 1e6:.0f} MB")
        assert memory < MOST_MEMORY
        page.close()


def server_time(pid: int) -> float:
    """Milliseconds that all threads of a process have computed."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


def processor_time(meter, pid: int) -> float:
    """Milliseconds that the page and the server have computed."""
    metrics = {one["name"]: one["value"] for one in meter.send("Performance.getMetrics")["metrics"]}
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    server = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return 1000 * (metrics["TaskDuration"] + server)


def proportional_memory(pid: int) -> int:
    """Bytes of a process and of those below it; what they share is counted once."""
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for task in Path(f"/proc/{pid}/task").iterdir():
        below += (task / "children").read_text().split()
    own = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert own
    return int(own[1]) * 1024 + sum(proportional_memory(int(one)) for one in {*below})
