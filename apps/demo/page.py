"""The page of the demo: tabs for chat, figures and parts."""

import inspect
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import gradio as gr
import numpy as np
from PIL import Image

from cephalo.apps.demo.figures import Figures
from cephalo.apps.demo.parts import FILES, MAKERS, defaults, make_part
from cephalo.apps.demo.talk import MOST_IMAGES, Talk, Turn
from cephalo.apps.make_mesh.designs import Design, bounds
from cephalo.cli.errors import CephaloError

if TYPE_CHECKING:
    from gradio.components.chatbot import ExampleMessage

QUESTIONS = (
    "What is shown?",
    "Which structures do you see, and how would they carry a load?",
    "How would you make a material like this?",
)
WAITING = 16  # questions in the queue; more are rejected
SYSTEM_FONT, SYSTEM_MONOSPACED = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]


def theme() -> gr.Theme:
    """Return Gradio's default theme with system fonts, which needs no network."""
    return gr.themes.Default(font=SYSTEM_FONT, font_mono=SYSTEM_MONOSPACED)


def build_page(talk: Talk, figures: Figures | None, folder: Path) -> gr.Blocks:
    """Build the whole page. `folder` is for temporary files."""
    # Uploads and created files are deleted after one day.
    with gr.Blocks(
        title="Cephalo", analytics_enabled=False, delete_cache=(3600, 24 * 3600)
    ) as page:
        gr.Markdown("# Cephalo\nVision-language models that read materials.")
        with gr.Tabs() as tabs:
            with gr.Tab("Talk", id="talk"):
                box = talk_tab(talk, examples(figures, folder))
            if figures:
                with gr.Tab("Figures", id="figures"):
                    figures_tab(figures, folder, box, tabs)
            with gr.Tab("Parts", id="parts"):
                parts_tab(folder)
    return page.queue(max_size=WAITING)


def examples(figures: Figures | None, folder: Path) -> "list[ExampleMessage]":
    """Return questions about the first figures, or about a section of a gyroid."""
    count = min(len(QUESTIONS), len(figures)) if figures else 0
    shown = [figures.figure(index).image for index in range(count)] if figures else []
    pictures = shown or [gyroid_section()]
    found: list[ExampleMessage] = []
    for number, question in enumerate(QUESTIONS):
        path = str(folder / f"example-{number + 1}.png")
        pictures[number % len(pictures)].save(path)
        found.append({"text": question, "files": [path]})
    return found


def gyroid_section() -> Image.Image:
    """Draw a plane section of the two labyrinths that the gyroid separates, 240 x 240 pixels."""
    x, y = np.mgrid[0 : 4 * np.pi : 240j, 0 : 4 * np.pi : 240j]
    z = (x + y) / 3  # an oblique plane
    level = np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
    return Image.fromarray(np.where(level > 0, 225, 60).astype(np.uint8))


def talk_tab(talk: Talk, shown_examples: "list[ExampleMessage]") -> gr.MultimodalTextbox:
    """Build a chat with each model and one input box, which is returned."""
    turns = gr.State([])
    with gr.Row():
        chats = [
            gr.Chatbot(label=name, height="60vh", examples=shown_examples, buttons=["copy"])
            for name in talk.models
        ]
    status = gr.Markdown(elem_id="status")
    box = gr.MultimodalTextbox(
        file_count="multiple",
        file_types=["image"],
        sources=["upload"],
        placeholder=f"Ask about images; a talk has up to {MOST_IMAGES}",
        show_label=False,
        elem_id="question",
    )
    clear = gr.Button("Clear")

    def ask(asked: Asked, past: list[Turn]) -> Iterator[tuple[object, ...]]:
        emptied = None
        try:
            for now, words in talk.ask(asked["text"], asked["files"], past):
                # An interrupted answer leaves no turn.
                yield *chats_of(now), past if words else now, emptied, words
                emptied = gr.update()  # the next question may be typed meanwhile
        except CephaloError as error:
            yield *chats_of(past), past, asked, str(error)

    def chats_of(now: list[Turn]) -> list[list[dict[str, object]]]:
        return [chat_of(now, number) for number in range(len(chats))]

    asking = box.submit(
        ask,
        [box, turns],
        [*chats, turns, box, status],
        show_progress="hidden",
        concurrency_limit=WAITING,
        api_name="ask",
    )
    gr.on(
        [clear.click, *(chat.clear for chat in chats)],
        lambda: (*chats_of([]), [], None, ""),
        outputs=[*chats, turns, box, status],
        cancels=[asking],
        api_name="clear",
    )
    for chat in chats:
        chat.example_select(take_example, outputs=box, api_visibility="private")
    return box


class Asked(TypedDict):
    """The content of the input box."""

    text: str
    files: list[str]


def take_example(chosen: gr.SelectData) -> Asked:
    """Return the clicked example, for the input box."""
    return {"text": chosen.value["text"], "files": [f["path"] for f in chosen.value["files"]]}


def chat_of(turns: list[Turn], number: int) -> list[dict[str, object]]:
    """Return the conversation with a model, in the format of `gr.Chatbot`."""
    found: list[dict[str, object]] = []
    for turn in turns:
        parts = [{"path": path} for path in turn.images] + [turn.question]
        found += [{"role": "user", "content": part} for part in parts]
        if number < len(turn.answers):
            found.append({"role": "assistant", "content": turn.answers[number]})
    return found


def figures_tab(figures: Figures, folder: Path, box: gr.MultimodalTextbox, tabs: gr.Tabs) -> None:
    """Build pages of figures; a selected one is shown with its texts and can be asked about."""
    listed = gr.State(figures.on_page(1))  # the figures in the gallery
    chosen = gr.State(0)  # the figure shown
    with gr.Row():
        words = gr.Textbox(
            label="Search", placeholder="Words of captions, questions and answers", max_length=1000
        )
        page = gr.Number(
            1, precision=0, minimum=1, maximum=figures.pages, label=f"Page (1 to {figures.pages})"
        )
    gallery = gr.Gallery(
        figures.thumbnails(figures.on_page(1)),
        columns=6,
        height=340,
        allow_preview=False,
        object_fit="contain",
        label="Figures",
        buttons=[],
    )
    first = figures.figure(0)
    with gr.Row():
        image = gr.Image(
            first.image, label="Figure", interactive=False, height=420, buttons=["fullscreen"]
        )
        with gr.Column():
            texts = [
                gr.Textbox(first.caption, label="Caption", lines=4),
                gr.Textbox(first.question, label="Question", lines=2),
                gr.Textbox(first.answer, label="Answer", lines=4),
                gr.Textbox(first.source, label="From"),
            ]
            ask = gr.Button("Ask about this figure")

    def turn_to(number: int | None) -> tuple[list[tuple[Image.Image, str]], list[int]]:
        found = figures.on_page(number or 1)
        return figures.thumbnails(found), found

    def search(text: str, number: int | None) -> tuple[list[tuple[Image.Image, str]], list[int]]:
        if not text.strip():
            return turn_to(number)
        found = figures.search(text)
        if not found:
            gr.Info("No figure has all of these words.")
        return figures.thumbnails(found), found

    def choose(listed: list[int], event: gr.SelectData) -> int:
        return listed[event.index]

    def show(index: int) -> tuple[Image.Image, str, str, str, str]:
        figure = figures.figure(index)
        return figure.image, figure.caption, figure.question, figure.answer, figure.source

    def take(index: int) -> tuple[Asked, gr.Tabs]:
        figure = figures.figure(index)
        path = str(folder / f"figure-{index + 1}.png")
        figure.image.save(path)
        asked: Asked = {"text": figure.question or QUESTIONS[0], "files": [path]}
        return asked, gr.Tabs(selected="talk")

    page.submit(turn_to, page, [gallery, listed], api_name="figures")
    words.submit(search, [words, page], [gallery, listed], api_name="search")
    gallery.select(choose, listed, chosen, api_visibility="private")
    chosen.change(show, chosen, [image, *texts], api_visibility="private")
    ask.click(take, chosen, [box, tabs], api_visibility="private")


def parts_tab(folder: Path) -> None:
    """Build a form for each design, and a viewer for the latest part with downloads."""
    with gr.Row():
        with gr.Column(min_width=440), gr.Tabs():
            forms = [design_form(design) for design in MAKERS]
        with gr.Column(scale=2):
            view = gr.Model3D(
                label="Part", height=460, elem_id="part", clear_color=(0.95, 0.95, 0.95, 1)
            )
            words = gr.Textbox(label="Measures", lines=3)
            files = gr.Files(label="STL and 3MF in millimetres, GLB in metres", interactive=False)
    for design, button, fields in forms:
        button.click(
            partial(shown_part, folder, design),
            list(fields.values()),
            [view, words, files],
            concurrency_id="part",
            concurrency_limit=1,
            api_name=f"make-{design.model_fields['name'].default}",
        )


def design_form(design: type[Design]) -> tuple[type[Design], gr.Button, dict[str, gr.Slider]]:
    """Build a tab with a slider for every parameter of a design."""
    with gr.Tab(design.model_fields["name"].default):
        gr.Markdown(inspect.getdoc(design))
        fields = {}
        for name, value in defaults(design).items():
            least, greatest = bounds(design, name)
            # Every parameter of a design has both.
            assert least is not None and greatest is not None
            whole = design.model_fields[name].annotation is int
            fields[name] = gr.Slider(
                least,
                greatest,
                value,
                step=1 if whole else 0.01,
                label=name.replace("_", " "),
                info=design.model_fields[name].description,
            )
        return design, gr.Button("Make", variant="primary"), fields


def shown_part(
    folder: Path, design: type[Design], *values: float
) -> tuple[str | None, str, list[str] | None]:
    """Return the part of a form for the viewer, its description and its files."""
    try:
        part, words = make_part(folder, design, dict(zip(defaults(design), values, strict=True)))
    except CephaloError as error:
        return None, str(error), None
    return str(part / "part.glb"), words, [str(part / name) for name in FILES]
