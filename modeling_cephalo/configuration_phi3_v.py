"""Configuration of `phi3_v`, Phi-3-vision, in the published form of config.json."""

# Untyped or partially typed: huggingface_hub and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from typing import TYPE_CHECKING, Any

from huggingface_hub.dataclasses import strict
from transformers import CLIPVisionConfig, Phi3Config
from transformers.configuration_utils import SubConfigSpec

# The vision tower that the published code builds, independent of config.json.
VIT_L_14_336 = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "projection_dim": 768,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
}
IMG_PROCESSOR = {
    "image_dim_out": 1024,
    "model_name": "openai/clip-vit-large-patch14-336",
    "name": "clip_vision_model",
    "num_img_tokens": 144,
}
EMBD_LAYER = {
    "embedding_cls": "image",
    "hd_transform_order": "sub_glb",
    "projection_cls": "mlp",
    "use_hd_transform": True,
    "with_learnable_separator": True,
}
# Paths of the classes in a saved folder, for `trust_remote_code=True` without this package.
AUTO_MAP = {
    "AutoConfig": "configuration_phi3_v.Phi3VConfig",
    "AutoModel": "modeling_phi3_v.Phi3VModel",
    "AutoModelForCausalLM": "modeling_phi3_v.Phi3VForCausalLM",
    "AutoModelForImageTextToText": "modeling_phi3_v.Phi3VForCausalLM",
    "AutoModelForMultimodalLM": "modeling_phi3_v.Phi3VForCausalLM",
}


@strict
class Phi3VConfig(Phi3Config):
    """Phi-3's configuration with an image part.

    It reads and writes config.json as published (`rope_scaling` of type "su", `rope_theta`,
    `torch_dtype`), so that a saved checkpoint can be loaded by vLLM and mistral.rs.

    `img_processor` names the vision tower, its width (`image_dim_out`) and the tokens per tile
    (`num_img_tokens`). `embd_layer` determines how tiles become tokens. `image_token_id` is the id
    at image positions, by default `<|image|>` of the published tokenizer. `vision_config` is that
    of the CLIP tower, by default of ViT-L/14-336, the only tower of the published code, whose
    config.json omits it.
    """

    model_type = "phi3_v"
    sub_configs_defaults = {  # noqa: RUF012
        "vision_config": SubConfigSpec(CLIPVisionConfig, init_kwargs=VIT_L_14_336)
    }

    max_position_embeddings: int = 131072
    sliding_window: int | None = 131072
    image_token_id: int = 32044
    if TYPE_CHECKING:  # the types after `__post_init__`, and its other arguments
        img_processor: dict[str, Any] = {}
        embd_layer: dict[str, Any] = {}
        vision_config: CLIPVisionConfig = CLIPVisionConfig()

        def __init__(self, **kwargs: object) -> None: ...
    else:
        img_processor: dict[str, Any] | None = None
        embd_layer: dict[str, Any] | None = None
        vision_config: dict | CLIPVisionConfig | None = None

    def __post_init__(self, **kwargs: object) -> None:
        self.img_processor = self.img_processor or dict(IMG_PROCESSOR)
        self.embd_layer = self.embd_layer or dict(EMBD_LAYER)
        super().__post_init__(**kwargs)

    def convert_rope_params_to_dict(  # pyright: ignore[reportIncompatibleMethodOverride]  # as called
        self,
        **kwargs: Any,  # other keys of config.json
    ) -> dict[str, object]:
        """Translate the published `rope_scaling` of type "su" to transformers' "longrope".

        Both are the same: factors divide the inverse frequencies, cos and sin are scaled by sqrt(1
        + ln(max / original) / ln(original)), LongRoPE (arXiv 2402.13753).

        Raises ValueError for another type of scaling.
        """
        scaling = kwargs.pop("rope_scaling", None) or self.rope_parameters or {}
        scaling = dict(scaling)
        kind = scaling.pop("type", None) or scaling.get("rope_type", "default")
        if kind not in ("su", "longrope", "default"):
            raise ValueError(f"phi3_v has no rope_scaling of type {kind!r}; use 'su'")
        scaling["rope_type"] = "longrope" if kind == "su" else kind
        if kind != "default":
            scaling.setdefault(
                "factor", self.max_position_embeddings / self.original_max_position_embeddings
            )
        self.rope_parameters = scaling
        return super().convert_rope_params_to_dict(**kwargs)

    def to_dict(self) -> dict[str, Any]:
        """Return the published form with `rope_scaling` and `rope_theta`, and `vision_config` in
        addition."""
        output = super().to_dict()
        rope = output.pop("rope_parameters")
        output["rope_theta"] = rope.pop("rope_theta")
        output["rope_scaling"] = None
        if rope.pop("rope_type") == "longrope":
            for derived in ("original_max_position_embeddings", "partial_rotary_factor"):
                rope.pop(derived, None)
            if (
                rope["factor"]
                == self.max_position_embeddings / self.original_max_position_embeddings
            ):
                del rope["factor"]
            output["rope_scaling"] = {"type": "su", **rope}
        output["auto_map"] = dict(AUTO_MAP)
        return output

    def to_diff_dict(self) -> dict[str, Any]:
        """Return the content of config.json: `to_dict` without defaults, with the dtype as
        `torch_dtype`."""
        output = super().to_diff_dict()
        if dtype := output.pop("dtype", None):
            output["torch_dtype"] = dtype
        return output

    @property
    def tile_tokens(self) -> int:
        """Tokens along one edge of a tile: two by two patches form one token."""
        image_size, patch_size = self.vision_config.image_size, self.vision_config.patch_size
        assert isinstance(image_size, int) and isinstance(patch_size, int)
        return image_size // patch_size // 2

    def check_vision(self) -> None:
        """Raise ValueError if the parts of the image path do not match."""
        width = self.img_processor["image_dim_out"]
        if self.img_processor.get("name") != "clip_vision_model":
            raise ValueError(f"phi3_v needs a clip_vision_model, not {self.img_processor}")
        if width != self.vision_config.hidden_size:
            raise ValueError(
                f"img_processor.image_dim_out is {width} and the vision tower is "
                f"{self.vision_config.hidden_size} wide; give its sizes as vision_config"
            )
        if self.img_processor.get("type_feature", "patch") != "patch":
            raise ValueError("phi3_v drops CLIP's class token; type_feature must be 'patch'")
        hd = self.embd_layer.get("use_hd_transform", False)
        if hd != self.embd_layer.get("with_learnable_separator", False):
            raise ValueError("use_hd_transform and with_learnable_separator must be the same")
        if self.embd_layer.get("hd_transform_order", "glb_sub") not in ("glb_sub", "sub_glb"):
            raise ValueError("hd_transform_order must be 'glb_sub' or 'sub_glb'")
        if self.embd_layer.get("projection_cls", "linear") not in ("linear", "mlp"):
            raise ValueError("projection_cls must be 'linear' or 'mlp'")
        if hd and self.img_processor["num_img_tokens"] != self.tile_tokens**2:
            raise ValueError(
                f"num_img_tokens is {self.img_processor['num_img_tokens']} and a tile of the "
                f"vision tower has {self.tile_tokens**2} tokens"
            )
