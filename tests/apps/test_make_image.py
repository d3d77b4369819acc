"""`cephalo make-image`: a tiny pipeline of diffusers draws, tiny and fake models talk about it."""

import html
import json
import sys
from pathlib import Path

import pytest
import torch
from diffusion_samples import clip_tokenizer
from phi3_v_samples import TEXTS, picture
from PIL import Image
from teacher_server import TeacherServer, error, user_text

from cephalo.apps.make_image import chain as chains
from cephalo.apps.make_image.chain import Chain
from cephalo.cli.main import main
from modeling_cephalo.tiny import make_tiny_idefics2

GOAL = "Stop cracks <script>alert(1)</script>"


@pytest.fixture(scope="module")
def generator(tmp_path_factory) -> Path:
    """A Stable Diffusion of random weights, with every part of the real one, for 16 px images."""
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    blocks = {"block_out_channels": (8, 16), "norm_num_groups": 4, "layers_per_block": 1}
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL(
            latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            **blocks,
        ),
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=16,
            attention_head_dim=2,
            **blocks,
        ),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    folder = tmp_path_factory.mktemp("generator")
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture
def image(tmp_path) -> Path:
    picture(60, 50).save(tmp_path / "figure.png")
    return tmp_path / "figure.png"


def make_image(image: Path, model: str, generator: Path, out: Path, *more: str) -> Chain:
    given = ["--goal", GOAL, "--model", model, "--generator", str(generator), "--out", str(out)]
    main(["make-image", str(image), *given, "--num-inference-steps", "2", *more])
    return Chain.model_validate_json((out / "chain.json").read_text())


def judge_of(*scores: int | str):
    """A fake model that describes, designs, writes a prompt, and gives these scores in turn."""
    left = list(scores)

    def model(body: dict) -> str:
        text = user_text(body)
        if "Judge the image" in text:
            score = left.pop(0)
            if isinstance(score, str):
                return score
            better = f"{text.rpartition('prompt: ')[0].count('finer')} finer\nplatelets"
            return json.dumps({"reason": "<b>Too coarse.</b>", "score": score, "prompt": better})
        return "platelets,\nlayered" if "Write the prompt" in text else "<i>A wall</i> of bricks."

    return model


def test_it_draws_again_until_the_goal_is_met(image, generator, tmp_path, capsys):
    with TeacherServer(judge_of(2, 4, 5)) as fake:
        url = ["--base-url", fake.url]
        found = make_image(image, "m", generator, tmp_path / "out", *url, "--seed", "7")
        asked = [user_text(body) for body in fake.requests]
        kinds = [
            [part["type"] for part in body["messages"][1]["content"]] for body in fake.requests
        ]
    assert [one.prompt for one in found.tries] == ["platelets, layered", "0 finer platelets"]
    assert [one.seed for one in found.tries] == [7, 8]
    assert [one.verdict.score for one in found.tries] == [2, 4] and found.met()
    assert found.description == "<i>A wall</i> of bricks." == found.design
    assert len(asked) == 5 and all(GOAL in text for text in asked[1:])
    assert kinds == [["image_url", "text"]] * 2 + [["text"]] + [["image_url", "text"]] * 2
    assert "score 4 of 5 → " in capsys.readouterr().out
    drawn = [Image.open(tmp_path / "out" / one.image) for one in found.tries]
    assert {one.size for one in drawn} == {(16, 16)} and drawn[0] != drawn[1]
    names = {"chain.json", "chain.html", "image-1.png", "image-2.png", "input-1.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    page = (tmp_path / "out/chain.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3
    for markup in ("<script", "<i>", "<b>Too"):
        assert markup not in page and html.escape(markup) in page


def test_a_tiny_cephalo_and_the_same_seed_draw_the_same(image, generator, tmp_path, monkeypatch):
    monkeypatch.setattr(chains, "MAX_TOKENS", 16)
    make_tiny_idefics2(tmp_path / "model", [*TEXTS, chains.JUDGE, chains.DESIGN])
    model, more = str(tmp_path / "model"), ["--tries", "2"]
    first = make_image(image, model, generator, tmp_path / "a", *more)
    assert first == make_image(image, model, generator, tmp_path / "b", *more)
    other = make_image(image, model, generator, tmp_path / "c", "--tries", "1", "--seed", "1")
    assert len(first.tries) == 2 and first.description and first.design
    assert "no JSON object" in first.tries[0].verdict_error, "random weights judge nothing"
    assert first.tries[0].prompt == first.tries[1].prompt
    data = {folder: (tmp_path / folder / "image-1.png").read_bytes() for folder in ("a", "b", "c")}
    assert data["a"] == data["b"] != data["c"]
    assert (tmp_path / "a/image-2.png").read_bytes() != data["a"]
    assert other.description != first.description


def test_image_to_image_starts_from_the_first_image(image, generator, tmp_path):
    with TeacherServer(judge_of(*[5] * 4)) as fake:
        url = ["--base-url", fake.url]
        little = make_image(image, "m", generator, tmp_path / "a", *url, "--strength", "0.5")
        picture(60, 50, seed=1).save(image)
        make_image(image, "m", generator, tmp_path / "b", *url, "--strength", "0.5")
        sized = ["--strength", "0.5", "--width", "24", "--height", "16"]
        make_image(image, "m", generator, tmp_path / "c", *url, *sized)
    assert little.generator.strength == 0.5
    sizes = [Image.open(tmp_path / folder / "image-1.png").size for folder in "abc"]
    assert sizes == [(56, 48), (56, 48), (24, 16)]
    images = [(tmp_path / folder / "image-1.png").read_bytes() for folder in "ab"]
    assert images[0] != images[1]


def test_a_judge_that_copies_the_form_has_judged_nothing(image, generator, tmp_path):
    copied = '{"reason": "...", "score": 3, "prompt": "..."}'
    with TeacherServer(judge_of(*[copied] * 3, 5)) as fake:
        found = make_image(image, "m", generator, tmp_path / "out", "--base-url", fake.url)
    assert found.tries[0].verdict_error == "reason: it has no words"
    assert [one.prompt for one in found.tries] == ["platelets, layered"] * 2 and found.met()


def test_what_came_is_kept_when_the_model_is_lost(image, generator, tmp_path):
    def model(body: dict) -> str:
        if len(fake.requests) == 4:
            fake.faults = [error(404, "gone")]
        return judge(body)

    judge = judge_of(1, 1)
    with TeacherServer(model) as fake, pytest.raises(SystemExit, match="answers 404 to model m"):
        make_image(image, "m", generator, tmp_path / "out", "--base-url", fake.url)
    kept = Chain.model_validate_json((tmp_path / "out/chain.json").read_text())
    assert [one.verdict and one.verdict.score for one in kept.tries] == [1, None]
    assert (tmp_path / "out/image-2.png").is_file()


def test_bad_arguments_are_refused_in_one_line(image, generator, tmp_path):
    (tmp_path / "empty").mkdir()
    for model, drawer, more, message in (
        ("m", generator, ["--goal", " "], "--goal: give 1 to 4,000"),
        ("m", generator, ["--width", "4096"], "--width"),
        ("m", generator, ["--tries", "21"], "--tries"),
        ("m", generator, ["--base-url", "h/v1"], "--base-url: .*give an address"),
        ("m", tmp_path / "empty", [], "cannot load .*empty as a pipeline of diffusers"),
        (str(tmp_path / "empty"), generator, [], "empty is not a checkpoint"),
    ):
        with pytest.raises(SystemExit, match=message):
            make_image(image, model, drawer, tmp_path / "out", *more)
    with TeacherServer(judge_of(5)) as fake, pytest.raises(SystemExit, match="cannot draw this"):
        make_image(
            image, "m", generator, tmp_path / "o", "--base-url", fake.url, "--strength", "0.01"
        )


def test_pickled_weights_are_not_read(image, generator, tmp_path):
    weights = generator / "vae/diffusion_pytorch_model.safetensors"
    hidden = weights.rename(tmp_path / "kept")
    torch.save({}, generator / "vae/diffusion_pytorch_model.bin")
    try:
        with pytest.raises(SystemExit, match=r"cannot load .+ as a pipeline"):
            make_image(image, "m", generator, tmp_path / "out")
    finally:
        hidden.rename(weights)
        (generator / "vae/diffusion_pytorch_model.bin").unlink()


def test_a_missing_package_is_told_with_its_command(image, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(SystemExit, match=r"needs diffusers; run: pip install 'cephalo\[image\]'"):
        make_image(image, "m", tmp_path / "generator", tmp_path / "out")
    assert not (tmp_path / "out").exists()
