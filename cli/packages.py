"""Check optional packages, which extras of Cephalo install."""

import importlib.util

from cephalo.cli.errors import CephaloError


def need_packages(purpose: str, extra: str, *names: str) -> None:
    """Raise CephaloError, with the command that installs them, if packages are missing.

    Nothing is imported.

    Args:
        purpose: What needs them, as the subject of the message, such as "drawing".
        extra: The extra that names them.
        names: Their import names.
    """
    if missing := [name for name in names if not is_installed(name)]:
        raise CephaloError(
            f"{purpose} needs {' and '.join(missing)}; run: pip install 'cephalo[{extra}]'"
        )


def is_installed(name: str) -> bool:
    """Return whether a module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # an entry of `sys.modules` without a specification
        return False
