"""The house holds: rooms import only what they may, and the wheel carries all of it."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from cephalo.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
ROOMS = sorted(link.resolve().name for link in (ROOT / "src").rglob("*") if link.is_symlink())
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"
IGNORED = shutil.ignore_patterns("__pycache__")
LOADED_BY_PATH = {"metrics", "tasks"}  # of eval, by evaluate and lm-eval, and no modules


def import_name(folder: str) -> str:
    return folder if folder == "modeling_cephalo" else f"cephalo.{folder}"


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """The code of the rooms, where Python finds it before that of the checkout."""
    site = tmp_path_factory.mktemp("site")
    for room in ROOMS:
        target = site / import_name(room).replace(".", "/")
        shutil.copytree(
            ROOT / room, target, ignore=shutil.ignore_patterns("__pycache__", "prompts")
        )
    return site


def lint(site: Path) -> tuple[int, str]:
    command = [sys.executable, "-c", LINT, "--no-cache", "--no-logo", ROOT / ".importlinter"]
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"}
    run = subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True)
    return run.returncode, run.stdout


def test_every_module_is_looked_at_and_the_rooms_import_only_what_they_may(copied):
    code, said = lint(copied)
    assert (code, "0 broken" in said) == (0, True), said
    packages = {path.parent for path in copied.rglob("__init__.py")}
    modules = [path for folder in packages for path in folder.glob("*.py")]
    assert f"Analyzed {len(modules)} files" in said
    # A folder without __init__.py would be passed over.
    alone = {path.parent for path in copied.rglob("*.py")} - packages
    assert all(LOADED_BY_PATH & set(path.parts) for path in alone)


@pytest.mark.parametrize(
    ("module", "line", "said"),
    [
        ("cli/json_files.py", "import cephalo.hub.names", "cephalo.cli is not allowed to import"),
        ("eval/scores.py", "from cephalo.train import freezing", "cephalo.eval is not allowed"),
        (
            "hub/names.py",
            "def f():\n    from modeling_cephalo import tiny",
            "cephalo.hub is not",
        ),
        (
            "inference/images.py",
            "import modeling_cephalo.checkpoint",
            "cephalo.inference is not",
        ),
        ("model_cards/push.py", "import cephalo.hub.names", "cephalo.model_cards is not allowed"),
        (
            "dataset_scripts/plots/bars.py",
            "from cephalo.dataset_scripts.publication import rights",
            "cephalo.dataset_scripts.plots is not allowed to import",
        ),
        (
            "dataset_scripts/common/groups.py",
            "from cephalo.dataset_scripts.pdf import geometry",
            "cephalo.dataset_scripts.common is not allowed to import",
        ),
        ("dataset_scripts/pdf/furniture.py", "from . import layout", "No circles BROKEN"),
    ],
)
def test_a_forbidden_import_is_found(copied, module, line, said):
    path = copied / "cephalo" / module
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n{line}\n", encoding="utf-8")
    try:
        code, found = lint(copied)
    finally:
        path.write_text(before, encoding="utf-8")
    assert (code, said in found) == (1, True), found


def test_commands_load_no_model_library_before_they_are_called():
    """So that `--help` answers at once."""
    commands = [one.app.split(":")[0] for one in COMMANDS.values()]
    heavy = ["torch", "transformers", "datasets", "aiohttp", "matplotlib", "pandas"]
    code = f"import sys, {', '.join(commands)}; print([x for x in {heavy} if x in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("[]\n", "")


def test_no_module_is_named_after_a_library():
    taken = {"evaluate", "datasets", "trl", "transformers", "peft", "accelerate", "torch"}
    ours = {path.stem for room in ROOMS for path in (ROOT / room).rglob("*.py")}
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
    expected = {ROOT / "src" / import_name(room).replace(".", "/"): room for room in ROOMS}
    assert links == expected.keys()
    for link, room in expected.items():
        assert not link.readlink().is_absolute()
        assert link.resolve() == (ROOT / room).resolve()


def test_every_room_is_type_checked():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pyright"]
    assert sorted(settings["include"]) == sorted(
        f"src/{import_name(room).replace('.', '/')}" for room in ROOMS
    )
    assert "ignore" not in settings


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
        if (room := name.split("/")[0]) in ROOMS
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
