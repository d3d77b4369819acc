"""phi3_v: RoPE, generation, loading and saving."""

import json
from pathlib import Path

import pytest
import torch
from phi3_v_samples import ASK_ONE, ASK_TEXT, ASK_TWO, load, picture
from phi3_v_samples import folder as folder
from phi3_v_samples import loaded as loaded
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    pipeline,
)

from modeling_cephalo import Phi3VConfig, Phi3VForCausalLM, Phi3VImageProcessor, Phi3VProcessor

# RoPE: short and long context


def test_a_prompt_gets_the_factors_for_its_length(loaded):
    model = loaded[0]
    rope = model.model.rotary_emb
    factors = model.config.rope_parameters
    base = 10_000.0 ** (-torch.arange(0, 32, 2) / 32)
    for length, name in ((1024, "short_factor"), (1025, "long_factor"), (7, "short_factor")):
        with torch.inference_mode():
            model(torch.full((1, length), 9), logits_to_keep=1)
        assert torch.allclose(rope.inv_freq, base / torch.tensor(factors[name]))
    # sqrt(1 + ln(8192 / 1024) / ln(1024)), for both
    assert rope.attention_scaling == pytest.approx(1.1401754)


def test_generating_past_the_switch_keeps_the_cache(loaded):
    model = loaded[0]
    ids = torch.arange(1023)[None] % 200 + 8
    with torch.inference_mode():
        out = model.generate(
            ids, max_new_tokens=4, do_sample=False, eos_token_id=None,
            return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip
        short = model(ids, use_cache=True)
        # Token 1025, at position 1024, is the first that gets the long factors.
        steps, past = [short.logits[:, -1]], short.past_key_values
        for token in out.sequences[0, 1023:-1]:
            step = model(token[None, None], past_key_values=past)
            steps.append(step.logits[:, -1])
    assert torch.allclose(torch.stack(out.logits), torch.stack(steps), atol=1e-5)
    kept = out.past_key_values.layers[0].keys[:, :, :1023]
    with torch.inference_mode():
        whole = model(out.sequences[:, :-1], use_cache=True).past_key_values.layers[0].keys
        prompt = model(ids, use_cache=True).past_key_values.layers[0].keys
    assert torch.equal(kept, prompt)
    assert not torch.allclose(kept[:, :, 1:], whole[:, :, 1:1023], atol=1e-3)
    new = out.past_key_values.layers[0].keys[:, :, 1024:]
    assert torch.allclose(new, whole[:, :, 1024:], atol=1e-5)


def test_full_size_configuration_on_the_meta_device():
    config = Phi3VConfig(
        rope_scaling={"type": "su", "short_factor": [1.05] * 48, "long_factor": [30.0] * 48}
    )
    with torch.device("meta"):
        model = Phi3VForCausalLM(config).to(torch.bfloat16)
        out = model(torch.zeros(1, 131_072, dtype=torch.long), logits_to_keep=1)
    assert sum(parameter.numel() for parameter in model.parameters()) == 4_146_621_440
    assert out.logits.shape == (1, 1, 32_064)
    assert model.model.vision_embed_tokens.side == 12


# Generation


@pytest.fixture(scope="module")
def mixed(loaded):
    """A left padded batch of two images, none and one."""
    return loaded[1](
        [ASK_TWO, ASK_TEXT, ASK_ONE],
        [[picture(60, 50), picture(300, 50)], [], [picture(50, 200)]],
        padding=True,
        return_tensors="pt",
    )


@pytest.fixture(scope="module")
def alone(loaded):
    """The same prompts one by one."""
    processor = loaded[1]
    return [
        processor(ASK_TWO, [picture(60, 50), picture(300, 50)], return_tensors="pt"),
        processor(ASK_TEXT, return_tensors="pt"),
        processor(ASK_ONE, picture(50, 200), return_tensors="pt"),
    ]


def new_tokens(model, batch, **kwargs):
    settings = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, **kwargs}
    return model.generate(**batch, **settings)[:, batch["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_mixed_batch_answers_as_each_prompt_alone(folder, mixed, alone, attention):
    model, _ = load(folder, attn_implementation=attention)
    assert new_tokens(model, mixed) == [new_tokens(model, one)[0] for one in alone]


@pytest.mark.parametrize(
    "settings",
    [
        {"cache_implementation": "static", "disable_compile": True},
        {"use_cache": False},
    ],
)
def test_caches_agree(loaded, mixed, settings):
    assert new_tokens(loaded[0], mixed, **settings) == new_tokens(loaded[0], mixed)


def test_beams_and_several_answers_keep_the_images_of_their_row(loaded, mixed, alone):
    model = loaded[0]
    beams = new_tokens(model, mixed, num_beams=3)
    assert beams == [new_tokens(model, one, num_beams=3)[0] for one in alone]
    torch.manual_seed(0)
    sampled = new_tokens(model, alone[0], do_sample=True, num_return_sequences=3, temperature=1e-4)
    assert sampled == new_tokens(model, alone[0]) * 3


def test_guessed_tokens_change_nothing(loaded, folder, alone):
    model = loaded[0]
    for one in alone:
        plain = new_tokens(model, one, max_new_tokens=12)
        assert new_tokens(model, one, max_new_tokens=12, prompt_lookup_num_tokens=3) == plain
        assert new_tokens(model, one, max_new_tokens=12, assistant_model=load(folder)[0]) == plain


def test_penalties_see_no_image_ids(loaded, alone):
    tokens = new_tokens(loaded[0], alone[0], repetition_penalty=1.3, no_repeat_ngram_size=2)
    assert len(tokens[0]) == 6 and min(tokens[0]) >= 0


def test_bfloat16(folder, mixed):
    model, _ = load(folder, dtype=torch.bfloat16)
    with torch.inference_mode():
        logits = model(**mixed).logits
        exact = load(folder)[0](**mixed).logits
    assert logits.dtype == torch.bfloat16
    difference = (logits.float() - exact)[mixed["attention_mask"].bool()].abs()
    assert difference.max() < 0.1


def test_pipeline(folder):
    answer = pipeline("image-text-to-text", model=str(folder))
    content = [{"type": "image", "image": picture(60, 50)}, {"type": "text", "text": "What?"}]
    messages = [{"role": "user", "content": content}]
    [found] = answer(messages, max_new_tokens=5, return_full_text=False)
    model, processor = load(folder)
    batch = processor(
        "<|user|>\n<|image_1|>\nWhat?<|end|>\n<|assistant|>\n", picture(60, 50), return_tensors="pt"
    )
    expected = model.generate(**batch, max_new_tokens=5)[0, batch["input_ids"].shape[1] :]
    assert found["generated_text"] == processor.decode(expected, skip_special_tokens=True)
    assert answer(messages, max_new_tokens=5)[0]["generated_text"][-1]["role"] == "assistant"


@pytest.mark.parametrize("place", ["disk", "cpu"])
def test_device_map(folder, loaded, mixed, tmp_path, place):
    parts = ["model.embed_tokens", "model.layers.0", "model.norm", "model.rotary_emb", "lm_head"]
    device_map = dict.fromkeys(parts, "cpu")
    device_map |= {"model.layers.1": place, "model.vision_embed_tokens": place}
    model, _ = load(folder, device_map=device_map, offload_folder=tmp_path)
    assert new_tokens(model, mixed) == new_tokens(loaded[0], mixed)


# Loading and saving


def test_auto_classes_are_ours(folder):
    assert isinstance(AutoConfig.from_pretrained(folder), Phi3VConfig)
    for auto in (AutoModelForCausalLM, AutoModelForImageTextToText):
        assert isinstance(auto.from_pretrained(folder), Phi3VForCausalLM)
    assert isinstance(AutoProcessor.from_pretrained(folder), Phi3VProcessor)
    assert isinstance(AutoImageProcessor.from_pretrained(folder), Phi3VImageProcessor)
    assert AutoTokenizer.from_pretrained(folder)("a").input_ids[0] == 1


def test_published_form_of_the_configuration():
    published = {
        "architectures": ["Phi3VForCausalLM"],
        "model_type": "phi3_v",
        "torch_dtype": "bfloat16",
        "rope_theta": 10000.0,
        "rope_scaling": {
            "type": "su",
            "short_factor": [1.05] * 48,
            "long_factor": [30.0] * 48,
        },
        "img_processor": {
            "image_dim_out": 1024,
            "model_name": "openai/clip-vit-large-patch14-336",
            "name": "clip_vision_model",
            "num_img_tokens": 144,
        },
        "embd_layer": {
            "embedding_cls": "image",
            "hd_transform_order": "sub_glb",
            "projection_cls": "mlp",
            "use_hd_transform": True,
            "with_learnable_separator": True,
        },
        "original_max_position_embeddings": 4096,
        "max_position_embeddings": 131072,
        "sliding_window": 131072,
        "eos_token_id": 2,
        "auto_map": {"AutoConfig": "configuration_phi3_v.Phi3VConfig"},
    }
    config = Phi3VConfig(**published)
    assert config.rope_parameters["rope_type"] == "longrope"
    written = json.loads(config.to_json_string())
    for name in set(published) - {"auto_map"}:
        assert written[name] == published[name], name
    assert not {"rope_parameters", "dtype"} & set(written)
    assert written["vision_config"]["hidden_size"] == 1024  # of ViT-L/14-336, for other readers
    assert set(written["auto_map"]) == {
        "AutoConfig",
        "AutoModel",
        "AutoModelForCausalLM",
        "AutoModelForImageTextToText",
        "AutoModelForMultimodalLM",
    }
    again = Phi3VConfig(**written)
    assert again.to_dict() == config.to_dict()
    with pytest.raises(ValueError, match="no rope_scaling of type 'yarn'"):
        Phi3VConfig(rope_scaling={"type": "yarn"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"img_processor": {"image_dim_out": 32}}, "image_dim_out is 32 and the vision tower is"),
        ({"img_processor": {"num_img_tokens": 144}}, "num_img_tokens is 144 and a tile of"),
        ({"img_processor": {"name": "siglip"}}, "needs a clip_vision_model"),
        ({"img_processor": {"type_feature": "cls_patch"}}, "type_feature must be 'patch'"),
        ({"embd_layer": {"hd_transform_order": "sub"}}, "hd_transform_order must be"),
        ({"embd_layer": {"with_learnable_separator": False}}, "must be the same"),
        ({"embd_layer": {"projection_cls": "conv"}}, "projection_cls must be"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(loaded, change, message):
    config = Phi3VConfig(**loaded[0].config.to_dict())
    for name, values in change.items():
        getattr(config, name).update(values)
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        Phi3VForCausalLM(config)


def test_saved_and_reloaded_model_is_the_same(loaded, folder, mixed, tmp_path):
    model = loaded[0]
    model.save_pretrained(tmp_path)
    before, after = (load_file(place / "model.safetensors") for place in (folder, tmp_path))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert "model.vision_embed_tokens.img_processor.vision_model.pre_layrnorm.weight" in after
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads(
        (folder / "config.json").read_text()
    )


def test_processor_is_saved_for_other_readers_too(folder):
    written = json.loads((folder / "preprocessor_config.json").read_text())
    assert written["image_processor_type"] == "Phi3VImageProcessor"
    assert (written["num_crops"], written["num_img_tokens"]) == (4, 4)
    assert written["auto_map"] == {
        "AutoImageProcessor": "image_processing_phi3_v.Phi3VImageProcessor",
        "AutoProcessor": "processing_phi3_v.Phi3VProcessor",
    }


@pytest.mark.parametrize("trust", [None, True])
def test_published_folder_with_old_code_loads_with_ours(folder, loaded, mixed, tmp_path, trust):
    """The old code raises when imported: nothing of the folder is run, trusted or not."""
    for path in folder.iterdir():
        if path.suffix == ".py":
            (tmp_path / path.name).write_text("raise ImportError('old code')")
        elif path.name not in ("processor_config.json", "chat_template.jinja"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    model = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=trust)
    assert isinstance(model, Phi3VForCausalLM)
    processor = AutoProcessor.from_pretrained(tmp_path, trust_remote_code=trust)
    assert isinstance(processor, Phi3VProcessor)
    batch = processor(ASK_ONE, picture(50, 200), return_tensors="pt")
    assert new_tokens(model, batch) == new_tokens(loaded[0], batch)


def changed_checkpoint(folder: Path, to: Path, change) -> Path:
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    return to


def test_incomplete_checkpoints_are_refused_by_name(folder, tmp_path):
    (missing := tmp_path / "missing").mkdir()
    changed_checkpoint(folder, missing, lambda weights: weights.pop("model.norm.weight"))
    with pytest.raises(ValueError, match=r"missing keys in the checkpoint: model\.norm\.weight"):
        AutoModelForCausalLM.from_pretrained(missing)
    # Who asks for what was not loaded decides.
    _, info = AutoModelForCausalLM.from_pretrained(missing, output_loading_info=True)
    assert info["missing_keys"] == {"model.norm.weight"}
    (more := tmp_path / "more").mkdir()
    extra = "model.layers.2.mlp.down_proj.weight"
    changed_checkpoint(folder, more, lambda weights: weights.update({extra: torch.zeros(2)}))
    with pytest.raises(ValueError, match=r"unexpected keys .*: model\.layers\.2\.mlp\.down_proj"):
        AutoModelForCausalLM.from_pretrained(more)
    (wte := tmp_path / "wte").mkdir()
    second = "model.vision_embed_tokens.wte.weight"
    changed_checkpoint(folder, wte, lambda weights: weights.update({second: torch.zeros(2)}))
    loaded = AutoModelForCausalLM.from_pretrained(wte).state_dict()
    plain = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    assert second not in loaded and loaded.keys() == plain.keys()
    assert all(torch.equal(loaded[name], plain[name]) for name in plain)
