"""Pictures of every kind become the pixels that a viewer shows, the same ones in every command."""

import base64
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cephalo.apps.make_mesh import command, micrographs
from cephalo.apps.model_sources import as_picture
from cephalo.apps.serve import image_of_url
from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.publication.dedup_images import open_grey
from cephalo.dataset_scripts.wikipedia.images import image_columns
from cephalo.eval import answers
from cephalo.eval.questions import Question as Row
from cephalo.eval.tasks.cephalo_utils import images as lmms_images
from cephalo.inference import local
from cephalo.inference.data_urls import data_url
from cephalo.inference.images import open_image
from cephalo.inference.local_model import LocalModel
from cephalo.inference.questions import Picture, Question, Usage
from cephalo.merge_recipes.gates import encode
from cephalo.merge_recipes.moe_recipe import Prompt
from cephalo.train.encoding import open_images

RAMP = np.linspace(0, 1, 80 * 72).reshape(72, 80)  # from black at the top to white
GREY = np.rint(RAMP * 255).astype(np.uint8)
LINES = np.full((72, 80), 255, np.uint8)
LINES[20:40, 30:50] = 0  # black on paper


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def grey(values: np.ndarray, kind: type) -> Image.Image:
    return Image.fromarray(values.astype(kind))


def on_transparent(mode: str) -> Image.Image:
    """LINES as black pixels among transparent black ones."""
    clear = Image.merge("LA", [Image.new("L", (80, 72)), Image.fromarray(255 - LINES)])
    return clear.convert(mode)


def palette() -> Image.Image:
    picture = Image.fromarray((LINES == 0).astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 0, 0, 0])
    return picture


def turned() -> dict[str, object]:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    return {"exif": exif}


def with_frames(kind: str) -> bytes:
    frames = [Image.fromarray(255 - GREY), Image.fromarray(LINES)]
    return encoded(Image.fromarray(GREY), kind, save_all=True, append_images=frames)


FLOATS = np.where(LINES == 0, np.nan, RAMP - 0.5)
PICTURES = {
    "8-bit": (encoded(Image.fromarray(GREY), "PNG"), GREY),
    "16-bit PNG": (encoded(grey(RAMP * 65535, np.uint16), "PNG"), GREY),
    "16-bit of few levels": (encoded(grey(20000 + RAMP * 4080, np.uint16), "TIFF"), GREY),
    "16-bit, white is zero": (
        encoded(grey(RAMP * 65535, np.uint16), "TIFF", tiffinfo={262: 0}),
        255 - GREY,
    ),
    "32-bit": (encoded(grey(RAMP * 51000 - 25500, np.int32), "TIFF"), GREY),
    "float": (encoded(grey(RAMP * 3e-9, np.float32), "TIFF"), GREY),
    "float with gaps": (
        encoded(grey(FLOATS, np.float32), "TIFF"),
        np.where(LINES == 0, 255, GREY),
    ),
    "RGBA": (encoded(on_transparent("RGBA"), "PNG"), LINES),
    "grey and alpha": (encoded(on_transparent("LA"), "PNG"), LINES),
    "palette": (encoded(palette(), "PNG", transparency=0), LINES),
    "16-bit with a transparent level": (
        encoded(grey(np.where(LINES == 0, 9, 7), np.uint16), "PNG", transparency=7),
        np.where(LINES == 0, 128, 255),
    ),
    "CMYK": (encoded(Image.fromarray(LINES).convert("CMYK"), "TIFF"), LINES),
    "upside down": (encoded(Image.fromarray(GREY), "PNG", **turned()), GREY[::-1, ::-1]),
    "animation": (with_frames("GIF"), GREY),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_every_command_sees_what_a_viewer_shows(kind, tmp_path, monkeypatch):
    data, shown = PICTURES[kind]
    file = tmp_path / "picture"
    file.write_bytes(data)
    expected = np.repeat(shown[:, :, None], 3, axis=2).astype(int)
    for path, seen in seen_on_every_path(file, monkeypatch).items():
        assert (seen.mode, seen.size) == ("RGB", (80, 72)), path
        assert np.abs(np.asarray(seen).astype(int) - expected).max() <= 1, path
        assert seen.tobytes() == open_image(file).tobytes(), path


class Gates:
    """A processor that gives back the image."""

    chat_template = "{{ messages[0]['role'] }}"
    tokenizer = SimpleNamespace(special_tokens_map={})

    def __call__(self, images: list[Image.Image], **_: object) -> Image.Image:
        return images[0]


def seen_on_every_path(file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Image.Image]:
    data = file.read_bytes()
    at_endpoint = base64.b64decode(data_url(data, 1024).partition(b"base64,")[2])
    question = Question("", (Picture("", data), "What is shown?"))
    [taught, _] = LocalModel(None, "tiny", Usage()).message(question)["content"]
    asked, parts = [], []
    model = SimpleNamespace(
        ask_batch=lambda batch, **_: [
            asked.extend(batch),
            SimpleNamespace(text="", cut_in_thoughts=False),
        ][1:]
    )
    answers.ask(model, [Row("What is shown?", (data,), "")], 8)
    monkeypatch.setattr(micrographs, "relief", lambda design, image: parts.append(image))
    monkeypatch.setattr(command, "finish", lambda *_: None)
    command.relief(file, file.parent / "part")
    return {
        "file": open_image(file),
        "at hand": open_image(Image.open(file)),
        "training": open_images([{"bytes": data, "path": None}], None)[0],
        "training, beside": open_images([{"bytes": None, "path": str(file)}], None)[0],
        "teacher": Image.open(io.BytesIO(at_endpoint)).convert("RGB"),  # as a server does
        "local teacher": taught["image"],
        "chat": local.user_message("What is shown?", file)["content"][0]["image"],
        "eval": local.user_message(*asked[0])["content"][0]["image"],
        "lmms-eval": lmms_images({"image": Image.open(file)})[0],
        "serve": image_of_url(f"data:image/png;base64,{base64.b64encode(data).decode()}"),
        "agents": Image.open(io.BytesIO(as_picture(file).data)).convert("RGB"),
        "meshes": parts[0],
        "gates": encode(Gates(), Prompt(text="What?", image=str(file))),
    }


def test_pictures_that_cannot_be_told_in_8_bits_are_refused_by_name(tmp_path):
    file = tmp_path / "sem.tif"
    for data, why in (
        (with_frames("TIFF"), "is a stack of images; save the intended"),
        (encoded(grey(np.full((9, 9), np.nan), np.float32), "TIFF"), "has a value"),
        (encoded(Image.new("LAB", (9, 9)), "TIFF"), "has colours in Lab"),
        (colours_of_16_bits(4095), "colours of 16 bits of which only the lower"),
    ):
        file.write_bytes(data)
        with pytest.raises(CephaloError, match=rf"sem\.tif.*{why}|no pixel of .*sem\.tif {why}"):
            open_image(file)
    with pytest.raises(CephaloError, match="is a folder; give the path of an image"):
        open_image(tmp_path)
    file.write_bytes(colours_of_16_bits(65535))
    assert open_image(file).getextrema()[0] == (0, 255)
    thumbnail = encoded(
        Image.fromarray(GREY), "TIFF", save_all=True, append_images=[Image.new("L", (20, 18))]
    )
    file.write_bytes(thumbnail)
    assert np.array_equal(np.asarray(open_image(file))[:, :, 0], GREY)


def colours_of_16_bits(highest: int) -> bytes:
    """A TIFF, made of its bytes, with three samples of 16 bits up to `highest`."""
    samples = np.repeat((RAMP * highest).astype("<u2")[:, :, None], 3, axis=2).tobytes()
    tags = [(256, 80), (257, 72), (258, 16), (259, 1), (262, 2), (277, 3), (278, 72)]
    tags = sorted([*tags, (273, 8 + 2 + 9 * 12 + 4), (279, len(samples))])
    entries = b"".join(
        tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little")
        for tag, value in tags
    )
    return b"II*\0\x08\0\0\0" + len(tags).to_bytes(2, "little") + entries + bytes(4) + samples


def test_near_copies_and_figures_of_the_web_are_seen_alike():
    data, _ = PICTURES["16-bit PNG"]
    assert open_grey(data, "here").getextrema() == (0, 255)
    kept = open_image(io.BytesIO(image_columns(data, 500)["image"]["bytes"]))
    assert np.array_equal(np.asarray(kept), np.asarray(open_image(io.BytesIO(data))))
