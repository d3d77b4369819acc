"""Write the files of a Gradio Space with the demo."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import yaml

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked, write_whole

APP = '''"""A Cephalo to talk with. Written by `cephalo demo --space`."""

from cephalo.cli.main import main

main({arguments})
'''


def write_space(folder: Path, models: Sequence[str], dataset: str | None) -> None:
    """Write app.py, requirements.txt and README.md of a Gradio Space to `folder`.

    Raises CephaloError for a model or dataset that is not NAMESPACE/NAME, since a Space cannot read
    local folders.
    """
    for name in filter(None, (*models, dataset)):
        if Path(name).exists() or name.count("/") != 1:
            raise CephaloError(f"{name} is not on the Hub; push it, and give its NAMESPACE/NAME")
    arguments = ["demo", *models, *(["--dataset", dataset] if dataset else [])]
    arguments += ["--host", "0.0.0.0", "--port", "7860"]  # required by Spaces
    card = {
        "title": f"Talk with {models[0].partition('/')[2]}",
        "sdk": "gradio",
        "sdk_version": version("gradio"),
        "python_version": "3.11",
        "app_file": "app.py",
        "models": list(models),
        "datasets": [dataset] if dataset else [],
    }
    with locked(folder):
        write_whole(folder / "app.py", APP.format(arguments=arguments))
        write_whole(folder / "requirements.txt", "cephalo[demo]\n")
        write_whole(folder / "README.md", f"---\n{yaml.safe_dump(card, sort_keys=False)}---\n")
