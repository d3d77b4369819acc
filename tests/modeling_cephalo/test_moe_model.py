"""cephalo_moe: routing, gradients and losses."""

import pytest
import torch
from moe_samples import DECODERS, IMPLEMENTATIONS, MAKERS, logits, make_mixture
from moe_samples import batches as batches  # the fixtures
from moe_samples import dense as dense
from moe_samples import folders as folders
from moe_samples import mixtures as mixtures
from transformers.integrations.moe import grouped_mm_experts_forward

from modeling_cephalo.modeling_cephalo_moe import expert_shares

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
    layers = mixtures[family].get_decoder().layers
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
    mlp = mixture.get_decoder().layers[1].mlp
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


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("tokens", [1, 40])
def test_groups_of_transformers_give_what_one_expert_after_the_other_gives(tokens, k, mixtures):
    """By default the latter is used on the CPU, on other devices the former."""
    assert mixtures["phi3_v"].config._experts_implementation == "by_device"
    torch.manual_seed(0)
    mlp = mixtures["phi3_v"].get_decoder().layers[0].mlp
    hidden = torch.randn(tokens, 128)
    with torch.inference_mode():
        experts = mlp.gate(hidden)[0].topk(k).indices
        arguments = (hidden, experts, torch.rand(tokens, k))
        expected = grouped_mm_experts_forward(mlp.experts, *arguments)
        assert expected.std() > 0.1
        assert torch.allclose(mlp.experts.one_by_one(*arguments), expected, atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 6])
def test_experts_of_other_devices_are_left_to_them(tokens, mixtures):
    """In expert parallel a token of another device has the number after the last."""
    experts = mixtures["phi3_v"].get_decoder().layers[0].mlp.experts
    hidden, weights = torch.randn(tokens, 128), torch.ones(tokens, 2)
    here, away = torch.ones(tokens, 1, dtype=int), torch.full((tokens, 1), 3)
    with torch.inference_mode():
        found = experts.one_by_one(hidden, torch.cat([here, away], 1), weights)
        assert torch.allclose(found, experts.one_by_one(hidden, here, weights[:, :1]), atol=1e-6)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_tokens_are_dispatched_to_their_experts_only(implementation, dense, batches):
    """An expert that no token goes to is not computed: not even its NaN is seen."""
    mixture = make_mixture("phi3_v", dense["phi3_v"])
    mixture.set_experts_implementation(implementation)
    with torch.no_grad():
        for layer in mixture.get_decoder().layers:
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
