"""mkdocs hook: copies the packages to where griffe finds `cephalo.train` and the others.

`cephalo` is a namespace package whose parts are folders of the repository (`cephalo.train` is
`train/`), mapped in setup.cfg. Static analysis needs them below one folder `cephalo`, and does not
follow links.
"""

import shutil
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ROOT / "build" / "packages"
"""Named in mkdocs.yml as the search path of mkdocstrings."""


def on_startup(**arguments: object) -> None:
    """Copy the modules of the packages in setup.cfg below PACKAGES, before plugins look there."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    shutil.rmtree(PACKAGES, ignore_errors=True)
    for line in setup["options"]["package_dir"].strip().splitlines():
        name, folder = (part.strip() for part in line.split("="))
        target = PACKAGES.joinpath(*name.split("."))
        target.mkdir(parents=True)
        for module in (ROOT / folder).glob("*.py"):
            shutil.copy(module, target)
