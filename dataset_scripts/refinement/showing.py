"""What a model receives about figures besides the quotations: images, crops of panels, kinds."""

import io
import re
from collections.abc import Callable
from functools import lru_cache

from cephalo.cli.errors import CephaloError
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.refinement.forms import text_sha256
from cephalo.inference.data_urls import jpeg, shrunk
from cephalo.inference.images import open_image
from cephalo.inference.questions import Picture

Figure = Row

MAX_CROPS = 8  # panels; further ones are only shown in the whole figure
MIN_CROP = 48  # pixels of the shorter edge; a smaller crop adds nothing to the whole figure
CROP_EDGE = 768  # pixels of the longer edge; all crops cost about as much as the figure

# Words of a caption that indicate the kind of image.
KINDS = {
    "electron micrograph": r"\b(?-i:(?:FE-?)?SEM|(?:HR|S|HAADF-S)?TEM)\b"
    r"|\belectron micro(?:graph|scop)",
    "optical micrograph": r"\b(?:optical|light|polari[sz]ed|fluorescence) micro(?:graph|scop)",
    "scanning probe image": r"\b(?-i:AFM|STM)\b|\batomic force micro",
    "diffraction pattern": r"\b(?-i:XRD|SAED|SAXS|WAXS)\b|\bdiffract(?:ion pattern|ogram)",
    "spectrum": r"\bspectr(?:um|a)\b|\b(?-i:FT-?IR|XPS|NMR|EDX|EDS|EELS)\b|\bRaman\b",
    "phase diagram": r"\bphase diagram",
    "histogram or bar chart": r"\bhistogram|\bbar (?:chart|graph|plot)|\bsize distribution",
    "plot": r"\b(?:versus|vs)\b|\bas a function of\b|\bcurves?\b|\bplot(?:s|ted)?\b"
    r"|\bdependence of\b|\bevolution of\b",
    "map": r"\b(?:elemental|contour|EBSD|colou?r|strain|stress) maps?\b|\bmapping\b|\bheat ?map",
    "simulation": r"\bsimulat(?:ed|ion)|\bfinite[- ]element|\bsnapshots?\b",
    "atomic or crystal structure": r"\b(?:crystal|atomic|molecular) structure",
    "schematic drawing": r"\bschematic|\billustrat(?:ion|es)|\bsketch|\bflow ?chart|\bset-?up\b",
    "photograph": r"\bphoto(?:s|graphs?)?\b|\bdigital images?\b",
}
KIND_OF_CAPTION = {name: re.compile(cues, re.IGNORECASE) for name, cues in KINDS.items()}
PLAIN_KINDS = ("figure", "")  # labels without a specific kind

# A scale bar, an axis, or what is plotted against what.
SCALE = re.compile(
    r"\bscale ?bars?\b|\b(?:[xy]|horizontal|vertical|left|right)[- ]ax[ie]s\b"
    r"|\blog(?:arithmic)? scale|\b(?:versus|vs)\b|\bas a function of\b|\bplotted against\b"
    r"|\bcolou?r (?:bar|scale|code)",
    re.IGNORECASE,
)


LENGTH = re.compile(r"\d\s?(?:nm|[\u00b5\u03bcu]m|mm|cm)\b")  # as in a scale bar
TICK = re.compile(r"[-+\u2212]?\d+(?:[.,]\d+)?")
FEWEST_TICKS = 4  # two per axis; fewer numbers are labels


def pictures_of(figures: list[Figure]) -> list[str | Picture]:
    """Return the images of figures. A single figure is followed by the names and crops of its
    panels.

    Images with panels are decoded, so call it in a thread.
    """
    whole = [Picture(row["image_sha256"], row["image"]["bytes"]) for row in figures]
    if len(figures) > 1:
        return [*whole]
    return [*whole, *(part for pair in panel_crops(figures[0]) for part in pair)]


def panel_crops(figure: Figure) -> list[tuple[str, Picture]]:
    """Return the names and crops of up to MAX_CROPS panels; empty if there are fewer than two."""
    panels = [panel for panel in figure["panels"] or [] if panel["bbox"]]
    if len(panels) < 2:
        return []
    try:
        image = open_image(io.BytesIO(figure["image"]["bytes"]))
    except CephaloError:  # sending it reports the error
        return []
    crops = []
    for panel in panels[:MAX_CROPS]:
        box = pixel_box(panel["bbox"], figure["bbox"], image.size)
        if box is None:
            continue
        crop = shrunk(image.crop(box), CROP_EDGE)
        key = text_sha256(f"{figure['image_sha256']} {box} {CROP_EDGE}")
        crops.append((f"Panel ({panel_name(panel)}) of it:", Picture(key, jpeg(crop))))
    return crops


def pixel_box(
    panel: list[float], figure: list[float] | None, size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """Convert the box of a panel to pixels of its figure's image. Returns None if it is too small.

    Args:
        panel: [x0, y0, x1, y1] in PDF points.
        figure: The same of the figure, or None if unknown.
        size: Width and height of the image, in pixels.

    Returns:
        (x0, y0, x1, y1) in pixels.
    """
    if not figure or figure[2] <= figure[0] or figure[3] <= figure[1]:
        return None
    across, down = (size[axis] / (figure[axis + 2] - figure[axis]) for axis in (0, 1))
    box = (
        max(0, round((panel[0] - figure[0]) * across)),
        max(0, round((panel[1] - figure[1]) * down)),
        min(size[0], round((panel[2] - figure[0]) * across)),
        min(size[1], round((panel[3] - figure[1]) * down)),
    )
    return box if min(box[2] - box[0], box[3] - box[1]) >= MIN_CROP else None


def panel_name(panel: Row) -> str:
    """Return a panel's letter, reduced to letters and digits since it comes from the paper."""
    return "".join(filter(str.isalnum, panel["letter"] or ""))[:3] or "?"


def kinds_of(figure: Figure) -> list[str]:
    """Return the kinds of image that a figure's label and caption indicate."""
    label = (figure["kind"] or "").lower()
    named = [label] if label not in PLAIN_KINDS and label.isalpha() else []
    return [*named, *kinds_in(figure["caption"])]


@lru_cache(maxsize=64)  # each figure has many questions
def kinds_in(caption: str) -> tuple[str, ...]:
    """Return the kinds of image that a caption indicates."""
    return tuple(name for name, cues in KIND_OF_CAPTION.items() if cues.search(caption))


def kind_line(figures: list[Figure]) -> str:
    """Format the kinds of figures as a line of the prompt, empty if they are unknown."""
    told = [", ".join(kinds_of(figure)) or "not known" for figure in figures]
    if set(told) == {"not known"}:
        return ""
    if len(told) == 1:
        return f"Kind of picture, as its caption tells: {told[0]}."
    listed = "; ".join(f"image {number}: {kinds}" for number, kinds in enumerate(told, 1))
    return f"Kinds of picture, as their captions tell: {listed}."


def has_scale(figure: Figure) -> bool:
    """Return whether a figure's captions mention axes or a scale bar, or its printed text has a
    length or ticks."""
    panels = (panel["caption"] or "" for panel in figure["panels"] or [])
    if any(SCALE.search(text) for text in (figure["caption"], *panels)):
        return True
    printed = figure.get("figure_text") or []
    ticks = sum(bool(TICK.fullmatch(line.strip())) for line in printed)
    return ticks >= FEWEST_TICKS or any(LENGTH.search(line) for line in printed)


NEEDS: dict[str, Callable[[Figure], bool]] = {"scale": has_scale}
"""What a task can require of a figure, by the name in the front matter of its prompt."""
