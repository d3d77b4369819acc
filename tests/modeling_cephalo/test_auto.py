"""modeling_cephalo.auto: what transformers finds, and the tables of it that are added to."""

import json

import pytest
from moe_samples import MAKERS, TEXTS
from phi3_v_samples import picture
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoTokenizer,
    TokenizersBackend,
    pipeline,
)
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

from modeling_cephalo import auto, mixture_config, register
from modeling_cephalo.checkpoint import read_config
from modeling_cephalo.configuration_cephalo_moe import Published
from modeling_cephalo.modeling_cephalo_stem import CephaloStemConfig
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v


@pytest.fixture(scope="module", autouse=True)
def registered():
    register()


@pytest.fixture(scope="module")
def phi3_v(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phi3_v")
    make_tiny_phi3_v(folder, TEXTS)
    return folder


def test_transformers_reads_the_tables_that_are_added_to():
    """Models of its own are in them, in the form that is added here."""
    for table in auto.CAPABILITIES:
        assert table["idefics2"] == "Idefics2ForConditionalGeneration"
        assert table["phi3_v"] == "Phi3VForCausalLM"
    assert auto.TOKENIZERS["phi3"] == auto.TOKENIZERS["phi3_v"] == "TokenizersBackend"


def test_a_pipeline_neither_asks_nor_warns(phi3_v, monkeypatch, caplog):
    asked = []
    monkeypatch.setattr("builtins.input", lambda *_: asked.append(True) or "n")
    answer = pipeline("image-text-to-text", model=str(phi3_v))
    content = [{"type": "image", "image": picture(60, 50)}, {"type": "text", "text": "What?"}]
    [found] = answer([{"role": "user", "content": content}], max_new_tokens=3)
    assert found["generated_text"][-1]["role"] == "assistant"
    assert not asked
    assert "is not supported for" not in caplog.text


def test_there_is_no_video_processor(phi3_v):
    with pytest.raises(ValueError, match=r"video processor|torchvision"):
        AutoVideoProcessor.from_pretrained(phi3_v)


def test_tokenizers_are_read_as_they_are(phi3_v, tmp_path):
    """The published files name LlamaTokenizer, which would give other ids."""
    ids = AutoTokenizer.from_pretrained(phi3_v)("nacre in rows").input_ids
    path = phi3_v / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_text((phi3_v / name).read_text())
    (tmp_path / path.name).write_text(json.dumps(settings | {"tokenizer_class": "LlamaTokenizer"}))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert type(tokenizer) is TokenizersBackend
    assert tokenizer("nacre in rows").input_ids == ids


def test_every_model_is_found_by_every_class():
    for config, headless, model in auto.MODELS:
        for found in (AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMultimodalLM):
            assert found._model_mapping[config] is model
        assert AutoModel._model_mapping[config] is headless
        assert model.base_model_prefix == headless.base_model_prefix == "model"


def test_saved_configurations_name_a_class_for_every_one(phi3_v):
    wanted = {
        "AutoConfig",
        "AutoModel",
        "AutoModelForCausalLM",
        "AutoModelForImageTextToText",
        "AutoModelForMultimodalLM",
    }
    dense = json.loads((phi3_v / "config.json").read_text())
    configs = [config() for config, *_ in auto.MODELS if not issubclass(config, Published)]
    for places in [dense["auto_map"], *(config.to_diff_dict()["auto_map"] for config in configs)]:
        assert places.keys() == wanted
        for place in places.values():
            module, name = place.split(".")
            assert hasattr(__import__(f"modeling_cephalo.{module}", fromlist=[name]), name)


@pytest.mark.parametrize("family", MAKERS)
def test_rope_theta_is_saved_where_other_programs_look(family, tmp_path):
    """Of a dense model as made and as read to be trained, and of a mixture, also again."""
    MAKERS[family](tmp_path, TEXTS)
    path = tmp_path / "config.json"
    stored = json.loads(path.read_text())
    text = stored.get("text_config", stored)
    assert text.pop("rope_theta") == 10_000
    # As transformers 5 alone saves a family of its own.
    text.get("rope_parameters", text)["rope_theta"] = 250_000.0
    path.write_text(json.dumps(stored))
    dense = read_config(tmp_path)
    mixture = mixture_config(dense)
    for config in (dense, mixture, mixture):
        config.save_pretrained(tmp_path)
        stored = json.loads(path.read_text())
        assert stored.get("text_config", stored)["rope_theta"] == 250_000
        again = type(config).from_pretrained(tmp_path)
        assert again.get_text_config().rope_parameters["rope_theta"] == 250_000
        mixture = again


def test_rope_theta_of_the_stem(tmp_path):
    CephaloStemConfig(text_config={"model_type": "mistral", "rope_theta": 5e5}).save_pretrained(
        tmp_path
    )
    CephaloStemConfig.from_pretrained(tmp_path).save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["text_config"]["rope_theta"] == 5e5
