"""Options that derive from dataclasses, and help with headings."""

from dataclasses import dataclass, field
from typing import Annotated

import pytest
import typer

from cephalo.cli.options import GroupedCommand, options_of_dataclasses


@dataclass(frozen=True)
class Oven:
    degrees: Annotated[int, typer.Option(min=1, help="Of Celsius.")] = 180
    grates: Annotated[list[str], typer.Option("--grate", rich_help_panel="Grates")] = field(
        default_factory=list
    )
    clean: bool = True


@dataclass(frozen=True)
class Timer:
    minutes: Annotated[float, typer.Option()]


def command(function):
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command(cls=GroupedCommand)(options_of_dataclasses(function))
    return typer.main.get_command(app)


def run(function, *arguments: str):
    return command(function).main(list(arguments), prog_name="bake", standalone_mode=False)


def bake(
    dish: Annotated[str, typer.Argument()], oven: Oven, timer: Timer, cold: bool = False
) -> tuple:
    """Bake a dish."""
    return dish, oven, timer, cold


def test_fields_become_options_and_objects_again():
    assert run(bake, "pie", "--minutes", "2.5") == ("pie", Oven(180, [], True), Timer(2.5), False)
    given = ("--degrees", "200", "--grate", "a", "--grate", "b", "--minutes", "3", "--cold")
    assert run(bake, "pie", *given) == ("pie", Oven(200, ["a", "b"]), Timer(3.0), True)


def test_wrong_and_missing_options_are_refused():
    for arguments, said in (
        (("pie",), "Missing option '--minutes'"),
        (("pie", "--minutes", "1", "--degrees", "0"), "'--degrees': Input should be greater"),
        (("pie", "--minutes", "1", "--clean"), "No such option: --clean"),
    ):
        with pytest.raises(Exception) as raised:
            run(bake, *arguments)
        assert said in raised.value.format_message()


def test_one_name_cannot_stand_for_two_options():
    def twice(one: Timer, other: Timer) -> None: ...

    with pytest.raises(ValueError, match="duplicate parameter name: 'minutes'"):
        options_of_dataclasses(twice)


def test_help_lists_options_below_their_headings(capsys):
    run(bake, "--help")
    said = capsys.readouterr().out
    assert said.startswith("Usage: bake [OPTIONS] {dish}\n\n  Bake a dish.\n\nArguments:\n")
    options, _, grates = said.partition("\nGrates:\n")
    assert "Of Celsius.  [default: 180; x>=1]" in options.partition("\nOptions:\n")[2]
    assert grates.strip() == "--grate <list[str]>"
