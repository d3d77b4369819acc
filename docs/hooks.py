"""mkdocs hook: copies the packages to where griffe finds `cephalo.train` and the others.

`cephalo` is a namespace package whose parts are folders of the repository (`cephalo.train` is
`train/`), mapped in setup.cfg. Static analysis needs them below one folder `cephalo`, and does not
follow links.
"""

import atexit
import shutil
import tempfile
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority

ROOT = Path(__file__).resolve().parents[1]


@event_priority(100)  # before mkdocstrings reads its search paths
def on_config(config: Any) -> Any:
    """Copy the modules of the packages in setup.cfg to a temporary folder that is searched."""
    folder = Path(tempfile.mkdtemp(prefix="cephalo-docs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for line in setup["options"]["package_dir"].strip().splitlines():
        name, source = (part.strip() for part in line.split("="))
        target = folder.joinpath(*name.split("."))
        target.mkdir(parents=True)
        for module in (ROOT / source).glob("*.py"):
            shutil.copy(module, target)
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(folder)]
    return config
