"""`cephalo demo`: a web page to try a model."""

import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.packages import need_packages

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cephalo.apps.demo.figures import Figures
    from cephalo.apps.demo.talk import Talk


app = typer.Typer(rich_markup_mode=None, add_completion=False)

LARGEST_UPLOAD = 32 * 2**20  # bytes
# The page only loads content from this server; addresses in an answer are never loaded.
POLICY = (
    "default-src 'self' blob: data: 'unsafe-inline' 'unsafe-eval'; "
    "form-action 'self'; base-uri 'self'; object-src 'none'"
)


@app.command()
def demo(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="One or two models: Hub names or folders."),
    ],
    dataset: Annotated[
        str | None, typer.Option(help="Figures to browse: a folder or a Hub dataset.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, max=4096, help="Maximum length of an answer, in tokens.")
    ] = 512,
    temperature: Annotated[
        float, typer.Option(min=0, help="Sampling temperature; 0 for greedy decoding.")
    ] = 0,
    device: Annotated[
        str | None, typer.Option(help="Device such as cpu or cuda:0; by default GPUs if available.")
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run code of the model repository; Cephalo models need none.")
    ] = False,
    space: Annotated[
        Path | None, typer.Option(help="Write the demo as a Space into this folder and exit.")
    ] = None,
) -> None:
    """Serve a page to chat with a model about images, browse figures and make printable parts.

    Two models answer side by side. The page needs no network. Uploads are stored in a temporary
    folder that is removed at the end.

    \b
    Example:
      cephalo demo lamm-mit/Cephalo-Phi-3-vision-128k-4b-beta --dataset figures/
      cephalo demo runs/before runs/after --port 7861
      cephalo demo my-lab/nacre-tiny --space space/
      hf upload my-lab/nacre-demo space/ --repo-type space
    """
    need_packages("the demo", "demo", "gradio")
    if len(models) > 2 or len({*models}) < len(models):
        raise CephaloError("give one model or two different ones")
    if space:
        from cephalo.apps.demo.space import write_space

        write_space(space, models, dataset)
        print(f"hf upload NAMESPACE/NAME {space} --repo-type space  # makes the Space")
        return
    from cephalo.apps.chat import quiet
    from cephalo.apps.make_mesh.command import need_mesh_packages
    from cephalo.apps.serve import check_address

    need_mesh_packages()
    check_address(host, port)
    quiet()
    from cephalo.apps.demo.figures import load_figures
    from cephalo.apps.demo.talk import Talk
    from cephalo.inference import local

    figures = load_figures(dataset) if dataset else None
    loaded = {
        name: local.load(name, device=device, trust_remote_code=trust_remote_code)
        for name in models
    }
    talk = Talk(loaded, {"max_new_tokens": max_new_tokens, "temperature": temperature})
    with tempfile.TemporaryDirectory(prefix="cephalo-demo-") as folder:
        run_server(talk, figures, Path(folder), host, port)


def run_server(talk: "Talk", figures: "Figures | None", folder: Path, host: str, port: int) -> None:
    """Serve the page until it is stopped; temporary files are written to `folder`."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    from starlette.middleware import Middleware

    from cephalo.apps.demo.page import build_page, theme

    page = build_page(talk, figures, folder)
    # A page that is mounted elsewhere would read any file that a request names (Gradio 6.31).
    page.launch(
        server_name=host,
        server_port=port,
        theme=theme(),
        footer_links=[],
        quiet=True,
        show_error=False,
        ssr_mode=False,
        max_file_size=LARGEST_UPLOAD,
        app_kwargs={"middleware": [Middleware(WithPolicy)]},
        prevent_thread_lock=True,
    )
    print(f"the demo is at http://{host}:{port}; Ctrl-C stops", flush=True)
    try:
        threading.Event().wait()
    finally:
        page.close(verbose=False)


class WithPolicy:
    """An ASGI application that adds `POLICY` to its answers."""

    def __init__(self, app: "ASGIApp") -> None:
        self.app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        async def send_with_policy(message: "Message") -> None:
            if message["type"] == "http.response.start":
                header = (b"content-security-policy", POLICY.encode())
                message["headers"] = [*message["headers"], header]
            await send(message)

        await self.app(scope, receive, send_with_policy)
