"""`make demo`, as a newcomer runs it."""

import importlib.util
import json
import re
from pathlib import Path

from PIL import Image
from warm_python import warm_python

EXAMPLES = Path(__file__).parents[1] / "examples"


def load_demo():
    spec = importlib.util.spec_from_file_location("demo", EXAMPLES / "demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_demo_goes_from_papers_to_an_answer_about_a_held_out_figure(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("sys.executable", warm_python())
    module = load_demo()
    module.demo(module.SAMPLES, tmp_path / "runs")
    output = capfd.readouterr().out
    report = output[output.rindex("\nstep") :]
    for line in (
        r"extract +[\d.]+  3 documents read, 0 read before, 6 pages, 10 figures",
        r"refine +[\d.]+  3 documents refined, 0 refined before, 8 of 10 conversations accepted",
        r"publish +[\d.]+  published http://127.0.0.1:\d+/datasets/demo/figures at [0-9a-f]{40}",
        r"load back +[\d.]+  conversations/train \d+",
        r"train and push +[\d.]+  pushed http://127.0.0.1:\d+/demo/tiny-idefics2 at [0-9a-f]{40}",
        r"from_pretrained and ask +[\d.]+  answer: +'\w+",
        r"total +[\d.]+",
    ):
        assert re.search(rf"^{line}", report, re.M), line
    assert "this shows that the pipeline\nworks, not how good its answers are" in report
    assert "(held out)" in output
    rows = re.search(r"figures/train (\d+).*figures/validation (\d+).*figures/test (\d+)", output)
    assert sum(map(int, rows.groups())) == 10
    assert f"{tmp_path}/runs/figures/index.html" in report
    assert (tmp_path / "runs/figures/index.html").read_text().count("<img") == 10
    assert re.search(r"text/train [1-9]", output)
    tokens = json.loads((tmp_path / "runs/hub/tokens.json").read_text())
    assert tokens["demo"] not in output


def test_readme_shows_a_picture_that_is_there():
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", readme)
    assert pictures
    for picture in pictures:
        assert Image.open(EXAMPLES.parent / picture).width > 400
