"""phi3_v: how images become tokens, the processor, and what both refuse."""

import numpy as np
import pytest
import torch
from phi3_v_samples import ASK_ONE, ASK_TEXT, ASK_TWO, picture
from phi3_v_samples import folder as folder
from phi3_v_samples import loaded as loaded
from PIL import Image

from modeling_cephalo import Phi3VConfig, Phi3VForCausalLM
from modeling_cephalo.image_embedding_phi3_v import Phi3VImageEmbedding
from modeling_cephalo.image_processing_phi3_v import count_tokens, fit_to_tiles

# Images to tokens


@pytest.mark.parametrize(
    ("width", "height", "crops", "size"),
    [
        (640, 480, 4, (672, 672)),
        (640, 480, 16, (1344, 1008)),
        (336, 336, 16, (1344, 1344)),
        (300, 900, 16, (672, 2016)),
        (1000, 100, 6, (2016, 336)),
    ],
)
def test_pictures_are_scaled_to_the_most_tiles_that_fit(width, height, crops, size):
    fitted = fit_to_tiles(Image.new("RGB", (width, height), "black"), crops, 336)
    assert fitted.size == size
    assert fitted.getpixel((size[0] // 2, size[1] // 2)) == (0, 0, 0)


def test_padding_is_white_and_centred():
    fitted = fit_to_tiles(Image.new("RGB", (200, 100), "black"), 2, 10)
    assert fitted.size == (20, 10)
    fitted = fit_to_tiles(Image.new("RGB", (100, 30), "black"), 1, 10)
    column = [fitted.getpixel((5, row))[0] for row in range(10)]
    assert column == [255] * 3 + [0] * 3 + [255] * 4


def test_tokens_of_a_picture():
    # (h w + 1) 144 + 1 + (h + 1) 12 of the published code.
    assert count_tokens(2, 2, 144) == 757
    assert count_tokens(3, 4, 144) == 1921
    assert count_tokens(1, 2, 4) == 17


@pytest.mark.parametrize("order", ["sub_glb", "glb_sub"])
def test_order_of_tokens(loaded, order):
    config = Phi3VConfig(**loaded[0].config.to_dict())
    config.embd_layer["hd_transform_order"] = order
    embedding = Phi3VImageEmbedding(config)
    embedding.img_projection = torch.nn.Identity()
    torch.nn.init.constant_(embedding.sub_GN, -1)
    torch.nn.init.constant_(embedding.glb_GN, -2)
    # Patch p of tile t is 100 t + p; a token's first feature is that of its upper left patch.
    embedding.encode_tiles = lambda tiles: (
        100.0 * torch.arange(len(tiles))[:, None] + torch.arange(16)
    )[..., None].expand(-1, -1, 64)
    tokens, lengths = embedding(torch.zeros(1, 5, 3, 56, 56), torch.tensor([[56, 112]]))
    view = [0, 2, -1, 8, 10, -1]
    grid = [100, 102, 200, 202, -1, 108, 110, 208, 210, -1]
    expected = [*grid, -2, *view] if order == "sub_glb" else [*view, -2, *grid]
    assert tokens[:, 0].tolist() == expected
    assert lengths.tolist() == [len(expected)]
    # The four patches of a token in reading order.
    assert tokens[expected.index(2), ::64].tolist() == [2, 3, 6, 7]


def test_all_tiles_of_a_batch_go_through_clip_in_one_call_without_padding(loaded):
    model, processor = loaded
    batch = processor(
        [ASK_TWO, ASK_TEXT, ASK_ONE],
        [[picture(60, 50), picture(100, 50)], [], [picture(50, 200)]],
        padding=True,
        return_tensors="pt",
    )
    calls = []
    clip = model.model.vision_embed_tokens.img_processor["vision_model"]
    hook = clip.embeddings.register_forward_hook(lambda _, tiles, out: calls.append(len(tiles[0])))
    with torch.inference_mode():
        model(**batch)
    hook.remove()
    sizes = batch["image_sizes"].tolist()
    used = [(height // 56) * (width // 56) + 1 for height, width in sizes]
    assert used == [5, 3, 5]
    assert calls == [13]


def test_the_vision_tower_stops_at_its_inner_layer(loaded):
    model, processor = loaded
    batch = processor(ASK_ONE, picture(60, 50), return_tensors="pt")
    embedding = model.model.vision_embed_tokens
    with torch.inference_mode():
        tiles = batch["pixel_values"][0]
        whole = embedding.img_processor["vision_model"](tiles, output_hidden_states=True)
        inner = embedding.encode_tiles(tiles)
    assert torch.allclose(inner, whole.hidden_states[-2][:, 1:], atol=1e-6)


def test_without_hd_transform_a_picture_is_its_patches():
    config = Phi3VConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=32,
        vocab_size=64,
        pad_token_id=0,
        img_processor={"image_dim_out": 16, "name": "clip_vision_model", "num_img_tokens": 16},
        embd_layer={"embedding_cls": "image"},
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
        },
    )
    model = Phi3VForCausalLM(config).eval()
    ids = torch.tensor([[1, *[-1] * 16, 5]])
    with torch.inference_mode():
        assert model(ids, torch.rand(1, 3, 56, 56)).logits.shape == (1, 18, 64)


# What is refused


@pytest.mark.parametrize(
    ("text", "pictures", "message"),
    [
        (ASK_TWO, 1, r"has <\|image_1\|>, <\|image_2\|> and 1 image; it needs one tag for each"),
        (ASK_ONE, 2, r"has <\|image_1\|> and 2 images"),
        (ASK_ONE, 0, r"has <\|image_1\|> and 0 images"),
        (ASK_TEXT, 1, "has no image tag and 1 image;"),
        (ASK_TWO.replace("image_2", "image_1"), 2, r"has <\|image_1\|>, <\|image_1\|> and 2"),
        (ASK_TWO.replace("image_2", "image_3"), 2, r"has <\|image_1\|>, <\|image_3\|> and 2"),
    ],
)
def test_tags_and_images_must_match(loaded, text, pictures, message):
    with pytest.raises(ValueError, match=message):
        loaded[1](text, [picture(60, 50)] * pictures, return_tensors="pt")


def test_tags_out_of_order_are_refused_by_the_model(loaded):
    model, processor = loaded
    swapped = ASK_TWO.replace("image_1", "x").replace("image_2", "image_1").replace("x", "image_2")
    batch = processor(swapped, [picture(60, 50), picture(50, 60)], return_tensors="pt")
    with pytest.raises(ValueError, match=r"out of order: row 0 has <\|image_1\|> after a higher"):
        model(**batch)


def test_ids_and_images_that_do_not_fit_are_refused_by_the_model(loaded):
    model, processor = loaded
    batch = processor(ASK_ONE, picture(60, 50), return_tensors="pt")
    with pytest.raises(ValueError, match="has image tags but there are no images"):
        model(batch["input_ids"])
    twice = {name: torch.cat([batch[name]] * 2) for name in ("pixel_values", "image_sizes")}
    with pytest.raises(
        ValueError, match="images have 54 tokens and the prompts have places for 27"
    ):
        model(batch["input_ids"], **twice)
    with pytest.raises(
        ValueError, match="images have 27 tokens and the prompts have places for 26"
    ):
        model(batch["input_ids"][:, [*range(10), *range(11, batch["input_ids"].shape[1])]],
              batch["pixel_values"], batch["image_sizes"])  # fmt: skip
    with pytest.raises(ValueError, match=r"\[\[100, 112\]\] do not fit: .* multiples of 56 pixels"):
        model(batch["input_ids"], batch["pixel_values"], torch.tensor([[100, 112]]))
    with pytest.raises(ValueError, match=r"\[\[168, 112\]\] do not fit: .* at most 4 tiles"):
        model(batch["input_ids"], batch["pixel_values"], torch.tensor([[168, 112]]))


def test_extreme_and_broken_pictures_are_refused(loaded, tmp_path, monkeypatch):
    processor = loaded[1]
    with pytest.raises(ValueError, match="10000 x 1 pixels is too thin: nothing is left"):
        processor(ASK_ONE, Image.new("RGB", (1, 10_000)), return_tensors="pt")
    picture(60, 50).save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(OSError, match="truncated"):
        processor(ASK_ONE, Image.open(tmp_path / "cut.png"), return_tensors="pt")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100 * 100)
    with pytest.raises(ValueError, match="101 x 100 pixels is above the limit of 10000 pixels"):
        processor(ASK_ONE, Image.new("RGB", (101, 100)), return_tensors="pt")


def test_truncation_never_cuts_an_image(loaded):
    processor = loaded[1]
    whole = processor(ASK_ONE, picture(60, 50), return_tensors="pt")["input_ids"][0].tolist()
    cut = processor(
        ASK_ONE, picture(60, 50), truncation=True, max_length=len(whole) - 2, return_tensors="pt"
    )
    assert cut["input_ids"][0].tolist() == whole[:-2]
    with pytest.raises(ValueError, match="max_length 20 cuts an image"):
        processor(ASK_ONE, picture(60, 50), truncation=True, max_length=20, return_tensors="pt")


# The processor


def test_ids_of_a_prompt(loaded):
    processor = loaded[1]
    tokenizer = processor.tokenizer
    ids = processor(ASK_ONE, picture(60, 50), return_tensors="pt")["input_ids"][0].tolist()
    before = tokenizer("<|user|>\n").input_ids
    after = tokenizer("\nWhat is shown?<|end|>\n<|assistant|>\n").input_ids
    assert before[0] == after[0] == tokenizer.bos_token_id
    assert ids == [*before, *[-1] * 27, *after]
    bare = processor(ASK_ONE, picture(60, 50), add_special_tokens=False, return_tensors="pt")[
        "input_ids"
    ][0].tolist()
    assert bare == ids[1:]


def test_images_may_come_flat_or_by_prompt(loaded):
    processor = loaded[1]
    pictures = [picture(60, 50), picture(300, 50), picture(50, 200)]
    texts = [ASK_TWO, ASK_TEXT, ASK_ONE]
    by_prompt = processor(
        texts, [pictures[:2], [], pictures[2:]], padding=True, return_tensors="pt"
    )
    flat = processor(texts, pictures, padding=True, return_tensors="pt")
    assert by_prompt.keys() == flat.keys()
    assert all(torch.equal(by_prompt[name], flat[name]) for name in flat)
    with pytest.raises(ValueError, match="the prompts have 3 image tags but there are 2 images"):
        processor(texts, pictures[:2], padding=True, return_tensors="pt")
    assert set(processor(ASK_TEXT, return_tensors="pt")) == {"input_ids", "attention_mask"}
    assert processor(ASK_TEXT, return_tensors=None)["input_ids"][0][0] == 1


def test_pictures_may_be_arrays_and_crops_a_wish(loaded):
    processor = loaded[1]
    image = picture(90, 50)
    rows = np.asarray(image)
    expected = processor(ASK_ONE, image, return_tensors="pt")
    for same in (rows, rows.transpose(2, 0, 1), torch.tensor(rows).permute(2, 0, 1)):
        found = processor(ASK_ONE, same, return_tensors="pt")
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    fewer = processor(ASK_ONE, image, num_crops=1, return_tensors="pt")
    assert fewer["pixel_values"].shape[1] == 2 and fewer["image_sizes"].tolist() == [[56, 56]]
    for mode in ("L", "RGBA", "P"):
        assert (
            processor(ASK_ONE, image.convert(mode), return_tensors="pt")["pixel_values"].shape[2]
            == 3
        )


def test_padding_side(loaded):
    processor = loaded[1]
    left = processor([ASK_TEXT, "a"], padding=True, return_tensors="pt")
    right = processor([ASK_TEXT, "a"], padding=True, padding_side="right", return_tensors="pt")
    assert left["attention_mask"][1, 0] == 0 and left["attention_mask"][1, -1] == 1
    assert right["attention_mask"][1, 0] == 1 and right["attention_mask"][1, -1] == 0


def test_decoding_leaves_images_out_with_special_tokens(loaded):
    processor = loaded[1]
    ids = processor(ASK_ONE, picture(60, 50), return_tensors="pt")["input_ids"]
    text = "\n\nWhat is shown?\n"
    assert processor.decode(ids[0], skip_special_tokens=True) == text
    assert processor.batch_decode(ids, skip_special_tokens=True) == [text]
