"""Scores of extraction on publishers left out, and what features and parameters change."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pdf_samples import one_figure

from benchmarks.bench_extract import BARS, SETS, load_scorer
from benchmarks.extraction.ablate import (
    Feature,
    all_features,
    cached_result,
    count_ablations,
    effects_of,
    main,
    sample,
)
from benchmarks.extraction.examples import Example
from benchmarks.extraction.fit import WEIGHTS, names_to_fit
from benchmarks.extraction.logistic import HeldOut, tabulate
from benchmarks.extraction.measures import COLUMNS, Counts, compare, is_whole
from benchmarks.extraction.opened import Opened
from benchmarks.extraction.parameters import Change, all_changes, changed, find_different
from benchmarks.extraction.publishers import is_frozen, publisher_of
from benchmarks.extraction.remembering import remembering
from benchmarks.extraction.score import Document, choose, make_folds, table
from cephalo.dataset_scripts.pdf import gutters, pairing

SHARED = Path(__file__).parents[3] / "shared" / "bench"
FROZEN = ("BioMed Central", "Open Journals", "Veterinary World")
OPEN = ("Elsevier", "MDPI", "Nature Publishing Group")


def document(name: str, publisher: str | None, kind: str = "wide") -> Document:
    return Document(kind, name, Path(f"{name}.pdf"), publisher, {"figures": []})


def counts(figures: int, pairs: int) -> list[int]:
    row = [0] * len(COLUMNS)
    for name, value in (("figures", figures), ("predicted", figures), ("pairs", pairs)):
        row[COLUMNS[name]] = value
    return row


def test_who_is_frozen_never_changes():
    assert all(is_frozen(name) for name in FROZEN)
    assert not any(is_frozen(name) for name in (*OPEN, None))


@pytest.mark.parametrize(
    ("truth", "publisher"),
    [
        ({"publisher": "Hindawi Publishing Corporation"}, "Hindawi"),
        ({"class": "John Wiley & Sons, Inc."}, "Wiley"),
        ({"publisher": "MDPI", "class": "two columns"}, "MDPI"),
        ({"class": "BioMed Central", "traps": []}, None),
    ],
)
def test_publishers_by_their_house(truth, publisher):
    assert publisher_of(truth) == publisher


def test_frozen_publishers_are_not_fitted_on(tmp_path):
    (tmp_path / "truth").mkdir()
    for name in (*FROZEN, *OPEN):
        truth = {"class": name, "figures": []}
        (tmp_path / "truth" / f"{name}.json").write_text(json.dumps(truth))
    made = {"class": FROZEN[0], "traps": [], "figures": []}
    (tmp_path / "truth" / "made.json").write_text(json.dumps(made))
    fitted = names_to_fit(tmp_path)
    assert fitted == sorted((*OPEN, "made"))
    documents = [document(name, name) for name in (*FROZEN, *OPEN)]
    frozen = {d.name for d in choose(documents, frozen=True)}
    assert frozen == set(FROZEN)
    assert frozen.isdisjoint(fitted)
    assert {d.name for d in choose(documents, frozen=False)} == set(OPEN)


def test_each_publisher_is_scored_with_weights_that_it_had_no_part_in():
    fitted = [SimpleNamespace(group=name) for name in ("MDPI", "Elsevier", "2 columns")]
    documents = [
        document("a", "MDPI"),
        document("b", "MDPI", "real"),
        document("c", "Elsevier"),
        document("d", "Wiley", "real"),
        document("e", None, "typeset"),
    ]
    folds = {out: [d.name for d in own] for out, own in make_folds(fitted, documents)}
    assert folds == {"MDPI": ["a", "b"], "Elsevier": ["c"], None: ["d", "e"]}


def test_interval_of_a_known_difference():
    before = np.array([counts(2, 1)] * 8)
    every = compare(before, np.array([counts(2, 2)] * 8), "pair F1")
    assert (every.change, every.low, every.high) == (0.5, 0.5, 0.5)
    half = compare(before, np.array([counts(2, 1), counts(2, 2)] * 4), "pair F1")
    # 8 documents, each better by 0.5 with a chance of a half: 0.25 ± 1.96 · 0.25 / √8
    assert half.change == 0.25
    assert half.low == pytest.approx(0.077, abs=0.02)
    assert half.high == pytest.approx(0.423, abs=0.02)
    boxes = compare(before, before, "pair+box F1")
    assert np.isnan([boxes.change, boxes.low, boxes.high]).all()


def test_table_sums_figures_over_papers():
    found = {
        ("wide", "MDPI"): [Counts(4, 4, 3), Counts(2, 1, 1)],
        ("wide", "Elsevier"): [Counts(2, 2, 2)],
    }
    lines = table(found).splitlines()
    assert [line.split(" | ")[:4] for line in lines[4:]] == [
        ["| Elsevier", "1", "2", "1.000"],
        ["| MDPI", "2", "6", "0.727"],
        ["| **all**", "3", "8", "0.800"],
    ]


@pytest.mark.parametrize(
    ("caption", "whole"),
    [
        ("Fig. 1. Hardness of nacre under load, as measured by indentation.", True),
        ("Hardness of nacre under load, as measured", False),
        ("of nacre under load, as measured by indentation.", False),
        ("Hardness of nacre under load, as measured by indentation. We then went on.", False),
    ],
)
@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared benchmark's scorer")
def test_whole_captions(caption, whole):
    truth = {"caption": "Hardness of nacre under load, as measured by indentation."}
    assert is_whole(load_scorer(SHARED), caption, truth) == whole


def test_changed_parameters_hold_for_a_while():
    gap = pairing.P.link_gap
    with changed(Change("pairing", "Parameters", "link_gap", 1.25 * gap, 1.25)):
        assert pairing.P.link_gap == 1.25 * gap
    assert pairing.P.link_gap == gap
    fewer = Change("gutters", "GutterParameters", "lines", 4, 0.75)
    wider = Change("gutters", "GutterParameters", "side", 7.5, 1.25)
    with changed(fewer, wider):
        assert (gutters.GutterParameters().lines, gutters.GutterParameters().side) == (4, 7.5)
    assert gutters.GutterParameters().lines == 6


def test_every_parameter_is_changed_both_ways():
    found = {(c.module, c.field, c.factor): c.value for c in all_changes()}
    assert found["pairing", "link_gap", 0.75] == 0.75 * pairing.P.link_gap
    assert found["pairing", "link_gap", 1.25] == 1.25 * pairing.P.link_gap
    assert found["gutters", "lines", 0.75] == 4
    assert found["gutters", "lines", 1.25] == 8


def test_changes_that_matter_are_found_among_many():
    changes = list(all_changes())
    matter, tried = {changes[2], changes[3], changes[40]}, []

    def differs(own: list[Change]) -> bool:
        tried.append(own)
        return not matter.isdisjoint(own)

    assert set(find_different(changes, differs)) == matter
    assert len(tried) < len(changes) / 4


def test_worth_of_features_on_groups_left_out():
    """One feature tells the answer; another one does in half of the groups, and lies in others."""
    examples = []
    for k in range(240):
        group, answer = k % 6, k % 4 < 2
        told = answer == (group < 3)
        features = {"right": float(answer), "fickle": float(told), "same": 1.0}
        examples.append(Example("starts", features, answer, "one", f"group {group}"))
    removals = {one.name: one for one in HeldOut(tabulate(examples, "starts")).removals("starts")}
    assert removals["right"].loss.low > 0.3
    assert removals["right"].wrong > 100
    assert (removals["same"].wrong, removals["same"].flips) == (0, 0)
    assert removals["fickle"].loss.change < 0.01


def test_a_sample_of_each_set_is_always_the_same():
    every = [document(f"{kind}-{k}", None, kind) for kind in ("wide", "real") for k in range(9)]
    chosen = sample(every, 3)
    assert [one.set for one in chosen] == ["real"] * 3 + ["wide"] * 3
    assert sample(every[::-1], 3) == chosen


def test_what_was_measured_is_kept(tmp_path):
    assert cached_result(tmp_path / "one.pickle", lambda: [1]) == [1]
    assert cached_result(tmp_path / "one.pickle", lambda: [2]) == [1]


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared benchmark's scorer")
def test_ablation_finds_the_feature_that_decides(tmp_path):
    one_figure(tmp_path / "one.pdf")
    caption = {"label": "Figure 1", "caption": "Hardness.", "page": 0, "bbox": [60, 72, 296, 222]}
    weights = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    weights["starts"] = {"bias": -1.0, "mark": 2.0, "lower": -1.0}
    made = Document("made", "one", tmp_path / "one.pdf", None, {"figures": [caption]})
    change = Change("pairing", "Parameters", "nodes", 0, 0.75)
    ablations = [Feature("starts", "mark"), Feature("starts", "lower"), change]
    assert set(ablations[:2]) < set(all_features(weights))
    found = count_ablations(made, ablations, weights, SHARED)
    before, without_mark, without_lower, without_choices = found[0]
    assert before[COLUMNS["predicted"]] == without_lower[COLUMNS["predicted"]] == 1
    assert without_mark[COLUMNS["predicted"]] == without_choices[COLUMNS["predicted"]] == 0
    assert found[1] == [True, False, True]
    first, _, last = effects_of([found], [made], ablations)
    assert (str(first.ablation), first.documents) == ("starts: mark", 1)
    assert (str(last.ablation), last.documents, last.size) == ("starts: lower", 0, 0.0)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared benchmark's scorer")
def test_some_parameters_are_tried_alone(tmp_path, monkeypatch):
    papers = tmp_path / "papers"
    (papers / "pdf").mkdir(parents=True)
    (papers / "truth").mkdir()
    one_figure(papers / "pdf" / "one.pdf")
    caption = {"label": "Figure 1", "caption": "Hardness.", "page": 0, "bbox": [60, 72, 296, 222]}
    truth = json.dumps({"figures": [caption]})
    (papers / "truth" / "one.json").write_text(truth, encoding="utf-8")
    (tmp_path / "score.py").symlink_to(SHARED / "score.py")
    words = ["ablate", tmp_path, "--papers", papers, "--only", "nodes", "--out", tmp_path / "out"]
    monkeypatch.setattr("sys.argv", [*map(str, words), "--workers", "1"])
    main()
    told = (tmp_path / "out" / "nodes" / "ablation.md").read_text(encoding="utf-8")
    assert "No difference in any document (2): pairing.nodes x 0.75, pairing.nodes x 1.25" in told


def test_what_any_parameter_may_change_is_looked_at(tmp_path):
    one_figure(tmp_path / "one.pdf")
    opened = Opened(tmp_path / "one.pdf")
    rows = opened.rows()
    found = {module: opened.results(module) for module in {c.module for c in all_changes()}}
    assert [row["caption"] for row in rows] == ["Hardness of the samples."]
    assert all(own in (rows, None) for own, _ in found.values())
    assert found["pairing"] == (rows, None)
    assert [row[0] for row in found["embedded"][1]] == ["Figure 1"]
    _, mentions, passages = found["text"][1]
    assert (mentions, passages) == (found["mentions"][1], found["prose"][1])


def test_every_set_has_bars():
    assert set(BARS) == set(SETS)
    assert BARS["wide"] == {"pair F1": 0.98}


def test_remembered_steps_are_those_of_the_present_page(tmp_path):
    """Lines of a page that is gone may have had the ids of those of the present one."""
    one_figure(tmp_path / "one.pdf")
    alone = [row["caption"] for row in Opened(tmp_path / "one.pdf").rows()]
    with remembering():
        found = [Opened(tmp_path / "one.pdf").rows() for _ in range(20)]
    assert all([row["caption"] for row in rows] == alone for rows in found)
