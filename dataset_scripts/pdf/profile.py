"""The type of a document's running text: its size, its leading and its fonts."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cephalo.dataset_scripts.pdf.layout import PageContent


@dataclass(frozen=True)
class TypeProfile:
    """The type of the running text: font size and distance of baselines in points."""

    size: float
    leading: float
    fonts: frozenset[str]


def body_style(pages: "list[PageContent]") -> TypeProfile:
    """The type of most characters of the document; 10 on 12 points where there is no text."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            if len(line.text) >= 20:
                sizes[round(line.size * 2) / 2] += len(line.text)
    if not sizes:
        return TypeProfile(10.0, 12.0, frozenset())
    size = sizes.most_common(1)[0][0]
    fonts: Counter[str] = Counter()
    steps: Counter[float] = Counter()
    for page in pages:
        last = None
        for line in page.lines:
            if abs(line.size - size) > 0.3:
                continue
            fonts[line.font] += len(line.text)
            if last is not None and abs(line.box[0] - last.box[0]) < size:
                step = line.box[3] - last.box[3]
                if 0.8 * size < step < 3 * size:
                    steps[round(step * 2) / 2] += 1
            last = line
    total = sum(fonts.values())
    main = frozenset(font for font, count in fonts.items() if count > 0.1 * total)
    leading = steps.most_common(1)[0][0] if steps else 1.2 * size
    return TypeProfile(size, leading, main)
