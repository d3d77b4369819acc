"""Checks of one's own: `--checks MODULE:FUNCTION`."""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.refinement.checks import CHECKS, Check, Context
from cephalo.dataset_scripts.refinement.documents import OTHER_CHECKS
from cephalo.dataset_scripts.refinement.forms import Talk


def load_checks(names: tuple[str, ...]) -> dict[str, Check]:
    """The functions that --checks names, by their own names; modules are looked for in the current
    folder too. Raises CephaloError where one is not there or is no check."""
    checks: dict[str, Check] = {}
    for name in names:
        check = load_check(name)
        own = name.partition(":")[2]
        if own in CHECKS or own in OTHER_CHECKS or own in checks:
            raise CephaloError(f"--checks {name}: there is a check {own} already; rename it")
        checks[own] = check
    return checks


def load_check(name: str) -> Check:
    """The function MODULE:FUNCTION. Raises CephaloError where there is none that takes a
    conversation and its context."""
    module_name, _, function = name.partition(":")
    if not module_name or not function:
        raise CephaloError(f"--checks {name!r}: give MODULE:FUNCTION, like my_checks:no_jargon")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        check = getattr(importlib.import_module(module_name), function)
        inspect.signature(check).bind("talk", "context")
        if inspect.iscoroutinefunction(check):
            raise TypeError(f"{function} is async; give a plain function")
        return check
    except AttributeError:
        problem = f"{module_name} has no {function}"
    except (Exception, SystemExit) as error:  # a module may raise anything when it is imported
        problem = f"{type(error).__name__}: {error}"
    raise CephaloError(f"--checks {name}: {' '.join(problem.split())[:300]}")


def run_checks(checks: Mapping[str, Check], talk: Talk, context: Context) -> dict[str, str]:
    """The checks of one's own that a conversation fails. Raises CephaloError where one breaks."""
    failed = {}
    for name, check in checks.items():
        try:
            detail = check(talk, context)
        except (Exception, SystemExit) as error:
            problem = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            said = talk.turns[0].answer[:60]
            raise CephaloError(f"--checks: {name} fails on {said!r}: {problem}") from error
        if detail is not None and not isinstance(detail, str):
            raise CephaloError(f"--checks: {name} gives {detail!r}; return a string or None")
        if detail is not None:
            failed[name] = " ".join(detail.split())
    return failed


def checks_digest(names: tuple[str, ...]) -> dict[str, str]:
    """What tells versions of checks apart: the SHA-256 of each one's file."""
    digests = {}
    for name in names:
        file = inspect.getsourcefile(inspect.unwrap(load_check(name)))
        data = Path(file).read_bytes() if file else b""
        digests[name] = hashlib.sha256(data).hexdigest()
    return digests
