"""A small Cephalo reads stresses and cracks off plates: data, model, training, evaluation.

    python examples/science.py [--samples 20000] [--cracks 4000] [--out runs/science]

Each step is a command that a user would type. Stopped or repeated, it goes on from what is there.
OUT/report.md has the table: the model and the baselines, on plates like those of training and on
families that were never in it. Options that are not known go to `cephalo train`.
"""

import argparse
import json
from pathlib import Path

import pyarrow.parquet as pq
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2Processor,
    PreTrainedTokenizerFast,
)
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil

from cephalo.cli.main import main as cephalo
from cephalo.dataset_scripts.fields.__main__ import app as fields
from cephalo.eval.baselines import app as baselines
from modeling_cephalo.tiny import CHAT_TEMPLATE, IMAGE_TOKENS, weights_of

REPOSITORY = Path(__file__).resolve().parents[1]
SIDE, PATCH, LATENTS, WIDTH = 64, 8, 8, 128  # pixels, pixels, tokens an image becomes, hidden size
SPLITS = ("test", "unseen_families")
TASKS = {
    "stress": ("vector_regression", "task=CalculateVonMisesStressStatistics"),
    "crack": ("classification", "task=CrackInitiation"),
}
BARS = {
    "r2/stress_stdev": 0.92,
    "r2/stress_mean": 0.92,
    "r2/stress_median": 0.88,
    "accuracy": 0.92,
}
"""What the model is to reach on the split `test`."""


def main(arguments: list[str] | None = None) -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20_000, help="plates for stress")
    parser.add_argument("--cracks", type=int, default=4_000, help="notched plates")
    parser.add_argument("--pixels", type=int, default=64, help="a side of a plate")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "runs" / "science")
    options, training = parser.parse_known_args(arguments)
    out: Path = options.out
    plates, base, model = out / "plates", out / "base", out / "model"
    command = ["--out", plates, "--samples", options.samples, "--cracks", options.cracks]
    fields([*map(str, command), "--pixels", str(options.pixels)], standalone_mode=False)
    if not (out / "baselines" / SPLITS[-1] / "results.json").exists():
        baselines(
            ["--dataset", str(plates), "--out", str(out / "baselines")], standalone_mode=False
        )
    if not (base / "config.json").exists():
        make_base(base, read_texts(plates))
    train = ["train", "--config", Path(__file__).with_suffix(".yaml"), "--dataset_name", plates]
    train += ["--model_name_or_path", base, "--output_dir", model]
    if not (model / "README.md").exists():  # the card is what training writes last
        cephalo([*map(str, train), *training])
    for task, (metric, where) in TASKS.items():
        for split in SPLITS:
            ask = ["eval", model, "--task", metric, "--dataset", plates, "--where", where]
            ask += ["--config", "conversations", "--split", split, "--group-by", "family"]
            ask += ["--max-new-tokens", 32, "--batch-size", 64, "--out", out / task / split]
            cephalo([*map(str, ask)])
    (out / "report.md").write_text(report(out), encoding="utf-8")
    print(report(out))


def read_texts(plates: Path) -> list[str]:
    """Every question and answer of train, to make a tokenizer from."""
    texts = []
    for shard in sorted((plates / "conversations").glob("train-*.parquet")):
        rows = pq.read_table(shard, columns=["query", "answer"])
        texts += rows["query"].to_pylist() + rows["answer"].to_pylist()
    return texts


def make_base(folder: Path, texts: list[str]) -> None:
    """Write an Idefics2 of 1.6 million parameters with random weights, and its processor."""
    tokenizer = make_tokenizer(texts)
    images = Idefics2ImageProcessorPil(
        size={"longest_edge": SIDE, "shortest_edge": SIDE}, do_image_splitting=False
    )
    processor = Idefics2Processor(
        images, tokenizer, image_seq_len=LATENTS, chat_template=CHAT_TEMPLATE
    )
    with weights_of(seed=0):
        model = Idefics2ForConditionalGeneration(make_config(tokenizer))
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = [
        tokenizer.eos_token_id,
        tokenizer.convert_tokens_to_ids("<end_of_utterance>"),
    ]
    processor.save_pretrained(folder)
    model.save_pretrained(folder)  # last: its config.json says that the base is whole


def make_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE that keeps every digit apart, so that numbers are read digit by digit."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=512,
            special_tokens=["<unk>", "<s>", "</s>", *IMAGE_TOKENS],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<unk>",
        padding_side="left",
        extra_special_tokens=IMAGE_TOKENS,
    )


def make_config(tokenizer: PreTrainedTokenizerFast) -> Idefics2Config:
    """Four vision layers on patches of 8 pixels, a resampler, two decoder layers."""
    return Idefics2Config(
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        text_config={
            "model_type": "mistral",
            "vocab_size": len(tokenizer),
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 512,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": SIDE,
            "patch_size": PATCH,
        },
        perceiver_config={
            "hidden_size": WIDTH,
            "resampler_n_latents": LATENTS,
            "resampler_depth": 1,
            "resampler_n_heads": 4,
            "resampler_head_dim": WIDTH // 4,
            "num_key_value_heads": 4,
        },
    )


def report(out: Path) -> str:
    """The table of the model and the baselines, and whether each bar is met."""
    lines = ["| reader | split | family | rows | measure | value | 95 % |", "|---" * 7 + "|"]
    found = {}
    for split in SPLITS:
        folders = [out / "baselines" / split, *(out / task / split for task in TASKS)]
        for folder in folders:
            results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
            for reader in results["models"]:
                name = "Cephalo" if folder.parent.name in TASKS else reader["model"]
                groups = {"all": reader, **reader.get("groups", {})}
                for group, numbers in groups.items():
                    for measure in BARS.keys() & numbers["measures"].keys():
                        one = numbers["measures"][measure]
                        shown = " | ".join(
                            [name, split, group, str(numbers["n"]), measure, interval(one)]
                        )
                        lines.append(f"| {shown} |")
                        found[name, split, group, measure] = one["value"]
    lines = [*lines[:2], *sorted(lines[2:])]
    for measure, bar in BARS.items():
        value = found["Cephalo", "test", "all", measure]
        verdict = "not defined" if value is None else "met" if value >= bar else "not met"
        lines.append(f"\n{measure}: bar {bar}, {verdict}.")
    return "\n".join(lines) + "\n"


def interval(found: dict[str, float | None]) -> str:
    """Two cells: the value and its interval."""
    value, low, high = (
        "" if found[key] is None else f"{found[key]:.3f}" for key in ("value", "low", "high")
    )
    return f"{value} | {low} to {high}" if low else f"{value} |"


if __name__ == "__main__":
    main()
