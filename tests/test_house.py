"""The house holds: rooms import only what they may, and the wheel carries all of it."""

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from cephalo.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
# The table of CONTRIBUTING.md.
MODELS = {
    "cephalo.cli",
    "cephalo.inference",
    "cephalo.hub",
    "cephalo.model_cards",
    "modeling_cephalo",
}
MAY_IMPORT = {
    "cli": set(),
    "modeling_cephalo": {"cephalo.cli"},
    "inference": {"cephalo.cli", "modeling_cephalo"},  # `LOCAL` alone, the second
    "hub": {"cephalo.cli"},
    "model_cards": {"cephalo.cli", "cephalo.inference", "modeling_cephalo"},  # push checks a model
    "dataset_scripts": MODELS,
    "train": MODELS,
    "merge_recipes": MODELS,
    "eval": MODELS,
    "apps": MODELS,
    "series": MODELS,
}
LOCAL = {"inference/local.py"}  # loads models, and so torch


def import_name(folder: str) -> str:
    return folder if folder == "modeling_cephalo" else f"cephalo.{folder}"


def rooms_imported(path: Path) -> set[str]:
    """The rooms that a module imports, at its top or inside a function."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 or path.is_relative_to(ROOT / "modeling_cephalo"), path
            names += (
                [f"{node.module}.{alias.name}" for alias in node.names] if not node.level else []
            )
    rooms = {".".join(name.split(".")[:2]) for name in names if name.startswith("cephalo.")}
    return rooms | {"modeling_cephalo" for name in names if name.startswith("modeling_cephalo")}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_room_imports_only_what_it_may(room):
    modules = sorted((ROOT / room).rglob("*.py"))
    assert modules
    for path in modules:
        foreign = rooms_imported(path) - MAY_IMPORT[room] - {import_name(room)}
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_steps_of_a_dataset_share_what_is_in_common_alone():
    steps = ("common", "pdf", "wikipedia", "refinement", "publication", "plots", "plates")
    found = {
        (step, other)
        for step in steps
        for path in (ROOT / "dataset_scripts" / step).rglob("*.py")
        for other in steps_imported(path) - {step, "common"}
    }
    # What is prose, and words printed in figures, are read as in papers.
    assert found == {("wikipedia", "pdf"), ("refinement", "pdf")}


def steps_imported(path: Path) -> set[str]:
    """The folders of `dataset_scripts` that a module imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    inner = [name.split(".")[2:] for name in names if name.startswith("cephalo.dataset_scripts.")]
    return {parts[0] for parts in inner if (ROOT / "dataset_scripts" / parts[0]).is_dir()}


def test_only_one_module_of_inference_loads_models():
    users = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "inference").rglob("*.py")
        if "modeling_cephalo" in rooms_imported(path)
    }
    assert users == LOCAL


def test_commands_load_no_model_library_before_they_are_called():
    """So that `--help` answers at once."""
    commands = [one.app.split(":")[0] for one in COMMANDS.values()]
    heavy = ["torch", "transformers", "datasets", "aiohttp", "matplotlib", "pandas"]
    code = f"import sys, {', '.join(commands)}; print([x for x in {heavy} if x in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("[]\n", "")


def test_no_module_is_named_after_a_library():
    taken = {"evaluate", "datasets", "trl", "transformers", "peft", "accelerate", "torch"}
    ours = {path.stem for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py")}
    assert not ours & taken
    assert not (ROOT / "cephalo" / "__init__.py").exists()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of what is tracked, so that no build folder is left here."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    copy_repository(source)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", out, source], check=True)
    [path] = out.glob("*.whl")
    return path


def copy_repository(to: Path) -> None:
    """Copy what is tracked, links as links."""
    for name in tracked_files():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, to / name, follow_symlinks=False)


def tracked_files() -> list[str]:
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    names = listing.stdout.splitlines()
    return [name for name in names if (ROOT / name).is_file() or (ROOT / name).is_symlink()]


def test_src_links_every_import_name_to_its_folder():
    links = {path for path in (ROOT / "src").rglob("*") if path.is_symlink()}
    expected = {ROOT / "src" / import_name(room).replace(".", "/"): room for room in MAY_IMPORT}
    assert links == expected.keys()
    for link, room in expected.items():
        assert not link.readlink().is_absolute()
        assert link.resolve() == (ROOT / room).resolve()


def test_every_room_is_type_checked():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pyright"]
    assert sorted(settings["include"]) == sorted(
        f"src/{import_name(room).replace('.', '/')}" for room in MAY_IMPORT
    )
    for ignored in settings["ignore"]:
        assert (ROOT / ignored).is_file(), f"{ignored} is listed in pyproject.toml and not there"


def test_editable_install_is_a_path_that_static_tools_follow(tmp_path):
    """A `.pth` of one folder: no finder hook, and files added later are found."""
    source = tmp_path / "source"
    copy_repository(source)
    code = "import sys; from setuptools.build_meta import build_editable as b; b(sys.argv[1])"
    command = [sys.executable, "-c", code, tmp_path]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        [path] = names
        assert path.endswith(".pth")
        folder = Path(archive.read(path).decode().strip())
    assert folder.samefile(source / "src")
    (source / "hub" / "added_later.py").write_text("VALUE = 1\n", encoding="utf-8")
    assert (folder / "cephalo" / "hub" / "added_later.py").is_file()


def test_wheel_holds_every_file_of_every_room(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"{import_name(room).replace('.', '/')}/{name.removeprefix(room + '/')}"
        for name in tracked_files()
        if (room := name.split("/")[0]) in MAY_IMPORT
    }
    assert len(expected) > 20
    assert not expected - packed
    top_level = {name.split("/")[0] for name in packed if ".dist-info" not in name}
    assert top_level == {"cephalo", "modeling_cephalo"}
    assert "cephalo/__init__.py" not in packed


def test_console_script_runs_from_the_wheel(wheel, tmp_path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile"]
    subprocess.run([*command, "--target", site, wheel], check=True)
    environment = {"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"}

    def run(*arguments: str) -> str:
        process = subprocess.run(
            arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return process.stdout

    assert "cephalo COMMAND" in run(sys.executable, str(site / "bin" / "cephalo"), "--help")
    code = "import cephalo.train.sft as m; print(m.__file__); print(m.find_config('tiny.yaml'))"
    assert all(line.startswith(str(site)) for line in run(sys.executable, "-c", code).split())
