"""Write the report of an evaluation: one self-contained HTML file."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from jinja2 import Environment, FileSystemLoader
from matplotlib.figure import Figure

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import write_whole
from cephalo.eval.questions import Question
from cephalo.eval.results import Evaluated, Results
from cephalo.inference.images import open_image, shrunk

WORST = 12  # rows of each model
LONGEST = 600  # characters of a text
THUMBNAIL = 224  # pixels
BINS = 30


def write_report(
    page: Path, results: Results, questions: Sequence[Question], models: Sequence[Evaluated]
) -> None:
    """Write the page: measures, comparisons, plots, and the worst answers with their images."""
    # Questions and answers are untrusted: everything is escaped.
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    environment.filters["number"] = number
    html = environment.get_template("report.html.jinja").render(
        results=results,
        plots=[plots(evaluated) for evaluated in models],
        worst=[worst_answers(evaluated, questions) for evaluated in models],
    )
    write_whole(page, html)


def number(value: float | None) -> str:
    """Format a number with three significant digits, or as a dash if undefined."""
    return "-" if value is None else f"{value:.3g}"


def plots(evaluated: Evaluated) -> str:
    """Plot truth against prediction for each component, and the errors; as a data URI."""
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 8}):
        names = evaluated.scores.components
        columns = max(len(names), 1)
        figure = Figure(figsize=(3.2 * columns, 6 if names else 3), dpi=110, layout="constrained")
        axes = figure.subplots(2 if names else 1, columns, squeeze=False)
        if names:
            draw_vectors(axes, evaluated)
        else:
            axes[0, 0].hist(evaluated.scores.errors, bins=BINS)
            axes[0, 0].set(xlabel="error of an answer (0: right)", ylabel="answers")
        out = io.BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None})
    return data_uri(out.getvalue(), "png")


def draw_vectors(axes: np.ndarray, evaluated: Evaluated) -> None:
    """Draw a scatter plot over a histogram for each component."""
    scores = evaluated.scores
    width = len(scores.components)
    for place, name in enumerate(scores.components):
        truth, said = scores.table[:, place], scores.table[:, width + place]
        scatter, errors = axes[0, place], axes[1, place]
        ends = [truth.min(), truth.max()]
        scatter.plot(ends, ends, color="0.6", linewidth=1)
        scatter.scatter(truth[scores.parsed], said[scores.parsed], s=6, alpha=0.5)
        if not scores.parsed.all():
            unread = ~scores.parsed
            scatter.scatter(truth[unread], said[unread], s=10, marker="x", color="tab:red")
        scatter.set(title=name, xlabel="truth", ylabel="prediction")
        errors.hist(said - truth, bins=BINS)
        errors.set(xlabel="prediction - truth", ylabel="answers")


def worst_answers(evaluated: Evaluated, questions: Sequence[Question]) -> list[dict[str, object]]:
    """Return the rows with the largest errors, largest first, without correct ones."""
    order = np.argsort(-evaluated.scores.errors, kind="stable")[:WORST]
    return [
        {
            "row": int(row),
            "error": float(evaluated.scores.errors[row]),
            "images": [thumbnail(image) for image in questions[row].images],
            "question": questions[row].text[:LONGEST],
            "truth": questions[row].answer[:LONGEST],
            "answer": evaluated.answers[row].answer[:LONGEST],
            "group": questions[row].group,
        }
        for row in order
        if evaluated.scores.errors[row] > 0
    ]


def thumbnail(data: bytes) -> str | None:
    """Return a small JPEG as a data URI, or None if it is not an image."""
    try:
        image = shrunk(open_image(io.BytesIO(data)), THUMBNAIL)
    except CephaloError:
        return None
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return data_uri(out.getvalue(), "jpeg")


def data_uri(data: bytes, kind: str) -> str:
    """Return an image as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
