"""Papers with exact ground truth, sampled from the space of layouts and set with Typst.

`python -m benchmarks.papers --count 400 --seed 1 --out runs/papers` writes `pdf/ID.pdf` and
`truth/ID.json`. Boxes are in points from the top left of the page as displayed, pages count
from 0. A truth has

- `figures` and `tables`: label, caption, page, `bbox` of what is drawn, `caption_page`,
  `caption_bbox`, and `caption_lines`, each line of the caption as [page, x0, y0, x1, y1] in
  reading order, without a label that stands apart from the text; figures have `kind`, `traits`
  (how they are placed) and `panels` with letters.
- `texts`: every piece of text outside drawings with its page, box and `role`: body, heading,
  reference, furniture (running heads, page and line numbers), caption and label (`index` is that
  of the figure, from 1), table, table caption and table label (likewise), figure (figures of text
  only), pointer ("(See legend on next page.)", labels on pages of bare figures). Text of drawings
  stands within the `bbox` of their figure. A line is one piece but where its role changes or an
  index or symbol rises out of it.
- `class` and `traps`: what is out of the ordinary, to break scores down by.

How it works: `layout` draws what a paper looks like, each property by itself; `paper`, `placing`,
`captions`, `tables` and `decoys` write it as Typst source; `graphics` and what it draws with make
the figures; `truth` reads the ground truth off a second setting in which colours code the roles.
"""
