"""What transformers and datasets do with a hub, as tests; see `hub_client_operations`."""

import numpy as np
import pytest
import torch
from datasets import (
    Dataset,
    DatasetDict,
    Features,
    Image,
    Value,
    get_dataset_config_names,
    load_dataset,
)
from hub_client_operations import api as api
from hub_client_operations import repo as repo
from huggingface_hub import DatasetCard, get_safetensors_metadata
from PIL import Image as Pillow
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoProcessor,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)

# --- models


def tiny_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"vocab_size": 100, "hidden_size": 64, "intermediate_size": 64}
    return LlamaForCausalLM(
        LlamaConfig(**sizes, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2)
    )


@pytest.mark.parametrize("shard", ["50GB", "100KB"])
def test_model(api, shard):
    name, model = f"alice/llama-{shard}", tiny_model()
    model.push_to_hub(name, max_shard_size=shard)
    assert ("model.safetensors" in api.list_repo_files(name)) == (shard == "50GB")
    loaded = AutoModelForCausalLM.from_pretrained(name)
    expected = model.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in loaded.state_dict().items())
    count = sum(get_safetensors_metadata(name).parameter_count.values())
    assert count == sum(value.numel() for value in expected.values())
    assert AutoConfig.from_pretrained(name, revision=api.repo_info(name).sha).hidden_size == 64
    AutoModelForCausalLM.from_pretrained(name, local_files_only=True)


def test_private_model(api):
    tiny_model().push_to_hub("alice/llama-private", private=True)
    assert api.model_info("alice/llama-private").private
    assert AutoModelForCausalLM.from_pretrained("alice/llama-private").config.vocab_size == 100


def test_tokenizer(repo):
    from tokenizers import Tokenizer, models, pre_tokenizers

    raw = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="[UNK]").push_to_hub(repo)
    assert AutoTokenizer.from_pretrained(repo)("a b").input_ids == [1, 2]


def test_processor(repo, tmp_path):
    (tmp_path / "vocab.json").write_text('{"<pad>":0,"<s>":1,"</s>":2,"<unk>":3,"|":4,"A":5}')
    tokenizer = Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"))
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).push_to_hub(repo)
    assert isinstance(AutoProcessor.from_pretrained(repo), Wav2Vec2Processor)


def test_trainer(api, tmp_path):
    rows = Dataset.from_dict({"input_ids": [[1, 2, 3]] * 8, "labels": [[1, 2, 3]] * 8})
    arguments = TrainingArguments(
        str(tmp_path / "out"),
        max_steps=4,
        save_steps=2,
        push_to_hub=True,
        hub_model_id="alice/trained",
        hub_strategy="every_save",
        report_to=[],
        use_cpu=True,
        per_device_train_batch_size=2,
    )
    trainer = Trainer(tiny_model(), arguments, train_dataset=rows)
    trainer.train()
    trainer.push_to_hub()
    loaded = AutoModelForCausalLM.from_pretrained("alice/trained")
    key = "model.embed_tokens.weight"
    assert torch.equal(loaded.state_dict()[key], trainer.model.state_dict()[key])
    assert "README.md" in api.list_repo_files("alice/trained")


# --- datasets


def rows(count: int) -> Dataset:
    """Numbered random pictures."""
    random = np.random.default_rng(count)
    pixels = random.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    table = {"i": list(range(count)), "image": [Pillow.fromarray(one) for one in pixels]}
    return Dataset.from_dict(table, features=Features({"i": Value("int64"), "image": Image()}))


def same(found, expected: Dataset) -> bool:
    """Whether the rows are equal to the pixel, in order."""
    found = list(found)
    return [row["i"] for row in found] == expected["i"][:] and all(
        np.array_equal(np.array(one["image"]), np.array(other["image"]))
        for one, other in zip(found, expected, strict=True)
    )


def test_dataset(api):
    name = "alice/pictures"
    train, test = rows(20), rows(5)
    DatasetDict(train=train, test=test).push_to_hub(name, num_shards={"train": 3, "test": 1})
    loaded = load_dataset(name)
    assert same(loaded["train"], train) and same(loaded["test"], test)
    assert same(load_dataset(name, split="train", streaming=True), train)
    sha = api.dataset_info(name).sha
    assert load_dataset(name, split="train[:3]", revision=sha)["i"][:] == [0, 1, 2]
    rows(4).push_to_hub(name, config_name="other", split="train")
    rows(7).push_to_hub(name, split="test")
    assert sorted(get_dataset_config_names(name)) == ["default", "other"]
    again = load_dataset(name, split="test", download_mode="force_redownload")
    assert same(again, rows(7))
    assert same(load_dataset(name, split="train", revision=sha), train)
    configs = DatasetCard.load(name).data.to_dict()["configs"]
    assert [config["config_name"] for config in configs] == ["default", "other"]
    assert name in [dataset.id for dataset in api.list_datasets(author="alice")]


def test_dataset_from_processes():
    rows(8).push_to_hub("alice/parallel", num_shards=4, num_proc=2)
    assert same(load_dataset("alice/parallel", split="train"), rows(8))
    stream = load_dataset("alice/parallel", split="train", streaming=True)
    loader = torch.utils.data.DataLoader(
        stream.remove_columns("image"), batch_size=None, num_workers=2
    )
    assert sorted(int(row["i"]) for row in loader) == list(range(8))


def test_iterable_dataset():
    rows(6).to_iterable_dataset(num_shards=2).push_to_hub("alice/stream")
    assert same(load_dataset("alice/stream", split="train"), rows(6))


def test_image_folder(api, tmp_path):
    for label in "ab":
        for number in range(3):
            path = tmp_path / "train" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Pillow.new("RGB", (8, 8), (number, 0, 0)).save(path)
    api.create_repo("alice/raw", repo_type="dataset")
    api.upload_folder(repo_id="alice/raw", folder_path=tmp_path, repo_type="dataset")
    loaded = load_dataset("alice/raw", split="train")
    assert loaded.features["label"].names == ["a", "b"]
    assert loaded["label"][:] == [0, 0, 0, 1, 1, 1]
    assert len(list(load_dataset("alice/raw", split="train", streaming=True))) == 6
