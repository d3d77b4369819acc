"""Embed images for `phi3_v`: a CLIP tower, a layout of its patches and a projection."""

from typing import cast

import torch
from torch import nn
from transformers import CLIPVisionModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.import_utils import torch_compilable_check

from .configuration_phi3_v import Phi3VConfig


class Phi3VImageEmbedding(nn.Module):
    """Converts tiles of images to embeddings of image tokens."""

    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__()
        config.check_vision()
        layer, width, hidden = (
            config.embd_layer,
            config.vision_config.hidden_size,
            config.hidden_size,
        )
        assert isinstance(config.vision_config.image_size, int)
        self.tile_size = config.vision_config.image_size
        self.side = config.tile_tokens
        self.use_hd_transform = layer.get("use_hd_transform", False)
        self.sub_first = layer.get("hd_transform_order", "glb_sub") == "sub_glb"
        # hidden_states[k] of CLIP is the output of its first k layers.
        depth = config.vision_config.num_hidden_layers
        self.clip_layers = config.img_processor.get("layer_idx", -2) % (depth + 1)
        self.img_processor = nn.ModuleDict({"vision_model": CLIPVisionModel(config.vision_config)})
        if self.use_hd_transform:
            width = 4 * width
            self.glb_GN = nn.Parameter(torch.zeros(1, 1, width))
            self.sub_GN = nn.Parameter(torch.zeros(1, 1, 1, width))
        if layer.get("projection_cls", "linear") == "linear":
            self.img_projection = nn.Linear(width, hidden)
        else:
            self.img_projection = nn.Sequential(
                nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden)
            )

    def forward(
        self,
        pixel_values: torch.Tensor,
        image_sizes: torch.Tensor | None = None,
        numbers: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Embed tokens of images.

        Args:
            pixel_values: float [images, tiles, 3, edge, edge], the global view first, then the
                sub-images row by row, then padding; without the HD transform [images, 3, edge,
                edge].
            image_sizes: int [images, 2], height and width of the grid of sub-images in pixels,
                multiples of the tile's edge.
            numbers: int [n], indices over all images of the tokens to embed, clamped to the last
                token; by default all tokens in order.

        Returns:
            The embeddings, [n, hidden], and the number of tokens of each image, int [images].

        Raises:
            ValueError: If pixel_values and image_sizes do not match.
        """
        if not self.use_hd_transform:
            tokens = self.img_projection(self.encode_tiles(pixel_values))
            counts = torch.full(tokens.shape[:1], tokens.shape[1], device=tokens.device)
            tokens = tokens.flatten(0, 1)
            return (
                tokens if numbers is None else tokens[numbers.clamp(max=len(tokens) - 1)]
            ), counts
        grids = self.tile_grids(pixel_values, image_sizes)
        counts = self.token_counts(grids)
        if numbers is None:
            numbers = torch.arange(int(counts.sum()), device=counts.device)
        used = grids.prod(1) + 1
        if torch.compiler.is_compiling():  # shapes must not depend on image sizes
            tiles = pixel_values.flatten(0, 1)
            first = torch.arange(len(used), device=used.device) * pixel_values.shape[1]
        else:  # one call of CLIP for the tiles of all images, without padding
            tiles = used_tiles(pixel_values, used)
            first = used.cumsum(0) - used
        tokens = self.merge_patches(self.encode_tiles(tiles)).flatten(0, 2)
        table = self.img_projection(torch.cat([tokens, self.sub_GN[0, 0], self.glb_GN[0]]))
        return table[self.table_rows(numbers, grids, first, len(tokens))], counts

    def tile_grids(
        self, pixel_values: torch.Tensor, image_sizes: torch.Tensor | None
    ) -> torch.Tensor:
        """Return rows and columns of sub-images, int [images, 2]. Raises ValueError for wrong
        sizes."""
        if image_sizes is None or len(image_sizes) != len(pixel_values):
            raise ValueError(
                f"pixel_values have {len(pixel_values)} images and image_sizes "
                f"{0 if image_sizes is None else len(image_sizes)}"
            )
        grids, most = image_sizes // self.tile_size, pixel_values.shape[1] - 1
        tiles = grids.prod(1)
        fits = (image_sizes == grids * self.tile_size).all(1) & (tiles > 0) & (tiles <= most)
        torch_compilable_check(
            fits,
            lambda: (
                f"image_sizes {image_sizes[~fits].tolist()} do not fit: height and width are "
                f"multiples of {self.tile_size} pixels, of at most {most} tiles in all"
            ),
        )
        return grids

    def token_counts(self, grids: torch.Tensor) -> torch.Tensor:
        """Return the number of tokens of each image, int [images], from its grid, int [images,
        2]."""
        rows, columns = grids.unbind(1)
        grid = rows * self.side * (columns * self.side + 1)
        return grid + 1 + self.side * (self.side + 1)

    def table_rows(
        self, numbers: torch.Tensor, grids: torch.Tensor, first: torch.Tensor, end: int
    ) -> torch.Tensor:
        """Return the indices of image tokens in a table of all tokens of tiles.

        Args:
            numbers: int [n], indices of tokens over all images.
            grids: int [images, 2], rows and columns of sub-images.
            first: int [images], index of each image's global view among the tiles.
            end: Number of tokens of tiles; `sub_GN` has this index and `glb_GN` the next one.

        Returns:
            int [n]
        """
        side, counts = self.side, self.token_counts(grids)
        ends = counts.cumsum(0)
        numbers = torch.minimum(numbers.to(ends.device), ends[-1] - 1)
        image = torch.searchsorted(ends, numbers, right=True)
        number = numbers - (ends - counts)[image]
        rows, columns = grids[image].unbind(1)
        grid_width, view_width = columns * side + 1, side + 1  # including the token that ends a row
        grid_length, view_length = rows * side * grid_width, side * view_width
        if self.sub_first:
            separator, view_start, grid_start = grid_length, grid_length + 1, 0
        else:
            separator, view_start, grid_start = view_length, 0, view_length + 1
        in_view = (number >= view_start) & (number < view_start + view_length)
        width = torch.where(in_view, view_width, grid_width)
        number_there = number - torch.where(in_view, view_start, grid_start)
        row, column = number_there // width, number_there % width
        sub_image = 1 + row // side * columns + column // side
        tile = first[image] + torch.where(in_view, 0, sub_image)
        place = (tile * side + row % side) * side + column % side
        place = torch.where(column == width - 1, end, place)
        return torch.where(number == separator, end + 1, place)

    def encode_tiles(self, tiles: torch.Tensor) -> torch.Tensor:
        """Return CLIP's patch features [tiles, patches, width] of an inner layer, without the class
        token."""
        clip = cast("CLIPVisionModel", self.img_processor["vision_model"])
        hidden = clip.pre_layrnorm(clip.embeddings(tiles))
        for layer in clip.encoder.layers[: self.clip_layers]:
            hidden = layer(hidden, attention_mask=None)
        return hidden[:, 1:]

    def tower_outputs(
        self,
        pixel_values: torch.Tensor,
        image_sizes: torch.Tensor | None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutputWithPooling:
        """Return CLIP's outputs for all tiles except padding, by default only `last_hidden_state`
        [tiles, 1 + patches, width] and `pooler_output`.

        `kwargs` are CLIP's, such as `output_hidden_states` and `output_attentions`.
        """
        if self.use_hd_transform:
            grids = self.tile_grids(pixel_values, image_sizes)
            pixel_values = used_tiles(pixel_values, grids.prod(1) + 1)
        return self.img_processor["vision_model"](pixel_values, **kwargs)

    def merge_patches(self, patches: torch.Tensor) -> torch.Tensor:
        """Merge 2 x 2 patches to one token: [tiles, (2 side)^2, width] to [tiles, side, side, 4
        width]."""
        tiles, _, width = patches.shape
        patches = patches.reshape(tiles, self.side, 2, self.side, 2, width)
        return patches.transpose(2, 3).reshape(tiles, self.side, self.side, 4 * width)


def used_tiles(pixel_values: torch.Tensor, used: torch.Tensor) -> torch.Tensor:
    """Return the first `used`, int [images], of each image's tiles: [tiles, 3, edge, edge]."""
    tile = torch.arange(pixel_values.shape[1], device=used.device)
    return pixel_values[(tile < used[:, None]).to(pixel_values.device)]


__all__ = ["Phi3VImageEmbedding"]
