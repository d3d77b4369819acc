"""Rows of the datasets: the image of a plate, its fields, and questions about it.

Columns of the published datasets (crack_stress_field_graphene_uniaxial_loading_x and
crack-dynamics_1-5k) keep their names; the card defines each.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from datasets import Features, Image, List, Value

from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.conversations import conversation
from cephalo.dataset_scripts.common.schema import CONVERSATIONS
from cephalo.dataset_scripts.common.splits import TEST_SHARE, VALIDATION_SHARE, place
from cephalo.dataset_scripts.plates.elasticity import Fields, solve
from cephalo.dataset_scripts.plates.families import draw_plate, generator
from cephalo.dataset_scripts.plates.fracture import (
    FRAMES,
    TOUGHNESS,
    Growth,
    draw_notched,
    grow,
    peak_energy,
)
from cephalo.dataset_scripts.plates.render import (
    field_png,
    mask_png,
    plate_greys,
    plate_png,
    scale_top,
)

KEYS = {
    "family": Value("string"),
    "index": Value("int64"),  # of the plate in its family and set
    "geometry_sha256": Value("string"),  # equal for plates that are mirror images of each other
}
SOLVED = {
    "microstructure": Image(),
    "von_mises": Image(),
    "von_mises_scale": Value("float64"),  # MPa at the top of the image's color scale
    "stress_stdev": Value("float64"),  # MPa, von Mises, over the solid
    "stress_mean": Value("float64"),
    "stress_median": Value("float64"),
    "energy_peratom_std_dev": Value("float64"),  # kJ/m³, strain energy, over the solid
    "energy_peratom_mean": Value("float64"),
    "energy_peratom_median": Value("float64"),
    "peak_energy": Value("float64"),  # kJ/m³, the highest around a pixel in tension
}
FIELDS = Features({**SOLVED, **KEYS})
NOTCHED = Features({**SOLVED, "initiate": Value("int32"), **KEYS})  # 1 where a crack starts, else 0
CRACKS = Features(
    {
        "microstructure": Image(),
        "von_mises": Image(),  # before anything breaks, at the full elongation
        "von_mises_scale": Value("float64"),
        "peak_energy": Value("float64"),  # kJ/m³, as above, before anything breaks
        "epotfield_list": List(Image()),  # strain energy density, one image per frame
        "start_epotfield": Image(),
        "last_epotfield": Image(),
        "frames": Value("int32"),
        "diff": Image(),  # what broke, black on white
        "diff_proportion": Value("float64"),  # its share of the solid
        "initiate": Value("int32"),  # 1 where a crack started, else 0
        "damage": Value("float64"),  # loss of stiffness, 0 to 1
        **KEYS,
    }
)
TALKS = Features({**CONVERSATIONS, "family": Value("string")})

STRESSES = ("stress_stdev", "stress_mean", "stress_median")
ENERGIES = ("energy_peratom_std_dev", "energy_peratom_mean", "energy_peratom_median")
STRESS = "CalculateVonMisesStressStatistics <stress_stdev, stress_mean, stress_median>"
ENERGY = (
    "CalculatePotentialEnergyStatistics "
    "<energy_peratom_std_dev, energy_peratom_mean, energy_peratom_median>"
)
CRACK = "Does a crack start in this plate when it is pulled? Answer yes or no."
LICENSE = "CC0-1.0"


def stress_rows(family: str, seed: int, index: int, n: int) -> tuple[dict, list[dict]]:
    """Build a row of FIELDS and its two rows of TALKS, for a plate of n x n pixels."""
    plate = draw_plate(family, generator(seed, f"fields/{family}", index), n)
    row = {**solved(plate), **keys(family, index, plate)}
    stress, energy = ([row[name] for name in names] for names in (STRESSES, ENERGIES))
    return row, [talk(row, STRESS, vector(stress)), talk(row, ENERGY, vector(energy))]


def notched_rows(family: str, seed: int, index: int, n: int) -> tuple[dict, list[dict]]:
    """Build a row of NOTCHED and its row of TALKS, for a notched plate of n x n pixels.

    Whether a crack starts takes one solution, crack growth takes a dozen (`crack_rows`).
    """
    plate = draw_notched(family, generator(seed, f"notched/{family}", index), n)
    row = solved(plate)
    starts = row["peak_energy"] >= TOUGHNESS
    row |= {"initiate": int(starts), **keys(family, index, plate)}
    return row, [talk(row, CRACK, "yes" if starts else "no")]


def solved(plate: np.ndarray) -> Row:
    """Compute the columns of SOLVED, for a plate at full elongation."""
    fields, solid = solve(plate), plate > 0
    return {
        "microstructure": picture(plate_png(plate)),
        **stress_picture(plate, fields),
        **dict(zip(STRESSES, statistics(fields.von_mises[solid]), strict=True)),
        **dict(zip(ENERGIES, statistics(fields.energy[solid]), strict=True)),
        "peak_energy": peak_energy(plate, fields),
    }


def crack_rows(family: str, seed: int, index: int, n: int) -> tuple[dict, list[dict]]:
    """Build a row of CRACKS and its row of TALKS, for a notched plate of n x n pixels."""
    plate = draw_notched(family, generator(seed, f"cracks/{family}", index), n)
    growth, solid = grow(plate), plate > 0
    frames = energy_pictures(growth, solid)
    row = {
        "microstructure": picture(plate_png(plate)),
        **stress_picture(plate, growth.start),
        "peak_energy": peak_energy(plate, growth.start),
        "epotfield_list": frames,
        "start_epotfield": frames[0],
        "last_epotfield": frames[-1],
        "frames": FRAMES,
        "diff": picture(mask_png(growth.broken)),
        "diff_proportion": growth.broken.sum() / solid.sum(),
        "initiate": int(growth.initiated),
        "damage": growth.damage,
        **keys(family, index, plate),
    }
    return row, [talk(row, CRACK, "yes" if growth.initiated else "no")]


def stress_picture(plate: np.ndarray, fields: Fields) -> Row:
    """Render the von Mises stress of a plate, and return the top of its scale in MPa."""
    solid = plate > 0
    top = scale_top(fields.von_mises[solid])
    shown = picture(field_png(fields.von_mises, solid, top, "MPa"))
    return {"von_mises": shown, "von_mises_scale": top}


def energy_pictures(growth: Growth, solid: np.ndarray) -> list[Row]:
    """Render the frames on one scale; broken pixels are white."""
    top = scale_top(np.concatenate([energy[solid] for energy in growth.energies]))
    return [picture(field_png(energy, energy > 0, top, "kJ/m^3")) for energy in growth.energies]


def statistics(values: np.ndarray) -> tuple[float, float, float]:
    """Return standard deviation (of the whole population), mean and median."""
    return float(values.std()), float(values.mean()), float(np.median(values))


def vector(numbers: Sequence[float]) -> str:
    """Format an answer as the published datasets do: three decimals in brackets."""
    return f"[{', '.join(f'{number:.3f}' for number in numbers)}]"


def picture(data: bytes) -> Row:
    """Return an undecoded value of `datasets.Image`."""
    return {"bytes": data, "path": None}


def keys(family: str, index: int, plate: np.ndarray) -> Row:
    """Return the identifiers of a row. Mirror images of a plate have the same fields, so they share
    a hash."""
    greys = plate_greys(plate)
    turns = (greys, greys[::-1], greys[:, ::-1], greys[::-1, ::-1])
    geometry = min(np.ascontiguousarray(turn).tobytes() for turn in turns)
    return {
        "family": family,
        "index": index,
        "geometry_sha256": hashlib.sha256(geometry).hexdigest(),
    }


def split_of(row: Row) -> str:
    """Return the split of a row, from its geometry alone, so no plate is in two splits."""
    where = place(row["geometry_sha256"])
    if where < TEST_SHARE:
        return "test"
    return "validation" if where < TEST_SHARE + VALIDATION_SHARE else "train"


def talk(row: Row, query: str, answer: str) -> Row:
    """Build a row of TALKS about the microstructure of `row`."""
    name = f"{row['family']} {row['index']}"
    figure = {
        "image": row["microstructure"],
        "caption": "",
        "label": name,
        "page": 0,
        "image_sha256": hashlib.sha256(row["microstructure"]["bytes"]).hexdigest(),
        "document": name,
        "document_sha256": row["geometry_sha256"],
        "license": LICENSE,
    }
    task = "CrackInitiation" if query == CRACK else query.split()[0]
    made = conversation(
        [figure], [(query, answer)], teacher="scikit-fem", task=task, task_version="1"
    )
    return {**made, "family": row["family"]}
