"""Steps of the GPU run: what they measure, in which order, and what travels to the machine."""

import subprocess
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import generation, memory, shapes, training, utilisation, wheels
from benchmarks.gpu.equality import compare, distance
from benchmarks.gpu.plan import Scale
from benchmarks.gpu.training import ON_CPU, Measured, parsed
from benchmarks.train_models import make_rows
from cephalo.cli.errors import CephaloError
from cephalo.train import packing

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", [*shapes.SHAPES, "smolvlm"])
def test_processors_of_full_shapes_give_what_their_models_take(name):
    """Tokens of an image in the text are those that the vision tower makes, on the meta device."""
    from transformers import AutoModelForImageTextToText

    from cephalo.train.encoding import encode_rows
    from cephalo.train.families import family_of, image_settings, image_token_of

    shape = shapes.SHAPES.get(name, shapes.SMOLVLM)
    config, processor = shape.make()
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    row = make_rows(6).select([4])  # with an image
    [encoded] = encode_rows(row, processor)
    collator = packing.PackingCollator(
        processor.image_processor,
        family=family_of(config),
        image_settings=image_settings(processor),
    )
    [sequence] = collator([encoded])["sequences"]
    token = image_token_of(config)
    own = config.image_token_id if token is None else token
    ids = sequence["input_ids"]
    count = int((ids < 0).sum()) if name == "phi3-4b" else int((ids == own).sum())
    assert count > 60
    assert ids.max() < config.get_text_config().vocab_size
    assert model.get_input_embeddings().weight.shape[0] == config.get_text_config().vocab_size


def test_recipes_are_parsed_as_they_run(tmp_path):
    scale = Scale(True, "cpu", 1.0, tmp_path)
    for shape in (*shapes.SHAPES.values(), shapes.LAST_LAYERS):
        script, training, model = parsed(shape.recipe, tmp_path, tmp_path / "out", scale, {})
        assert training.max_steps == 10**6 and training.save_strategy == "no"
        assert not training.push_to_hub and not script.merge_adapter
        assert (training.use_cpu, model.dtype) == (True, ON_CPU["dtype"])


@pytest.mark.parametrize("mixed", [False, True])
def test_the_comparison_in_bfloat16_finds_rows_that_mix(mixed, tmp_path, monkeypatch):
    if mixed:  # every token sees all earlier ones, of other rows too
        laid_out = packing.laid_out

        def joined(rows):
            found = laid_out(rows)
            total = found["input_ids"].shape[1]
            bounds = torch.tensor([0, total], dtype=torch.int32)
            places = torch.arange(total)[None]
            return found | {
                **{"cu_seq_lens_q": bounds, "cu_seq_lens_k": bounds, "position_ids": places},
                **{"max_length_q": total, "max_length_k": total},
            }

        monkeypatch.setattr(packing, "laid_out", joined)
    from benchmarks.gpu.equality import make_base

    base = make_base("idefics2", tmp_path / "base")
    rows = make_rows(3)
    row = compare("idefics2", base, rows, "sdpa", Scale(True, "cpu", 1.0, tmp_path))
    assert row.met is not mixed, row


def test_distance():
    exact = {"a": torch.tensor([3.0]), "b": torch.tensor([4.0])}
    found = {"a": torch.tensor([3.0]), "b": torch.tensor([4.5])}
    assert distance(found, exact) == pytest.approx(0.1)


def test_wheels_are_what_the_machine_lacks():
    machine = {"torch": "2.11.0", "numpy": "2.5.2", "transformers": "4.0", "pillow": "99.0"}
    named = {one.split("==")[0] for one in wheels.missing(machine, "3.12", ["scikit-fem"])}
    assert {"trl", "peft", "transformers", "datasets", "scikit-fem", "pypdfium2"} <= named
    assert not {"torch", "numpy", "pillow"} & named
    assert not any(name.startswith(("nvidia", "triton")) for name in named)
    with pytest.raises(CephaloError, match="lists no package"):
        wheels.read_freeze(Path("/dev/null"))


def test_wheels_larger_than_what_travels_are_refused(tmp_path):
    (tmp_path / "small.whl").write_bytes(bytes(1000))
    (tmp_path / "large.whl").write_bytes(bytes(2_000_000))
    assert wheels.summary(tmp_path, 3) == f"{tmp_path}: 2 wheels, 2.0 MB"
    with pytest.raises(CephaloError, match=r"more than the 1 MB .* largest: large.whl 2.0 MB"):
        wheels.summary(tmp_path, 1)


def test_without_bitsandbytes_torch_updates_the_weights(tmp_path, monkeypatch):
    """A node may have torch alone; the recipes name an optimizer of bitsandbytes."""
    monkeypatch.setattr(training, "ON_CPU", {})  # as on a GPU
    for here, name in ((None, "adamw_torch_fused"), ("0.49", "paged_adamw_8bit")):
        monkeypatch.setattr(training, "installed", lambda _, here=here: here)
        scale = Scale(True, "cpu", 1.0, tmp_path)
        changes = {"use_cpu": "true", "bf16": "false"}
        arguments = parsed("idefics2-10b.yaml", tmp_path, tmp_path / "out", scale, changes)[1]
        assert arguments.optim == name


@pytest.fixture
def trained(monkeypatch):
    """Replace bases and training; returns the variants in the order in which they were trained."""
    variants: list[str] = []

    def measured(variant, shape, folder, out, scale):
        variants.append(f"{folder.name}, {variant}")
        if variants[-1] == "qwen3-vl-4b, TRL, activations kept":
            raise torch.OutOfMemoryError("139 GiB")
        speed = {"all switches": 30.0, "TRL, activations kept": 12.0}.get(variant, 10.0)
        return Measured(speed, 1.0, 0.5, 2.0 * speed)

    def write_base(shape, folder, device, tiny):
        folder.mkdir(exist_ok=True)
        return folder

    monkeypatch.setattr(utilisation, "measured_variant", measured)
    monkeypatch.setattr(utilisation, "write_base", write_base)
    return variants


def test_what_has_bars_is_measured_first_and_compilation_last(trained, tmp_path):
    rows = list(utilisation.run(Scale(False, "cpu", 1.0, tmp_path)))
    assert trained[:3] == [
        *("idefics2-8b, all switches", "idefics2-8b, TRL, activations kept"),
        "idefics2-8b, TRL's defaults",
    ]
    assert trained[3] == "qwen3-vl-4b, all switches" and trained[6] == "phi3-4b, all switches"
    assert trained[-3:] == [f"{name}, torch.compile" for name in shapes.SHAPES]
    assert len(trained) == len(set(trained)) == 19  # without TRL for phi3, and without sdpa
    found = {row.what: row for row in rows}
    ours = found["idefics2-8b: over TRL: samples"]
    assert (ours.value, ours.note) == (2.5, "TRL, activations kept") and ours.met
    assert found["idefics2-8b: over TRL: peak memory"].met is False
    # Where TRL keeps no activations in memory, its defaults are what is left to compare with.
    assert found["qwen3-vl-4b: over TRL: samples"].note == "TRL's defaults"
    assert found["qwen3-vl-4b, TRL, activations kept"].note == "OutOfMemoryError: 139 GiB"
    assert not any(tmp_path.iterdir())


def test_a_step_that_continues_measures_what_is_left(trained, tmp_path):
    rows = list(utilisation.run(Scale(False, "cpu", 1.0, tmp_path)))
    cut = next(index for index, row in enumerate(rows) if row.what.startswith("qwen3-vl-4b, TRL's"))
    before = len(trained)
    rest = list(utilisation.run(Scale(False, "cpu", 1.0, tmp_path, tuple(rows[:cut]))))
    assert rest == rows[cut:]
    assert len(trained) == before + before - 5


def test_models_of_generation_are_measured_once(tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "tokens_per_second", lambda *_: 7.0)
    rows = list(generation.run(Scale(True, "cpu", 1.0, tmp_path)))
    assert len(rows) == len({row.what for row in rows}) == 12
    compiled = ["compiled" in row.what for row in rows]
    assert compiled == sorted(compiled)  # last
    scale = Scale(True, "cpu", 1.0, tmp_path, tuple(rows[:9]))
    assert list(generation.run(scale)) == rows[9:]
    done = Scale(True, "cpu", 1.0, tmp_path, tuple(rows))
    monkeypatch.setattr(generation, "on_device", None)
    assert list(generation.run(done)) == []


def test_a_recipe_out_of_memory_costs_its_own_row_and_leaves_no_limit(tmp_path, monkeypatch):
    calls: list[object] = []

    class Card:
        total_memory = 160e9

    def make(recipe, *_):
        calls.append(recipe)
        raise torch.OutOfMemoryError("of 24 GB")

    monkeypatch.setattr(memory, "installed", lambda _: "1.0")
    monkeypatch.setattr(memory, "estimated_gb", lambda _: 20.0)
    monkeypatch.setattr(memory, "write_base", lambda shape, folder, *_: calls.append(folder))
    monkeypatch.setattr(memory, "packed_trainer", make)
    monkeypatch.setattr(memory, "free", lambda _: None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Card)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", calls.append)
    rows = list(memory.run(Scale(False, "cuda", 1.0, tmp_path)))
    qlora, layers = "idefics2-8b-24gb.yaml", "idefics2-10b.yaml"
    assert calls == [
        *(1.0, tmp_path / qlora / "base", 0.15, qlora),
        *(1.0, tmp_path / layers / "base", 0.5, layers),
    ]
    assert [row.what for row in rows if row.value is None] == [
        *("QLoRA of the 8b: peak memory", "last 8 layers of the 10b: peak memory")
    ]
    assert list(memory.run(Scale(False, "cuda", 1.0, tmp_path, tuple(rows)))) == []


FAKE = """#!/bin/bash
if [ "$2" = pip ]; then
    while [ "$1" != --target ]; do shift; done
    mkdir -p "$2"; echo "${@:3}" >> log; exit "${FAIL:-0}"
fi
echo "$PYTHONPATH|$@" >> log
"""


def test_make_installs_wheels_once_and_gives_paths_that_hold_everywhere(tmp_path):
    folder = tmp_path / "a copy"
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels" / "trl-1.0.whl").touch()
    (folder / "python").write_text(FAKE)
    (folder / "python").chmod(0o755)

    def make(fail: int = 0) -> list[str]:
        (folder / "log").write_text("")
        command = ["make", "-f", ROOT / "Makefile", "gpu", "PYTHON=./python", "MINUTES=9"]
        subprocess.run(command, cwd=folder, env={"PATH": "/usr/bin:/bin", "FAIL": str(fail)})
        return (folder / "log").read_text().splitlines()

    run = f"{folder}/src:{folder}/runs/gpu-site|-m benchmarks.gpu --minutes 9 --out runs/gpu"
    assert make(fail=1) == ["wheels/trl-1.0.whl"]  # and nothing that half-installed packages run
    assert make() == ["wheels/trl-1.0.whl", run]
    assert make() == [run]
    (folder / "wheels" / "trl-1.0.whl").rename(folder / "wheels" / "trl-2.0.whl")
    assert make() == ["wheels/trl-2.0.whl", run]
    # The checkout that they were downloaded in has its own packages.
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / "python").rename(folder / ".venv" / "bin" / "python")
    (folder / ".venv" / "installed").touch()
    assert make() == [run.replace(f":{folder}/runs/gpu-site", "")]


def test_only_wheels_of_this_call_are_left(tmp_path, monkeypatch):
    (tmp_path / "have").write_text("torch==2.11.0\nodd==1==2\ntrl @ file:///trl\n")
    assert wheels.read_freeze(tmp_path / "have") == {"torch": "2.11.0"}
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "trl-1.0.whl").touch()
    new = tmp_path / "wheels" / "trl-2.0.whl"
    monkeypatch.setattr(wheels, "pip", lambda *_: new.touch())
    wheels.main(tmp_path / "have", tmp_path / "wheels", "3.12", 55.0, None)
    assert [*(tmp_path / "wheels").iterdir()] == [new]


def test_requirements_are_those_of_the_machine_there(monkeypatch):
    asked = {
        "cephalo": [
            'arm; platform_machine == "aarch64"',
            'intel; platform_machine == "x86_64" and sys_platform == "linux"',
            'old; python_version < "3.12"',
        ]
    }
    monkeypatch.setattr(wheels, "requires", lambda name: asked.get(name, []))
    monkeypatch.setattr(wheels, "version", lambda _: "1")
    here = {"platform_machine": "aarch64", "sys_platform": "darwin", "python_version": "3.11"}
    monkeypatch.setattr(wheels, "default_environment", lambda: here)
    assert wheels.missing({"torch": "2"}, "3.12", ["pytest"]) == ["intel==1", "pytest==1"]
