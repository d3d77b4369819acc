"""Tiny Shap-E pipelines, of random weights and of a known body, and a tokenizer of single signs.

The renderer's first weights come from the latent: a layer norm over the channels, plus a bias. With
the norm's scale at (nearly) zero the biases are the weights, so a network can be written down whose
field is known.
"""

import string

import pytest
import torch

diffusers = pytest.importorskip("diffusers", reason="pip install 'cephalo[image]'")

WIDTH = 8  # of the renderer's network
LATENT = 16
PASSED = 20.0  # silu(x + 20) is x + 20 to seven digits


def known_renderer(level: float, octave: int = 0, noise: float = 1e-5):
    """A renderer with the field tanh(cos(kx) + cos(ky) + cos(kz) - level), k = 2 ** octave, but for
    what the latent changes by `noise`."""
    renderer = random_renderer()
    cosines = 3 + 45 + 3 * octave  # after the position and 45 sines
    with torch.no_grad():
        for number, layer in enumerate(renderer.mlp.mlp):
            layer.weight.zero_()
            layer.bias.zero_()
            layer.bias[0] = {0: PASSED, len(renderer.mlp.mlp) - 1: -PASSED - level}.get(number, 0)
            layer.weight[0, 0] = 1.0
        for number, projection in enumerate(renderer.params_proj.projections.values()):
            projection.norm.weight.fill_(noise if number == 0 else 0)
            projection.norm.bias.zero_()
            projection.proj.bias.zero_()
            taken = slice(cosines, cosines + 3) if number == 0 else slice(0, 1)
            projection.proj.bias[taken] = 1.0  # of the first of WIDTH rows
    return renderer


def random_renderer():
    """A renderer with weights by chance."""
    from diffusers.pipelines.shap_e.renderer import ShapERenderer

    shapes = ((WIDTH, 93), *[(WIDTH, WIDTH)] * 3)
    return ShapERenderer(
        param_shapes=shapes, d_latent=LATENT, d_hidden=WIDTH, background=(0.1, 0.1, 0.1)
    )


def prior_and_scheduler(width: int, **more) -> dict:
    """The parts that draw a latent from what an encoder of `width` says."""
    prior = diffusers.PriorTransformer(
        num_attention_heads=2,
        attention_head_dim=16,
        embedding_dim=LATENT,
        num_embeddings=4 * WIDTH,
        embedding_proj_dim=width,
        time_embed_dim=64,
        num_layers=1,
        clip_embed_dim=2 * LATENT,
        additional_embeddings=0,
        time_embed_act_fn="gelu",
        norm_in_type="layer",
        encoder_hid_proj_type=None,
        added_emb_type=None,
        **more,
    )
    scheduler = diffusers.HeunDiscreteScheduler(
        beta_schedule="exp",
        num_train_timesteps=1024,
        prediction_type="sample",
        use_karras_sigmas=True,
        clip_sample=True,
        clip_sample_range=1.0,
    )
    return {"prior": prior, "scheduler": scheduler}


def text_pipeline(renderer):
    """A pipeline that reads a prompt."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        projection_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    return diffusers.ShapEPipeline(
        **prior_and_scheduler(16),
        text_encoder=CLIPTextModelWithProjection(config),
        tokenizer=tokenizer,
        shap_e_renderer=renderer,
    )


def image_pipeline(renderer):
    """A pipeline that reads an image."""
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
    )
    return diffusers.ShapEImg2ImgPipeline(
        **prior_and_scheduler(16, embedding_proj_norm_type="layer"),
        image_encoder=CLIPVisionModel(config),
        image_processor=CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=16),
        shap_e_renderer=renderer,
    )


def clip_tokenizer():
    """CLIP's tokenizer with a word for each letter and punctuation mark."""
    from transformers import CLIPTokenizer

    signs = string.ascii_lowercase + string.punctuation
    words = [*signs, *(f"{sign}</w>" for sign in signs), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={word: number for number, word in enumerate(words)}, merges=[], model_max_length=77
    )
