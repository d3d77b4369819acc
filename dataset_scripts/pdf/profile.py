"""The type of a document's running text: font size, leading and fonts.

Running text fills the width of a column line by line, at equal distances. Plot labels, reference
lists and table cells may have many more characters, but do not fill columns.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cephalo.dataset_scripts.pdf.layout import PageContent
    from cephalo.dataset_scripts.pdf.text import Line


@dataclass(frozen=True)
class TypeProfile:
    """The type of the running text.

    Attributes:
        size: Font size, in points.
        leading: Baseline distance, in points.
        fonts: Names of the fonts.
    """

    size: float
    leading: float
    fonts: frozenset[str]


@dataclass(frozen=True)
class ProfileParameters:
    """Limits for passages of running text, and their weights.

    Lengths are in font sizes of the line unless stated otherwise.
    """

    least_width: float = 15.0  # smallest width; three columns have 20, labels and cells less
    nearest: float = 0.8  # smallest baseline distance; closer lines overlap
    farthest: float = 3.2  # largest baseline distance; double spacing is up to 2.4
    same_size: float = 0.04  # relative tolerance; half a point in ten is another type
    same_step: float = 0.05  # relative tolerance of the leading; formulas and accents exceed it
    ragged: float = 2.5  # tolerance of the edges; covers the indent of a paragraph
    ragged_share: float = 0.15  # share of the width: tolerance of ragged right edges
    whole_steps: int = 4  # line steps of a passage with full weight; one step has none
    full_page: float = 0.15  # share of the page's area; more running text has full weight
    exact_size: float = 0.01  # relative tolerance; some abstracts are a fiftieth larger
    main_font: float = 0.1  # smallest share of the running text in a font of its type


@dataclass(frozen=True)
class _Passage:
    """Lines of one type that fill a column at equal distances.

    `step` is the baseline distance in points, `vote` the weight of the passage on its page.
    """

    lines: "list[Line]"
    size: float
    step: float
    vote: float


def body_style(
    pages: "list[PageContent]", parameters: ProfileParameters | None = None
) -> TypeProfile:
    """Return the type of passages of running text on most pages.

    Without such passages, return the type of most characters; without text, 10 on 12 points.

    Args:
        pages: Content of each page.
        parameters: Limits; the defaults if `None`.
    """
    parameters = parameters or ProfileParameters()
    passages = [passage for page in pages for passage in _find_passages(page, parameters)]
    if not passages:
        return _most_common(pages)
    votes = np.array([passage.vote for passage in passages])
    sizes = np.array([passage.size for passage in passages])
    own = _peak(sizes, votes, parameters.same_size)
    steps = np.array([passage.step for passage in passages])[own]
    level = _peak(steps, votes[own], parameters.same_step)
    size = _weighted_median(sizes[own], votes[own])
    fonts: defaultdict[str, float] = defaultdict(float)  # votes
    for k in np.flatnonzero(np.abs(sizes - size) < parameters.exact_size * size):
        for line in passages[k].lines:
            fonts[line.font] += passages[k].vote / len(passages[k].lines)
    total = sum(fonts.values())
    main = frozenset(font for font, n in fonts.items() if n > parameters.main_font * total)
    return TypeProfile(size, _weighted_median(steps[level], votes[own][level]), main)


def _find_passages(page: "PageContent", parameters: ProfileParameters) -> list[_Passage]:
    """Return the passages of running text of a page."""
    lines = [
        line
        for line in page.lines
        if line.box[2] - line.box[0] > parameters.least_width * line.size
    ]
    if len(lines) < 3:
        return []
    lines.sort(key=lambda line: line.box[3])
    boxes = np.array([line.box for line in lines])
    sizes = np.array([line.size for line in lines])
    above, steps = _lines_above(boxes, sizes, parameters)
    members: list[list[int]] = []
    owner = [-1] * len(lines)
    distances = steps.tolist()
    for number, over in enumerate(above.tolist()):
        if over < 0:
            continue
        group = owner[over]
        if group >= 0:
            last = members[group]
            step = distances[last[1]]
            if last[-1] == over and abs(distances[number] - step) <= parameters.same_step * step:
                last.append(number)
                owner[number] = group
                continue
        owner[number] = len(members)
        members.append([over, number])
    found = []
    for group in members:
        share = (len(group) - 2) / (parameters.whole_steps - 1)
        if share > 0:
            own = [lines[k] for k in group]
            size = median([line.size for line in own])
            width = sum([line.box[2] - line.box[0] for line in own])
            # Use the size and not the step, because double spacing would count twice.
            weight = min(1.0, share) * width * size
            step = median([distances[k] for k in group[1:]])
            found.append(_Passage(own, size, step, weight))
    total = sum(passage.vote for passage in found)
    full = max(total, parameters.full_page * page.width * page.height)
    return [_Passage(p.lines, p.size, p.step, p.vote / full) for p in found]


def _lines_above(
    boxes: np.ndarray, sizes: np.ndarray, parameters: ProfileParameters
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest line of the same type above each line in its column, -1 without one.

    The second array has the baseline distances. `boxes` (n, 4) are sorted by their lower edges.
    """
    above = np.full(len(boxes), -1)
    steps = np.zeros(len(boxes))
    for start in range(1, len(boxes), 256):
        end = min(start + 256, len(boxes))
        size = sizes[start:end, None]
        x0, _, x1, y1 = (boxes[start:end, k, None] for k in range(4))
        low = np.searchsorted(boxes[:, 3], float((y1 - parameters.farthest * size).min()))
        over = slice(low, end)
        step = y1 - boxes[over, 3]
        slack = parameters.ragged * size
        fits = (step > parameters.nearest * size) & (step < parameters.farthest * size)
        fits &= np.abs(boxes[over, 0] - x0) < slack
        fits &= np.abs(boxes[over, 2] - x1) < slack + parameters.ragged_share * (x1 - x0)
        fits &= np.abs(sizes[over] - size) < parameters.same_size * size
        nearest = np.where(fits, step, np.inf).argmin(axis=1)
        rows = np.flatnonzero(fits.any(axis=1))
        above[start + rows] = low + nearest[rows]
        steps[start + rows] = step[rows, nearest[rows]]
    return above, steps


def _peak(values: np.ndarray, weights: np.ndarray, width: float) -> np.ndarray:
    """Return which values are near the one with the most weight around it, as bool of shape (n,).

    A value is near within the relative distance `width`.
    """
    order = np.argsort(values)
    ordered, sums = values[order], np.concatenate([[0.0], np.cumsum(weights[order])])
    low = np.searchsorted(ordered, ordered * (1 - width), "left")
    high = np.searchsorted(ordered, ordered * (1 + width), "right")
    best = int(np.argmax(sums[high] - sums[low]))
    chosen = np.zeros(len(values), bool)
    chosen[order[low[best] : high[best]]] = True
    return chosen


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the weighted median of values."""
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(share, share[-1] / 2)])


def _most_common(pages: "list[PageContent]") -> TypeProfile:
    """Return the type of most characters, in lines of some length."""
    count: defaultdict[float, Counter[str]] = defaultdict(Counter)
    for page in pages:
        for line in page.lines:
            if len(line.text) >= 20:
                count[round(line.size * 2) / 2][line.font] += len(line.text)
    if not count:
        return TypeProfile(10.0, 12.0, frozenset())
    size, fonts = max(count.items(), key=lambda item: item[1].total())
    main = frozenset(font for font, n in fonts.items() if n > 0.1 * fonts.total())
    return TypeProfile(size, 1.2 * size, main)
