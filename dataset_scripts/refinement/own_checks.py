"""Custom checks: `--checks MODULE:FUNCTION`."""

import ast
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.refinement.checks import CHECKS, Check, Context
from cephalo.dataset_scripts.refinement.documents import OTHER_CHECKS
from cephalo.dataset_scripts.refinement.forms import Talk


def load_checks(names: Sequence[str]) -> dict[str, Check]:
    """Load the functions of --checks, by their names; modules are also searched in the current
    folder. Raises CephaloError if one is missing or not a check."""
    checks: dict[str, Check] = {}
    for name in names:
        check = load_check(name)
        own = name.partition(":")[2]
        if own in CHECKS or own in OTHER_CHECKS or own in checks:
            raise CephaloError(f"--checks {name}: a check {own} exists already; rename it")
        checks[own] = check
    return checks


def load_check(name: str) -> Check:
    """Load MODULE:FUNCTION.

    The module's file is parsed first, and imported only if it defines a function of (talk,
    context). Raises CephaloError if it does not, for modules of Python's standard library, and for
    modules that cannot be imported.
    """
    module_name, _, function = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), function)):
        raise CephaloError(f"--checks {name!r}: give MODULE:FUNCTION, like my_checks:no_jargon")
    try:
        file = find_module(module_name)
        check_defined(file, function)
        check = getattr(import_module(module_name, file), function)
        inspect.signature(check).bind("talk", "context")
        return check
    except CephaloError as error:
        problem = str(error)
    except (Exception, SystemExit) as error:  # importing a module may raise anything
        problem = f"{type(error).__name__}: {error}"
    raise CephaloError(f"--checks {name}: {' '.join(problem.split())[:300]}")


def find_module(name: str) -> Path:
    """Return the file of a module, from the current folder or else as Python finds it, without
    importing it.

    Raises CephaloError unless it is a Python file outside of the standard library.
    """
    first, *rest = name.split(".")
    if first in sys.stdlib_module_names:
        raise CephaloError(f"{first} is a module of Python's standard library; give another one")
    spec = PathFinder.find_spec(first, [str(Path.cwd())])
    if spec is None or not spec.origin:
        spec = importlib.util.find_spec(first)
    for part in rest:
        if spec is not None:
            folders = spec.submodule_search_locations or []
            spec = PathFinder.find_spec(f"{spec.name}.{part}", folders)
    if spec is None:
        raise CephaloError(f"no module named {name!r} in the current folder or installed")
    if not spec.origin or not spec.origin.endswith(".py"):
        raise CephaloError(f"{name} is not a Python file; give a module that is one")
    return Path(spec.origin)


def check_defined(file: Path, function: str) -> None:
    """Raise CephaloError unless a file defines a function of (talk, context)."""
    defined = [
        node
        for node in ast.parse(file.read_bytes(), str(file)).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
    ]
    if not defined:
        raise CephaloError(f"{file} defines no function {function}(talk, context)")
    if isinstance(defined[-1], ast.AsyncFunctionDef):
        raise CephaloError(f"{function} is async; give a plain function")
    taken = defined[-1].args
    names = [own.arg for own in (*taken.posonlyargs, *taken.args)]
    if names[:2] != ["talk", "context"] or len(names) > 2 + len(taken.defaults):
        raise CephaloError(f"{function} takes ({', '.join(names)}); a check takes (talk, context)")


def import_module(name: str, file: Path) -> ModuleType:
    """Import a module from its file; it can import modules beside it in the current folder.

    Raises CephaloError if another module of this name is already imported.
    """
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # last, so that no file there can shadow a library
    top = name.partition(".")[0]
    local = PathFinder.find_spec(top, [here])
    if local is not None and local.origin and local.loader and top not in sys.modules:
        sys.modules[top] = importlib.util.module_from_spec(local)
        try:
            local.loader.exec_module(sys.modules[top])
        except BaseException:
            del sys.modules[top]
            raise
    module = importlib.import_module(name)
    if Path(module.__file__ or "").resolve() != file.resolve():
        raise CephaloError(f"another module is called {name} ({module.__file__}); rename yours")
    return module


def run_checks(checks: Mapping[str, Check], talk: Talk, context: Context) -> dict[str, str]:
    """Return the failed custom checks of a conversation. Raises CephaloError if a check raises or
    returns an invalid value."""
    failed = {}
    for name, check in checks.items():
        try:
            detail = check(talk, context)
        except (Exception, SystemExit) as error:
            problem = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            said = talk.turns[0].answer[:60]
            raise CephaloError(f"--checks: {name} raised on {said!r}: {problem}") from error
        if detail is not None and not isinstance(detail, str):
            raise CephaloError(f"--checks: {name} returned {detail!r}; return a string or None")
        if detail is not None:
            failed[name] = " ".join(detail.split())
    return failed


def checks_digest(names: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of the file of each custom check, to tell versions apart."""
    digests = {}
    for name in names:
        file = inspect.getsourcefile(inspect.unwrap(load_check(name)))
        data = Path(file).read_bytes() if file else b""
        digests[name] = hashlib.sha256(data).hexdigest()
    return digests
