"""The tables that steps exchange, as `datasets.Features`.

`FIGURES`: one row per figure, with its caption and all texts about it. `CONVERSATIONS`: one row per
conversation about one or more figures, in TRL's conversational prompt-completion form. `TEXT`: one
row per passage of prose, without images, in the same form.
"""

# Untyped or partially typed: datasets.
# pyright: reportMissingTypeStubs=false

from datasets import Features, Image, List, Value

BBOX = List(Value("float32"), length=4)
"""[x0, y0, x1, y1] in PDF points, origin at the top left of the page as displayed."""

PANEL = {"letter": Value("string"), "bbox": BBOX, "caption": Value("string")}

FIGURES = Features(
    {
        "image": Image(),  # the whole figure, cropped from the page
        "caption": Value("string"),  # complete, de-hyphenated, without the label
        "label": Value("string"),  # as printed: "Figure 3", "Scheme 1"
        "kind": Value("string"),  # figure, table, scheme, chart, ...
        "panels": List(PANEL),
        "mentions": List(Value("string")),  # paragraphs of the body that cite this figure
        # The lines of text within the figure, from the PDF's text layer: ticks, labels, legends.
        "figure_text": List(Value("string")),
        # Texts that could not be read as printed: "unread glyphs in caption" (U+FFFD for each),
        # "private-use characters in mentions"; empty without problems.
        "text_faults": List(Value("string")),
        "document": Value("string"),  # file name, or page address for the web
        "document_sha256": Value("string"),  # of the source file
        "page": Value("int32"),  # 0-based
        "bbox": BBOX,
        "caption_bbox": BBOX,  # null if the caption is on another page
        "width": Value("int32"),  # pixels of `image`
        "height": Value("int32"),
        "dpi": Value("int32"),
        "image_sha256": Value("string"),  # of the pixels
        "phash": Value("string"),  # 64-bit perceptual hash, 16 hexadecimal digits
        "title": Value("string"),  # of the document; these six are null where unknown
        "doi": Value("string"),
        "license": Value("string"),  # of the document, or of the image if it has its own
        "author": Value("string"),  # whom to attribute
        "source_url": Value("string"),  # origin of the image, or else of the document
        "revision": Value("string"),  # of a web page
    }
)

# Of a document: what its licence requires to be named, and its origin.
PROVENANCE = ("title", "doi", "license", "author", "source_url", "revision")

MESSAGE = {
    "role": Value("string"),  # "user" or "assistant"
    "content": List({"type": Value("string"), "text": Value("string")}),  # "image" or "text"
}

FIGURE_KEY = {
    "label": Value("string"),
    "page": Value("int32"),
    "image_sha256": Value("string"),
}

CONVERSATIONS = Features(
    {
        "images": List(Image()),
        "prompt": List(MESSAGE),
        "completion": List(MESSAGE),
        "query": Value("string"),  # query, answer, orig_caption: the original Cephalo columns
        "answer": Value("string"),
        "orig_caption": Value("string"),
        "teacher": Value("string"),
        "teacher_params": Value("string"),  # JSON
        # JSON: words, likeness to the source, the judges' scores; under "quantities", the support
        # of each quantity of the answer: {"claim": "9.5 V", "by": "derived", "basis": "…"}.
        "scores": Value("string"),
        "task": Value("string"),  # "caption", "describe", "questions", ...
        "task_version": Value("string"),  # of the task's prompt
        # The keys of the figures, so that every answer can be traced to its page.
        "figures": List(FIGURE_KEY),  # in the order of `images`
        "document": Value("string"),
        "document_sha256": Value("string"),
        **{name: Value("string") for name in PROVENANCE},  # as in FIGURES
    }
)

TEXT = Features(
    {
        "images": List(Image()),  # empty; TRL needs the column to mix it with CONVERSATIONS
        "prompt": List(MESSAGE),
        "completion": List(MESSAGE),
        "text": Value("string"),  # a passage of running prose
        "document": Value("string"),
        "document_sha256": Value("string"),
        "page": Value("int32"),  # 0-based, where the passage starts
        **{name: Value("string") for name in PROVENANCE},  # as in FIGURES
    }
)
