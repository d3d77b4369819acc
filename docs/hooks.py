"""mkdocs hook: copy the packages to a folder in which griffe finds `cephalo.train` and others.

The packages of `cephalo` are links in `src/`, which griffe does not follow.
"""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority

ROOT = Path(__file__).resolve().parents[1]


@event_priority(100)  # before mkdocstrings reads its search paths
def on_config(config: Any) -> Any:
    """Copy the modules of the packages to a temporary folder on the search path."""
    folder = Path(tempfile.mkdtemp(prefix="cephalo-docs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(
        ROOT / "src",
        folder,
        ignore=lambda _, names: [one for one in names if "." in one and not one.endswith(".py")],
        dirs_exist_ok=True,
    )
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(folder)]
    return config
