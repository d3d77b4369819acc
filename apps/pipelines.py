"""Load diffusers pipelines without running their code."""

from typing import cast

import diffusers
import torch
from diffusers.utils import logging

from cephalo.apps.model_sources import in_one_line
from cephalo.cli.errors import CephaloError


def pipeline_class(model: str) -> str:
    """Return the class in the index of a pipeline on the Hub or in a folder, without its weights.

    Raises CephaloError if it is not a pipeline.
    """
    try:
        config = cast("dict[str, object]", diffusers.DiffusionPipeline.load_config(model))
        return str(config["_class_name"])
    except Exception as error:  # diffusers raises any error of its parts
        raise no_pipeline(model, error) from error


def load_pipeline(kind: str, model: str) -> diffusers.DiffusionPipeline:
    """Load a pipeline of the diffusers class `kind`, on the GPU in half precision if there is one.

    Only safetensors are read, those of the variant fp16 if there are no others (as in
    openai/shap-e), and no code of the model is run. Raises CephaloError if it is not such a
    pipeline.
    """
    on_gpu = torch.cuda.is_available()
    dtype = torch.float16 if on_gpu else torch.float32
    load = getattr(diffusers, kind).from_pretrained
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)  # it raises what it logs
    try:
        pipeline = load(model, use_safetensors=True, dtype=dtype)
    except Exception as error:  # diffusers raises any error of its parts
        try:
            pipeline = load(model, use_safetensors=True, dtype=dtype, variant="fp16")
        except Exception:
            raise no_pipeline(model, error) from error
    finally:
        logging.set_verbosity(verbosity)
    return pipeline.to("cuda" if on_gpu else "cpu")


def no_pipeline(model: str, error: BaseException) -> CephaloError:
    """Return the error that `model` cannot be used."""
    return CephaloError(f"cannot load {model} as a pipeline of diffusers: {in_one_line(error)}")
