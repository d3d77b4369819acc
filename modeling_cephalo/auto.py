"""Register the models of this package with transformers' AutoClasses.

    from modeling_cephalo import register

    register()
    AutoModelForImageTextToText.from_pretrained("lamm-mit/Cephalo-Phi-3-vision-128k-4b-beta")

They then load without `trust_remote_code`, including checkpoints with their own remote code, and
`save_pretrained` writes this code beside the weights. Nothing is registered before the call, so
that importing the package is fast.
"""

from functools import cache
from typing import cast

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    TokenizersBackend,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

from . import configuration_cephalo_moe as moe_configs
from . import modeling_cephalo_moe as moe
from .configuration_phi3_v import Phi3VConfig
from .image_processing_phi3_v import Phi3VImageProcessor
from .mends import mend_mistral3
from .modeling_cephalo_moe_published import (
    Idefics2MoeForCausalLM,
    Idefics2MoeModel,
    Phi3VMoeForCausalLM,
    Phi3VMoeModel,
    register_layouts,
)
from .modeling_cephalo_stem import (
    CephaloStemConfig,
    CephaloStemForConditionalGeneration,
    CephaloStemModel,
)
from .modeling_phi3_v import Phi3VForCausalLM, Phi3VModel
from .processing_phi3_v import Phi3VProcessor

# Each configuration, its headless model and its model with a language modelling head.
MODELS = (
    (Phi3VConfig, Phi3VModel, Phi3VForCausalLM),
    (CephaloStemConfig, CephaloStemModel, CephaloStemForConditionalGeneration),
    *((config, *moe.MODELS[family]) for family, config in moe_configs.FAMILY_CONFIGS.items()),
    (moe_configs.Phi3VMoeConfig, Phi3VMoeModel, Phi3VMoeForCausalLM),
    (moe_configs.Idefics2MoeConfig, Idefics2MoeModel, Idefics2MoeForCausalLM),
)
WITH_HEAD = (AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMultimodalLM)

# All tables of transformers that are modified here, since it has no function for this. Pipelines
# and `transformers serve` look up a model's capabilities in the first two. For a model type in the
# third, tokenizer.json is used unchanged: the published files name LlamaTokenizer, whose rules in
# transformers 5 give other ids.
CAPABILITIES = (MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES, MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES)
TOKENIZERS = TOKENIZER_MAPPING_NAMES


@cache
def register_all() -> None:
    """Register all models and processors of this package. Further calls do nothing."""
    for config, headless, model in MODELS:
        register_model(config, headless, model)
    for text in moe_configs.TEXT_CONFIGS.values():
        AutoConfig.register(text.model_type, text)
    AutoImageProcessor.register(
        Phi3VConfig,
        image_processor_classes={"pil": Phi3VImageProcessor, "torchvision": Phi3VImageProcessor},
    )
    AutoProcessor.register(Phi3VConfig, Phi3VProcessor)
    AutoTokenizer.register(Phi3VConfig, tokenizer_class=TokenizersBackend)
    for own in (Phi3VImageProcessor, Phi3VProcessor):
        own.register_for_auto_class()
    register_layouts()
    mend_mistral3()


def register_model(
    config: type[PreTrainedConfig],
    headless: type[PreTrainedModel],
    model: type[PreTrainedModel],
) -> None:
    """Let the AutoClasses and pipelines find a model by its type, and save its code with it."""
    AutoConfig.register(config.model_type, config)
    AutoModel.register(config, headless)
    for auto in WITH_HEAD:
        auto.register(config, model)
    tables = cast("tuple[dict[str, str], ...]", CAPABILITIES)  # declared for transformers' models
    for table in tables:
        table[config.model_type] = model.__name__
    TOKENIZERS[config.model_type] = "TokenizersBackend"
    if issubclass(config, Phi3VConfig):
        # Explicitly None: a pipeline would otherwise look for one in the code that `auto_map` names
        # for images, ask whether to run it, and wait 15 seconds for the answer.
        AutoVideoProcessor.register(config, video_processor_classes={})
    if not issubclass(config, moe_configs.Published):
        config.register_for_auto_class()
        model.register_for_auto_class("AutoModelForImageTextToText")
        headless.register_for_auto_class("AutoModel")


__all__ = ["register_all"]
