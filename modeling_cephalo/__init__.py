"""Cephalo's models and how to talk to them.

Importing this package teaches transformers `phi3_v`: the AutoClasses load Phi-3-vision
checkpoints with the code here, also those that carry the remote code of transformers 4, and
without `trust_remote_code`.
"""

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoProcessor,
    AutoTokenizer,
    TokenizersBackend,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

from .configuration_cephalo_moe import CephaloMoeConfig, Idefics2MoeConfig, Phi3VMoeConfig
from .configuration_phi3_v import Phi3VConfig
from .image_processing_phi3_v import Phi3VImageProcessor
from .modeling_cephalo_moe import CephaloMoeForConditionalGeneration
from .modeling_cephalo_moe_published import Idefics2MoeForCausalLM, Phi3VMoeForCausalLM
from .modeling_cephalo_stem import CephaloStemConfig, CephaloStemForConditionalGeneration
from .modeling_phi3_v import Phi3VForCausalLM, Phi3VModel
from .processing_phi3_v import Phi3VProcessor

AutoConfig.register("phi3_v", Phi3VConfig)
AutoModelForCausalLM.register(Phi3VConfig, Phi3VForCausalLM)
AutoModelForImageTextToText.register(Phi3VConfig, Phi3VForCausalLM)
AutoModelForMultimodalLM.register(Phi3VConfig, Phi3VForCausalLM)
AutoImageProcessor.register(
    Phi3VConfig,
    image_processor_classes={"pil": Phi3VImageProcessor, "torchvision": Phi3VImageProcessor},
)
AutoProcessor.register(Phi3VConfig, Phi3VProcessor)
AutoTokenizer.register(Phi3VConfig, tokenizer_class=TokenizersBackend)
# The published files name LlamaTokenizer, whose rules in transformers 5 give other ids than
# tokenizer.json. A model type of this table has its tokenizer.json read as it is.
TOKENIZER_MAPPING_NAMES["phi3_v"] = "TokenizersBackend"

# Pipelines and `transformers serve` look here for what a model can do.
MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES["phi3_v"] = "Phi3VForCausalLM"
MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES["phi3_v"] = "Phi3VForCausalLM"

# Idefics2 with convolutions, and mixtures of experts: our own type, and the two published ones.
for _config, _model in (
    (CephaloStemConfig, CephaloStemForConditionalGeneration),
    (CephaloMoeConfig, CephaloMoeForConditionalGeneration),
    (Phi3VMoeConfig, Phi3VMoeForCausalLM),
    (Idefics2MoeConfig, Idefics2MoeForCausalLM),
):
    AutoConfig.register(_config.model_type, _config)
    for _auto in (AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMultimodalLM):
        _auto.register(_config, _model)
    for _table in (
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    ):
        _table[_config.model_type] = _model.__name__
    TOKENIZER_MAPPING_NAMES[_config.model_type] = "TokenizersBackend"

# A class with an auto class writes its code beside the weights when it is saved.
CephaloStemConfig.register_for_auto_class()
CephaloStemForConditionalGeneration.register_for_auto_class("AutoModelForImageTextToText")
CephaloMoeConfig.register_for_auto_class()
CephaloMoeForConditionalGeneration.register_for_auto_class("AutoModelForCausalLM")
Phi3VConfig.register_for_auto_class()
Phi3VForCausalLM.register_for_auto_class("AutoModelForCausalLM")
Phi3VImageProcessor.register_for_auto_class()
Phi3VProcessor.register_for_auto_class()

__all__ = [
    "CephaloMoeConfig",
    "CephaloMoeForConditionalGeneration",
    "CephaloStemConfig",
    "CephaloStemForConditionalGeneration",
    "Phi3VConfig",
    "Phi3VForCausalLM",
    "Phi3VImageProcessor",
    "Phi3VModel",
    "Phi3VProcessor",
]
