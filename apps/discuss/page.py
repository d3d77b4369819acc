"""Discussions as one HTML file: escaped, with embedded images, without scripts and addresses."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from cephalo.apps.discuss.transcript import Transcript
from cephalo.inference.images import open_image, shrunk
from cephalo.inference.questions import Picture

HERE = Path(__file__).parent
SHOWN_EDGE = 800  # pixels of the longer edge


def transcript_page(transcript: Transcript, pictures: Sequence[Picture]) -> str:
    """Return the page of a transcript with its images."""
    shown = list(zip(transcript.images, map(embedded, pictures), strict=True))
    return render(HERE / "transcript.html.jinja", transcript=transcript, shown=shown)


def render(template: Path, **values: object) -> str:
    """Render a template with `values`, which are escaped."""
    environment = Environment(loader=FileSystemLoader([template.parent, HERE]), autoescape=True)
    return environment.get_template(template.name).render(values)


def embedded(picture: Picture) -> str:
    """Return an image as the data URL of a small JPEG."""
    image = shrunk(open_image(io.BytesIO(picture.data)), SHOWN_EDGE)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
