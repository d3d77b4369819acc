"""The documentation: its code runs, its commands and links exist, its site builds without warnings.

Code blocks of `docs/tutorials` run as they stand, page after page in one folder, with the words of
the paper's models: the embedded hub holds tiny models under their names, a fake teacher answers for
endpoints, and `cephalo` trains on the CPU. A comment before a block says what else becomes of it:
`not run: REASON`, `server` (it runs until the page ends), or `server stopped`.
"""

import ast
import importlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
import typer
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from PIL import Image
from teacher_server import TeacherServer, faithful
from warm_python import warm_python

from cephalo.cli.main import COMMANDS
from cephalo.hub.local import LocalHub, local_hub
from cephalo.series.tiny import CPU, noise, push
from modeling_cephalo.tiny import make_tiny_idefics2

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ENDPOINT = "http://127.0.0.1:8000/v1"
BASES = (
    "lamm-mit/Cephalo-Idefics-2-vision-8b-beta",
    "HuggingFaceM4/idefics2-8b-chatty",
)
BLOCK = re.compile(
    r"^(?:<!-- (?P<order>.+?) -->\n)?"
    r"```(?P<language>bash|python|yaml)(?: title=\"(?P<file>.+?)\")?\n(?P<code>.*?)^```$",
    re.M | re.S,
)
NEEDS = {
    "papers-to-dataset": (),
    "refine": ("papers-to-dataset",),
    "train": ("papers-to-dataset",),
    "deepen": ("papers-to-dataset",),
    "mixtures": (),
    "evaluate": ("train",),
    "publish": ("train",),
    "air-gapped": (),
    "own-images": (),
}
# Configs for a GPU, for one step on the CPU; a hub for which any port will do.
STEP = CPU | {
    "max_steps": "1",
    "per_device_train_batch_size": "1",
    "dataloader_num_workers": "0",
    "dataloader_persistent_workers": "false",
}
COMMAND = """#!/bin/sh
case "$1 $2 $3" in
  "train --config tiny.yaml") ;;
  "train "*) set -- "$@" {flags} ;;
  "hub serve "*) set -- "$@" --port 0 ;;
esac
exec "${{PYTHON%python}}cephalo" "$@"
"""


class Reader:
    """Someone who follows the tutorials in `folder`, as user `my-lab` of `hub`."""

    def __init__(self, folder: Path, hub: LocalHub, teacher: str) -> None:
        self.folder, self.hub, self.teacher = folder, hub, teacher
        self.done: dict[str, str] = {}
        commands = folder / "bin"
        commands.mkdir()
        flags = " ".join(f"--{name} {value}" for name, value in STEP.items())
        (commands / "cephalo").write_text(COMMAND.format(flags=flags))
        (commands / "cephalo").chmod(0o755)
        path = (str(commands), str(Path(sys.executable).parent), os.environ["PATH"])
        environment = hub.environment("my-lab", folder / "home")
        self.environment = environment | {
            "OMP_NUM_THREADS": "1",
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": teacher,
            "PATH": os.pathsep.join(path),
            "PYTHON": warm_python(),
        }

    def follow(self, page: str) -> str:
        """Do what `page` says, after the pages that it builds on; return what that printed."""
        if page not in self.done:
            for earlier in NEEDS[page]:
                self.follow(earlier)
            self.done[page] = self.run_blocks((TUTORIALS / f"{page}.md").read_text())
        return self.done[page]

    def run_blocks(self, text: str) -> str:
        """Run the blocks of a page in order."""
        environment, output, server = dict(self.environment), "", None
        try:
            for block in BLOCK.finditer(text):
                order, code = block["order"] or "", block["code"].replace(ENDPOINT, self.teacher)
                if order == "server stopped" and server:
                    server.terminate()
                    server.wait()
                if block["file"]:
                    (self.folder / block["file"]).write_text(code)
                elif order == "server":
                    server = self.serve(code, environment)
                elif not order.startswith("not run: ") and block["language"] != "yaml":
                    output += self.run(block["language"], code, environment)
        finally:
            if server and server.poll() is None:
                server.terminate()
        return output

    def run(self, language: str, code: str, environment: dict[str, str]) -> str:
        """Run one block; an error shows all that it printed."""
        command = {"bash": ["bash", "-euo", "pipefail"], "python": [environment["PYTHON"]]}[
            language
        ]
        done = subprocess.run(
            [*command, "-c", code],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def serve(self, code: str, environment: dict[str, str]) -> subprocess.Popen:
        """Start the server of a block and take over the variables that it tells clients to set."""
        environment |= {"HF_HOME": str(self.folder / "own-home"), "PYTHON": warm_python()}
        server = subprocess.Popen(
            shlex.split(code), cwd=self.folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        for line in server.stdout:
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                command = ["bash", "-c", f"echo {value}"]
                environment[name] = subprocess.check_output(command, text=True).strip()
            if line.startswith("export HF_TOKEN="):
                break
        return server


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("tutorials")
    (folder / "my-papers").symlink_to(ROOT / "examples" / "papers")
    Image.open(io.BytesIO(noise(0)["bytes"])).save(folder / "micrograph.png")
    (folder / "benchmark").mkdir()
    Image.open(io.BytesIO(noise(1)["bytes"])).save(folder / "benchmark" / "1.png")
    # The words of the sample papers, so that these are not read letter by letter.
    texts = (ROOT / "examples" / "sample_papers.py").read_text(encoding="utf-8").splitlines()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.executable", warm_python())
        hubs = local_hub(folder / "lab", ["my-lab", *(name.split("/")[0] for name in BASES)])
        hub = hubs.__enter__()
    try:
        for seed, name in enumerate(BASES):
            base = folder / "bases" / name
            make_tiny_idefics2(base, texts, seed, layers=32)
            push(hub, base, name, "model", sorted(path.name for path in base.iterdir()))
        (folder / "model").symlink_to(base)
        with TeacherServer(faithful) as teacher:
            yield Reader(folder, hub, teacher.url)
    finally:
        hubs.__exit__(None, None, None)


@pytest.fixture(scope="module")
def api(reader) -> HfApi:
    return HfApi(endpoint=reader.hub.endpoint, token=reader.hub.tokens["my-lab"])


def test_papers_to_dataset(reader, api):
    output = reader.follow("papers-to-dataset")
    assert "3 documents read" in output and "Figure 1" in output
    files = api.list_repo_files("my-lab/nacre-figures", repo_type="dataset")
    assert {name.split("/")[0] for name in files} >= {"conversations", "figures", "text"}
    assert api.dataset_info("my-lab/nacre-figures").private


def test_own_images(reader, api):
    output = reader.follow("own-images")
    assert "20 figures, 20 conversations, 1 rows left out" in output
    files = api.list_repo_files("my-lab/grains", repo_type="dataset")
    assert {name.split("/")[0] for name in files} >= {"conversations", "figures"}
    assert (reader.folder / "runs" / "grains-tiny" / "model.safetensors").is_file()
    exported = json.loads((reader.folder / "exported" / "llava" / "llava.json").read_text())
    assert exported[3]["conversations"][1]["value"].startswith("7 particles were placed")


def test_refine(reader):
    output = reader.follow("refine")
    assert "'outcome': 'agrees'" in output


def test_train(reader, api):
    output = reader.follow("train")
    assert "pushed " in output
    for name in ("nacre-tiny", "nacre-8b"):
        assert "model.safetensors" in api.list_repo_files(f"my-lab/{name}")


def test_deepen(reader):
    output = reader.follow("deepen")
    assert output.endswith("\n40\n")


def test_mixtures(reader, api):
    output = reader.follow("mixtures")
    assert re.search(r"CephaloMoe\w+ [\d,]+$", output, re.M)
    assert "model-gates.safetensors" in api.list_repo_files("my-lab/nacre-2x8b")


def test_evaluate(reader):
    reader.follow("evaluate")
    results = json.loads((reader.folder / "runs" / "eval" / "results.json").read_text())
    assert [one["model"] for one in results["models"]] == ["my-lab/nacre-tiny", "my-lab/nacre-8b"]
    assert len(results["comparisons"]) == 1
    card = (reader.folder / "runs" / "nacre-tiny" / "README.md").read_text()
    assert "| bleu |" in card


def test_publish(reader, api):
    output = reader.follow("publish")
    assert {"README.md", "model.safetensors"} <= set(output.split())
    [collection] = api.list_collections(owner="my-lab")
    assert collection.title == "Nacre models"
    assert (reader.folder / "space" / "app.py").exists()


def test_air_gapped(reader, api):
    output = reader.follow("air-gapped")
    assert "my-lab/nacre-figures True" in output and "lost 0" in output
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("my-lab/base")  # it is on the page's own hub


def test_all_tutorials_are_followed():
    assert {path.stem for path in TUTORIALS.glob("*.md")} == NEEDS.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_have_the_options_that_are_shown(page):
    for line in commands_of(page):
        name, *words = shlex.split(line, comments=True)[1:]
        if name.startswith("--"):
            continue
        module, attribute = COMMANDS[name].app.split(":")
        command = typer.main.get_command(getattr(importlib.import_module(module), attribute))
        if hasattr(command, "commands"):  # as of `cephalo hub serve`
            command = command.commands[words[0]]
        known = {option for one in command.params for option in one.opts + one.secondary_opts}
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        if name != "train":  # the fields of TRL's configs
            assert given <= known | {"--help"}, (name, given - known)


def commands_of(page: Path) -> list[str]:
    """The lines of a page's bash blocks that call `cephalo`, continued lines joined."""
    blocks = [one for one in BLOCK.finditer(page.read_text()) if one["language"] == "bash"]
    lines = [line for one in blocks for line in one["code"].replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("cephalo ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def setup_cfg() -> ConfigParser:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup


def test_troubleshooting_quotes_messages_that_exist():
    rooms = [link.resolve() for link in (ROOT / "src").rglob("*") if link.is_symlink()]
    modules = [path for room in rooms for path in room.rglob("*.py")]
    nodes = (node for path in modules for node in ast.walk(ast.parse(path.read_text())))
    constants = (node.value for node in nodes if isinstance(node, ast.Constant))
    texts = "\n".join(text for text in constants if isinstance(text, str)).replace("`", "")
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    quoted = re.findall(r"^\| `(.+?)` \|", page, re.M)
    assert len(quoted) > 40
    parts = [part.strip(" ;:,") for message in quoted for part in message.split("…")]
    missing = [part for part in parts if part not in texts]
    assert missing == []


def test_every_dependency_has_its_reason():
    setup = setup_cfg()
    extras = dict(setup["options.extras_require"])
    del extras["dev"]
    lines = "\n".join([setup["options"]["install_requires"], *extras.values()]).split()
    names = {re.split(r"[\[<>=]", line)[0] for line in lines} - {"cephalo"}
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\|(.*)\|.*\|$", text.partition("## Dependencies")[2], re.M)
    assert {name.strip(" `") for row in rows for name in re.split(r"[,|]", row)} >= names


def test_constraints_pin_every_dependency():
    setup = setup_cfg()
    required = setup["options"]["install_requires"] + setup["options.extras_require"]["dev"]
    names = {re.split(r"[\[<>=]", line)[0] for line in required.split() if line[0].isalpha()}
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.M)
    assert names - {"cephalo"} <= {*pinned}
    assert not [
        name for name in pinned if name.startswith(("nvidia", "triton"))
    ]  # torch names them


def test_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="pip install 'cephalo[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "reference" / "inference" / "index.html").read_text()
    assert 'id="cephalo.inference.local.load"' in page
