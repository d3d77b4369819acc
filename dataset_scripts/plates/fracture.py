"""Simulate crack growth by removing pixels: linear elastic steps under a rising elongation.

A pixel breaks if the strain energy density, averaged over a neighbourhood of fixed size and under
tension, reaches `TOUGHNESS`. Averaging over a length of the material, not of the grid, follows the
theory of critical distances (Taylor 2007): the peak stress at a crack tip depends on the grid, its
energy over a fixed length does not, and grows with the square of the stress intensity.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from cephalo.dataset_scripts.plates.elasticity import STRAIN, Fields, solve
from cephalo.dataset_scripts.plates.families import draw_plate, load_path

FRAMES = 10  # equal steps of elongation, the last at STRAIN
TOUGHNESS = 5.0  # kJ/m³: a plate without a notch, of 1 GPa, breaks at an elongation of 0.32 %
LENGTH = 0.025  # of the neighbourhood, standard deviation of a Gaussian, in widths of the plate
AT_ONCE = 0.9  # pixels that reach this share of the highest energy break in the same step
LONGEST_NOTCH = 0.35  # in heights of the plate


@dataclass(frozen=True)
class Growth:
    """The fracture history of a plate."""

    start: Fields  # whole, at the full elongation
    energies: list[np.ndarray]  # strain energy density at each frame, (n, n), kJ/m³
    broken: np.ndarray  # (n, n) bool: pixels lost by the last frame
    damage: float  # loss of the plate's stiffness, 0 (none) to 1 (in two pieces)

    @property
    def initiated(self) -> bool:
        """Whether a crack started."""
        return bool(self.broken.any())


def draw_notched(family: str, rng: np.random.Generator, n: int) -> np.ndarray:
    """Generate a plate of a family with a notch, two pixels wide, from its upper or lower edge,
    perpendicular to the load, that still connects both grips; relative stiffness, (n, n)."""
    while True:
        plate = draw_plate(family, rng, n)
        column = round(rng.uniform(0.3, 0.7) * n)
        depth = round(rng.uniform(0.0, LONGEST_NOTCH) * n)
        rows = slice(0, depth) if rng.random() < 0.5 else slice(n - depth, n)
        plate[rows, column - 1 : column + 1] = 0
        if (carrying := load_path(plate > 0)).any():
            return plate * carrying


def grow(stiffness: np.ndarray) -> Growth:
    """Stretch a plate in `FRAMES` steps and break pixels that fail; `stiffness`: (n, n)."""
    state = stiffness.copy()
    fields = solve(state, STRAIN)
    start, energies = fields, []
    for frame in range(1, FRAMES + 1):
        share = (frame / FRAMES) ** 2  # energy grows with the square of the elongation
        while (weak := weak_pixels(state, fields, TOUGHNESS / share)).any():
            state[weak] = 0
            fields = solve(state, STRAIN)
        energies.append(share * fields.energy * (state > 0))
    lost = (stiffness > 0) & (state == 0)
    return Growth(start, energies, lost, float(1 - fields.force / start.force))


def weak_pixels(state: np.ndarray, fields: Fields, limit: float) -> np.ndarray:
    """Return the pixels that break next: those in tension whose mean energy exceeds `limit` and is
    close to the highest; none if none exceeds it."""
    mean = pulling_energy(state, fields)
    return (mean >= limit) & (mean >= AT_ONCE * mean.max())


def pulling_energy(state: np.ndarray, fields: Fields) -> np.ndarray:
    """Compute the strain energy density around each pixel in tension, in kJ/m³, (n, n); 0
    elsewhere."""
    solid = state > 0
    width = LENGTH * len(state)
    weight = gaussian_filter(solid.astype(float), width, mode="nearest")
    mean = gaussian_filter(fields.energy * solid, width, mode="nearest") / np.maximum(weight, 1e-9)
    mean[~solid | (fields.mean_stress <= 0)] = 0
    return mean


def peak_energy(stiffness: np.ndarray, fields: Fields) -> float:
    """Return the highest `pulling_energy` of an intact plate at full elongation, in kJ/m³; a crack
    starts if it reaches `TOUGHNESS`."""
    return float(pulling_energy(stiffness, fields).max())
