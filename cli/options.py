"""Derive the options of a command from a dataclass."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_origin, get_type_hints

from typer.core import TyperCommand

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

T = TypeVar("T")

MOST_SEED = 2**32 - 1  # what NumPy takes; PyTorch and servers take more
OPTIONS = "Options"  # heading of the options without a `rich_help_panel`


def options_of_dataclasses(command: Callable[..., T]) -> Callable[..., T]:
    """Replace each parameter of a command that is a dataclass by its fields, as Typer options.

    A field `name: Annotated[type, typer.Option(...)] = default` becomes an option of that type,
    help and default. Other fields keep their default and are not options. The command is called
    with one object for each of its dataclasses.

    Args:
        command: Function for `typer.Typer.command`, whose annotations are evaluated.

    Returns:
        A function with the same name and docstring that takes the fields as keywords.

    Raises:
        ValueError: If two parameters or fields have the same name.
    """
    held: dict[str, tuple[type, list[str]]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        kind = parameter.annotation
        if not (isinstance(kind, type) and is_dataclass(kind)):
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        own = _parameters(kind)
        held[parameter.name] = (kind, [one.name for one in own])
        parameters += own
    signature = inspect.Signature(parameters)

    @functools.wraps(command)
    def run(**given: object) -> T:
        built = {
            name: kind(**{one: given.pop(one) for one in names})
            for name, (kind, names) in held.items()
        }
        return command(**given, **built)

    run.__signature__ = signature  # type: ignore[attr-defined]  # read by Typer
    return run


def _parameters(kind: type) -> list[inspect.Parameter]:
    """Return the fields of a dataclass that are options, as parameters."""
    types = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=types[field.name],
        )
        for field in fields(kind)
        if get_origin(types[field.name]) is Annotated
    ]


def _default(field: Field[Any]) -> Any:  # of any type
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty


class GroupedCommand(TyperCommand):
    """A command whose help lists options under the heading of their `rich_help_panel`.

    Typer itself groups them only if rich renders the help, which takes longer to import.
    """

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the sections of arguments and options, in the order of the first of each."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], OPTIONS: []}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is None:
                continue
            heading = "Arguments" if parameter.param_type_name == "argument" else OPTIONS
            panel = getattr(parameter, "rich_help_panel", None) or heading
            sections.setdefault(panel, []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
