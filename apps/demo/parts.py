"""Make printable parts from parameters, as `cephalo make-mesh` does."""

import inspect
import shutil
import tempfile
from pathlib import Path

from cephalo.apps.make_mesh import command
from cephalo.apps.make_mesh.designs import Design, Gyroid, Honeycomb, Pollen, SchwarzP

MAKERS = {
    Gyroid: command.gyroid,
    SchwarzP: command.schwarz_p,
    Honeycomb: command.honeycomb,
    Pollen: command.pollen,
}
KEPT = 8  # parts, of up to 0.2 GB
FILES = ("part.stl", "part.3mf", "part.glb")


def defaults(design: type[Design]) -> dict[str, float]:
    """Return the default parameters of a design's command."""
    parameters = inspect.signature(MAKERS[design]).parameters.values()
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.default is not inspect.Parameter.empty
    }


def make_part(folder: Path, design: type[Design], values: dict[str, object]) -> tuple[Path, str]:
    """Write the files of a part to a new folder in `folder`; return it and a description.

    The folders of the latest `KEPT` parts are retained. Raises CephaloError for invalid parameters.
    """
    from cephalo.apps.make_mesh.fields import solid_of
    from cephalo.apps.make_mesh.files import write_part
    from cephalo.apps.make_mesh.measure import check, measures
    from cephalo.apps.make_mesh.surface import surface_with

    wanted = command.checked(design, **values)
    surface = surface_with(solid_of(wanted), wanted.volume_fraction)
    check(surface.mesh)
    found = measures(surface)
    made = Path(tempfile.mkdtemp(prefix="part-", dir=folder))
    write_part(made, surface.mesh, {"design": wanted.model_dump(), "part": found})
    for old in sorted(folder.glob("part-*"), key=lambda part: part.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old)
    return made, command.summary(found)
