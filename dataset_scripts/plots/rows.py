"""Build rows of FIGURES and CONVERSATIONS from a plot."""

import hashlib

from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.conversations import conversation
from cephalo.dataset_scripts.common.pixels import encode_png, perceptual_hash, pixel_hash
from cephalo.dataset_scripts.plots.figures import Plot

TEACHER = "plot-data"  # not a model: the answers are computed from the plotted data
LICENSE = "CC0-1.0"
VERSION = "1"
POINTS = 72  # per inch


def plot_rows(plot: Plot, seed: int) -> tuple[Row, list[Row]]:
    """Build a row of FIGURES and one of CONVERSATIONS for each question.

    A plot is a document of its own, identified by its pixels, so all its rows are in one split.
    """
    data = encode_png(plot.pixels)
    height, width = plot.pixels.shape[:2]
    scale = POINTS / plot.dpi
    figure = {
        "image": {"bytes": data, "path": None},
        "caption": plot.caption,
        "label": "Figure 1",
        "kind": "figure",
        "panels": [
            {"letter": letter, "bbox": [v * scale for v in box], "caption": panel.caption}
            for letter, box, panel in zip("abcd", plot.boxes, plot.panels, strict=False)
            if len(plot.panels) > 1
        ],
        "mentions": [],
        "text_faults": [],
        "document": f"plot-{seed}-{plot.number}",
        "document_sha256": hashlib.sha256(data).hexdigest(),
        "page": 0,
        "bbox": [0.0, 0.0, width * scale, height * scale],
        "caption_bbox": None,
        "width": width,
        "height": height,
        "dpi": plot.dpi,
        "image_sha256": pixel_hash(plot.pixels),
        "phash": perceptual_hash(plot.pixels),
        "title": None,
        "doi": None,
        "license": LICENSE,
        "author": None,
        "source_url": None,
        "revision": None,
    }
    talks = [
        conversation(
            [figure],
            [(question.text, question.answer)],
            teacher=TEACHER,
            task=f"plot-{question.kind}",
            task_version=VERSION,
            teacher_params={
                "seed": seed,
                "plot": plot.number,
                "kinds": [panel.kind for panel in plot.panels],
            },
            scores=question.truth(),
        )
        for question in plot.questions
    ]
    return figure, talks
