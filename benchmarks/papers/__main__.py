"""Generate papers with ground truth; run from the repository root:

python -m benchmarks.papers --count 400 --seed 1 --out runs/papers
"""

import argparse
import json
import logging
import tempfile
from pathlib import Path
from random import Random

import matplotlib
import typst

from benchmarks.papers.bitmap_fonts import in_bitmap_fonts
from benchmarks.papers.paper import compose
from benchmarks.papers.truth import read_marks, truth, turn_pages

log = logging.getLogger(__name__)

# About one layout in a hundred does not fit its page.
_ATTEMPTS = 10


def font_book(of_system: bool = True) -> typst.Fonts:
    """Return the fonts of Typst and matplotlib, and of the system if `of_system`.

    With system fonts, the papers of a seed depend on the machine.
    """
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return typst.Fonts(include_system_fonts=of_system, font_paths=[folder])


def make_paper(name: str, out: Path, rng: Random, faces: typst.Fonts) -> None:
    """Typeset a paper and write `out`/pdf/`name`.pdf and `out`/truth/`name`.json."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paper = compose(rng, set(faces.families()), root)
        (root / "main.typ").write_text(paper.source, encoding="utf-8")
        compiler = typst.Compiler(root / "main.typ", root=root, font_paths=faces)
        coded = compiler.compile(sys_inputs={"coded": "yes"}, timestamp=0, pdf_tags=False)
        published = compiler.compile(sys_inputs=None, timestamp=0, pdf_tags=False)
    marks = read_marks(coded)
    published = turn_pages(published, marks.turned)
    answer = truth(name, paper, marks, published)
    fonts = paper.layout.extras.bitmap_fonts
    if fonts != "none":
        graphics = [(figure["page"], figure["bbox"]) for figure in answer["figures"]]
        published = in_bitmap_fonts(published, graphics, named=fonts == "ascii")
    for kind in ("pdf", "truth"):
        (out / kind).mkdir(parents=True, exist_ok=True)
    (out / "pdf" / f"{name}.pdf").write_bytes(published)
    text = json.dumps(answer, ensure_ascii=False, indent=1)
    (out / "truth" / f"{name}.json").write_text(text, encoding="utf-8")


def make_sound_paper(name: str, out: Path, faces: typst.Fonts) -> None:
    """Generate a paper, with another layout if one fails; `name` is the seed."""
    for attempt in range(_ATTEMPTS):
        try:
            return make_paper(name, out, Random(f"{name}/{attempt}"), faces)
        except ValueError as error:
            log.info("%s, attempt %d: %s", name, attempt + 1, error)
    raise RuntimeError(f"{name}: {_ATTEMPTS} layouts could not be typeset")


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate papers with ground truth.")
    parser.add_argument("--count", type=int, default=400, help="number of papers")
    parser.add_argument("--seed", type=int, default=1, help="seed of the whole set")
    parser.add_argument("--out", type=Path, required=True, help="folder for pdf/ and truth/")
    options = parser.parse_args()
    faces = font_book()
    for number in range(options.count):
        make_sound_paper(f"s{options.seed}-{number:04d}", options.out, faces)


if __name__ == "__main__":
    main()
