"""Remove line numbers of manuscripts that are so near to the text that they were read with it."""

import re
from collections.abc import Callable
from dataclasses import replace

from cephalo.dataset_scripts.pdf.layout import Block
from cephalo.dataset_scripts.pdf.text import Line

_FIRST = re.compile(r"(\d{1,4})\s+(?=\S)")
_LAST = re.compile(r"\s+(\d{1,4})$")
_LEAST_STEPS = 5  # consecutive numbers on a page, at least


def without_line_numbers(blocks: list[list[Block]]) -> list[list[Block]]:
    """Return the blocks of all pages without line numbers at either end of the lines."""
    return [_without(_without(groups, _FIRST.match), _LAST.search) for groups in blocks]


def _without(groups: list[Block], find: Callable[[str], re.Match[str] | None]) -> list[Block]:
    """Return the blocks of a page without the numbers that `find` matches, if these count lines."""
    lines = [line for block in groups for line in block.lines]
    matches = [(line, find(line.text)) for line in lines]
    found = {id(line): (int(match[1]), match) for line, match in matches if match}
    numbers = [found[id(line)][0] if id(line) in found else None for line in lines]
    pairs = list(zip([None, *numbers], numbers, [*numbers[1:], None], strict=False))
    near = {
        place: number
        for place, (before, number, after) in enumerate(pairs)
        if number is not None and (before == number - 1 or after == number + 1)
    }
    if len(near) <= _LEAST_STEPS:
        return groups
    counted = {id(lines[place]) for place in near}
    low, high = min(near.values()), max(near.values())
    counted |= {key for key, (number, _) in found.items() if low - 1 <= number <= high + 1}

    def bare(line: Line) -> Line:
        if id(line) not in counted:
            return line
        match = found[id(line)][1]
        return replace(line, text=line.text[: match.start()] + line.text[match.end() :])

    return [replace(block, lines=[bare(line) for line in block.lines]) for block in groups]
