"""Mixtures of each family in what `generate` of transformers takes besides ids."""

import pytest
import torch
from moe_samples import MAKERS
from moe_samples import batches as batches
from moe_samples import dense as dense
from moe_samples import folders as folders
from moe_samples import mixtures as mixtures

from modeling_cephalo.modeling_cephalo_moe import expert_shares

GREEDY = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None}


@pytest.mark.parametrize("family", MAKERS)
def test_chunks_of_a_prompt_and_embeddings_give_the_same(family, mixtures, batches):
    model, batch = mixtures[family], dict(batches[family])
    expected = model.generate(**batch, **GREEDY)
    assert torch.equal(model.generate(**batch, **GREEDY, prefill_chunk_size=16), expected)
    ids = batch.pop("input_ids")
    with torch.inference_mode():
        written = ids.masked_fill(ids < 0, model.config.image_token_id)
        embeddings = model.get_input_embeddings()(written)
    found = model.generate(inputs_embeds=embeddings, **batch, **GREEDY)
    assert torch.equal(found, expected[:, ids.shape[1] :])


@pytest.mark.parametrize("family", MAKERS)
def test_router_logits_while_generating_are_about_the_new_tokens(family, mixtures, batches):
    model, batch = mixtures[family], batches[family]
    expected = model.generate(**batch, **GREEDY)
    assert torch.equal(model.generate(**batch, **GREEDY, output_router_logits=True), expected)
    text, mask = model.config.get_text_config(), batch["attention_mask"]
    with torch.inference_mode():
        past = model(**batch).past_key_values
        new = torch.tensor([[5, 6, 7]] * len(mask))
        own = torch.ones_like(new)
        own[0, 2] = 0  # padding
        out = model(
            input_ids=new,
            attention_mask=torch.cat([mask, own], 1),
            past_key_values=past,
            output_router_logits=True,
        )
    shares = expert_shares(out.router_logits, text.num_experts_per_tok, own).mean(0)
    kept = torch.cat([logits.softmax(-1)[own.flatten().bool()] for logits in out.router_logits])
    loss = text.num_experts * text.num_experts_per_tok * (shares * kept.mean(0)).sum()
    assert out.aux_loss.item() == pytest.approx(loss.item(), rel=1e-5)
