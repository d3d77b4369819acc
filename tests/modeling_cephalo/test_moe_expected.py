"""Mixtures: what transformers, PEFT, DeepSpeed and torchao expect of a model."""

import re
from fnmatch import fnmatch

import pytest
import torch
from moe_samples import DECODERS, IMPLEMENTATIONS, MAKERS, logits, make_mixture
from moe_samples import batches as batches  # the fixtures
from moe_samples import dense as dense
from moe_samples import folders as folders
from moe_samples import mixtures as mixtures
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModel, AutoModelForImageTextToText, TorchAoConfig

IMAGES = ("pixel_values", "image_sizes", "pixel_attention_mask")
EXPERTS = ("gate_up_proj", "down_proj")


@pytest.fixture(scope="module")
def saved(mixtures, tmp_path_factory):
    """The mixtures as folders."""
    root = tmp_path_factory.mktemp("saved")
    for family, mixture in mixtures.items():
        mixture.save_pretrained(root / family)
    return {family: root / family for family in mixtures}


@pytest.mark.parametrize("family", MAKERS)
def test_experts_implementation_is_an_argument(family, saved, mixtures, batches):
    expected = logits(mixtures[family], batches[family])
    for name in IMPLEMENTATIONS:
        model = AutoModelForImageTextToText.from_pretrained(
            saved[family], experts_implementation=name
        )
        assert model.config.get_text_config()._experts_implementation == name
        assert torch.allclose(logits(model, batches[family]), expected, atol=1e-5)
    with pytest.raises(ValueError, match="is not supported"):
        AutoModelForImageTextToText.from_pretrained(saved[family], experts_implementation="none")


@pytest.mark.parametrize("family", MAKERS)
def test_a_tuple_has_what_the_dense_model_returns(family, dense, mixtures, batches):
    with torch.inference_mode():
        expected = dense[family][0](**batches[family], return_dict=False)
        found = mixtures[family](**batches[family], return_dict=False)
        named = mixtures[family](**batches[family])
        headless = mixtures[family].model(**batches[family], return_dict=False)
    assert isinstance(found, tuple) and isinstance(headless, tuple)
    assert [type(one) for one in found] == [type(one) for one in expected]
    assert torch.equal(found[0], named.logits)


@pytest.mark.parametrize("family", MAKERS)
def test_image_features_are_asked_for_as_in_the_dense_model(family, dense, mixtures, batches):
    images = {name: batches[family][name] for name in IMAGES if name in batches[family]}
    with torch.inference_mode():
        expected = dense[family][0].get_image_features(**images, output_hidden_states=True)
        found = mixtures[family].get_image_features(**images, output_hidden_states=True)
        row = mixtures[family].get_image_features(**images, return_dict=False)
        seen = mixtures[family](**batches[family]).image_hidden_states
        dense_seen = getattr(dense[family][0](**batches[family]), "image_hidden_states", None)
    assert isinstance(row, tuple)
    assert found.keys() == expected.keys()
    assert all(map(torch.equal, found.pooler_output, expected.pooler_output))
    if family == "phi3_v":  # which has none of these
        assert seen is dense_seen is None
    else:
        assert found.hidden_states is not None
        assert torch.equal(seen, dense_seen)


@pytest.mark.parametrize("family", MAKERS)
def test_router_logits_are_recorded_once_asked_for(family, dense, batches):
    """By the recorders of transformers, put in place once; the decoder's configuration asks too."""
    mixture = make_mixture(family, dense[family])
    hooks = [module._forward_hooks for module in mixture.get_decoder().modules()]
    assert mixture(**batches[family]).router_logits is None
    assert not any(hooks)
    asked = mixture(**batches[family], output_router_logits=True).router_logits
    placed = sum(map(len, hooks))
    mixture.config.get_text_config().output_router_logits = True
    found = mixture(**batches[family]).router_logits
    assert len(found) == len(mixture.get_decoder().layers) == len(asked)
    assert all(map(torch.equal, found, asked))
    assert sum(map(len, hooks)) == placed


@pytest.mark.parametrize("family", MAKERS)
def test_plans_of_parallelism_are_those_of_the_weights(family, mixtures):
    mixture = mixtures[family]
    names = [name for name, _ in (*mixture.named_modules(), *mixture.named_parameters())]
    for plan in (mixture.tp_plan, mixture.ep_plan):
        assert any(".experts." in pattern for pattern in plan)
        for pattern in plan:
            assert any(fnmatch(name, pattern) for name in names), pattern


@pytest.mark.parametrize("family", MAKERS)
def test_sizes_and_parts_are_where_others_look(family, saved, mixtures):
    """DeepSpeed's "auto" reads hidden_size of the configuration or of its text_config."""
    mixture, config = mixtures[family], mixtures[family].config
    assert getattr(config, "text_config", config).hidden_size == 128
    assert config.vision_config.hidden_size == {"idefics2": 128}.get(family, 64)
    assert mixture.base_model is mixture.model
    assert mixture.get_decoder() is mixture.get_submodule(DECODERS[family])
    headless, loading = AutoModel.from_pretrained(saved[family], output_loading_info=True)
    assert type(headless) is type(mixture.model) and not loading["missing_keys"]


@pytest.mark.parametrize("family", MAKERS)
def test_lora_on_the_experts(family, saved, batches, tmp_path):
    """PEFT finds the experts as parameters, trains, saves, loads and merges."""
    batch = batches[family]

    def load():
        return AutoModelForImageTextToText.from_pretrained(saved[family])

    before = logits(load(), batch)
    targets = [f"mlp.experts.{name}" for name in EXPERTS]
    settings = LoraConfig(r=2, target_modules=[], target_parameters=targets)
    model = get_peft_model(load(), settings)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert len(trained) == 2 * 2 * len(model.get_decoder().layers)  # A and B of each
    optimizer = torch.optim.SGD(trained, lr=1.0)
    for _ in range(2):  # B is zero at first, so that A moves in the second step
        model(**batch, labels=batch["input_ids"]).loss.backward()
        optimizer.step()
    assert all(parameter.grad.abs().max() > 0 for parameter in trained)
    model.eval().save_pretrained(tmp_path)
    expected = logits(model, batch)
    assert (expected - before).abs().max() > 0.01
    again = PeftModel.from_pretrained(load(), tmp_path).eval()
    assert torch.allclose(logits(again, batch), expected, atol=1e-5)
    assert torch.allclose(logits(again.merge_and_unload(), batch), expected, atol=1e-4)


def test_experts_as_int8(saved, batches):
    """torchao finds the experts by their names and keeps a quarter of their bytes."""
    torchao = pytest.importorskip("torchao.quantization", reason="int8 weights need torchao")
    int8 = torchao.FqnToConfig(
        {rf"re:.*mlp\.experts\.{name}": torchao.Int8WeightOnlyConfig(version=2) for name in EXPERTS}
    )
    model = AutoModelForImageTextToText.from_pretrained(
        saved["idefics2"], quantization_config=TorchAoConfig(int8)
    )
    names = {name for name, own in model.named_parameters() if type(own) is torchao.Int8Tensor}
    assert len(names) == 2 * len(model.get_decoder().layers)
    assert all(re.search(r"mlp\.experts\.(gate_up|down)_proj$", name) for name in names)
    whole = AutoModelForImageTextToText.from_pretrained(saved["idefics2"]).get_decoder()
    for layer, quantized in zip(whole.layers, model.get_decoder().layers, strict=True):
        hidden = torch.randn(9, 128)
        with torch.no_grad():
            expected = layer.mlp(hidden)
            assert (quantized.mlp(hidden) - expected).std() < 0.02 * expected.std()
    tokens = model.generate(**batches["idefics2"], max_new_tokens=3, min_new_tokens=3)
    assert tokens.shape[1] == batches["idefics2"]["input_ids"].shape[1] + 3
