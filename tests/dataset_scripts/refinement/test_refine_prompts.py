"""What the teacher is asked: forms, crops, kinds, relations; prompts and checks of one's own."""

import io
import json
from pathlib import Path

import pytest
from figure_samples import figure_row
from PIL import Image
from refine_samples import material_figures, refine, rows_of, set_aside
from teacher_server import TeacherServer, faithful, user_text

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.refinement.checks import shingles
from cephalo.dataset_scripts.refinement.forms import FORMS, Choices, Description, Talk, Turn
from cephalo.dataset_scripts.refinement.own_checks import load_checks, run_checks
from cephalo.dataset_scripts.refinement.planning import plan
from cephalo.dataset_scripts.refinement.relations import related_groups
from cephalo.dataset_scripts.refinement.showing import (
    has_scale,
    kind_line,
    panel_crops,
    pictures_of,
)
from cephalo.dataset_scripts.refinement.tasks import load_task, parse_tasks
from cephalo.inference.questions import parse_reply

PLAIN = ["--tasks", "describe", "--no-verify"]


@pytest.fixture
def figures(tmp_path) -> Path:
    return material_figures(tmp_path / "figures", documents=1)


@pytest.fixture
def server():
    with TeacherServer(faithful) as server:
        yield server


# --- forms


def choice(number: int = 0, **changes) -> dict:
    options = {"correct": "Along grains", "wrong": ["Across", "At pores", "Nowhere"]}
    question = {"question": f"Where did joint {number} open?", "why": "Gaps follow them."}
    return {"questions": [question | options | changes]}


def test_the_right_option_stands_at_every_letter():
    letters = []
    for number in range(40):
        [talk] = Choices.model_validate(choice(number)).talks()
        [turn] = talk.turns
        question, *options = turn.question.split("\n")
        assert question == f"Where did joint {number} open?"
        assert [option[:3] for option in options] == ["A) ", "B) ", "C) ", "D) "]
        assert {option[3:] for option in options} == {
            "Along grains",
            "Across",
            "At pores",
            "Nowhere",
        }
        right, why = turn.answer.split("\n\n")
        assert right in options and right.endswith("Along grains") and why == "Gaps follow them."
        letters.append(right[0])
    assert all(5 <= letters.count(letter) <= 16 for letter in "ABCD")


def test_options_that_are_the_same_are_no_choice():
    reply = json.dumps(choice(wrong=["Across", "across ", "Nowhere"]))
    with pytest.raises(ValueError, match="two options are the same"):
        parse_reply(Choices, reply)


def test_descriptions_have_several_openings_the_same_each_time():
    task = load_task("describe")
    asked = [
        task.talks(Description(description=f"It is {number}."))[0].turns[0].question
        for number in range(60)
    ]
    assert set(asked) == set(task.openings) and len(task.openings) >= 4
    [again] = task.talks(Description(description="It is 7."))
    assert again.turns[0].question == asked[7]


def test_every_packaged_task_has_a_prompt_and_examples_in_its_form():
    tasks = {task.name: task for task in parse_tasks(",".join(FORMS))}
    assert list(tasks) == list(FORMS)
    for task in tasks.values():
        assert task.prompt.rpartition("\n")[2].startswith("Form: {")
    assert "A good reply: {" in tasks["choice"].prompt
    # What is copied from an example is found, as what is copied from the prompt is.
    assert "that follow the outlines of the grains" in tasks["choice"].prompt
    assert any("outlines of the grains" in words for words in shingles(tasks["choice"].prompt))


# --- what is shown


def paneled(**changes) -> dict:
    """A figure of 120 x 60 points in 240 x 120 pixels: left half red, right half blue."""
    image = Image.new("RGB", (240, 120), "red")
    image.paste("blue", (120, 0, 240, 120))
    png = io.BytesIO()
    image.save(png, "PNG")
    panels = [
        {"letter": "(a)", "bbox": [100, 200, 160, 260], "caption": "left"},
        {"letter": "b", "bbox": [160, 200, 225, 260], "caption": "right, against a scale bar"},
    ]
    more = {"image": {"bytes": png.getvalue(), "path": None}, "panels": panels}
    return figure_row(0, 1, bbox=[100, 200, 220, 260], **(more | changes))


def test_panels_are_crops_of_their_own_part():
    figure = paneled()
    crops = panel_crops(figure)
    assert [name for name, _ in crops] == ["Panel (a) of it:", "Panel (b) of it:"]
    images = [Image.open(io.BytesIO(crop.data)) for _, crop in crops]
    assert [image.size for image in images] == [(120, 120), (120, 120)]
    seen = [image.getpixel((60, 60)) for image in images]
    assert seen == [pytest.approx((255, 0, 0), abs=2), pytest.approx((0, 0, 255), abs=2)]  # JPEG
    assert len({figure["image_sha256"], *(crop.sha256 for _, crop in crops)}) == 3
    assert len(pictures_of([figure])) == 5 and len(pictures_of([figure, figure])) == 2


def test_crops_are_bounded_in_number_and_size():
    wide = Image.new("RGB", (4000, 2000))
    jpeg = io.BytesIO()
    wide.save(jpeg, "JPEG")
    boxes = [[100 + 6 * n, 200, 106 + 6 * n, 260] for n in range(20)]
    figure = paneled(
        image={"bytes": jpeg.getvalue(), "path": None},
        panels=[{"letter": None, "bbox": box, "caption": None} for box in boxes],
    )
    crops = panel_crops(figure)
    assert len(crops) == 8 and crops[0][0] == "Panel (?) of it:"
    assert all(max(Image.open(io.BytesIO(crop.data)).size) <= 768 for _, crop in crops)
    assert panel_crops(figure | {"bbox": None}) == []
    assert panel_crops(figure | {"image": {"bytes": b"no picture", "path": None}}) == []
    assert panel_crops(figure | {"panels": figure["panels"][:1]}) == []
    tiny = [panel | {"bbox": [100, 200, 101, 201]} for panel in paneled()["panels"]]
    assert panel_crops(paneled(panels=tiny)) == []


@pytest.mark.parametrize(
    ("kind", "caption", "told"),
    [
        ("figure", "SEM images of nacre.", "electron micrograph"),
        ("scheme", "Steps of the synthesis.", "scheme"),
        ("figure", "(a) XRD of S1, (b) stress versus strain.", "diffraction pattern, plot"),
        ("figure", "Stem cells in a museum.", None),
    ],
)
def test_the_kind_of_picture_is_told_where_the_caption_tells_it(kind, caption, told):
    line = kind_line([figure_row(0, 1, kind=kind, caption=caption)])
    assert line == (f"Kind of picture, as its caption tells: {told}." if told else "")


def test_scales_are_read_where_a_caption_speaks_of_them():
    plain = figure_row(0, 1, caption="Tablets of nacre.")
    items = plan([plain, paneled(), plain | {"caption": "Load versus time."}], [load_task("read")])
    assert [item.places for item in items] == [[1], [2]]
    printed = {
        "parts": ["a", "b", "1", "2"],
        "bar": ["20 \u00b5m"],
        "axes": ["0", "5", "0.1", "0.2"],
    }
    told = {name: has_scale(plain | {"figure_text": lines}) for name, lines in printed.items()}
    assert told == {"parts": False, "bar": True, "axes": True}


def test_figures_are_compared_by_what_they_have_in_common():
    captions = [
        "Stress and strain of PA12 printed at 200 °C.",
        "Micrographs of coral skeletons before etching.",
        "Price of crude oil over the years.",
        "Stress and strain of PA12 printed at 240 °C.",
        "Micrographs of coral skeletons after etching.",
        "Stress and strain of PA12 after annealing.",
        "Stress and strain of PA12 after ageing in water.",
    ]
    figures = list(enumerate({"caption": caption} for caption in captions))
    groups = related_groups(figures, 3)
    assert [1, 4] in groups and not any(2 in group for group in groups)
    assert sorted(place for group in groups for place in group if len(group) > 1) == sorted(
        {place for group in groups for place in group}
    )
    assert all(2 <= len(group) <= 3 for group in groups) and [0, 3] in [g[:2] for g in groups]
    assert related_groups(figures[:1], 3) == related_groups([], 3) == []


# --- prompts and checks of one's own


def prompt_file(folder: Path, name: str, facts: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text(f"---\n{facts}\n---\n{text}\n", encoding="utf-8")


def test_a_prompt_of_ones_own_comes_first_and_an_edit_asks_anew(figures, server, tmp_path):
    own, out = tmp_path / "own", tmp_path / "out"
    prompt_file(own, "describe", "min_words: 5", 'Say it aloud.\n\nForm: {"description": "..."}')
    refine(figures, out, server, *PLAIN, "--prompts", str(own))
    assert all("Say it aloud." in text for text in server.texts())
    versions = {row["task_version"] for row in rows_of(out)}
    report = refine(figures, out, server, *PLAIN, "--prompts", str(own))
    assert report["run"]["done_before"] == 1 and len(server.requests) == 3
    prompt_file(own, "describe", "min_words: 5", 'Say it low.\n\nForm: {"description": "..."}')
    refine(figures, out, server, *PLAIN, "--prompts", str(own))
    assert len(server.requests) == 6 and "Say it low." in server.texts()[-1]
    assert versions.isdisjoint(row["task_version"] for row in rows_of(out))


def test_a_task_of_ones_own_with_examples(figures, server, tmp_path):
    own, form = tmp_path / "own", 'Form: {"questions": [{"question": "...", "answer": "..."}]}'
    prompt_file(own, "referee", "form: design\nmin_words: 5", f"Ask as a referee.\n\n{form}")
    reply = '{questions: [{question: "Which control?", answer: "None without heat."}]}'
    examples = f'- quotation: "Creep at 60 °C."\n  reply: {reply}\n'
    (own / "referee.examples.yaml").write_text(examples, encoding="utf-8")
    asked = ["--tasks", "describe,referee", "--no-verify", "--prompts", str(own)]
    report = refine(figures, tmp_path / "out", server, *asked)
    assert report["tasks"]["referee"] == {"accepted": 3, "rejected": 0}
    [text] = [text for text in server.texts() if "Ask as a referee." in text][:1]
    assert "It said: Creep at 60 °C." in text and '"None without heat."' in text


BAD_PROMPTS = [
    ("describe", "min_words: none", "Go.", "describe.md: min_words: Input should be"),
    ("describe", "minwords: 3", "Go.", "describe.md: minwords: Extra inputs"),
    ("describe", "a: [", "Go.", "describe.md: "),
    ("describe", "needs: luck", "Go.", "choose from scale"),
    ("describe", "figures: 3", "", "describe.md: begin with a line ---"),
    ("mine", "version: '1'", "Go.", "a new task needs a `form`, one of describe"),
    ("mine", "form: sonnet", "Go.", "choose from describe"),
]


@pytest.mark.parametrize(("name", "facts", "text", "message"), BAD_PROMPTS)
def test_prompts_that_are_none_are_one_line(tmp_path, name, facts, text, message):
    prompt_file(tmp_path, name, facts, text)
    with pytest.raises(CephaloError) as stop:
        parse_tasks(name, tmp_path)
    assert message in str(stop.value) and "\n" not in str(stop.value)


def test_examples_that_are_not_in_the_form_are_one_line(tmp_path):
    (tmp_path / "describe.examples.yaml").write_text("- {quotation: a, reply: {text: b}}")
    with pytest.raises(CephaloError, match=r"examples.yaml: description: Field required"):
        parse_tasks("describe", tmp_path)
    with pytest.raises(CephaloError, match="no such folder"):
        parse_tasks("describe", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CephaloError, match=r"no NAME\.md and no NAME\.examples\.yaml in it"):
        parse_tasks("describe", tmp_path / "empty")


def test_prompts_of_the_second_look_are_no_tasks(tmp_path):
    prompt_file(tmp_path, "blind_answer", "version: 1", "Answer.")
    with pytest.raises(CephaloError, match="choose from describe") as stop:
        parse_tasks("blind_answer", tmp_path)
    assert "blind" not in str(stop.value).partition("choose from")[2]


CHECKS = '''
def no_silk(talk, context):
    """Silk, which this group does not want."""
    return "silk" if "silk" in talk.turns[0].answer else None

def breaks(talk, context):
    raise KeyError("a\\nb")

def numbers(talk, context):
    return 5

def number(talk, context):
    return None

def one(talk):
    return None
'''


def test_a_check_of_ones_own_rejects_and_stands_in_the_report(
    figures, server, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("group_checks.py").write_text(CHECKS)
    own = ["--checks", "group_checks:no_silk"]
    report = refine(figures, tmp_path / "out", server, *PLAIN, *own)
    assert report["checks"] == {"no_silk": {"describe": 1}}
    assert [line["failed"] for line in set_aside(tmp_path / "out")] == [{"no_silk": "silk"}]
    assert "Silk, which this group does not want." in (tmp_path / "out/report.html").read_text()
    asked = len(server.requests)
    for name, message in [
        ("breaks", "breaks raised on 'The picture tells about"),
        ("numbers", "numbers returned 5; return a string or None"),
    ]:
        with pytest.raises(SystemExit, match=message) as stop:
            refine(figures, tmp_path / "out", server, *PLAIN, "--checks", f"group_checks:{name}")
        assert "\n" not in str(stop.value)
    assert len(server.requests) == asked
    bad = {
        "group_checks:none": "group_checks.py defines no function none(talk, context)",
        "no_such_module:check": "no module named 'no_such_module' in the current folder",
        "group_checks": "give MODULE:FUNCTION",
        "group_checks:number": "a check number exists already",
        "group_checks:one": "one takes (talk); a check takes (talk, context)",
        "group_checks:__name__": "defines no function __name__",
        "os:system": "os is a module of Python's standard library; give another one",
        "subprocess.run:x": "subprocess is a module of Python's standard library",
        "../group_checks:one": "give MODULE:FUNCTION",
        "PIL.Image:open": "open takes (fp, mode, formats); a check takes (talk, context)",
        "PIL._imaging:draw": "PIL._imaging is not a Python file",
    }
    for name, message in bad.items():
        with pytest.raises(CephaloError) as stop:
            load_checks((name,))
        assert message in str(stop.value) and "\n" not in str(stop.value)


def test_the_teacher_is_told_why_an_answer_was_rejected(figures, server, tmp_path):
    bad = json.dumps({"description": "The tablets of nacre slid by 77 nm, as Figure 3 says."})
    server.model = lambda body: bad
    refine(figures, tmp_path / "out", server, *PLAIN)
    assert not any("was rejected" in text for text in server.texts())
    server.requests.clear()
    server.model = faithful
    report = refine(figures, tmp_path / "out", server, *PLAIN, "--retry-rejected")
    assert report["tasks"]["describe"] == {"accepted": 3, "rejected": 0}
    for body in server.requests:
        told = user_text(body).rpartition("was rejected")[2]
        assert "- number: 77 nm" in told and "- dangling reference: Figure 3" in told
    server.requests.clear()
    refine(figures, tmp_path / "out", server, *PLAIN)  # kept under the question without it
    assert not server.requests


def test_a_language_that_no_check_knows_is_refused(figures, server, tmp_path):
    with pytest.raises(SystemExit, match="--language zz is not known; it is one of ar, bg, de"):
        refine(figures, tmp_path / "out", server, *PLAIN, "--language", "zz")
    assert not server.requests and not (tmp_path / "out").exists()


def test_own_checks_that_end_the_process_or_are_async_are_refused(figures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("odd_checks.py").write_text(
        "import sys\ndef leaves(talk, context): sys.exit(3)\nasync def waits(talk, context): pass\n"
    )
    with pytest.raises(CephaloError, match="waits is async; give a plain function"):
        load_checks(("odd_checks:waits",))
    with pytest.raises(CephaloError, match=r"leaves raised on .*SystemExit: 3"):
        run_checks(load_checks(("odd_checks:leaves",)), Talk((Turn("a?", "b"),)), None)


def test_a_module_is_read_before_it_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("loud_checks.py").write_text("open('ran', 'w')\nfrom os import system\n")
    with pytest.raises(CephaloError, match="defines no function system"):
        load_checks(("loud_checks:system",))
    assert not Path("ran").exists()


def test_modules_of_the_current_folder_and_packages(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("colorsys_checks").mkdir()
    Path("colorsys_checks/__init__.py").write_text("")
    Path("colorsys_checks/words.py").write_text(
        "from words_helper import WORD\ndef has(talk, context=None, *, least=1):\n    return WORD\n"
    )
    Path("words_helper.py").write_text("WORD = 'silk'\n")
    Path("yaml.py").write_text("def check(talk, context): return None\n")  # PyYAML is imported
    checks = load_checks(("colorsys_checks.words:has",))
    assert run_checks(checks, Talk((Turn("a?", "b"),)), None) == {"has": "silk"}
    with pytest.raises(CephaloError, match=r"another module is called yaml .*; rename yours"):
        load_checks(("yaml:check",))
