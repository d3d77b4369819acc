"""Plots from made data: answers equal the data, pixels show it, shards made again are the same."""

import io
import json
import math
import re
import shutil
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from figure_samples import write_figures
from matplotlib.colors import to_rgb
from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.dataset_scripts.common.pixels import ink_box
from cephalo.dataset_scripts.common.schema import CONVERSATIONS, FIGURES
from cephalo.dataset_scripts.plots import build as building
from cephalo.dataset_scripts.plots.build import Plan, build
from cephalo.dataset_scripts.plots.command import rows_for
from cephalo.dataset_scripts.plots.equilibria import eutectic, gap, phases_at
from cephalo.dataset_scripts.plots.figures import QUESTIONS, generator, make_plot
from cephalo.dataset_scripts.plots.peaks import WAVELENGTH
from cephalo.dataset_scripts.plots.rows import plot_rows
from cephalo.dataset_scripts.plots.spectra import bragg_angle
from cephalo.dataset_scripts.plots.truth import Scale, Series
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset

SEED = 11
PLAN = Plan(rows=47, seed=SEED)


@pytest.fixture(scope="module")
def plots():
    return [make_plot(SEED, number) for number in range(30)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "plots"
    folder.mkdir()
    building_run(folder, PLAN)
    return folder


def building_run(folder, plan):
    """`build` without processes of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "CHUNK", 8)
        patch.setattr(building, "run_chunks", lambda jobs, make, *_: [make(*job) for job in jobs])
        build(folder, plan, workers=1)


def table(folder, config):
    return [
        row
        for shard in sorted((folder / config).glob("*.parquet"))
        for row in pq.read_table(shard).to_pylist()
    ]


# --- the picture agrees with the data


def rows_of_colour(plot, panel, series, x):
    """The y values of the pixels of a series' colour in the column of `x`."""
    height = panel.axes.figure.canvas.get_width_height()[1]
    column, _ = panel.axes.transData.transform((x, panel.y.low))
    column = round(column - plot.corner[0] - 0.5)
    pixels = np.broadcast_to(plot.pixels, (*plot.pixels.shape[:2], 3))[:, column].astype(float)
    wanted = np.array(to_rgb(series.colour)) * 255
    rows = np.flatnonzero(np.abs(pixels - wanted).max(1) < 25)
    ups = height - (rows + 0.5 + plot.corner[1])
    places = np.column_stack([np.full(len(ups), column), ups])
    return panel.axes.transData.inverted().transform(places.reshape(-1, 2))[:, 1]


def test_the_value_of_an_answer_is_read_back_out_of_the_pixels(plots):
    checked = Counter()
    for plot in plots:
        for panel in plot.panels:
            if panel.kind not in ("curves", "tensile", "phases", "scatter", "inset"):
                continue
            one = panel.series[0]
            if len({series.colour for series in panel.series}) < len(panel.series):
                continue
            x = float(panel.x.at(np.interp(0.4, [0, 1], panel.x.fraction(one.x[[0, -1]]))))
            value = one.value(panel.x, panel.y, x)
            found = rows_of_colour(plot, panel, one, x)
            if len(found):  # another line may lie over it
                near = found[np.argmin(np.abs(panel.y.fraction(found) - panel.y.fraction(value)))]
                assert abs(near - value) <= panel.y.tolerance(value), (plot.number, panel.kind)
                checked[panel.kind] += 1
    assert checked["curves"] >= 4 and checked["tensile"] >= 2 and checked["scatter"] >= 2


def test_bars_end_at_their_values(plots):
    checked = 0
    for made in plots:
        for panel in (panel for panel in made.panels if panel.kind == "bars"):
            patches = panel.axes.patches
            heights = [float(height) for series in panel.series for height in series.y]
            assert [patch.get_height() for patch in patches] == heights
            if not patches[0].get_hatch() and patches[0].get_facecolor()[:3] != (1, 1, 1):
                one = panel.series[0]
                beside_the_error_bar = one.x[0] + 0.3 * patches[0].get_width()
                found = rows_of_colour(made, panel, one, beside_the_error_bar)
                assert max(found) == pytest.approx(one.y[0], abs=panel.y.tolerance(one.y[0]))
                checked += 1
    assert checked >= 3


def test_nothing_is_cut_off_and_panels_lie_within_the_figure(plots):
    for plot in plots:
        left, top, right, bottom = ink_box(
            np.broadcast_to(plot.pixels, (*plot.pixels.shape[:2], 3))
        )
        height, width = plot.pixels.shape[:2]
        assert min(left, top, width - right, height - bottom) > 0, plot.number
        for x0, y0, x1, y1 in plot.boxes:
            assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height


# --- the answers agree with the data

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?: × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")
PLAIN = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def numbers(text):
    """The numbers of a text."""
    return [float(found.replace(" × 10", "e").translate(PLAIN)) for found in NUMBER.findall(text)]


def test_answers_say_the_truth_within_its_tolerance(plots):
    kinds = Counter()
    for plot in plots:
        assert len(plot.questions) == QUESTIONS
        for question in plot.questions:
            kinds[question.kind] += 1
            if question.value is not None:
                off = min(abs(said - question.value) for said in numbers(question.answer))
                assert off <= question.tolerance, question
            assert all(word.lower() in question.answer.lower() for word in question.words)
            assert question.text[-1] in "?." and question.answer.endswith(".")
            assert not set("*#`_|") & set(question.answer) and ".." not in question.answer
    assert len(kinds) >= 12
    assert 3 <= kinds["unanswerable"] <= 25  # of 90


def test_a_value_that_is_asked_for_is_that_of_the_series_drawn(plots):
    checked = 0
    for plot in plots:
        for question in plot.questions:
            match = re.search(r"^(?:Read|What is) the (.*?) of (.*?) at (.*?)( off the plot\.|\?)$",
                              question.text)  # fmt: skip
            [panel, *others] = plot.panels
            if others or panel.kind not in ("curves", "tensile") or not match:
                continue
            place, x, y = numbers(match[3].split(" of ")[-1])[0], panel.x, panel.y
            shown = [series for series in panel.series if series.title == match[2]]
            if question.kind == "unanswerable":
                assert not shown or place > x.high
                continue
            [one] = shown
            u = np.log(one.x) if x.log else one.x
            v = np.log(one.y) if y.log else one.y
            value = np.interp(np.log(place) if x.log else place, u, v)
            value = math.exp(value) if y.log else value
            assert question.value == pytest.approx(value, rel=0.02)
            checked += 1
    assert checked


def test_a_line_is_straight_on_the_axes_it_is_drawn_on():
    log = Scale("rate", "s⁻¹", 1, 100, log=True)
    linear = Scale("stress", "MPa", 0, 10)
    series = Series("S1", np.array([1.0, 100.0]), np.array([2.0, 8.0]), "k")
    assert series.value(log, linear, 10) == pytest.approx(5)
    assert series.value(Scale("t", "s", 1, 100), linear, 50.5) == pytest.approx(5)
    assert (linear.step, linear.say(4.98), linear.tolerance(5)) == (0.1, "5.0 MPa", 0.2)
    assert log.say(12.34) == "12 s⁻¹" and log.tolerance(10) == pytest.approx(0.96, abs=0.01)
    assert Scale("conductivity", "S/m", 1e-9, 1, log=True).say(4.13e-7) == "4.1 × 10⁻⁷ S/m"


def test_phases_meet_as_thermodynamics_asks():
    for number in range(5):
        diagram = eutectic(generator(0, number))
        point, invariant = diagram.points["eutectic"]
        alpha, beta, both = diagram.regions
        assert alpha.ends(invariant)[1] == pytest.approx(beta.ends(invariant)[0]) == point
        assert both.ends(invariant) == pytest.approx(
            (alpha.ends(invariant)[0], beta.ends(invariant)[1]), abs=0.01
        )
        for phases, place, kelvin in (
            (("α", "β"), point, invariant - 5),
            (("L",), point, invariant + 5),
            (("α",), 1, invariant),
            (("β",), 99, invariant),
            (("α", "L"), point - 10, invariant + 2),
            (("L", "β"), point + 10, invariant + 2),
            (("L",), 5, diagram.high),
        ):
            assert phases_at(diagram, place, kelvin) == phases
    regular = gap(generator(0, 0))
    critical = regular.points["critical point"][1]
    assert regular.regions[0].ends(0.9 * critical) == pytest.approx((23.3, 76.7), abs=1)
    assert phases_at(regular, 50, 1.01 * critical) == ("α",)


def test_reflections_obey_bragg():
    assert bragg_angle(3.6149, (1, 1, 1)) == pytest.approx(43.3, abs=0.05)  # copper
    assert bragg_angle(WAVELENGTH / 2.1, (1, 0, 0)) is None


# --- tables


def test_rows_are_as_many_as_asked_and_carry_truth_and_licence(folder):
    figures, talks = table(folder, "figures"), table(folder, "conversations")
    assert (len(talks), len(figures)) == (PLAN.rows, PLAN.plots) == (47, 16)
    assert set(figures[0]) == set(FIGURES) and set(talks[0]) == set(CONVERSATIONS)
    of_plot = {figure["document_sha256"]: figure for figure in figures}
    assert len(of_plot) == len(figures)
    for talk in talks:
        figure = of_plot[talk["document_sha256"]]
        assert talk["images"][0]["bytes"] == figure["image"]["bytes"]
        assert (talk["teacher"], talk["license"]) == ("plot-data", "CC0-1.0")
        scores = json.loads(talk["scores"])
        assert set(scores) in ({"value", "tolerance", "unit"}, {"words"})
    assert Counter(talk["document"] for talk in talks)["plot-11-0"] == QUESTIONS
    image = Image.open(io.BytesIO(figures[0]["image"]["bytes"]))
    assert image.size == (figures[0]["width"], figures[0]["height"])


def test_panels_have_letters_boxes_and_captions(plots):
    plot = next(plot for plot in plots if len(plot.panels) > 1)
    figure, talks = plot_rows(plot, SEED)
    total = len(plot.panels)
    assert [panel["letter"] for panel in figure["panels"]] == list("abcd")[:total]
    assert [panel["caption"] for panel in figure["panels"]] == [own.caption for own in plot.panels]
    points = np.array([panel["bbox"] for panel in figure["panels"]])
    assert (points[:, 2:] <= np.array(figure["bbox"][2:]) + 1e-6).all()
    named = [re.match(r"(?:In|For) panel \(?([a-d])\)?[,:] \S", talk["query"]) for talk in talks]
    about_one = [talk["task"] != "plot-panel" for talk in talks]
    assert [bool(match) for match in named] == about_one and any(about_one)


def test_made_again_after_a_loss_the_bytes_are_the_same(folder, tmp_path):
    copy = tmp_path / "plots"
    shutil.copytree(folder, copy)
    before = {path: path.read_bytes() for path in copy.rglob("*.parquet")}
    lost = sorted((copy / "figures").glob("*.parquet"))[1]
    lost.unlink()  # killed between the two shards of a chunk
    (copy / "figures" / f".{lost.name}.tmp").write_bytes(b"half a sha")
    building_run(copy, PLAN)
    assert {path: path.read_bytes() for path in copy.rglob("*.parquet")} == before
    with pytest.raises(CephaloError, match="give the same options or another folder"):
        building_run(copy, Plan(rows=48, seed=SEED))
    other, _ = plot_rows(make_plot(SEED + 1, 0), SEED + 1)
    assert other["image_sha256"] != table(folder, "figures")[0]["image_sha256"]


def test_the_share_counts_the_conversations_beside(tmp_path, folder):
    assert rows_for(0.1, [folder]) == 5  # 5 of 52
    assert rows_for(0.5, [folder]) == 47
    with pytest.raises(CephaloError, match="contains no conversations; run `cephalo refine`"):
        rows_for(0.1, [write_figures(tmp_path / "made")])
    with pytest.raises(CephaloError, match="--share 1 is not between 0 and 1"):
        rows_for(1.0, [folder])
    with pytest.raises(SystemExit, match="give --rows, or --share together with --beside"):
        main(["plots", str(tmp_path / "out"), "--share", "0.1"])


def test_published_splits_share_no_plot_and_the_card_names_no_model(folder, tmp_path):
    copy = tmp_path / "plots"
    shutil.copytree(folder, copy)
    dataset = build_dataset([copy], "lab/plots")
    splits = {
        split: {
            digest
            for shard in (dataset / "conversations").glob(f"{split}-*")
            for digest in pq.read_table(shard, columns=["document_sha256"])[0].to_pylist()
        }
        for split in ("train", "validation", "test")
    }
    assert all(splits.values())
    assert len(set.union(*splits.values())) == sum(map(len, splits.values()))
    text = (dataset / "README.md").read_text(encoding="utf-8")
    assert "Nor is `plot-data`" in text and "look up the licence" not in text
    assert "machine-generated" not in text


def test_the_command_tells_what_it_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(building, "run_chunks", lambda jobs, make, *_: [make(*job) for job in jobs])
    out = tmp_path / "plots"
    main(["plots", str(out), "--rows", "4"])
    assert capsys.readouterr().out == f"4 conversations about 2 plots → {out}\n"
    assert [row["document"] for row in table(out, "figures")] == ["plot-0-0", "plot-0-1"]
