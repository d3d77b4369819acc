"""Generated papers with exact ground truth, typeset with Typst in random layouts.

`python -m benchmarks.papers --count 400 --seed 1 --out runs/papers` writes `pdf/ID.pdf` and
`truth/ID.json`. Boxes are in points from the top left of the displayed page, pages count from 0.
Each truth file has:

- `figures` and `tables`: label, caption, page, `bbox` of the drawing, `caption_page`,
  `caption_bbox`, and `caption_lines`, each line of the caption as [page, x0, y0, x1, y1] in reading
  order, without a label that is separate from the text. Figures have `kind`, `traits` (their
  placement) and `panels` with letters.
- `texts`: every piece of text outside drawings with its page, box and `role`: body, heading,
  reference, furniture (running heads, page and line numbers), caption and label (`index` is that of
  the figure, from 1), table, table caption and table label (likewise), figure (figures of text
  only), pointer ("(See legend on next page.)", labels on pages of figures without captions). Text
  of drawings is inside the `bbox` of their figure. A line is one piece unless its role changes or
  an index or symbol rises above it.
- `class` and `traps`: unusual properties, to break down scores.

`layout` draws the appearance of a paper, each property independently. `paper`, `placing`,
`captions`, `tables` and `decoys` write it as Typst source. `graphics` and the modules it uses draw
the figures. `truth` reads the ground truth from a second PDF in which colours encode the roles.
"""
