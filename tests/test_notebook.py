"""The notebook and the script of the examples run on tiny models of the three families."""

import json
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

from cephalo.inference import local
from modeling_cephalo.tiny import make_tiny_idefics2
from modeling_cephalo.tiny_llava_next import make_tiny_llava_next
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

EXAMPLES = Path(__file__).parents[1] / "examples"
FAMILIES = {
    "idefics2": make_tiny_idefics2,
    "phi3_v": make_tiny_phi3_v,
    "llava_next": make_tiny_llava_next,
}
PUBLISHED = "lamm-mit/Cephalo-Phi-3-vision-128k-4b-beta"
TEXTS = ["What is shown?", "Stress and strain of nacre under tension, in MPa."]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    for family, make in FAMILIES.items():
        make(folder / family, TEXTS)
    return {family: folder / family for family in FAMILIES}


def code_cells() -> list[str]:
    cells = json.loads((EXAMPLES / "cephalo.ipynb").read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook(models, tmp_path, monkeypatch, capsys):
    install, *cells = code_cells()
    assert install.startswith("%pip install ")
    assert sum(PUBLISHED in cell for cell in cells) == 1
    monkeypatch.chdir(tmp_path)
    names, printed = {}, []
    for cell in cells:
        exec(cell.replace(PUBLISHED, str(models["phi3_v"])), names)
        printed.append(capsys.readouterr().out)
    assert Image.open("figure.png").size == (640, 480)
    assert printed[2].strip() == names["answer"] != ""
    turns = names["talk"].messages
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
    assert [turns[1], turns[3]] == [
        local.text_message("assistant", said.strip()) for said in printed[3:]
    ]


def test_the_script_of_three_families(models, tmp_path, monkeypatch, capsys):
    picture = tmp_path / "bright.png"
    Image.new("RGB", (60, 50), "white").save(picture)
    script = str(EXAMPLES / "three_families.py")
    arguments = [script, str(picture), "--models", *map(str, models.values())]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(script)
    printed = capsys.readouterr().out
    for model in models.values():
        answer = local.load(model).ask("What is shown?", picture, max_new_tokens=128)
        assert f"{model}: {answer}\n" in printed
