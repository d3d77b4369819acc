"""Determine what a deeper model must preserve of its sources: the kinds of its layers, and their
order.

All facts are those of the sources' configurations and files. The kind of a layer consists of its
tensors and its entries in the configuration's per-layer lists, such as `layer_types`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cephalo.cli.errors import CephaloError
from cephalo.merge_recipes.sources import DECODER_LAYER, Checkpoint, Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

# Why a decoder with one of these in its configuration cannot be split into layers.
INSEPARABLE = {
    "num_kv_shared_layers": "its last layers use keys and values of earlier ones",
    "hidden_size_per_layer_input": "its embeddings have a part for each layer",
    "deepstack_layer_map": "features of images enter at layers that are listed by number",
}
SINGLE = "per_layer_config"  # settings of single layers by index
HEAD = "lm_head.weight"
BETWEEN = "layers stack between models of the same shape and vocabulary only"
# Settings of a decoder that do not affect what its layers compute: those of generation, of training
# and of the whole. Per-layer settings are compared as the kind of each layer.
NOT_OF_LAYERS = (
    r".*layer.*|.*token.*|.*dropout.*|.*_range|.*_cache|vocab_size|max_position_embeddings"
    r"|tie_word_embeddings|model_type|sliding_window_pattern|_.*|.*_implementation|.*_coef"
)
# Settings beside the decoder's on which what it reads of an image does not depend. Ids of tokens
# and sizes of tiles are compared as those of the tokenizer and the processor.
NOT_OF_FEATURES = (
    r"(.*\.)?(.*token_id|.*token_index|image_grid_pinpoints|.*dropout.*|initializer_.*|_.*"
    r"|tie_word_embeddings|.*_implementation)"
)


@dataclass(frozen=True)
class Source:
    """A checkpoint to take layers from.

    Attributes:
        lists: The per-layer lists of its decoder's configuration.
        first_layers: Number of first layers that add image features to their output.
    """

    checkpoint: Checkpoint
    lists: dict[str, list[object]]
    first_layers: int

    def settings(self, layer: int) -> dict[str, object]:
        """Return the entries of a layer in the configuration's lists."""
        return {name: values[layer] for name, values in self.lists.items()}


def read_source(checkpoint: Checkpoint) -> Source:
    """Read what stacking layers depends on from a configuration.

    Raises CephaloError, with the reason, for a decoder that cannot be split into layers.
    """
    from modeling_cephalo.checkpoint import read_config
    from modeling_cephalo.configuration_cephalo_moe import Mixture

    config = read_config(checkpoint.folder)
    text = config.get_text_config()
    if isinstance(config, Mixture):
        raise CephaloError(f"{checkpoint.name} is a mixture; stack dense models, then mix them")
    for name, reason in INSEPARABLE.items():
        if getattr(text, name, None) or getattr(config, name, None):
            raise CephaloError(f"{checkpoint.name} cannot be stacked: {reason} ({name})")
    lists = lists_by_layer(text)
    for name, values in vars(text).items():
        known = name in lists or "layer" not in name or name[0] == "_"
        if not known and isinstance(values, list | tuple) and any(map(is_number, values)):
            raise CephaloError(
                f"{checkpoint.name} cannot be stacked: its layers are identified by their numbers "
                f"({name})"
            )
    vision = getattr(config, "vision_config", None)
    first_layers = len(getattr(vision, "deepstack_visual_indexes", None) or ())
    return Source(checkpoint, lists, first_layers)


def is_number(value: object) -> bool:
    """Return whether a value may be the index of a layer."""
    return isinstance(value, int)


def lists_by_layer(text: "PreTrainedConfig") -> dict[str, list[object]]:
    """Return the per-layer lists of a decoder's configuration by name.

    Settings of single layers by index become such a list too, empty for other layers.
    """
    count = text.num_hidden_layers
    lists = {
        name: list(values)
        for name, values in vars(text).items()
        if "layer" in name
        and name[0] != "_"
        and isinstance(values, list | tuple)
        and len(values) == count
    }
    if single := text.to_dict().get(SINGLE):
        own = {int(number): settings for number, settings in single.items()}
        lists[SINGLE] = [own.get(number, {}) for number in range(count)]
    return lists


def spelled_as(first: Checkpoint, other: Checkpoint) -> Checkpoint:
    """Return `other` with its tensors named as in `first`.

    Raises CephaloError if their tensors outside the layers differ in name or shape, or if only one
    ties its head to its embeddings. The files of tied models may lack the head.
    """
    tied = is_tied(first)
    if tied != is_tied(other):
        one, two = (first, other) if tied else (other, first)
        raise CephaloError(
            f"the head of {one.name} shares the weights of its embeddings, and {two.name} has a "
            "separate one (tie_word_embeddings); layers stack between models that agree"
        )
    ours, theirs = other.other_tensors(), first.other_tensors()
    if ours.keys() != theirs.keys() or other.layer_prefix != first.layer_prefix:
        other = replace(other, spelling=spelling(first, other))
        ours = other.other_tensors()
    for name in sorted(ours.keys() | theirs.keys()):
        if name in ours.keys() & theirs.keys() or not (name.endswith(HEAD) and tied):
            check_shapes(name, ours.get(name), other, theirs.get(name), first)
    return other


def is_tied(checkpoint: Checkpoint) -> bool:
    """Return whether the head shares the weights of the embeddings."""
    from modeling_cephalo.checkpoint import read_config

    return bool(read_config(checkpoint.folder).tie_word_embeddings)


def spelling(first: Checkpoint, other: Checkpoint) -> dict[str, str]:
    """Map the names of tensors in the files of `other` to those in `first` if transformers treats
    both as the same."""
    from cephalo.merge_recipes.moe_sources import Dense

    known, names = Dense(first).files, {}
    for name, file in Dense(other).files.items():
        match = DECODER_LAYER.fullmatch(file)
        layer = f"{first.layer_prefix}{match[2]}{match[3]}" if match else None
        names[file] = layer or known.get(name, file)
    return names


def check_shapes(
    name: str, ours: Tensor | None, own: Checkpoint, theirs: Tensor | None, first: Checkpoint
) -> None:
    """Raise CephaloError if a tensor has another shape in a source than in the first one."""
    shapes = [tensor and tensor.shape for tensor in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise CephaloError(
            f"{name} is {shapes[0]} in {own.name} and {shapes[1]} in {first.name}; {BETWEEN}"
        )


def stack(
    sources: Sequence[Source], ranges: Sequence[tuple[int, int]]
) -> tuple[int, dict[str, list[object]]]:
    """Check that the layers in `ranges` of `sources` can follow each other in one model.

    Returns the number of layers after which their kinds repeat, and the per-layer lists of the new
    configuration. Raises CephaloError if the kinds do not continue as in the first source, and if
    its first layers are not those that add image features.
    """
    first = sources[0]
    period = period_of(first)
    placed = [
        (source, layer)
        for source, (start, end) in zip(sources, ranges, strict=True)
        for layer in range(start, end)
    ]
    if [layer for _, layer in placed[: first.first_layers]] != list(range(first.first_layers)):
        raise CephaloError(
            f"features of images are added after layers 0 to {first.first_layers - 1} of "
            f"{first.checkpoint.name} (deepstack_visual_indexes), so a stack must begin with these "
            "and have them in this order"
        )
    for place, (source, layer) in enumerate(placed):
        check_kind(first, period, place, source, layer)
    lists = {name: [source.lists[name][layer] for source, layer in placed] for name in first.lists}
    return period, lists


def check_settings(sources: Sequence[Source]) -> None:
    """Raise CephaloError if layers of a source would compute something else in the merged model.

    That model has the configuration of the first source: the activation, positions, attention scale
    and others of its decoder, and the settings of its vision tower and connector.
    """
    from cephalo.merge_recipes.moe_sources import differences, listed, settings
    from modeling_cephalo.checkpoint import read_config

    def own(source: Source) -> dict[str, object]:
        config = read_config(source.checkpoint.folder)
        text = config.get_text_config()
        found = {
            name: value
            for name, value in settings(text).items()
            if not re.fullmatch(NOT_OF_LAYERS, name)
        }
        if text is not config:
            found |= {
                name: value
                for name, value in settings(config).items()
                if not name.startswith("text_config.") and not re.fullmatch(NOT_OF_FEATURES, name)
            }
        return found

    wanted = own(sources[0])
    for source in sources[1:]:
        if found := differences(own(source), wanted):
            raise CephaloError(
                f"{source.checkpoint.name} differs from {sources[0].checkpoint.name} in its "
                f"config: {listed(found)}; its layers would compute something else in the merged "
                "model"
            )


def period_of(source: Source) -> int:
    """Return the number of layers after which their kinds repeat: 1 if all are of one kind."""
    kinds = [
        (source.settings(number), {name: tensor.shape for name, tensor in layer.items()})
        for number, layer in enumerate(source.checkpoint.layers)
    ]
    return next(
        period
        for period in range(1, len(kinds) + 1)
        if all(kind == kinds[number % period] for number, kind in enumerate(kinds))
    )


def check_kind(first: Source, period: int, place: int, source: Source, layer: int) -> None:
    """Raise CephaloError if a layer is not of the kind required at a place."""
    own, model = source.checkpoint, first.checkpoint
    settings, wanted = source.settings(layer), first.settings(place % period)
    for name in sorted(settings.keys() | wanted.keys()):
        if settings.get(name) != wanted.get(name):
            raise CephaloError(
                f"layer {layer} of {own.name} would be layer {place}: it is {settings.get(name)} "
                f"where the {name} of {model.name}, which repeat every {period} layers, have "
                f"{wanted.get(name)}; stack whole periods: ranges that begin and end at multiples "
                f"of {period}, or where the one before ended"
            )
    ours, theirs = own.layers[layer], model.layers[place % period]
    for name in sorted(ours.keys() | theirs.keys()):
        full = f"{model.layer_prefix}{layer}{name}"
        check_shapes(full, ours.get(name), own, theirs.get(name), model)
