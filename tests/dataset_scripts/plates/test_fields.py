"""Plates under tension: finite elements against theory, families, cracks."""

import io

import numpy as np
import pytest
from PIL import Image
from skfem import Basis, BilinearForm, ElementQuad1, ElementVector, MeshQuad, condense
from skfem import solve as solve_system
from skfem.helpers import ddot, sym_grad

from cephalo.dataset_scripts.plates import fracture
from cephalo.dataset_scripts.plates.elasticity import (
    STRAIN,
    VOID,
    YOUNG,
    displacements,
    solve,
    stress_of,
)
from cephalo.dataset_scripts.plates.families import (
    FAMILIES,
    SEEN,
    UNSEEN,
    draw_plate,
    generator,
    load_path,
)
from cephalo.dataset_scripts.plates.fracture import FRAMES, TOUGHNESS, draw_notched, grow
from cephalo.dataset_scripts.plates.render import field_png, plate_greys, plate_png, scale_top
from cephalo.dataset_scripts.plates.theory import (
    crack_intensity,
    hole_concentration,
    width_correction,
)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 1), (1, 2), (4, 1)])
def test_peak_stress_at_a_hole_is_that_of_kirsch_and_inglis(a, b):
    assert hole_concentration(a, b) == pytest.approx(1 + 2 * a / b, rel=0.03)


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.5])
def test_crack_has_the_stress_intensity_of_the_handbook(ratio):
    assert crack_intensity(ratio) == pytest.approx(width_correction(ratio), rel=0.03)


def test_finer_meshes_come_nearer_to_theory():
    errors = [abs(hole_concentration(2, 1, around) / 5 - 1) for around in (8, 16, 32)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.01


def test_width_correction_is_that_of_the_secant_formula():
    # Feddersen's sqrt(sec(pi a / W)) differs from Tada's by under 0.3 % here.
    for ratio in (0.1, 0.3, 0.5):
        assert width_correction(ratio) == pytest.approx(
            np.cos(np.pi * ratio / 2) ** -0.5, rel=0.005
        )


def test_uniform_plate_carries_hookes_stress_everywhere():
    fields = solve(np.full((12, 12), 0.6))
    np.testing.assert_allclose(fields.von_mises, 0.6 * YOUNG * STRAIN, rtol=1e-9)
    np.testing.assert_allclose(fields.energy, 1000 * 0.6 * YOUNG * STRAIN**2 / 2, rtol=1e-9)
    np.testing.assert_allclose(fields.mean_stress, 0.3 * YOUNG * STRAIN, rtol=1e-9)
    assert fields.force == pytest.approx(0.6 * YOUNG * STRAIN)


def test_layers_share_the_load_by_their_stiffness():
    plate = np.ones((16, 16))
    plate[:8] = 0.25
    fields = solve(plate)
    assert fields.force == pytest.approx(YOUNG * STRAIN * 0.625, rel=1e-3)
    assert fields.von_mises[12, 8] == pytest.approx(4 * fields.von_mises[3, 8], rel=0.01)


def test_band_solver_agrees_with_a_full_assembly():
    n = 16
    plate = draw_plate("holes", generator(0, "a test", 3), n)
    mesh = MeshQuad.init_tensor(np.linspace(0, 1, n + 1), np.linspace(0, 1, n + 1))
    basis = Basis(mesh, ElementVector(ElementQuad1()), intorder=2)
    x, y = mesh.p[:, mesh.t].mean(axis=1)
    values = np.maximum(plate[((1 - y) * n).astype(int), (x * n).astype(int)], VOID)

    @BilinearForm
    def energy(u, v, w):
        return w["stiffness"] * ddot(stress_of(np.asarray(sym_grad(u))), sym_grad(v))

    matrix = energy.assemble(basis, stiffness=values[:, None] * np.ones(len(basis.W)))
    left, right = (basis.get_dofs(lambda p, e=e: p[0] == e).all("u^1") for e in (0.0, 1.0))
    corner = basis.nodal_dofs[1, np.flatnonzero((mesh.p == 0).all(axis=0))]
    u = np.zeros(basis.N)
    u[right] = STRAIN
    u = solve_system(*condense(matrix, x=u, D=np.concatenate([left, right, corner])))
    columns = np.lexsort((mesh.p[1], mesh.p[0]))  # our order: column by column, upwards
    ours = displacements(plate).reshape(-1, 2).T
    np.testing.assert_allclose(ours, u[basis.nodal_dofs[:, columns]], atol=1e-10 * STRAIN)
    assert solve(plate).force == pytest.approx((matrix @ u)[right].sum(), rel=1e-8)


def test_statistics_converge_with_the_grid_and_peaks_do_not():
    found = {}
    for n in (32, 64, 128):
        centres = (np.arange(n) + 0.5) / n - 0.5
        plate = (np.hypot(*np.meshgrid(centres, centres)) > 0.2).astype(float)
        stress = solve(plate).von_mises[plate > 0]
        found[n] = np.array([stress.std(), stress.mean(), np.median(stress)])
    finest = found[128]
    assert abs(found[32] / finest - 1).max() < 0.06
    assert abs(found[64] / finest - 1).max() < 0.03


@pytest.mark.parametrize("family", FAMILIES)
def test_plate_hangs_together_and_is_the_same_each_time(family):
    plate = draw_plate(family, generator(0, family, 5), 64)
    assert plate.shape == (64, 64) and plate.min() >= 0 and 0.4 < plate.max() <= 1
    assert (load_path(plate > 0) == (plate > 0)).all()
    assert 0.15 < (plate > 0).mean() <= 1
    np.testing.assert_array_equal(plate, draw_plate(family, generator(0, family, 5), 64))
    assert (plate != draw_plate(family, generator(0, family, 6), 64)).any()
    assert (plate != draw_plate(family, generator(1, family, 5), 64)).any()
    np.testing.assert_allclose(1 - plate_greys(plate) / 255, plate, atol=1e-12)


def test_families_are_those_that_were_asked_for():
    assert len(SEEN) == 8 and len(UNSEEN) == 2 and not set(SEEN) & set(UNSEEN)


def test_load_path_drops_islands_and_corner_contacts():
    solid = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]], bool)
    assert load_path(solid).tolist() == [[True] * 4, [False] * 4, [False] * 4, [False] * 4]


def edge_notch(n: int, depth: float) -> np.ndarray:
    plate = np.ones((n, n))
    half = max(1, n // 64)
    plate[: round(depth * n), n // 2 - half : n // 2 + half] = 0
    return plate


def peak(plate: np.ndarray) -> float:
    """The highest averaged energy, kJ/m³: what breaks first does so at this toughness."""
    fields = solve(plate)
    low, high = 0.0, 100.0
    for _ in range(40):
        middle = (low + high) / 2
        weak = fracture.weak_pixels(plate, fields, middle).any()
        low, high = (middle, high) if weak else (low, middle)
    assert fracture.peak_energy(plate, fields) == pytest.approx(low, rel=1e-9)
    return low


def test_what_breaks_first_depends_on_the_notch_and_not_on_the_grid():
    coarse, fine = (peak(edge_notch(n, 0.125)) for n in (64, 128))
    assert coarse == pytest.approx(fine, rel=0.03)
    assert peak(edge_notch(64, 0.0)) == pytest.approx(2.0, rel=1e-6)  # YOUNG STRAIN² / 2
    depths = [peak(edge_notch(64, depth)) for depth in (1 / 32, 1 / 16, 1 / 8)]
    assert 2 < depths[0] < depths[1] < depths[2]


def test_deep_notch_cracks_through_and_plain_plate_does_not():
    through = grow(edge_notch(32, 0.3))
    assert through.initiated and through.damage > 0.99
    assert len(through.energies) == FRAMES
    rows = np.flatnonzero(through.broken.any(axis=1))
    assert rows[0] == 10 and rows[-1] == 31  # from the notch's tip to the other edge
    columns = np.flatnonzero(through.broken.any(axis=0))
    assert abs(columns - 15.5).max() < 4  # across the pull
    plain = grow(np.ones((32, 32)))
    assert not plain.initiated and plain.damage == 0
    np.testing.assert_allclose(plain.energies[-1], 2.0, rtol=1e-9)
    np.testing.assert_allclose(plain.energies[4], 0.5, rtol=1e-9)  # half the pull
    assert plain.energies[-1].max() < TOUGHNESS


def test_notched_plate_still_reaches_from_grip_to_grip():
    for index in range(6):
        plate = draw_notched("uniform bar", generator(0, "notched", index), 32)
        assert (load_path(plate > 0) == (plate > 0)).all() and plate.any()


def test_pictures_show_the_plate_and_the_scale():
    plate = draw_plate("nacre-like bricks", generator(0, "picture", 0), 64)
    image = np.asarray(Image.open(io.BytesIO(plate_png(plate))))
    assert image.shape == (256, 256)
    np.testing.assert_array_equal(image[::4, ::4], plate_greys(plate))
    values = np.linspace(0, 2, 64 * 64).reshape(64, 64)
    picture = np.asarray(Image.open(io.BytesIO(field_png(values, plate > 0, 2.0, "MPa"))))
    assert picture.shape == (256, 336, 3)
    assert picture[0, 0].tolist() == [68, 1, 84]  # the dark end of viridis
    assert picture[-1, 255].tolist() == [253, 231, 36]  # the bright end
    assert scale_top(np.linspace(0, 1.2345, 1001)) == 1.3
    assert scale_top(np.full(9, 0.02)) == 0.02
