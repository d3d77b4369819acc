"""phi3_v gives what the published code gave, on the recorded cases."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import modeling_cephalo
from modeling_cephalo.image_processing_phi3_v import fit_to_tiles

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden" / "phi3_v"
if not GOLDEN.exists():
    pytest.skip("the recorded outputs are not on this machine", allow_module_level=True)

TOLERANCE = 2e-5
CASES = load_file(GOLDEN / "a" / "cases.safetensors")
IMAGES = json.loads((GOLDEN / "image_processor" / "meta.json").read_text())["images"]
EXPECTED = json.loads((GOLDEN / "processor" / "expected.json").read_text())
PROMPTS = {name: case for name, case in EXPECTED.items() if "input_ids_rle" in case}


def case(name: str) -> dict[str, torch.Tensor]:
    return {
        key.split(".", 1)[1]: tensor for key, tensor in CASES.items() if key.startswith(f"{name}.")
    }


def inputs(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = {"input_ids": tensors["input_ids"]}
    if "attention_mask" in tensors:
        found["attention_mask"] = tensors["attention_mask"]
    if "pixel_values_u8" in tensors:
        found["pixel_values"] = (tensors["pixel_values_u8"].float() - 128) / 64
        found["image_sizes"] = tensors["image_sizes"]
    return found


@pytest.fixture(scope="module", params=["eager", "sdpa"])
def model(request) -> modeling_cephalo.Phi3VForCausalLM:
    vision = json.loads((GOLDEN / "a" / "clip_vision_config.json").read_text())
    return AutoModelForCausalLM.from_pretrained(
        GOLDEN / "a", vision_config=vision, attn_implementation=request.param
    )


@pytest.mark.parametrize("name", sorted({key.split(".")[0] for key in CASES}))
def test_logits_are_those_of_the_published_code(model, name, record_property):
    tensors = case(name)
    with torch.inference_mode():
        logits = model(**inputs(tensors)).logits
    positions = tensors.get("logit_positions", torch.arange(logits.shape[1]))
    difference = (logits[:, positions] - tensors["logits"]).abs()
    if "attention_mask" in tensors:
        difference = difference[tensors["attention_mask"][:, positions].bool()]
    record_property("largest difference", difference.max().item())
    print(f"{name:14} {model.config._attn_implementation:6} {difference.max().item():.1e}")
    assert difference.max() < TOLERANCE


def test_embeddings_and_greedy_tokens_are_those_of_the_published_code(model):
    tensors = case("image")
    batch = inputs(tensors)
    with torch.inference_mode():
        [embeds] = model.model.embed_with_images(
            batch["input_ids"], None, batch["pixel_values"], batch["image_sizes"], None
        )
    assert (embeds[tensors["embeds_rows"]] - tensors["embeds"]).abs().max() < TOLERANCE
    first = embeds[batch["input_ids"][0] < 0][:8]
    assert (first - tensors["embeds_first8"]).abs().max() < TOLERANCE
    new = model.generate(**batch, max_new_tokens=8, do_sample=False, eos_token_id=None)
    assert new[0, -8:].tolist() == tensors["greedy_new_tokens"].tolist()


def picture(name: str) -> Image.Image:
    return Image.open(GOLDEN / "image_processor" / f"{name}.png")


@pytest.mark.parametrize("crops", [4, 16])
@pytest.mark.parametrize("name", IMAGES)
def test_image_processor_is_bit_exact(name, crops):
    recorded = load_file(GOLDEN / "image_processor" / "expected.safetensors")
    facts = IMAGES[name][f"num_crops={crops}"]
    fitted = fit_to_tiles(picture(name).convert("RGB"), crops, 336)
    assert hashlib.sha256(np.array(fitted).tobytes()).hexdigest() == facts["sha256_hd_uint8"]
    found = modeling_cephalo.Phi3VImageProcessor(num_crops=crops)(picture(name))
    pixels = found["pixel_values"]
    rows, columns = (edge // 336 for edge in found["image_sizes"][0])
    assert pixels.shape == (1, rows * columns + 1, 3, 336, 336)
    # The published code pads to num_crops + 1 tiles.
    padding = facts["pixel_values_shape"][1] - pixels.shape[1]
    pixels = torch.nn.functional.pad(pixels, (0, 0, 0, 0, 0, 0, 0, padding))
    assert found["image_sizes"] == facts["image_sizes"]
    assert found["num_img_tokens"] == facts["num_img_tokens"]
    sample = recorded[f"{name}.c{crops}.sample_stride14"]
    assert torch.equal(pixels[..., ::14, ::14].reshape(sample.shape), sample)
    if (tile := recorded.get(f"{name}.c{crops}.global_tile")) is not None:
        assert torch.equal(pixels[0, 0], tile)
    assert pixels.mean((2, 3, 4))[0].tolist() == pytest.approx(facts["tile_mean"], abs=1e-6)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """What AutoTokenizer makes of the published files beside a phi3_v config."""
    folder = tmp_path_factory.mktemp("published")
    for path in (GOLDEN / "tokenizer").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "config.json").write_text((GOLDEN / "a" / "config.json").read_text())
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("name", PROMPTS)
def test_processor_ids_are_exact(tokenizer, name):
    expected = PROMPTS[name]
    images = modeling_cephalo.Phi3VImageProcessor(num_crops=expected["num_crops"])
    processor = modeling_cephalo.Phi3VProcessor(images, tokenizer)
    pictures = [picture(image) for image in expected["images"]]
    found = processor(expected["prompt"], pictures or None, return_tensors="pt")
    ids = [number for number, count in expected["input_ids_rle"] for _ in range(count)]
    assert found["input_ids"][0].tolist() == ids
    sizes = found["image_sizes"].tolist() if pictures else None
    assert sizes == expected["image_sizes"]


def test_tokenizer_and_chat_template_are_exact(tokenizer):
    for text, ids in EXPECTED["plain"]:
        assert tokenizer(text).input_ids == ids
    processor = modeling_cephalo.Phi3VProcessor(modeling_cephalo.Phi3VImageProcessor(), tokenizer)
    chat = EXPECTED["chat_template"]
    parts = [
        {"role": message["role"], "content": [{"type": "text", "text": message["content"]}]}
        for message in chat["messages"]
    ]
    parts[0]["content"] = [{"type": "image"}, {"type": "text", "text": "What?"}]
    for messages in (chat["messages"], parts):
        made = processor.apply_chat_template(messages, add_generation_prompt=True)
        assert made == chat["text"]
    made = tokenizer.apply_chat_template(
        chat["messages"], add_generation_prompt=True, tokenize=False
    )
    assert made == chat["text"]
