"""Mixtures of each family in what `generate` of transformers takes besides ids."""

import pytest
import torch
from moe_samples import MAKERS
from moe_samples import batches as batches
from moe_samples import dense as dense
from moe_samples import folders as folders
from moe_samples import mixtures as mixtures

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
