"""The epilog of `cephalo train --help`: the packaged configs, and the most common fields."""

from pathlib import Path

CONFIGS = Path(__file__).with_name("configs")

GROUPS = {
    "Data": {
        "dataset_name": "dataset of the Hub, or a folder",
        "dataset_config": "its config, such as conversations",
        "dataset_revision": "its commit, branch or tag",
        "dataset_train_split": "its split (train)",
        "dataset_streaming": "read it as a stream; needs max_steps",
        "where": "condition on its columns, such as \"task = 'read'\"",
        "text_dataset_name": "dataset of text-only rows to mix in",
        "text_dataset_config": "its config",
        "text_share": "share of text-only rows, 0 to 0.95",
        "max_length": "maximum row length, in tokens; null for no limit",
        "max_image_edge": "shrink images to this edge, in pixels",
        "split_images": "false: images are not split into tiles",
        "max_broken_rows": "unreadable rows to skip before stopping (10)",
    },
    "Model": {
        "model_name_or_path": "model of the Hub, or a folder",
        "model_revision": "its commit, branch or tag (main)",
        "tiny_base": "create a tiny model with random weights there",
        "attn_implementation": "eager, sdpa, flash_attention_2, ...",
        "dtype": "auto, bfloat16, float16 or float32",
        "load_in_4bit": "load the base in 4 bits, for LoRA",
    },
    "What trains": {
        "freeze_parts": "vision, connector, embeddings, text, head",
        "train_last_layers": "only the last N layers of the decoder",
        "use_peft": "only a LoRA",
        "lora_r": "its rank",
        "lora_alpha": "its scale",
        "lora_dropout": "its dropout",
        "lora_target_modules": "names or patterns of its layers",
        "merge_adapter": "save the model with the LoRA merged",
    },
    "Training": {
        "num_train_epochs": "passes over the data",
        "max_steps": "steps, in place of epochs",
        "per_device_train_batch_size": "rows of a batch, on each device",
        "gradient_accumulation_steps": "batches of a step",
        "learning_rate": "above 0",
        "lr_scheduler_type": "linear, cosine, constant, ...",
        "warmup_steps": "steps, or a share of them if below 1",
        "seed": "0 to 4294967295",
        "batch_tokens": "maximum tokens of one packed sequence",
        "batch_tiles": "maximum image tiles of one packed sequence",
        "feature_cache_gb": "disk for features of a frozen vision tower",
        "dataloader_num_workers": "processes that read images",
        "use_cpu": "train on the CPU",
    },
    "Output": {
        "output_dir": "folder of the model and its checkpoints",
        "save_steps": "steps between checkpoints",
        "save_total_limit": "maximum number of checkpoints to keep",
        "logging_steps": "steps between losses",
        "report_to": "none, tensorboard, wandb, ...",
        "push_to_hub": "push the model at the end",
        "hub_model_id": "its name, NAMESPACE/NAME",
        "hub_private_repo": "true or false; required for private data",
        "push_checkpoints": "push checkpoints during training, to a branch",
        "epoch_models": "names for the model after each epoch",
    },
}


def shipped() -> list[str]:
    """Return the names of the packaged configs."""
    return sorted(path.name for path in CONFIGS.glob("*.yaml"))


def epilog() -> str:
    """Return the end of the help, with fixed line breaks."""
    parts = [["Shipped configs:", *(f"  {name}" for name in shipped())]]
    for group, fields in GROUPS.items():
        lines = [f"  --{name:30} {words}" for name, words in fields.items()]
        parts.append([f"{group}:", *lines])
    parts.append(["All other fields: `trl sft --help`"])
    return "\n\n".join("\n".join(["\b", *lines]) for lines in parts)
