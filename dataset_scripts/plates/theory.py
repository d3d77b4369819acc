"""Compare the finite elements with closed solutions of plane elasticity, on fitted meshes.

    python -m cephalo.dataset_scripts.plates.theory

prints the table. Young's modulus, Poisson's ratio and Hooke's law are those of the datasets.
"""

import math
from typing import Any

import numpy as np
from skfem import Basis, ElementQuad2, ElementVector, Functional, MeshQuad, condense, solve
from skfem.assembly import LinearForm
from skfem.element import DiscreteField
from skfem.helpers import grad, sym_grad

from cephalo.dataset_scripts.plates.elasticity import YOUNG, elastic_energy, stress_of

WIDE = 40.0  # half the plate's side over the half-axis of the hole: an error near 0.2 %


def hole_concentration(a: float, b: float, around: int = 24) -> float:
    """Compute the stress concentration factor of an elliptical hole in a wide plate under tension.

    Theory gives 1 + 2 a / b in an infinite plate (Inglis 1913, and Kirsch 1898 for a = b).

    Args:
        a: Half-axis perpendicular to the load.
        b: Half-axis along the load.
        around: Number of elements on a quarter of the hole.
    """
    basis = plane_basis(hole_mesh(a, b, around))
    u = pull(basis, WIDE * max(a, b))
    # The stress at the corner (0, a), where the hole is tangent to the load: extrapolated from the
    # quadrature points by the displacements of the element.
    corner = Basis(
        basis.mesh,
        basis.elem,
        quadrature=(np.array([[0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0]]), np.ones(4)),
    )
    field: Any = corner.interpolate(u)
    stress = stress_of(np.asarray(sym_grad(field)))[0, 0]
    place = np.asarray(corner.global_coordinates())
    at_peak = np.hypot(place[0], place[1] - a) < 1e-9 * a
    return float(stress[at_peak].mean())


def hole_mesh(a: float, b: float, around: int) -> MeshQuad:
    """Build a mesh of a quarter of a square plate with an elliptical hole, in polar strips that
    grow outwards."""
    half = WIDE * max(a, b)
    points = np.linspace(0, 1, 2 * around + 1)
    mesh = MeshQuad.init_tensor(points, points)
    r, t = mesh.p
    angle = t * np.pi / 2
    rim = np.array([b * np.cos(angle), a * np.sin(angle)])
    edge = half * np.array([np.minimum(1, 2 - 2 * t), np.minimum(1, 2 * t)])
    # Strips near the hole are as thick as its smallest radius requires, and grow geometrically.
    growth = math.log(half / min(a, b, b * b / a))
    share = np.expm1(growth * r) / math.expm1(growth)
    return MeshQuad(rim + share * (edge - rim), mesh.t)


def crack_intensity(ratio: float, elements: int = 24) -> float:
    """Compute K_I of a centre crack, over sigma sqrt(pi a), by the J-integral on a quarter plate.

    `ratio` is the crack's length over the plate's width, `elements` the number of elements on half
    of the crack. The plate is four times as long as wide.
    """
    a = ratio  # in half-widths of the plate
    fine = graded(a, elements)
    x = np.concatenate([a - fine[::-1], (a + graded(1 - a, elements))[1:]])
    y = graded(4.0, 2 * elements)
    mesh = MeshQuad.init_tensor(x, y)  # the crack lies on y = 0 with x below a, the pull is along y
    basis = plane_basis(mesh)
    ahead = (mesh.p[1] == 0) & (mesh.p[0] >= a)
    u = pull(basis, 4.0, axis=1, symmetric_nodes=ahead)
    radius = 0.5 * min(a, 1 - a)
    J = 2 * energy_release(basis, u, (a, 0.0), radius)  # the mirror image has the other half
    return math.sqrt(J * YOUNG) / math.sqrt(math.pi * a)


def width_correction(ratio: float) -> float:
    """Return K_I over sigma sqrt(pi a) of a centre crack in a long plate, by Tada, within 0.1 %.

    Tada, Paris, Irwin, The Stress Analysis of Cracks Handbook, 3rd edition, section 2.1.
    """
    polynomial = 1 - 0.025 * ratio**2 + 0.06 * ratio**4
    return polynomial / math.sqrt(math.cos(math.pi * ratio / 2))


def energy_release(basis: Basis, u: np.ndarray, tip: tuple[float, float], radius: float) -> float:
    """Compute the J-integral of a crack along x with its tip at `tip`, as an integral over a
    domain.

    Li, Shih and Needleman, Eng. Fract. Mech. 21 (1985) 405: J = - integral of (W delta_1j -
    sigma_ij u_i,1) q,j with q = 1 at the tip and 0 beyond `radius`.
    """

    @Functional
    def integrand(w: Any) -> np.ndarray:
        du = np.asarray(grad(w["u"]))
        strain = (du + du.swapaxes(0, 1)) / 2
        stress = stress_of(strain)
        energy = np.einsum("ij...,ij...->...", stress, strain) / 2
        from_tip = np.array([w.x[0] - tip[0], w.x[1] - tip[1]])
        distance = np.hypot(*from_tip)
        # q falls from 1 at half the radius to 0 at the radius, which excludes the tip itself.
        slope = np.where((distance > radius / 2) & (distance < radius), -2 / radius, 0.0)
        dq = slope * from_tip / distance
        flow = np.einsum("ij...,i...->j...", stress, du[:, 0])
        return flow[0] * dq[0] + flow[1] * dq[1] - energy * dq[0]

    return float(integrand.assemble(basis, u=basis.interpolate(u)))


def graded(length: float, elements: int) -> np.ndarray:
    """Return points on [0, length], denser towards 0."""
    return length * np.linspace(0, 1, elements + 1) ** 2


def plane_basis(mesh: MeshQuad) -> Basis:
    """Return elements of second order for two displacements."""
    return Basis(mesh, ElementVector(ElementQuad2()), intorder=6)


def pull(
    basis: Basis, end: float, axis: int = 0, symmetric_nodes: np.ndarray | None = None
) -> np.ndarray:
    """Solve for the displacements under a unit stress along `axis` on the edge at `end`, with
    mirror symmetry at both axes.

    `symmetric_nodes`: where the symmetry about `axis` holds; everywhere if None.
    """
    mesh = basis.mesh
    middles = mesh.p[:, mesh.facets].mean(axis=1)
    loaded = mesh.facets_satisfying(lambda x: np.isclose(x[axis], end), boundaries_only=True)

    @LinearForm
    def traction(v: DiscreteField, w: Any) -> np.ndarray:
        return v[axis]

    load = traction.assemble(basis.boundary(loaded))
    held = []
    for side in (0, 1):
        facets = np.flatnonzero(np.isclose(middles[side], 0))
        if side == axis and symmetric_nodes is not None:
            assert mesh.facets is not None
            facets = facets[symmetric_nodes[mesh.facets[:, facets]].all(axis=0)]
        held.append(basis.get_dofs(facets).all(f"u^{side + 1}"))
    stiffness = elastic_energy.assemble(basis)
    condensed: Any = condense(stiffness, load, D=np.unique(np.concatenate(held)))
    found: Any = solve(*condensed)
    return found


def main() -> None:
    """Print computed and theoretical values."""
    rows = [("round hole, peak stress", hole_concentration(1, 1), 3.0)]
    rows += [
        (f"elliptical hole, a/b = {a / b:g}, peak stress", hole_concentration(a, b), 1 + 2 * a / b)
        for a, b in ((1, 2), (2, 1), (4, 1))
    ]
    rows += [
        (f"centre crack, a/W = {ratio:g}, K", crack_intensity(ratio), width_correction(ratio))
        for ratio in (0.1, 0.3, 0.5)
    ]
    print("| case | computed | theory | difference |\n|---|---|---|---|")
    for name, found, theory in rows:
        print(f"| {name} | {found:.3f} | {theory:.3f} | {100 * (found / theory - 1):+.2f} % |")


if __name__ == "__main__":
    main()
