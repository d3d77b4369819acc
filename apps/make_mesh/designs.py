"""The designs: one pydantic model for each architecture. Lengths are in millimetres."""

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_POINTS = 4_000_000  # of a grid
POINTS_PER_WALL = 2.0  # enough for a wall without gaps at any position between the points
POINTS_PER_CELL = 24.0
POINTS_PER_GRAIN = 128.0
TIP = 0.3  # radius of a spike's flat top over that of its base

Edge = Annotated[float, Field(ge=2, le=300)]
Height = Annotated[float, Field(ge=0.2, le=300)]


class Design(BaseModel):
    """A solid in a box of `extent` mm, on a grid that resolves its thinnest wall.

    Raises pydantic's ValidationError if that grid would have more than 4 million points.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    size: Edge = Field(description="edge of the part in mm")
    if TYPE_CHECKING:
        volume_fraction: float  # of every design, with limits of its own

    @property
    def extent(self) -> tuple[float, float, float]:
        """Edges of the box in mm."""
        return (self.size, self.size, self.size)

    @property
    def wall(self) -> float:
        """The expected thickness of the thinnest wall in mm."""
        raise NotImplementedError

    @property
    def voxel(self) -> float:
        """The distance of grid points in mm that resolves the walls."""
        return self.wall / POINTS_PER_WALL

    @model_validator(mode="after")
    def fits_the_grid(self) -> Self:
        """Reject walls that are too thin for the size of the part."""
        points = math.prod(edge / self.voxel for edge in self.extent)
        if points > MOST_POINTS:
            raise ValueError(
                f"walls of {self.wall:.2g} mm in a part of {max(self.extent):g} mm need "
                f"{points / 1e6:.0f} million grid points, over {MOST_POINTS // 10**6}: use fewer "
                "cells, more volume or less height"
            )
        return self


def bounds(design: type[BaseModel], field: str) -> tuple[float | None, float | None]:
    """Return the minimum and maximum of a field, None without a limit."""
    limits = design.model_fields[field].metadata
    least = next((limit.ge for limit in limits if hasattr(limit, "ge")), None)
    greatest = next((limit.le for limit in limits if hasattr(limit, "le")), None)
    return least, greatest


class Lattice(Design):
    """A sheet along a triply periodic minimal surface in a cube."""

    # Area of the minimal surface in one cubic cell of edge 1.
    area: ClassVar[float]

    cells: int = Field(ge=1, le=6, description="unit cells along an edge")
    volume_fraction: float = Field(ge=0.05, le=0.7, description="solid part of the cube")

    @property
    def wall(self) -> float:
        return self.volume_fraction * self.size / self.cells / self.area

    @property
    def voxel(self) -> float:
        return min(super().voxel, self.size / self.cells / POINTS_PER_CELL)


class Gyroid(Lattice):
    """A sheet along Schoen's gyroid: smooth walls between two equal labyrinths."""

    area = 3.0915  # Schoen, NASA TN D-5541 (1970)

    name: Literal["gyroid"] = "gyroid"


class SchwarzP(Lattice):
    """A sheet along Schwarz' primitive surface: chambers joined by round necks."""

    area = 2.3451  # Schoen, NASA TN D-5541 (1970)

    name: Literal["schwarz-p"] = "schwarz-p"


class Honeycomb(Design):
    """Hexagonal cells that stand on a square plate's plane."""

    name: Literal["honeycomb"] = "honeycomb"
    height: Height = Field(description="height of the cells in mm")
    cells: int = Field(ge=1, le=24, description="hexagons along an edge")
    volume_fraction: float = Field(ge=0.05, le=0.7, description="solid part of the box")

    @property
    def extent(self) -> tuple[float, float, float]:
        return (self.size, self.size, self.height)

    @property
    def wall(self) -> float:
        # A hexagon shrunk by half a wall on each side keeps (1 - wall / pitch)² of its area.
        return min(self.size / self.cells * (1 - math.sqrt(1 - self.volume_fraction)), self.height)

    @property
    def voxel(self) -> float:
        return min(super().voxel, self.size / self.cells / POINTS_PER_CELL)


class Pollen(Design):
    """A hollow ball with spikes outside and round openings in its shell, as a pollen grain's."""

    # Part of the ball that the bases of all spikes cover together, where they are many.
    cover: ClassVar[float] = 0.2
    opening: ClassVar[float] = 0.15  # radius of an opening over the ball's

    name: Literal["pollen"] = "pollen"
    spikes: int = Field(ge=4, le=150, description="spikes all over the ball")
    spike_height: float = Field(ge=0.05, le=0.4, description="over the radius of the ball")
    openings: int = Field(ge=1, le=6, description="holes around the equator")
    volume_fraction: float = Field(
        ge=0.25, le=0.85, description="solid part of the grain without hollow and openings"
    )

    @property
    def radius(self) -> float:
        """Radius of the ball under the spikes in mm."""
        return self.size / 2 / (1 + self.spike_height)

    @property
    def spike_base(self) -> float:
        """Radius of a spike's base in mm: `spikes` such discs are `cover` of the sphere."""
        return self.radius * min(math.sqrt(4 * self.cover / self.spikes), 0.25)

    @property
    def wall(self) -> float:
        # Volumes over the ball's; a cone cut at TIP of its base has (1 + TIP + TIP²) / 3 of the
        # cylinder around it.
        base = (self.spike_base / self.radius) ** 2
        cones = self.spikes * base * self.spike_height * (1 + TIP + TIP**2) / 4
        shell = min(self.volume_fraction * (1 + cones) - cones, 1.0)
        return min(self.radius * (1 - (1 - shell) ** (1 / 3)), 2 * TIP * self.spike_base)

    @property
    def voxel(self) -> float:
        return min(super().voxel, self.size / POINTS_PER_GRAIN)


Architecture = Annotated[Gyroid | SchwarzP | Honeycomb | Pollen, Field(discriminator="name")]


class ImagePart(BaseModel):
    """The bright or the dark phase of an image, raised."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    size: Edge = Field(description="longer edge of the part in mm")
    height: Height = Field(description="height of the phase in mm")
    phase: Literal["bright", "dark"] = Field(description="what becomes solid")


class Relief(ImagePart):
    """The phase on a base plate."""

    name: Literal["relief"] = "relief"
    base: Height = Field(description="thickness of the plate in mm")


class Extrusion(ImagePart):
    """The phase as walls: the image mirrored in both directions, so that the part is periodic."""

    name: Literal["extrusion"] = "extrusion"
    volume_fraction: float | None = Field(
        ge=0.15, le=0.95, description="solid part of the box; the outlines move to reach it"
    )


class Generated(BaseModel):
    """A body that a Shap-E pipeline of diffusers draws from a prompt or from an image."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_strip_whitespace=True)

    name: Literal["generated"] = "generated"
    size: Edge = Field(description="longest edge of the part in mm")
    generator: str
    prompt: str | None = Field(min_length=1, max_length=1000)
    image: str | None = Field(description="name of the file")
    num_inference_steps: int = Field(ge=1, le=1000, description="steps of denoising")
    guidance_scale: float = Field(ge=0, le=100, description="how closely the prompt is followed")
    seed: int = Field(ge=0, lt=2**63)
