"""An output folder that is an input, or lies in one, is refused before anything is touched."""

from pathlib import Path

import pytest

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import check_outside
from cephalo.cli.main import main

MERGE = "slices:\n" + "- sources: [{model: model, layer_range: [0, 1]}]\n" * 2
MERGE += "merge_method: passthrough\ndtype: float32\n"
EXPERT = "- {source_model: other, positive_prompts: [Nacre]}\n"
MOE = "base_model: model\ndtype: float32\nexperts:\n" + EXPERT * 2


@pytest.fixture
def here(tmp_path, monkeypatch):
    for name in ("figures/figures", "plots", "model", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "merge.yml").write_text(MERGE)
    (tmp_path / "moe.yml").write_text(MOE)
    (tmp_path / "link").symlink_to("model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("refine figures --teacher caption --out figures/figures", "--out .* is inside the input"),
        ("publish figures figures/figures lab/nacre", "the input .* is inside the input figures"),
        ("plots plots --share 0.1 --beside plots", "OUT plots is the input plots"),
        ("merge merge.yml --out model", "--out model is the input model"),
        ("merge merge.yml --out link/deep/er", "--out link/deep/er is inside the input model"),
        ("moe moe.yml --out other/moe", "--out other/moe is inside the input other"),
        ("eval model --task captions --dataset figures --out figures", "figures is the input"),
        ("train --dataset_name figures --output_dir figures/new", "output_dir .* is inside the"),
        ("train --dataset_name a/b --model_name_or_path model --output_dir model", "is the input"),
    ],
)
def test_commands_refuse_to_write_into_what_they_read(here, command, message):
    words = command.split()
    if words[0] == "train":
        words += ["--config", "tiny.yaml", "--tiny_base", "false"]
    before = sorted(here.rglob("*"))
    with pytest.raises(SystemExit, match=f"^cephalo: error: .*{message}"):
        main(words)
    assert sorted(here.rglob("*")) == before


def test_what_is_outside(here):
    check_outside(Path("other"), ["model", "figures", "no/folder"])
    check_outside(Path("figures"), ["figures/figures"])  # extraction and refinement share one
    check_outside(Path("figures"), ["figures"], same=True)
    with pytest.raises(CephaloError, match="is inside the input figures; give a folder outside"):
        check_outside(Path("figures/new"), ["figures"], same=True)
