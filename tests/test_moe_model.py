"""cephalo_moe: routing, gradients, losses, generation, loading and saving."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from moe_samples import DECODERS, IMPLEMENTATIONS, MAKERS, ask, load_dense, make_dense, make_mixture
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    Idefics2Config,
    pipeline,
)

from modeling_cephalo import CephaloMoeConfig, CephaloMoeForConditionalGeneration, Phi3VConfig
from modeling_cephalo.modeling_cephalo_moe import expert_shares
from modeling_cephalo.published import idefics2_8b, phi3_vision_128k

QUESTIONS = ("What is shown in this image?", "Is the nacre in rows?")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, list[Path]]:
    """Three dense checkpoints of each family."""
    root = tmp_path_factory.mktemp("dense")
    return {
        family: [make_dense(root / f"{family}-{seed}", family, seed) for seed in range(3)]
        for family in MAKERS
    }


@pytest.fixture(scope="module")
def dense(folders):
    return {family: [load_dense(path) for path in paths] for family, paths in folders.items()}


@pytest.fixture(scope="module")
def batches(folders):
    return {family: ask(paths[0], *QUESTIONS) for family, paths in folders.items()}


@pytest.fixture(scope="module")
def mixtures(dense):
    """Three different experts, k = 1; not to be changed."""
    return {family: make_mixture(family, models) for family, models in dense.items()}


def logits(model, batch) -> torch.Tensor:
    with torch.inference_mode():
        return model(**batch).logits[batch["attention_mask"].bool()]


# Routing


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("family", MAKERS)
def test_with_identical_experts_the_mixture_is_the_dense_model(family, k, dense, batches):
    base = dense[family][0]
    mixture = make_mixture(family, [base] * 3, num_experts_per_tok=k)
    expected = logits(base, batches[family])
    assert expected.std() > 0.1
    for implementation in IMPLEMENTATIONS:
        mixture.set_experts_implementation(implementation)
        difference = (logits(mixture, batches[family]) - expected).abs().max()
        assert difference < 1e-5, implementation


@pytest.mark.parametrize("family", MAKERS)
def test_experts_differ_and_each_is_the_mlp_of_its_own_model(family, mixtures, dense, batches):
    layers = mixtures[family].base_model.routed_decoder.layers
    experts = layers[0].mlp.experts
    hidden = torch.randn(5, experts.gate_up_proj.shape[-1])
    with torch.inference_mode():
        outputs = []
        for index, model in enumerate(dense[family]):
            own = model.get_submodule(DECODERS[family]).layers[0].mlp
            chosen = torch.full((5, 1), index)
            outputs.append(experts(hidden, chosen, torch.ones(5, 1)))
            assert torch.allclose(outputs[-1], own(hidden), atol=1e-5)
    assert (outputs[0] - outputs[1]).abs().max() > 0.1
    assert (outputs[1] - outputs[2]).abs().max() > 0.1
    assert not torch.allclose(
        logits(mixtures[family], batches[family]), logits(dense[family][0], batches[family])
    )


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("k", [1, 2])
def test_every_token_gets_the_weighted_sum_of_its_experts(implementation, k, dense):
    """Against plain arithmetic, token by token: none is dropped, whatever the load."""
    mixture = make_mixture("idefics2", dense["idefics2"], num_experts_per_tok=k)
    mixture.set_experts_implementation(implementation)
    mlp = mixture.base_model.routed_decoder.layers[1].mlp
    experts = [model.model.text_model.layers[1].mlp for model in dense["idefics2"]]
    hidden = torch.randn(2, 40, 128)
    with torch.inference_mode():
        output = mlp(hidden)
        loads = set()
        for token, found in zip(hidden.flatten(0, 1), output.flatten(0, 1), strict=True):
            scores = (mlp.gate.weight @ token).exp()
            best = scores.argsort(descending=True)[:k].tolist()
            loads |= set(best)
            weights = scores[best] / scores[best].sum()
            expected = sum(
                weight * experts[index](token) for weight, index in zip(weights, best, strict=True)
            )
            assert torch.allclose(found, expected, atol=1e-4)
    assert loads == {0, 1, 2}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_tokens_are_dispatched_to_their_experts_only(implementation, dense, batches):
    """An expert that no token goes to is not computed: not even its NaN is seen."""
    mixture = make_mixture("phi3_v", dense["phi3_v"])
    mixture.set_experts_implementation(implementation)
    with torch.no_grad():
        for layer in mixture.base_model.routed_decoder.layers:
            layer.mlp.gate.weight.zero_()
            layer.mlp.gate.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
            layer.mlp.experts.gate_up_proj[[0, 2]] = torch.nan
            layer.mlp.experts.down_proj[[0, 2]] = torch.nan
    assert logits(mixture, batches["phi3_v"]).isfinite().all()


def test_router_statistics(mixtures, batches):
    batch = batches["idefics2"]
    with torch.inference_mode():
        out = mixtures["idefics2"](**batch, output_router_logits=True)
        assert mixtures["idefics2"](**batch).router_logits is None
    mask = batch["attention_mask"].flatten().bool()
    assert not mask.all()
    assert len(out.router_logits) == 2
    shares = expert_shares(out.router_logits, 1, batch["attention_mask"])
    for layer, own in zip(out.router_logits, shares, strict=True):
        assert layer.shape == (mask.numel(), 3)
        counts = [(layer[mask].argmax(-1) == expert).sum().item() for expert in range(3)]
        assert own.tolist() == pytest.approx([count / mask.sum().item() for count in counts])
    both = expert_shares(out.router_logits, 3)
    assert torch.allclose(both, torch.full((2, 3), 1 / 3))


# Gradients and losses


def gate_gradients(model, batch) -> list[float]:
    model.zero_grad()
    model(**batch, labels=batch["input_ids"]).loss.backward()
    return [router.weight.grad.abs().max().item() for router in model.routers]


@pytest.mark.parametrize(
    ("family", "implementation"),
    [*((family, "grouped_mm") for family in MAKERS), ("phi3_v", "eager"), ("phi3_v", "batched_mm")],
)
def test_gradients_reach_the_gates_at_k_1(family, implementation, dense, batches):
    mixture = make_mixture(family, dense[family], router_aux_loss_coef=0.0).train()
    mixture.set_experts_implementation(implementation)
    hidden = torch.randn(7, 128)
    _, weights, _ = mixture.routers[0](hidden)
    assert weights.tolist() == [[1.0]] * 7
    assert min(gate_gradients(mixture, batches[family])) > 1e-6


def test_gradient_at_k_1_is_that_of_the_logarithm_of_the_probability(mixtures):
    router = mixtures["phi3_v"].routers[0]
    hidden = torch.randn(7, 128)
    scale = torch.randn(7, 1)
    _, weights, experts = router(hidden)
    [found] = torch.autograd.grad((weights * scale).sum(), router.weight)
    log_p = (hidden @ router.weight.T).log_softmax(-1).gather(1, experts)
    [expected] = torch.autograd.grad((log_p * scale).sum(), router.weight)
    assert torch.allclose(found, expected, atol=1e-6)


def test_published_routing_leaves_the_gates_without_gradient_at_k_1(dense, batches):
    mixture = make_mixture(
        "phi3_v", dense["phi3_v"], routing="published", router_aux_loss_coef=0.0
    ).train()
    assert gate_gradients(mixture, batches["phi3_v"]) == [0.0, 0.0]


@pytest.mark.parametrize("k", [1, 2])
def test_load_balancing_loss(k, dense, batches):
    """Experts x the sum over experts of their share of tokens x their mean probability."""
    batch = batches["idefics2"]
    mixture = make_mixture(
        "idefics2", dense["idefics2"], num_experts_per_tok=k, router_aux_loss_coef=0.5
    )
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    plain = mixture(**batch, labels=labels)
    assert plain.aux_loss is None
    out = mixture.train()(**batch, labels=labels, output_router_logits=True)
    mask = batch["attention_mask"].flatten().bool()
    probabilities = torch.cat([layer[mask] for layer in out.router_logits]).softmax(-1)
    chosen = probabilities.argsort(-1, descending=True)[:, :k]
    shares = torch.stack([(chosen == expert).any(-1).float().mean() for expert in range(3)])
    expected = 3 * (shares * probabilities.mean(0)).sum()
    assert out.aux_loss.item() == pytest.approx(expected.item(), abs=1e-5)
    assert out.loss.item() == pytest.approx(plain.loss.item() + 0.5 * expected.item(), abs=1e-5)
    # Of a step of two batches with as many labels each, this one brings half.
    half = mixture(**batch, labels=labels, num_items_in_batch=2 * (labels >= 0).sum())
    tokens = (labels[:, 1:] >= 0).sum() / (2 * (labels >= 0).sum())
    assert half.loss.item() == pytest.approx(
        (plain.loss * tokens).item() + 0.25 * expected.item(), abs=1e-5
    )


@pytest.mark.parametrize("family", MAKERS)
def test_gradient_checkpointing_gives_the_same_gradients(family, dense, batches):
    mixture = make_mixture(family, dense[family], router_aux_loss_coef=0.1)
    batch, found = batches[family], []
    for checkpointing in (False, True):
        mixture.train()
        if checkpointing:
            mixture.activation_checkpointing_enable()
        mixture.zero_grad()
        mixture(**batch, labels=batch["input_ids"], use_cache=False).loss.backward()
        gradients = {name: p.grad for name, p in mixture.named_parameters() if p.grad is not None}
        found.append({name: gradient.clone() for name, gradient in gradients.items()})
    plain, checkpointed = found
    assert plain.keys() == checkpointed.keys() and len(plain) > 40
    assert all(torch.allclose(plain[name], checkpointed[name], atol=1e-5) for name in plain)


# Generation


def new_tokens(model, batch, **kwargs) -> list[list[int]]:
    settings = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, **kwargs}
    return model.generate(**batch, **settings)[:, batch["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("family", MAKERS)
def test_cached_and_uncached_generation_agree(family, mixtures, batches):
    cached = new_tokens(mixtures[family], batches[family])
    assert cached == new_tokens(mixtures[family], batches[family], use_cache=False)
    assert len({token for row in cached for token in row}) > 3


@pytest.mark.parametrize("family", MAKERS)
def test_generation_is_that_of_the_dense_model_with_identical_experts(family, dense, batches):
    base = dense[family][0]
    mixture = make_mixture(family, [base] * 2)
    for settings in ({}, {"num_beams": 3}):
        expected = new_tokens(base, batches[family], **settings)
        assert new_tokens(mixture, batches[family], **settings) == expected


def test_bfloat16(mixtures, batches, folders, tmp_path):
    mixtures["idefics2"].save_pretrained(tmp_path)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.bfloat16)
    found = logits(model, batches["idefics2"])
    assert found.dtype == torch.bfloat16 and found.isfinite().all()
    kept = {name for name, own in model.named_parameters() if own.dtype == torch.float32}
    assert kept == {name for name, _ in model.named_parameters() if ".mlp.gate." in name}


# Loading and saving


@pytest.fixture(scope="module")
def saved(mixtures, folders, tmp_path_factory) -> dict[str, Path]:
    """The mixtures as folders, with the processor of their family."""
    root = tmp_path_factory.mktemp("saved")
    for family, mixture in mixtures.items():
        mixture.save_pretrained(root / family)
        AutoProcessor.from_pretrained(folders[family][0]).save_pretrained(root / family)
    return {family: root / family for family in mixtures}


@pytest.mark.parametrize("family", MAKERS)
def test_saved_and_reloaded_mixture_is_the_same(family, saved, mixtures, batches, tmp_path):
    for auto in (AutoModelForCausalLM, AutoModelForImageTextToText):
        model, loading = auto.from_pretrained(saved[family], output_loading_info=True)
        assert isinstance(model, CephaloMoeForConditionalGeneration)
        assert not any(loading.values())
    assert torch.equal(logits(model, batches[family]), logits(mixtures[family], batches[family]))
    model.save_pretrained(tmp_path)
    before, after = (load_file(path / "model.safetensors") for path in (saved[family], tmp_path))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    first, again = (
        json.loads((path / "config.json").read_text()) for path in (saved[family], tmp_path)
    )
    assert first == again
    assert first["base_config"]["model_type"] == family
    assert "num_experts" not in json.dumps(first["base_config"])


@pytest.mark.parametrize("family", MAKERS)
def test_processor_is_that_of_the_family(family, saved, folders):
    processor = AutoProcessor.from_pretrained(saved[family])
    dense = AutoProcessor.from_pretrained(folders[family][0])
    assert type(processor) is type(dense)
    assert (
        processor.tokenizer("nacre in rows").input_ids == dense.tokenizer("nacre in rows").input_ids
    )


def test_pipeline(saved):
    answer = pipeline("image-text-to-text", model=str(saved["idefics2"]))
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is nacre?"}]}]
    [found] = answer(messages, max_new_tokens=5)
    assert found["generated_text"][-1]["role"] == "assistant"


REMOTE = """
import sys
sys.modules["modeling_cephalo"] = None
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
model = AutoModelForImageTextToText.from_pretrained(sys.argv[1], trust_remote_code=True).eval()
assert model.__class__.__module__.startswith("transformers_modules")
processor = AutoProcessor.from_pretrained(sys.argv[1], trust_remote_code=True)
ids = torch.arange(7, 31).reshape(2, 12)
with torch.inference_mode():
    print(type(processor).__name__, model(input_ids=ids).logits.double().sum().item())
"""


@pytest.mark.parametrize("family", ["phi3_v", "idefics2"])
def test_remote_code_runs_without_this_package(family, saved, mixtures, tmp_path):
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", REMOTE, str(saved[family])],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    name, total = run.stdout.split()
    assert name == {"phi3_v": "Phi3VProcessor", "idefics2": "Idefics2Processor"}[family]
    with torch.inference_mode():
        expected = mixtures[family](input_ids=torch.arange(7, 31).reshape(2, 12)).logits
    assert float(total) == pytest.approx(expected.double().sum().item(), abs=1e-3)


def test_incomplete_checkpoints_are_refused_by_name(saved, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(saved["idefics2"], folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.model.text_model.layers.1.mlp.gate.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"missing keys .*layers\.1\.mlp\.gate\.weight"):
        AutoModelForImageTextToText.from_pretrained(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_experts_per_tok": 4}, "num_experts_per_tok is 4 of 3 experts"),
        ({"num_experts_per_tok": 0}, "num_experts_per_tok is 0 of 3 experts"),
        ({"base_config": {"model_type": "llama"}}, "base_config is of type 'llama'; give one of"),
        ({"base_config": None}, "base_config is of type None"),
        (
            {"base_config": Idefics2Config(text_config={"model_type": "mixtral"})},
            "not of mixtral",
        ),
    ],
)
def test_configurations_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(Exception, match=message):
        CephaloMoeConfig(**{"base_config": Phi3VConfig(), **settings})


def test_unknown_routing_is_refused():
    with pytest.raises(Exception, match="routing"):
        CephaloMoeConfig(base_config=Phi3VConfig(), routing="random")


def test_the_configuration_of_the_base_stays_as_it_was(dense):
    config = dense["idefics2"][0].config
    before = config.to_dict()
    CephaloMoeConfig(base_config=config, num_experts=7)
    assert config.to_dict() == before
    assert not hasattr(config.text_config, "num_experts")


# Real size


@pytest.mark.parametrize(
    ("base", "parameters"),
    [
        pytest.param(phi3_vision_128k(), 8_978_459_648, id="3x4b"),
        pytest.param(idefics2_8b(), 19_677_057_264, id="3x8b"),
    ],
)
def test_parameters_of_the_published_mixtures(base, parameters):
    config = CephaloMoeConfig(base_config=base, num_experts=3)
    with torch.device("meta"):
        model = CephaloMoeForConditionalGeneration(config)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    gates = sum(size for name, size in sizes.items() if ".mlp.gate." in name)
    assert gates == 32 * 3 * (base.get_text_config().hidden_size + 1)
    assert sum(sizes.values()) - gates == parameters


def test_auto_config(saved):
    config = AutoConfig.from_pretrained(saved["llava_next"])
    assert isinstance(config, CephaloMoeConfig)
    assert (config.num_experts, config.num_experts_per_tok) == (3, 1)
    assert config.get_text_config() is config.base_config.text_config
