"""Check a row at scale `check`: the real configuration, with shapes and names and no weights."""

from typing import TYPE_CHECKING, cast

from cephalo.cli.errors import CephaloError
from cephalo.series.estimate import with_lora
from cephalo.series.published import of_base, smolvlm
from cephalo.series.table import Row, train_settings
from modeling_cephalo import mixture_config
from modeling_cephalo.published import (
    idefics2_8b,
    llava_v16_mistral_7b,
    on_meta,
    phi3_vision_128k,
)

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel

PUBLISHED = {"phi3_v": phi3_vision_128k, "llava_next": llava_v16_mistral_7b}


def real_config(row: Row) -> "PreTrainedConfig":
    """Return the configuration of the published model."""
    if row.family == "idefics2":
        config = idefics2_8b(row.layers)
    elif row.family == "idefics3":
        config = smolvlm("2b", row.layers)
    elif row.family in PUBLISHED:
        config = PUBLISHED[row.family]()
    else:
        config = of_base(row.base)
    if row.experts == 1:
        return config
    return mixture_config(config, num_experts=row.experts)


def check(row: Row) -> dict[str, int]:
    """Build the model on the meta device and count.

    Returns its layers, parameters, and the parameters that its config trains. Raises CephaloError
    with both numbers if one differs from series.yaml.
    """
    model = on_meta(real_config(row))
    found = {
        "layers": model.config.get_text_config().num_hidden_layers,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trains": trained_parameters(model, row),
    }
    for key, value in found.items():
        if value != getattr(row, key):
            raise CephaloError(f"{row.name}: {key} is {value:,}, not {getattr(row, key):,}")
    return found


def trained_parameters(model: "PreTrainedModel", row: Row) -> int:
    """Count the trained parameters of `model`: gates, a LoRA (which is added to it), or layers."""
    if row.config is None:
        return sum(p.numel() for name, p in model.named_parameters() if ".mlp.gate." in name)
    settings = train_settings(row)
    if settings.get("use_peft"):
        return with_lora(model, settings).get_nb_trainable_parameters()[0]
    layers = cast("torch.nn.ModuleList", model.get_decoder().layers)
    layers = layers[-settings["train_last_layers"] :]
    return sum(parameter.numel() for parameter in layers.parameters())
