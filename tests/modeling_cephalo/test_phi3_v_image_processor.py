"""The image processor of phi3_v: its options, kinds of images, batches and devices."""

import numpy as np
import pytest
import torch
from phi3_v_samples import picture
from PIL import Image
from transformers import AutoImageProcessor

from modeling_cephalo import Phi3VImageProcessor, register
from modeling_cephalo.resampling_phi3_v import resize_as_pil

SETTINGS = {"num_crops": 6, "num_img_tokens": 4, "tile_size": 56}


@pytest.fixture(scope="module")
def processor():
    return Phi3VImageProcessor(**SETTINGS)


def pixels(processor, images, **options):
    return processor(images, return_tensors="pt", **options)["pixel_values"]


@pytest.mark.parametrize("resample", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
@pytest.mark.parametrize(
    ("size", "to"), [((64, 48), (67, 50)), ((150, 26), (53, 9)), ((5, 4), (33, 40))]
)
def test_torch_scales_as_pil_does(size, to, resample):
    image = picture(*size)
    expected = torch.from_numpy(np.array(image.resize(to, resample))).permute(2, 0, 1)
    batch = torch.from_numpy(np.array(image)).permute(2, 0, 1).expand(2, -1, -1, -1)
    assert torch.equal(resize_as_pil(batch, to[1], to[0], resample), expected.expand_as(
        resize_as_pil(batch, to[1], to[0], resample)
    ))  # fmt: skip


def test_a_batch_is_padded_to_its_most_tiles_and_equals_its_images(processor):
    images = [picture(64, 48), picture(30, 90), picture(64, 48, seed=1), picture(90, 50)]
    batch = processor(images, return_tensors="pt")
    assert batch["image_sizes"].tolist() == [[112, 112], [168, 56], [112, 112], [112, 168]]
    assert batch["pixel_values"].shape == (4, 7, 3, 56, 56)
    for image, tiles in zip(images, batch["pixel_values"], strict=True):
        alone = pixels(processor, image)[0]
        assert torch.equal(tiles[: len(alone)], alone) and not tiles[len(alone) :].any()
    scaled_by_torch = processor(images, device="cpu", return_tensors="pt")
    assert all(torch.equal(scaled_by_torch[name], batch[name]) for name in batch)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_tiles(processor):
    images = [picture(64, 48), picture(30, 90)]
    found = pixels(processor, images, device="cuda")
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), pixels(processor, images), atol=1e-5, rtol=0)


def test_options_are_followed(processor):
    image = picture(90, 50)
    plain = pixels(processor, image)
    scaled = pixels(processor, image, do_normalize=False)
    assert 0 <= scaled[:, 1:].min() < scaled[:, 1:].max() == 1
    mean, std = (torch.tensor(own)[:, None, None] for own in
                 (processor.image_mean, processor.image_std))  # fmt: skip
    assert torch.equal((scaled[:, 1:] - mean) / std, plain[:, 1:])
    raw = pixels(processor, image, do_normalize=False, do_rescale=False)[:, 1:]
    assert torch.equal(raw / 255, scaled[:, 1:])
    twice = pixels(processor, image, do_normalize=False, rescale_factor=2 / 255)[:, 1:]
    assert torch.allclose(twice, 2 * scaled[:, 1:])
    other = pixels(processor, image, image_mean=[0.0] * 3, image_std=[1.0] * 3)
    assert torch.equal(other, scaled)
    assert not torch.equal(pixels(processor, image, resample=Image.Resampling.BOX), plain)
    with pytest.raises(ValueError, match="resample 4 is not supported on a device"):
        pixels(processor, image, resample=Image.Resampling.BOX, device="cpu")


@pytest.mark.parametrize("device", [None, "cpu"])
def test_pictures_that_are_not_scaled_are_padded(processor, device):
    image = picture(90, 50)
    found = processor(image, do_resize=False, do_normalize=False, device=device)
    assert found["image_sizes"] == [[56, 112]] and found["num_img_tokens"] == [17]
    grid = torch.cat([found["pixel_values"][0, 1], found["pixel_values"][0, 2]], dim=2)
    inside = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
    assert torch.equal(grid[:, 3:53, 11:101], inside)
    grid[:, 3:53, 11:101] = 1
    assert (grid == 1).all()  # white
    with pytest.raises(ValueError, match="takes 1 x 9 tiles of 56 and num_crops is 6"):
        processor(picture(460, 50), do_resize=False)


def test_arrays_of_any_kind_are_the_same_picture(processor):
    image = picture(90, 50)
    rows = np.array(image)
    expected = pixels(processor, image)
    four = np.concatenate([rows, np.full((50, 90, 1), 7, np.uint8)], axis=2)
    for same in (
        rows.transpose(2, 0, 1),
        four,
        four.transpose(2, 0, 1),
        torch.tensor(four),
        rows.astype(np.int64),
        rows.astype(np.float32),
        (rows / 255).astype(np.float32),
    ):
        assert torch.equal(pixels(processor, same), expected)
        assert torch.equal(pixels(processor, same, device="cpu"), expected)
    assert torch.equal(pixels(processor, (rows / 255), do_rescale=False), expected)
    # Four pixels high or four channels: only the caller knows.
    flat = four[:4]
    last = pixels(processor, flat, input_data_format="channels_last")
    assert torch.equal(last, pixels(processor, Image.fromarray(flat[..., :3])))
    grey = pixels(processor, rows[..., :1])
    assert torch.equal(grey, pixels(processor, image.getchannel(0)))


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((50, 90, 4), np.uint8), {"do_convert_rgb": False}, "4 channels, not 3; set do_c"),
        (picture(90, 50).convert("L"), {"do_convert_rgb": False}, "is L, not RGB; set do_convert"),
        (np.full((50, 90, 3), -1.0), {}, "values range from -1 to -1, not from 0 to 1 or to 255"),
        (np.full((50, 90, 3), np.nan), {}, "values range from nan"),
        (picture(90, 50), {"num_crops": 0}, "num_crops is 0"),
    ],
)
def test_what_is_no_picture_is_refused(processor, image, options, message):
    with pytest.raises(ValueError, match=message):
        processor(image, **options)


def test_options_that_are_not_known_are_refused(processor):
    for option in ("size", "do_center_crop", "nonsense"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{option}'"):
            processor(picture(90, 50), **{option: 1})


@pytest.mark.parametrize("size", [(640, 480), (48, 64), (1000, 30), (56, 56)])
def test_tokens_are_counted_without_the_pixels(processor, size):
    for options in ({}, {"num_crops": 2}, {"num_crops": 200, "do_resize": False}):
        [count] = processor(picture(*size), **options)["num_img_tokens"]
        assert processor.calc_num_image_tokens_from_image_size(*size, **options) == count


@pytest.mark.parametrize("backend", [None, "pil", "torchvision"])
def test_a_saved_image_processor_is_the_same(processor, tmp_path, backend):
    register()
    processor.save_pretrained(tmp_path)
    loaded = AutoImageProcessor.from_pretrained(tmp_path, backend=backend)
    assert isinstance(loaded, Phi3VImageProcessor)
    assert loaded.to_dict() == processor.to_dict()
    assert torch.equal(pixels(loaded, picture(90, 50)), pixels(processor, picture(90, 50)))
