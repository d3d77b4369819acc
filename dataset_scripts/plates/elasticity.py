"""Solve plane stress on a square grid of pixels, each a bilinear element with its own stiffness.

The plate is stretched along x: u_x = 0 on its left edge and u_x = strain x width on its right edge,
both free to slide along y, so a uniform plate has the stress `YOUNG` x strain. Element matrices are
scikit-fem's; on the grid the global matrix is banded, and LAPACK factorizes it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.linalg import solveh_banded
from skfem import Basis, BilinearForm, ElementQuad1, ElementVector, MeshQuad
from skfem.element import DiscreteField
from skfem.helpers import ddot, sym_grad

YOUNG = 1000.0  # MPa, at relative stiffness 1
POISSON = 0.3
STRAIN = 2e-3  # elongation of the plate over its width: 2 MPa in a uniform plate
VOID = 1e-5  # relative stiffness of a pixel without material, which keeps the matrix regular
KJ_PER_M3 = 1000.0  # in one MPa


@dataclass(frozen=True)
class Fields:
    """Fields of a plate at the pixel centres; arrays of (n, n) float64."""

    von_mises: np.ndarray  # MPa
    mean_stress: np.ndarray  # MPa, half the trace: above 0 in tension
    energy: np.ndarray  # strain energy density, kJ/m³, mean over the pixel
    force: float  # MPa: the force on the grips over the area of the edge


@dataclass(frozen=True)
class Element:
    """The unit square of relative stiffness 1; nodes are numbered counter-clockwise from (0, 0)."""

    stiffness: np.ndarray  # (8, 8), MPa at unit thickness
    strain: np.ndarray  # (3, 8): e_xx, e_yy, e_xy at the centre


def stress_of(strain: np.ndarray) -> np.ndarray:
    """Compute plane stress by Hooke's law, in MPa, at relative stiffness 1; both of (2, 2, ...)."""
    trace = strain[0, 0] + strain[1, 1]
    identity = np.eye(2).reshape(2, 2, *[1] * (strain.ndim - 2))
    return YOUNG / (1 - POISSON**2) * ((1 - POISSON) * strain + POISSON * trace * identity)


@BilinearForm
def elastic_energy(u: DiscreteField, v: DiscreteField, w: Any) -> np.ndarray:
    """Compute twice the strain energy, as a scikit-fem form."""
    return ddot(stress_of(np.asarray(sym_grad(u))), sym_grad(v))


@lru_cache(maxsize=1)
def unit_element() -> Element:
    """Assemble the bilinear element, with degrees of freedom node by node (u_x, u_y)."""
    square, element = MeshQuad(), ElementVector(ElementQuad1())
    basis = Basis(square, element, intorder=2)
    corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    places = [tuple(point) for point in square.p.T.astype(int)]
    nodal: Any = basis.nodal_dofs
    order = np.concatenate([nodal[:, places.index(corner)] for corner in corners])
    centre = Basis(square, element, quadrature=(np.array([[0.5], [0.5]]), np.array([1.0])))
    strain = []
    for dof in order:
        unit = np.zeros(basis.N)
        unit[dof] = 1.0
        field: Any = centre.interpolate(unit)
        e = np.asarray(sym_grad(field))[:, :, 0, 0]
        strain.append([e[0, 0], e[1, 1], e[0, 1]])
    stiffness = elastic_energy.assemble(basis).toarray()[np.ix_(order, order)]
    return Element(stiffness, np.array(strain).T)


@lru_cache(maxsize=4)
def grid_dofs(n: int) -> np.ndarray:
    """Return the degrees of freedom of each pixel, (n * n, 8), in the pixel order of an image.

    Row 0 is at the top; nodes are numbered column by column.
    """
    row, column = np.divmod(np.arange(n * n), n)
    bottom, top = n - 1 - row, n - row
    nodes = np.stack(
        [
            column * (n + 1) + bottom,
            (column + 1) * (n + 1) + bottom,
            (column + 1) * (n + 1) + top,
            column * (n + 1) + top,
        ],
        axis=1,
    )
    return (2 * nodes[:, :, None] + np.arange(2)).reshape(n * n, 8)


def prescribed(n: int, strain: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the prescribed degrees of freedom and their values, in plate widths."""
    nodes = np.arange(n + 1)
    left, right = 2 * nodes, 2 * (n * (n + 1) + nodes)
    held = np.concatenate([left, right, [1]])  # and u_y of one corner
    values = np.concatenate([np.zeros(n + 1), np.full(n + 1, strain), [0.0]])
    return held, values


def displacements(stiffness: np.ndarray, strain: float = STRAIN) -> np.ndarray:
    """Solve for the nodal displacements in plate widths, (2 * (n + 1)²,).

    `stiffness`: (n, n), relative, 0 for void.
    """
    n = len(stiffness)
    dofs, element = grid_dofs(n), unit_element().stiffness
    weight = np.maximum(stiffness.ravel(), VOID)
    held, values = prescribed(n, strain)
    size = 2 * (n + 1) ** 2
    known, free = np.zeros(size), np.ones(size)
    known[held], free[held] = values, 0.0
    forces = weight[:, None] * (known[dofs] @ element)
    load = -free * np.bincount(dofs.ravel(), forces.ravel(), minlength=size)
    load[held] = values
    # Lower band: entry (i, j) with i >= j stands in band[i - j, j].
    band = np.zeros((2 * (n + 1) + 4, size))
    for a in range(8):
        for b in range(8):
            i, j = dofs[:, a], dofs[:, b]
            if i[0] >= j[0]:
                band[i[0] - j[0], j] += weight * element[a, b] * free[i] * free[j]
    band[0, held] = 1.0
    return solveh_banded(
        band, load, lower=True, overwrite_ab=True, overwrite_b=True, check_finite=False
    )


def solve(stiffness: np.ndarray, strain: float = STRAIN) -> Fields:
    """Compute the fields of a plate under `strain`; `stiffness` is (n, n), relative, 0 for void."""
    n = len(stiffness)
    local = displacements(stiffness, strain)[grid_dofs(n)] * n  # in side lengths of a pixel
    element = unit_element()
    weight = np.maximum(stiffness.ravel(), VOID)
    exx, eyy, exy = element.strain @ local.T
    stress = weight * stress_of(np.array([[exx, exy], [exy, eyy]]))
    sx, sy, txy = stress[0, 0], stress[1, 1], stress[0, 1]
    von_mises = np.sqrt(sx**2 - sx * sy + sy**2 + 3 * txy**2)
    energy = 0.5 * weight * np.einsum("ij,ij->i", local @ element.stiffness, local)
    total = energy.mean()  # MPa: the work of the grips, force x strain / 2, over the volume
    return Fields(
        von_mises.reshape(n, n),
        ((sx + sy) / 2).reshape(n, n),
        KJ_PER_M3 * energy.reshape(n, n),
        2 * total / strain,
    )
