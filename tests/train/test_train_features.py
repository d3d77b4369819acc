"""Features of frozen images are computed once, kept within a bound, and change no loss."""

from functools import partial
from pathlib import Path

import pytest
import torch
from family_samples import make_family
from moe_samples import MAKERS, TEXTS, make_dense, make_mixture
from phi3_v_samples import picture
from trainer_samples import as_rows, losses, make_trainer
from training_samples import mixed_talks, talk
from transformers import AutoModelForImageTextToText, AutoProcessor

from cephalo.cli.errors import CephaloError
from cephalo.train.families import family_of, image_settings
from cephalo.train.features import FeatureStore, frozen_layers
from cephalo.train.freezing import freeze


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {family: make_dense(root / family, family, seed=0) for family in MAKERS}


def frozen(base: Path) -> torch.nn.Module:
    model = AutoModelForImageTextToText.from_pretrained(base)
    freeze(model, ["vision", "connector"], None)
    return model


def talks() -> list[dict]:
    """The mixed ones, and one more about pictures of theirs."""
    return [*mixed_talks(), talk(["Again."], picture(60, 50))]


@pytest.mark.parametrize("family", MAKERS)
def test_stored_features_give_the_same_run_and_are_computed_once(family, bases, tmp_path):
    runs, calls = [], []
    for stored in (False, True):
        model = frozen(bases[family])
        trainer = make_trainer(
            model,
            bases[family],
            tmp_path,
            as_rows(talks()),
            collator={"max_tokens": 150},
            max_steps=4,
        )
        if stored:
            trainer.keep_features(tmp_path / "features", 1.0)
            base, made = model.base_model, model.base_model.get_image_features

            def counted(*args, made=made, **kwargs):
                calls.append(1)
                return made(*args, **kwargs)

            base.get_image_features = counted
        trainer.train()
        runs.append(losses(trainer))
    assert runs[0] == pytest.approx(runs[1], abs=1e-5)
    assert len(calls) == 3 == len(list((tmp_path / "features").rglob("*.safetensors")))


@pytest.mark.parametrize("family", MAKERS)
def test_states_after_frozen_layers_give_the_same_run_and_are_computed_once(
    family, bases, tmp_path
):
    runs, weights = [], []
    for stored in (False, True):
        model = AutoModelForImageTextToText.from_pretrained(bases[family])
        freeze(model, [], 1)
        trainer = make_trainer(
            model,
            bases[family],
            tmp_path,
            as_rows(talks()),
            collator={"max_tokens": 150},
            num_train_epochs=3,
            activation_checkpointing=stored,
        )
        ran = []
        first, last = model.get_decoder().layers[0], model.get_decoder().layers[-1]
        first.register_forward_hook(lambda *_, ran=ran: ran.append("first"))
        if stored:
            trainer.keep_features(tmp_path / "features", 1.0)
            assert trainer.frozen_layers == len(model.get_decoder().layers) - 1
        before = last.self_attn.o_proj.weight.clone()
        trainer.train()
        assert not torch.equal(last.self_attn.o_proj.weight, before)
        assert model.get_decoder().layers[0] is first  # the decoder is whole again
        runs.append(losses(trainer))
        weights.append(last.self_attn.o_proj.weight.detach())
    assert len(ran) == len(talks())  # a row each, in the first epoch
    assert runs[0] == pytest.approx(runs[1], abs=1e-5)
    assert torch.allclose(*weights, atol=1e-5)


def test_states_that_do_not_fit_or_are_not_read_again_are_not_kept(bases, tmp_path):
    model = AutoModelForImageTextToText.from_pretrained(bases["phi3_v"])
    freeze(model, [], 1)
    for epochs, gigabytes, layers in ((2, 1.0, 1), (1, 1.0, 0), (2, 1e-5, 0)):
        length = {"num_train_epochs": epochs, "max_steps": -1}
        trainer = make_trainer(model, bases["phi3_v"], tmp_path, as_rows(talks()), **length)
        trainer.keep_features(tmp_path / "features", gigabytes)
        assert trainer.frozen_layers == layers
    freeze(model, ["text"], None)
    model.get_decoder().embed_tokens.requires_grad_(True)
    assert frozen_layers(model) == 0


def test_store_belongs_to_the_weights(bases, tmp_path):
    model = frozen(bases["idefics2"])
    rows = as_rows(talks())
    for change in (0.0, 1.0):
        with torch.no_grad():
            next(model.model.connector.parameters()).add_(change)
        trainer = make_trainer(model, bases["idefics2"], tmp_path, rows, max_steps=1)
        trainer.keep_features(tmp_path / "features", 1.0)
        trainer.train()
    assert len(list((tmp_path / "features").iterdir())) == 2


def test_store_belongs_to_the_settings_of_the_image_processor(bases, tmp_path):
    """Other colours with as many tokens: stale features would fit, and be wrong."""
    model, rows = frozen(bases["idefics2"]), as_rows(talks())
    runs = []
    for mean, folder in ((0.5, "features"), (0.1, "features"), (0.1, "other"), (0.5, "features")):
        trainer = make_trainer(
            model, bases["idefics2"], tmp_path, rows, max_steps=1, learning_rate=1e-12
        )
        trainer.data_collator.image_processor.image_mean = [mean] * 3
        trainer.keep_features(tmp_path / folder, 1.0)
        trainer.train()
        runs.append(losses(trainer)[0])
    assert runs[1] == pytest.approx(runs[2], abs=1e-6)
    assert runs[0] == pytest.approx(runs[3], abs=1e-6)
    assert abs(runs[0] - runs[1]) > 1e-5
    kept = sorted(len(list(own.iterdir())) for own in (tmp_path / "features").iterdir())
    assert kept == [3, 3]


@pytest.mark.parametrize("family", ["gemma3", "qwen3_vl", "smolvlm", "idefics2"])
@pytest.mark.parametrize("balance", [0.0, 0.5])
def test_a_mixture_runs_all_its_layers_whose_experts_are_balanced_together(
    balance, family, tmp_path
):
    make = make_dense if family in MAKERS else partial(make_family, texts=TEXTS)
    base = make(tmp_path / "base", family, seed=0)
    dense = [AutoModelForImageTextToText.from_pretrained(base)] * 2
    runs, calls = [], []
    for stored in (False, True):
        model = make_mixture(family, dense, router_aux_loss_coef=balance)
        freeze(model, [], 1)
        settings = {"collator": {"family": family_of(model.config)}, "num_train_epochs": 2}
        settings["collator"]["image_settings"] = image_settings(AutoProcessor.from_pretrained(base))
        trainer = make_trainer(model, base, tmp_path, as_rows(talks()), **settings, max_steps=-1)
        if stored:
            trainer.keep_features(tmp_path / "features", 1.0)
            assert trainer.frozen_layers == 0
            model.get_decoder().layers[0].register_forward_hook(lambda *_: calls.append(1))
        trainer.train()
        runs.append(losses(trainer))
    assert len(calls) == 2 and len(list((tmp_path / "features").rglob("*.safetensors"))) == 3
    assert runs[0] == pytest.approx(runs[1], abs=2e-5) and runs[1][-1] < runs[1][0]


def test_images_that_train_are_not_stored(bases, tmp_path):
    model = AutoModelForImageTextToText.from_pretrained(bases["phi3_v"])
    freeze(model, ["vision"], None)
    trainer = make_trainer(model, bases["phi3_v"], tmp_path, as_rows(talks()))
    with pytest.raises(CephaloError, match=r"vision_embed_tokens.* trains.*\[vision, connector\]"):
        trainer.keep_features(tmp_path / "features", 1.0)


def test_store_keeps_what_fits_and_passes_over_what_is_cut(tmp_path):
    store = FeatureStore(tmp_path, 1000)
    features = [torch.arange(100.0).reshape(10, 10), torch.ones(2, 10)]
    store.write("a", features)
    assert all(torch.equal(*pair) for pair in zip(store.read("a"), features, strict=True))
    assert 480 < store.used < 1000  # with the file's header
    store.write("b", features)
    assert store.read("b") is None
    (tmp_path / "a.safetensors").write_bytes(b"cut")
    assert store.read("a") is None
    assert FeatureStore(tmp_path, 1000).used == sum(
        path.stat().st_size for path in tmp_path.iterdir()
    )
