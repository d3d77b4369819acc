"""Cephalo's models.

    from modeling_cephalo import register

    register()

registers the models of this package with transformers' AutoClasses, as does importing one of the
classes below. Nothing is imported before that, so that commands without a model start at once.
"""

import importlib
from typing import Any

MODULES = {
    "CephaloStemConfig": "modeling_cephalo_stem",
    "CephaloStemForConditionalGeneration": "modeling_cephalo_stem",
    "Phi3VConfig": "configuration_phi3_v",
    "Phi3VForCausalLM": "modeling_phi3_v",
    "Phi3VImageProcessor": "image_processing_phi3_v",
    "Phi3VModel": "modeling_phi3_v",
    "Phi3VProcessor": "processing_phi3_v",
    "mixture_config": "configuration_cephalo_moe",
}


def register() -> None:
    """Register the models of this package with transformers' AutoClasses; see
    `modeling_cephalo.auto`."""
    from .auto import register_all

    register_all()


def __getattr__(name: str) -> Any:
    module = MODULES.get(name)
    if module is None and name.startswith("CephaloMoe"):  # of each family, see there
        parts = "configuration" if name.endswith("Config") else "modeling"
        module = f"{parts}_cephalo_moe"
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    register()
    return getattr(importlib.import_module(f".{module}", __name__), name)


__all__ = ["register", *MODULES]  # pyright: ignore[reportUnsupportedDunderAll]  # of a table
