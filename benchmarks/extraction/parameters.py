"""The numbers in the parameter dataclasses of extraction, and modified values."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from types import ModuleType

from cephalo.dataset_scripts import pdf as package

STEPS = (0.75, 1.25)  # factors applied to a parameter
TOGETHER = 8  # changes tested together; one in twenty matters in a paper
# Their parameters only matter on pages that need OCR, which no paper of the sets has.
SCANS = ("legibility", "pieces", "scan")


@dataclass(frozen=True)
class Change:
    """A modified number in a parameter dataclass."""

    module: str
    cls: str
    field: str
    value: float
    factor: float

    def __str__(self) -> str:
        return f"{self.module}.{self.field} x {self.factor:g}"


def all_changes() -> Iterator[Change]:
    """Yield every number of every parameter dataclass of the package, decreased and increased.

    Modules in `SCANS` are skipped.
    """
    for name, cls in _classes():
        for field in fields(cls):
            value = field.default
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            for factor in STEPS:
                new = value * factor
                if isinstance(value, int):
                    new = value + max(1, round(0.25 * value)) * (1 if factor > 1 else -1)
                yield Change(name, cls.__name__, field.name, new, factor)


def _classes() -> Iterator[tuple[str, type]]:
    """Yield the parameter dataclasses of all modules."""
    for found in pkgutil.iter_modules(package.__path__):
        if found.name in SCANS:
            continue
        module = _module(found.name)
        for cls in list(vars(module).values()):
            own = isinstance(cls, type) and cls.__module__ == module.__name__
            if own and is_dataclass(cls) and cls.__name__.endswith("Parameters"):
                yield found.name, cls


def _module(name: str) -> ModuleType:
    """Import a module of the package."""
    return importlib.import_module(f"{package.__name__}.{name}")


@contextmanager
def changed(*changes: Change) -> Iterator[None]:
    """Use modified parameters."""
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(_changed(change))
        yield


@contextmanager
def _changed(change: Change) -> Iterator[None]:
    """Modify the instance of a module, or the defaults of a class that is instantiated per call."""
    module = _module(change.module)
    before = getattr(module, change.cls)
    cls = before.func if isinstance(before, partial) else before
    instances = [value for value in vars(module).values() if type(value) is cls]
    values = [getattr(instance, change.field) for instance in instances]
    for instance in instances:
        object.__setattr__(instance, change.field, change.value)
    if not instances:
        setattr(module, change.cls, partial(before, **{change.field: change.value}))
    try:
        yield
    finally:
        setattr(module, change.cls, before)
        for instance, value in zip(instances, values, strict=True):
            object.__setattr__(instance, change.field, value)


@contextmanager
def recording_parameters() -> Iterator[set[tuple[str, str]]]:
    """Collect the modules and fields of all parameters that are read."""
    used: set[tuple[str, str]] = set()
    classes = dict((cls, name) for name, cls in _classes())

    def get(self: object, field: str) -> object:
        used.add((classes[type(self)], field))
        return object.__getattribute__(self, field)

    for cls in classes:
        cls.__getattribute__ = get
    try:
        yield used
    finally:
        for cls in classes:
            del cls.__getattribute__


def find_different(
    changes: list[Change], differs: Callable[[list[Change]], bool]
) -> Iterator[Change]:
    """Yield the changes that make a difference alone.

    Several are tested together, since most make none. If there is a difference, each half is
    tested.
    """
    for factor in STEPS:
        own = [change for change in changes if change.factor == factor]
        for start in range(0, len(own), TOGETHER):
            yield from _halves(own[start : start + TOGETHER], differs)


def _halves(changes: list[Change], differs: Callable[[list[Change]], bool]) -> Iterator[Change]:
    if not differs(changes):
        return
    if len(changes) == 1:
        yield changes[0]
        return
    middle = len(changes) // 2
    yield from _halves(changes[:middle], differs)
    yield from _halves(changes[middle:], differs)
