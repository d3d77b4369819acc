"""`cephalo review`: who may ask it, what it records, and what a kill or a second one does."""

import io
import json
import socket
from collections.abc import Iterator
from datetime import timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from correction_samples import correct
from figure_samples import figure_row, write_figures
from PIL import Image
from workbench_samples import HOSTILE, PAPER, Review, reviewing, write_folder, write_shard

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked
from cephalo.cli.main import main
from cephalo.dataset_scripts.common.corrected import corrected_rows
from cephalo.dataset_scripts.common.correction_values import What
from cephalo.dataset_scripts.common.corrections import NAME, read_corrections
from cephalo.dataset_scripts.common.schema import FIGURES
from cephalo.dataset_scripts.searching.index import open_index
from cephalo.dataset_scripts.workbench import filters
from cephalo.dataset_scripts.workbench.catalogue import Catalogue
from cephalo.dataset_scripts.workbench.talks import decide_talk, talks_about

FIGURE_COUNT = 8  # of `write_folder`


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("workbench") / "made")


@pytest.fixture(scope="module")
def review(folder) -> Iterator[Review]:
    with reviewing(folder, FIGURE_COUNT) as running:
        yield running


def lines(folder: Path) -> list[tuple]:
    return [(one.key.label, one.what, one.after) for one in read_corrections(folder / NAME)]


def test_only_the_page_on_this_machine_may_ask(review, folder):
    root = review.address.rsplit("/", 2)[0]
    assert root.startswith("http://127.0.0.1:") and len(review.address) - len(root) > 20
    for stranger in (f"{root}/", f"{root}/wrong/", f"{root}/wrong/api/state"):
        assert review.ask(stranger).status == 404
    rebound = review.ask("api/state", Host="evil.example:80")
    assert (rebound.status, rebound.body) == (404, b"not found")
    assert review.ask("api/state", Host="localhost:1234").status == 200  # a tunnel
    body = {"id": 0, "what": "state", "after": "accepted"}
    assert review.ask("api/decide", body, Origin="http://evil.example").status == 403
    assert review.ask("api/decide", body, Content_Type="text/plain").status == 403
    assert review.ask("api/decide", body, Origin="null").status == 403
    assert not (folder / NAME).read_bytes()
    for path in ("", "main.js", "api/state", "thumbnail/0/x"):
        headers = review.ask(path).headers
        assert headers["Content-Security-Policy"].startswith(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'"
        )
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_files_of_the_machine_are_not_read(review):
    for path in ("page.html", "server.py", "..%2fserver.py", "%2e%2e/setup.cfg", "api/../x"):
        assert review.ask(path).status == 404


def test_filters(review):
    def found(**wanted: str) -> list[str]:
        return [f"{one['document']} {one['label']}" for one in review.list(**wanted)]

    assert len(found()) == FIGURE_COUNT
    assert found(document="paper-1.pdf") == [f"paper-1.pdf Figure {n}" for n in (1, 2, 3)]
    assert found(text="SPECIMEN 2 batch") == ["paper-0.pdf Figure 2", "paper-1.pdf Figure 2"]
    assert found(kind=HOSTILE) == found(license=HOSTILE) == [f"{HOSTILE} {HOSTILE}"]
    assert found(state="accepted") == found(text="nowhere") == []
    assert len(found(state="undecided", kind="figure", license="CC-BY-4.0")) == FIGURE_COUNT - 1


def test_a_search_in_all_texts_is_by_rank_and_of_what_people_left(tmp_path):
    folder = write_figures(tmp_path / "made", documents=1, figures=3)
    mention = ["The nacre is seen in Fig. 4."]
    write_shard(folder / "figures" / "z.parquet", figure_row(1, 4, mentions=mention))
    with reviewing(folder, 4) as review:
        numbers = {one["label"]: one["id"] for one in review.list()}

        def found(**wanted: str) -> list[str]:
            return [one["label"] for one in review.list(within="all", **wanted)]

        assert found(text="nacre") == ["Figure 4"]
        review.decide(numbers["Figure 2"], "caption", "Fracture of nacre.")
        assert found(text="nacres") == ["Figure 2", "Figure 4"]  # a caption before a mention
        review.decide(numbers["Figure 4"], "state", "rejected")
        assert found(text="nacre") == ["Figure 2"]
        assert found(text="nacre", state="undecided") == []
        assert found() == [f"Figure {number}" for number in (1, 2, 3, 4)]
        answer = review.ask("api/list?within=all&text=%3F")
        assert answer.status == 400 and "no word in '?'" in answer.json["error"]
    # What the workbench wrote is what `cephalo search` reads.
    with open_index(folder, folder) as index:
        before = index.known()
        index.update()
        assert index.known() == before and len(before) == 2


def refined_line(image: str, failed: dict[str, str], scores: dict) -> str:
    """An answer set aside, about a figure with these pixels."""
    key = {"label": "Figure 1", "page": 1, "image_sha256": image}
    line = {"id": "b" * 16, "figures": [key], "failed": failed, "task": "describe", "text": "x"}
    return json.dumps(line | {"turns": [], "scores": scores, "key": None, "round": 0}) + "\n"


def test_filters_by_conversations_checks_and_scores(tmp_path):
    folder = write_figures(tmp_path / "made", documents=2, figures=2)
    refined = tmp_path / "refined"
    main(["refine", str(folder), "--teacher", "caption", "--out", str(refined)])
    (refined / "conversations" / "paper-1.parquet").unlink()
    images = [figure_row(1, number)["image_sha256"] for number in (1, 2)]
    (refined / "rejected").mkdir(exist_ok=True)
    votes = [{"scores": {"clarity": 4}}, {"scores": {"clarity": 2}}]
    scores = {"likeness": 0.25, "second_look": {"votes": votes}, "person": "edited"}
    file = refined / "rejected" / "paper-1.jsonl"
    file.write_text(
        refined_line(images[0], {"number": "7 is not in the source"}, scores)
        + refined_line(images[0], {"form": "too short"}, {"likeness": 0.75})
    )
    bench = Catalogue(folder, "ann", refined)
    bench.scan()

    def found(**wanted: str) -> list[str]:
        rows = [bench.entry(number).row for number in filters.find(bench, wanted)]
        return [f"{row['document']} {row['label']}" for row in rows]

    assert found(talks="accepted") == ["paper-0.pdf Figure 1", "paper-0.pdf Figure 2"]
    assert found(talks="none") == ["paper-1.pdf Figure 2"]
    rejected = ["paper-1.pdf Figure 1"]
    assert found(talks="rejected") == found(check="number") == found(check="form") == rejected
    assert found(score="judge: clarity") == found(score="judge: clarity", most="2") == rejected
    assert found(score="judge: clarity", most="1.9") == found(check="topic") == []
    assert found(score="likeness", most="0.3") == rejected
    counted = bench.counts()
    assert counted["talks"] == {"accepted": 2, "none": 1, "rejected": 1}
    assert counted["check"] == {"form": 1, "number": 1}
    assert counted["scores"]["judge: clarity"] == [2, 2]
    assert counted["scores"]["likeness"][0] == 0.25  # the lowest about the figure
    with pytest.raises(CephaloError, match="'low' is not a number"):
        found(score="likeness", most="low")
    # What refinement writes meanwhile counts; a damaged file is named and takes nothing else away.
    version = bench.version
    file.write_text(refined_line(images[1], {"form": "too short"}, {"likeness": 10**400}))
    (refined / "undecided").mkdir()
    (refined / "undecided" / "paper-0.jsonl").write_text("{}\n")
    bench.scan()
    assert bench.version > version
    assert found(check="form") == ["paper-1.pdf Figure 2"] and found(check="number") == []
    assert "paper-0.jsonl is damaged" in bench.refined.damaged["paper-0.jsonl"]
    assert len(found(talks="accepted")) == 2
    bench.close()


def test_panels_are_corrected(tmp_path):
    folder = write_figures(tmp_path / "made", documents=1, figures=1)
    bench = Catalogue(folder, "ann")
    bench.scan()
    before = figure_row(0, 1)["panels"]
    panels = [
        {"letter": "a", "bbox": [72, 72, 110.004, 100], "caption": "left"},
        {"letter": "b", "bbox": [110, 72, 160, 100], "caption": "right"},
        {"letter": "c", "bbox": None, "caption": ""},
    ]
    bench.decide(0, "panels", before)  # nothing new
    after = bench.decide(0, "panels", panels).now["panels"]
    assert after == [panels[0] | {"bbox": [72, 72, 110, 100]}, *panels[1:]]
    [shard] = (folder / "figures").glob("*")
    assert next(corrected_rows(shard, FIGURES))["panels"] == after
    assert bench.undo().now["panels"] == before
    bench.decide(0, "panels", [])
    assert next(corrected_rows(shard, FIGURES))["panels"] == []
    bench.decide(0, "panels", None)  # as extracted
    assert bench.entry(0).verdict.person is None
    for bad, words in [
        ([{"letter": "a"}], "panel 1 needs letter, bbox and caption, and nothing else"),
        ([panels[0] | {"bbox": [5, 5, 5, 9]}], "bbox of panel 1 has no area"),
        ([panels[0] | {"letter": "x" * 21}], "letter of panel 1 is not a string of at most 20"),
        ([panels[0] | {"caption": "\ud800"}], "caption of panel 1 is not a string"),
        ([panels[0] | {"caption": "x" * 10_001}] * 2, "more than 20,000 characters of captions"),
        ([panels[0]] * 201, "a list of at most 200"),
    ]:
        with pytest.raises(CephaloError, match=words):
            bench.decide(0, "panels", bad)
    assert [what for _, what, _ in lines(folder)] == ["panels"] * 4
    bench.close()


def test_bad_requests_are_told_and_nothing_is_recorded(review, folder):
    before = (folder / NAME).read_bytes()
    for body, words in [
        ({"id": 0, "what": "image", "after": "x"}, "not a decision about a figure"),
        ({"id": "0", "what": "state", "after": "accepted"}, "not a decision about a figure"),
        ({"id": 0, "what": "state", "after": "perhaps"}, "give accepted, rejected or null"),
        ({"id": 0, "what": "caption", "after": ["x"]}, "caption is not a string"),
        ({"id": 99, "what": "state", "after": "accepted"}, "was removed; reload the page"),
        ({"id": 1, "what": "bbox", "after": [1, 1, 50, 50]}, "was moved or changed"),
        ([], "not a JSON object"),
        ({"id": 0, "what": "caption", "after": "x" * 300_000}, "the request is too long"),
    ]:
        answer = review.ask("api/decide", body)
        assert answer.status == 400 and words in answer.json["error"], words
    assert review.ask("thumbnail/99/x").status == review.ask("page/1").status == 400
    assert (folder / NAME).read_bytes() == before


def test_decisions_are_lines_and_undo_is_one_too(tmp_path):
    folder = write_figures(tmp_path / "made", documents=1, figures=2)
    bench = Catalogue(folder, "ann")
    bench.scan()
    bench.decide(0, "state", "accepted")
    bench.decide(0, "state", "accepted")  # nothing new
    bench.decide(1, "caption", "  True.  ")
    assert bench.undo().now["caption"] == figure_row(0, 2)["caption"]
    assert bench.undo().verdict.person is None
    assert bench.undo() is None
    bench.close()
    assert lines(folder) == [
        ("Figure 1", "state", "accepted"),
        ("Figure 2", "caption", "True."),
        ("Figure 2", "caption", figure_row(0, 2)["caption"]),
        ("Figure 1", "state", None),
    ]
    line = json.loads((folder / NAME).read_text().splitlines()[1])
    assert line["by"] == "ann" and line["at"].endswith("Z")
    assert line["before"] == figure_row(0, 2)["caption"]


def test_undo_brings_back_what_no_person_could_give(tmp_path):
    folder = tmp_path / "made"
    (folder / "figures").mkdir(parents=True)
    extracted = {"caption": "long " * 200_000, "label": None, "kind": ""}
    write_shard(folder / "figures" / "odd.parquet", figure_row(0, 1, **extracted))
    bench = Catalogue(folder, "ann")
    bench.scan()
    texts: tuple[What, ...] = ("caption", "label", "kind")
    for what in texts:
        value = extracted[what]
        assert bench.decide(0, what, "given").now[what] == "given"
        undone = bench.undo()
        assert undone and undone.now[what] == value and undone.verdict.person is None
    with pytest.raises(CephaloError, match="caption contains half a character"):
        bench.decide(0, "caption", "x\ud800")
    assert bench.decide(0, "caption", "\1" * 20_000).now["caption"] == "\1" * 20_000
    bench.close()
    # The file of the longest values can be read again.
    [row] = corrected_rows(folder / "figures" / "odd.parquet", ["caption", "label", "kind"])
    assert (row["caption"], row["label"], row["kind"]) == ("\1" * 20_000, None, "")
    Catalogue(folder, "ann").close()


def test_shards_that_are_no_figures_are_told_and_the_others_shown(tmp_path):
    folder = write_figures(tmp_path / "made", documents=1, figures=2)
    shards = folder / "figures"
    row = figure_row(3, 1)
    names = FIGURES.arrow_schema.names
    texts = pa.table({name: ["x"] for name in names})
    pq.write_table(texts, shards / "foreign.parquet")
    bytes_ = pa.array([b"\xff\xfe"]).cast(pa.string(), safe=False)
    table = pa.Table.from_pylist([row], schema=FIGURES.arrow_schema)
    place = names.index("caption")
    pq.write_table(table.set_column(place, "caption", bytes_), shards / "latin.parquet")
    write_shard(shards / "nameless.parquet", row | {"document": None, "document_sha256": None})
    bench = Catalogue(folder, "ann")
    bench.scan()
    assert "'panels' is string" in bench.damaged["foreign.parquet"]
    assert "not a complete Parquet file" in bench.damaged["latin.parquet"]
    assert len(filters.find(bench, {"document": ""})) == 3
    assert filters.find(bench, {"document": "paper-0"}) and bench.counts()["document"][""] == 1
    bench.close()


def test_a_decision_counts_beside_a_clock_that_is_ahead(tmp_path):
    folder = write_figures(tmp_path / "made", documents=1, figures=2)
    years, zone = 60 * 24 * 365 * 50, timezone(timedelta(hours=-5))
    ahead = correct(folder, "caption", "Of a clock ahead.", minutes=years)
    later = ahead.model_copy(update={"at": ahead.at.astimezone(zone)})
    (folder / NAME).write_text(later.model_dump_json() + "\n")
    correct(folder, "state", "accepted")  # joined, of an earlier time
    bench = Catalogue(folder, "ben")
    bench.scan()
    assert bench.decide(0, "caption", "Now.").now["caption"] == "Now."
    bench.close()
    assert (
        next(corrected_rows(folder / "figures" / "paper-0.parquet", ["caption"]))["caption"]
        == "Now."
    )


@pytest.mark.parametrize("content", [b"my notes", b"\xff\x00\x01", b'{"figure": 1}', b"[1, 2]"])
def test_a_file_that_is_no_decisions_is_not_cut_off(tmp_path, content):
    folder = write_figures(tmp_path / "made", documents=1, figures=1)
    (folder / NAME).write_bytes(content)
    with pytest.raises(CephaloError, match=r"line 1 is not a decision: .*; correct or remove it$"):
        Catalogue(folder, "ann")
    assert (folder / NAME).read_bytes() == content


def test_requests_that_are_no_requests(review):
    host, port = review.address.split("/")[2].split(":")
    path = "/" + review.address.split("/", 3)[3]
    assert review.ask("thumbnail/" + "9" * 5000 + "/x").status == 404
    assert review.ask("api/page/x").status == 404
    body = {"id": 0, "what": "caption", "after": "\ud800"}
    assert review.ask("api/decide", body).status == 400
    assert review.ask("api/decide", body | {"id": False}).status == 400
    head = f"POST {path}api/decide HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n"
    head += "Content-Type: application/json\r\n\r\n{"
    slow = [socket.create_connection((host, int(port))) for _ in range(50)]
    for one in slow:
        one.sendall(head.encode())
    assert review.ask("api/state").status == 200
    for one in slow:
        one.close()


def test_a_box_is_cropped_when_it_is_drawn_and_pictures_are_encoded_again(review, folder):
    [paper] = review.list(document=PAPER)
    assert review.ask(f"api/page/{paper['id']}").json["problem"] is None
    page = Image.open(io.BytesIO(review.ask(f"page/{paper['id']}").body))
    assert page.format == "JPEG" and page.size == (round(612 * 110 / 72), round(792 * 110 / 72))
    small = Image.open(io.BytesIO(review.ask(f"thumbnail/{paper['id']}/x").body))
    assert small.format == "JPEG" and small.size == (90, 60)
    left, top, right, bottom = paper["bbox"]
    box = [left, top, left + 72, top + 36]
    changed = review.decide(paper["id"], "bbox", box).json["figure"]
    assert changed["bbox"] == box and changed["version"] != paper["version"]
    assert (changed["width"], changed["height"]) == (200, 100)  # an inch is 200 pixels
    shown = Image.open(io.BytesIO(review.ask(f"figure/{paper['id']}/{changed['version']}").body))
    assert shown.size == (200, 100)
    assert review.decide(paper["id"], "bbox", [9000, 0, 9001, 9]).status == 400
    back = review.ask("api/undo", {}).json["figure"]
    assert (back["bbox"], back["version"]) == ([left, top, right, bottom], paper["version"])


def test_a_second_review_is_refused(review, folder):
    with pytest.raises(SystemExit) as error:
        main(["review", str(folder)])
    assert str(error.value) == (
        f"cephalo: error: another run is writing to {folder / NAME}; wait until it ends"
    )


def test_bad_arguments(tmp_path):
    def refused(*arguments: str) -> str:
        with pytest.raises(SystemExit) as error:
            main(["review", *arguments])
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "contains no figures; run `cephalo extract` first" in refused(str(tmp_path))
    write_figures(tmp_path / "made", documents=1, figures=1)
    assert "--by must be" in refused(str(tmp_path / "made"), "--by", " ")
    assert "--by must be" in refused(str(tmp_path / "made"), "--by", "\udcff")
    (tmp_path / "made" / NAME).write_text("nonsense\n")
    assert "line 1 is not a decision" in refused(str(tmp_path / "made"))


def test_what_extraction_adds_and_takes_away_comes_and_goes(tmp_path):
    folder = write_figures(tmp_path / "made", documents=1, figures=2)
    bench = Catalogue(folder, "ann")
    bench.scan()
    bench.decide(1, "state", "rejected")
    write_shard(folder / "figures" / "a-first.parquet", figure_row(3, 1))
    (folder / "figures" / "broken.parquet").write_bytes(b"no shard")
    bench.scan()
    assert [one.row["document"] for one in bench.all()] == ["paper-0.pdf"] * 2 + ["paper-3.pdf"]
    assert bench.damaged.keys() == {"broken.parquet"}
    moved = folder / "figures" / "paper-0.parquet"
    moved.rename(tmp_path / "aside.parquet")
    bench.scan()
    assert [one.number for one in bench.all()] == [2]
    (tmp_path / "aside.parquet").rename(moved)
    bench.scan()
    assert [one.verdict.state for one in bench.all()] == [None, None, "rejected"]
    bench.close()


def test_a_kill_loses_no_decision_that_was_answered(tmp_path):
    folder = write_figures(tmp_path / "made", documents=1, figures=3)
    with reviewing(folder, 3) as first:
        assert first.decide(0, "state", "accepted").status == 200
        assert first.decide(1, "caption", "True.").status == 200
        first.kill()
    with (folder / NAME).open("a") as file:
        file.write('{"by": "ann", "at": "2026-0')  # as a crash of the machine leaves it
    with reviewing(folder, 3) as second:
        states = {one["label"]: one["state"] for one in second.list()}
        assert states == {"Figure 1": "accepted", "Figure 2": None, "Figure 3": None}
        second.decide(2, "state", "rejected")
    assert lines(folder) == [
        ("Figure 1", "state", "accepted"),
        ("Figure 2", "caption", "True."),
        ("Figure 3", "state", "rejected"),
    ]
    [shard] = (folder / "figures").glob("*")
    assert [row["caption"] for row in corrected_rows(shard, FIGURES)][1] == "True."


def test_conversations_are_shown_with_their_reasons_and_decided_as_refine_has_it(tmp_path):
    folder = write_figures(tmp_path / "made", documents=1, figures=2)
    refine = ["refine", str(folder), "--teacher", "caption", "--out", str(tmp_path / "refined")]
    main(refine)
    bench = Catalogue(folder, "ann")
    bench.scan()
    figure = bench.entry(0)
    assert talks_about(folder, figure) == []
    [talk] = talks_about(tmp_path / "refined", figure)
    assert (talk["state"], talk["task"], talk["decided"]) == ("accepted", "caption", None)
    assert talk["turns"][0]["answer"] == figure.row["caption"]
    decide_talk(tmp_path / "refined", figure, "ann", talk["id"], "accept")
    decide_talk(tmp_path / "refined", figure, "ann", talk["id"], "reject")
    assert len((tmp_path / "refined" / "decisions.jsonl").read_text().splitlines()) == 1
    assert talks_about(tmp_path / "refined", figure)[0]["decided"] == "reject"
    main(refine)
    [talk] = talks_about(tmp_path / "refined", figure)
    assert (talk["state"], talk["reasons"]) == ("rejected", ["person: rejected"])
    assert talks_about(tmp_path / "refined", bench.entry(1))[0]["state"] == "accepted"
    for number, decision in (("0" * 16, "accept"), (talk["id"], "maybe"), (7, "accept")):
        with pytest.raises(CephaloError, match="conversation"):
            decide_talk(tmp_path / "refined", figure, "ann", number, decision)
    with (
        locked(tmp_path / "refined"),
        pytest.raises(CephaloError, match="another run is writing"),
    ):
        decide_talk(tmp_path / "refined", figure, "ann", talk["id"], "accept")
    bench.close()
