"""phi3_v in what transformers does with a model: kept caches, streamers, chunks, compiling."""

import copy

import pytest
import torch
from phi3_v_samples import ASK_ONE, ASK_TEXT, ASK_TWO, load, picture
from phi3_v_samples import folder as folder
from phi3_v_samples import loaded as loaded
from transformers import DynamicCache, StaticCache, TextStreamer

GREEDY = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
PICTURES = [picture(60, 50), picture(300, 50)]


@pytest.fixture(scope="module")
def mixed(loaded):
    """A left padded batch of two images, none and one."""
    return loaded[1](
        text=[ASK_TWO, ASK_TEXT, ASK_ONE],
        images=[PICTURES, [], [picture(50, 200)]],
        padding=True,
        return_tensors="pt",
    )


def tagged(batch, model):
    """The batch with `image_token_id` in the place of published tags."""
    ids = batch["input_ids"]
    return {**batch, "input_ids": ids.masked_fill(ids < 0, model.config.image_token_id)}


def test_the_image_token_is_read_as_published_tags_are(loaded, mixed):
    model = loaded[0]
    with torch.inference_mode():
        assert torch.equal(model(**mixed).logits, model(**tagged(mixed, model)).logits)
        mask = model.model.get_placeholder_mask(mixed["input_ids"])
        features = torch.cat(
            model.get_image_features(mixed["pixel_values"], mixed["image_sizes"]).pooler_output
        )
        with pytest.raises(ValueError, match="have 82 tokens and the prompts have places for 83"):
            model.model.get_placeholder_mask(mixed["input_ids"], None, features[1:])
    assert torch.equal(mask, mixed["input_ids"] < 0) and mask.sum() == len(features) == 83


def test_image_features_come_with_what_clip_returns_if_asked_for(folder, mixed):
    model, _ = load(folder, attn_implementation="eager")  # another keeps no attentions
    pixels, sizes = mixed["pixel_values"], mixed["image_sizes"]
    embedding = model.model.vision_embed_tokens
    grids = embedding.tile_grids(pixels, sizes)
    tiles = int((grids.prod(1) + 1).sum())
    with torch.no_grad():
        plain = model.get_image_features(pixels, sizes)
        asked = model.get_image_features(
            pixels, sizes, output_hidden_states=True, output_attentions=True
        )
        patches = embedding.encode_tiles(pixels[:1, 0])
    assert plain.hidden_states is None and plain.attentions is None
    assert all(map(torch.equal, plain.pooler_output, asked.pooler_output))
    clip = model.config.vision_config
    assert len(asked.attentions) == len(asked.hidden_states) - 1 == clip.num_hidden_layers
    seen = asked.hidden_states[embedding.clip_layers]
    assert seen.shape == (tiles, 1 + (clip.image_size // clip.patch_size) ** 2, clip.hidden_size)
    torch.testing.assert_close(seen[:1, 1:], patches)


def test_generated_ids_have_the_image_token(loaded, mixed):
    model, processor = loaded
    sequences = model.generate(**mixed, **GREEDY)
    length = mixed["input_ids"].shape[1]
    assert torch.equal(sequences[:, :length], tagged(mixed, model)["input_ids"])
    assert torch.equal(sequences, model.generate(**tagged(mixed, model), **GREEDY))
    assert processor.tokenizer.decode(sequences[0]).count("<|image|>") > 20


def test_a_streamer_prints_prompts_with_images(loaded, capsys):
    model, processor = loaded
    batch = processor(text=ASK_ONE, images=PICTURES[0], return_tensors="pt")
    ids = model.generate(**batch, **GREEDY, streamer=TextStreamer(processor.tokenizer))
    assert capsys.readouterr().out.strip() == processor.tokenizer.decode(ids[0]).strip()


def test_a_second_image_goes_on_from_a_kept_cache(loaded):
    model, processor = loaded
    second = "<|user|>\n<|image_2|>\nAnd this?<|end|>\n<|assistant|>\n"
    one = processor(text=ASK_ONE, images=PICTURES[0], return_tensors="pt")
    both = processor(text=ASK_ONE + second, images=PICTURES, return_tensors="pt")
    seen = one["input_ids"].shape[1]
    assert torch.equal(both["input_ids"][:, :seen], one["input_ids"])
    own = {name: both[name][1:] for name in ("pixel_values", "image_sizes")}
    with torch.inference_mode():
        whole = model(**both).logits[:, seen:]
        past = model(**one, use_cache=True).past_key_values
        rest = model(input_ids=both["input_ids"][:, seen:], past_key_values=past, **own).logits
    assert torch.allclose(rest, whole, atol=1e-5)
    expected = model.generate(**both, **GREEDY)
    # All images or only the new one; both are with the whole prompt, as processors give it.
    for images in ({name: both[name] for name in own}, own):
        cache = DynamicCache(config=model.config)
        with torch.inference_mode():
            model(**one, past_key_values=cache, use_cache=True)
        text = {name: both[name] for name in ("input_ids", "attention_mask")}
        for given in (images, encoded(model, images)):
            kept = copy.deepcopy(cache)
            found = model.generate(**text, **given, past_key_values=kept, **GREEDY)
            assert torch.equal(found, expected)


def encoded(model, images):
    """Images as `generate` takes them when they went through the vision tower before."""
    with torch.inference_mode():
        return {"mm_encoder_outputs": {"image": model.get_image_features(**images)}}


def test_a_kept_cache_of_all_images_goes_on(loaded):
    model, processor = loaded
    more = "<|user|>\nWhy?<|end|>\n<|assistant|>\n"
    seen = processor(text=ASK_ONE, images=PICTURES[0], return_tensors="pt")
    whole = processor(text=ASK_ONE + more, images=PICTURES[0], return_tensors="pt")
    expected = model.generate(**whole, **GREEDY)
    text = {name: whole[name] for name in ("input_ids", "attention_mask")}
    images = {name: whole[name] for name in ("pixel_values", "image_sizes")}
    for given in (images, encoded(model, images), {}):
        cache = DynamicCache(config=model.config)
        with torch.inference_mode():
            model(**seen, past_key_values=cache, use_cache=True)
        assert torch.equal(
            model.generate(**text, **given, past_key_values=cache, **GREEDY), expected
        )


@pytest.mark.parametrize("size", [8, 40])
def test_chunks_of_a_prompt_change_nothing(loaded, mixed, size):
    model = loaded[0]
    expected = model.generate(**mixed, **GREEDY)
    assert torch.equal(model.generate(**mixed, **GREEDY, prefill_chunk_size=size), expected)


def test_embeddings_are_taken_for_ids(loaded, mixed):
    model = loaded[0]
    length = mixed["input_ids"].shape[1]
    expected = model.generate(**mixed, **GREEDY)[:, length:]
    with torch.inference_mode():
        images = (mixed["pixel_values"], mixed["image_sizes"])
        whole = model.model.embed_with_images(mixed["input_ids"], None, *images, None)
        places = model.get_input_embeddings()(tagged(mixed, model)["input_ids"])
    for given in (
        {"inputs_embeds": whole},
        {"inputs_embeds": places, "pixel_values": images[0], "image_sizes": images[1]},
    ):
        found = model.generate(**given, attention_mask=mixed["attention_mask"], **GREEDY)
        assert torch.equal(found, expected)
    with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
        model(input_ids=mixed["input_ids"], inputs_embeds=whole)


def test_images_that_do_not_come_are_missed(loaded):
    model, processor = loaded
    ids = processor(text=ASK_ONE, images=PICTURES[0], return_tensors="pt")["input_ids"]
    with pytest.raises(ValueError, match="image tags but there are no images"):
        model.generate(ids, **GREEDY)


# Compiling


def test_a_batch_with_images_compiles_whole(loaded, mixed):
    model = loaded[0]
    with torch.inference_mode():
        whole = torch.compile(model, fullgraph=True, backend="eager")(**mixed, use_cache=False)
        assert torch.allclose(whole.logits, model(**mixed, use_cache=False).logits, atol=1e-5)


def test_an_exported_model_reads_other_sizes_of_images(loaded, mixed):
    model = loaded[0]
    exported = torch.export.export(model, (), {**mixed, "use_cache": False}).module()
    other = {**mixed, "image_sizes": mixed["image_sizes"].flip(1)}
    with torch.inference_mode():
        for batch in (mixed, other):
            found = exported(**batch, use_cache=False).logits
            assert torch.allclose(found, model(**batch, use_cache=False).logits, atol=1e-5)
        with pytest.raises(RuntimeError):  # places for other numbers of tokens
            exported(**mixed | {"image_sizes": mixed["image_sizes"] // 112 * 56}, use_cache=False)


@pytest.mark.parametrize("window", [None, 8192])
def test_decoding_with_a_static_cache_compiles_whole(folder, loaded, window):
    model, processor = load(folder)
    model.config.sliding_window = window
    batch = processor(text=ASK_ONE, images=PICTURES[0], return_tensors="pt")
    expected = loaded[0].generate(**batch, **GREEDY)
    cache = StaticCache(config=model.config, max_cache_len=128)
    decode = torch.compile(model, fullgraph=True, backend="eager")
    with torch.inference_mode():
        logits = model(**batch, past_key_values=cache).logits
        ids = batch["input_ids"]
        for _ in range(GREEDY["max_new_tokens"]):
            ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)
            position = torch.tensor([[ids.shape[1] - 1]])
            logits = decode(ids[:, -1:], position_ids=position, past_key_values=cache).logits
    assert torch.equal(ids[:, -6:], expected[:, -6:])
