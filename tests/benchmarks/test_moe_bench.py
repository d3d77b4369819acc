"""The mixture's speed beside the dense model's, in the same run."""

import pytest
import torch

from benchmarks.bench_moe import BARS, base_config, measure, weights_read
from modeling_cephalo import CephaloMoePhi3VForCausalLM, mixture_config

NOISE = 0.1  # of a ratio, on a machine that does other things too


@pytest.mark.slow
def test_a_mixture_is_about_as_fast_as_the_dense_model():
    found = measure(batch=4, length=256, new_tokens=16, repeats=5)
    print(found)
    assert found["busiest_expert_share"] < 0.8  # all experts work
    for name, bar in BARS.items():
        assert found[name]["ratio"] >= bar - NOISE, name


def test_weights_read_by_tokens_that_decode_together():
    """One token reads what the dense model reads; two that want two experts, one MLP more."""
    base = base_config()
    base.update({"hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 2})
    base.update({"num_key_value_heads": 2, "num_hidden_layers": 1, "vocab_size": 100})
    config = mixture_config(base, num_experts=3)
    mixture = CephaloMoePhi3VForCausalLM(config).eval()
    assert weights_read(mixture, torch.tensor([[5, 6, 7]])) == 1
    first, second = torch.tensor([[5, 6, 7]]), torch.tensor([[8, 9, 10]])
    same = weights_read(mixture, torch.cat([first, first]))
    assert same == 1
    with torch.no_grad():
        embeddings = mixture.get_input_embeddings().weight
        embeddings[first] = 1.0
        embeddings[second] = -1.0
        mixture.model.layers[0].self_attn.o_proj.weight.zero_()
        mixture.routers[0].weight.copy_(torch.tensor([[1.0], [-1.0], [0.0]]).expand(3, 64))
    mlp = 3 * 64 * 256
    others = 4 * 64 * 64 + 2 * 64 + 3 * 65 + 64 * 100  # attention, norms, gate, head
    expected = (others + 2 * mlp) / (others + mlp)
    assert weights_read(mixture, torch.cat([first, second])) == pytest.approx(expected)
