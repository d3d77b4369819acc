"""The fit of the weights that tell an answer about another figure of the paper."""

import json

import pytest
from refine_samples import material_figures
from typer.testing import CliRunner

from benchmarks import refine_fit
from cephalo.dataset_scripts.common.linear_model import LinearModel


def test_fit_weighs_what_parts_the_classes_and_balances_them():
    found = [({"margin": 0.0, "noise": k % 2}, False) for k in range(20)]
    found += [({"margin": 2.0, "noise": k % 2}, True) for k in range(4)]
    weights = refine_fit.fit(found)
    assert list(weights) == ["bias", "margin", "noise"]
    assert weights["margin"] > 1 and weights["bias"] < -1 and weights["noise"] == 0
    # Halfway between the classes, though one has five times as many answers.
    assert LinearModel(weights).score({"margin": 1.0}) == pytest.approx(0, abs=0.02)
    with pytest.raises(ValueError, match="kind 'other_figure', and others, are needed"):
        refine_fit.fit(found[:20])


def test_the_command_writes_the_weights_that_it_fitted(tmp_path):
    figures = material_figures(tmp_path / "figures")
    others = {"nacre": "bone", "bone": "silk", "silk": "nacre"}
    answers = [
        answer(name, said, kind)
        for name, other in others.items()
        for said, kind in ((name, "plain"), (other, "other_figure"), (other, "language"))
    ]
    file, out = tmp_path / "answers.jsonl", tmp_path / "weights.json"
    file.write_text("".join(json.dumps(one) + "\n" for one in answers), encoding="utf-8")
    app = refine_fit.typer.Typer()
    app.command()(refine_fit.main)
    run = CliRunner().invoke(app, [str(file), str(figures), "--out", str(out)])
    assert run.exit_code == 0, run.output
    assert "6 answers, 3 of another figure" in run.output
    written = json.loads(out.read_text(encoding="utf-8"))
    found = refine_fit.examples(answers, figures)
    assert written == {"other_figure": refine_fit.fit(found)}
    model = LinearModel(written["other_figure"])
    assert [model.score(features) > 0 for features, _ in found] == [False, True] * 3
    with pytest.raises(SystemExit, match=r"has no figure of paper-0\.pdf with 'tablets of horn"):
        refine_fit.examples([answer("horn", "bone", "plain")], figures)


def answer(name: str, said: str, kind: str) -> dict:
    """A labelled answer about the figure of one material that speaks of another one."""
    turn = {"question": "What is seen?", "answer": f"The {said} has tablets that are bent."}
    caption = f"Tablets of {name} bent at layered borders."
    return {"document": "paper-0.pdf", "caption": caption, "kind": kind, "turns": [turn]}
