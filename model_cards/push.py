"""`cephalo push`: push a model's folder to the Hub, in one commit, verified by hash, without
paths."""

import json
import re
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import httpx2
import typer
from huggingface_hub import HfApi

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked
from cephalo.cli.json_files import Json, strings
from cephalo.model_cards.hub_names import check_repo_id
from cephalo.model_cards.model_card import read_facts, write_card
from cephalo.model_cards.model_folder import FACTS, WEIGHTS, hub_id, pushed_files, read_json
from cephalo.model_cards.upload import (
    differing,
    hub_api,
    push_folder,
    refusal,
    remote_files,
)

app = typer.Typer(rich_markup_mode=None, add_completion=False)

# Remote files of these names that the folder lacks are deleted in the same commit.
STALE = [*WEIGHTS, ".eval_results/cephalo-*.yaml"]
# Keys in which libraries record the origin of a model; nothing reads them.
PROVENANCE = ("_name_or_path", "name_or_path")
BASE = "base_model_name_or_path"  # of adapter_config.json; the adapter is loaded onto it
# Texts of tokens, in which "/" is a normal character.
VOCABULARIES = ("tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json")
LOCAL_PATH = re.compile(r"(file:/|~|/[^/\s]+|[A-Za-z]:)[/\\]\S.*", re.DOTALL)
TEXTS = (".json", ".md", ".py", ".jinja", ".yaml", ".txt")


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a saved model.")],
    repo_id: Annotated[
        str, typer.Argument(metavar="NAMESPACE/NAME", help="Name of the model on the Hub.")
    ],
    private: Annotated[bool, typer.Option("--private", help="Create a private model.")] = False,
    collection: Annotated[
        str | None,
        typer.Option(
            metavar="TITLE",
            help="Add the model to this collection of NAMESPACE; created if missing.",
        ),
    ] = None,
    base_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAMESPACE/NAME", help="Base model of an adapter, if it cannot be determined."
        ),
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="Hub token; by default that of `hf auth login`.")
    ] = None,
) -> None:
    """Push a model, its processor, code, card and results to the Hub in one commit.

    The card in DIR is rebuilt for NAMESPACE/NAME, so a folder can be pushed once at a time.
    Checkpoints, optimizer states, other files in DIR and local paths in its JSON are not uploaded.
    Uploaded files are compared by hash. Pushing an unchanged model makes no commit.

    \b
    Example:
      cephalo push runs/nacre my-lab/nacre-8b --collection "Nacre models"
    """
    check_repo_id(repo_id)
    if base_model:
        check_repo_id(base_model)
    api = hub_api(token)
    facts = replace(read_facts(folder), repo_id=repo_id)
    from modeling_cephalo.checkpoint import check_model  # imports torch, which takes seconds

    # A manually written card, without card.json, is not changed.
    writes = (folder / FACTS).exists() or not (folder / "README.md").exists()
    with locked(folder) if writes else nullcontext():
        check_model(folder)
        base_model = base_model or known_base(folder)
        if base_model and facts.relation == "adapter":
            facts = replace(facts, base_models=[base_model])
        if writes:
            write_card(folder, facts)
        sha = push_model(api, folder, repo_id, private=private, base_model=base_model)
    print(f"pushed {api.endpoint}/{repo_id} at {sha}")
    if collection:
        print(f"in {add_to_collection(api, collection, repo_id, private)}")


def push_model(
    api: HfApi,
    folder: Path,
    repo_id: str,
    *,
    private: bool = False,
    base_model: str | None = None,
    message: str = "Upload with Cephalo",
    revision: str | None = None,
) -> str:
    """Push a model's folder unchanged except for local paths; return the commit's sha.

    `revision` names a branch, created if it is missing. Raises CephaloError if a file contains a
    local path, if the base of an adapter is not on the Hub, if the uploaded files differ, and as
    `push_folder` does.
    """
    with staged(folder, base_model) as (aside, files):
        check_base(api, aside)
        sha = push_folder(
            api,
            aside,
            repo_id,
            repo_type="model",
            private=private,
            files=files,
            delete_patterns=STALE,
            message=message,
            revision=revision,
        )
        try:
            wrong = differing(aside, files, remote_files(api, repo_id, "model", sha))
        except httpx2.HTTPError as error:
            raise refusal(error, api.endpoint, repo_id) from error
    if wrong:
        raise CephaloError(
            f"{', '.join(wrong)} of {repo_id} at {sha} differ from those in {folder}; did "
            "the folder change during the push? push again"
        )
    return sha


@contextmanager
def staged(folder: Path, base_model: str | None) -> Generator[tuple[Path, list[str]]]:
    """Create a folder with the files to upload; yield it and their names.

    Files are links to those in `folder`, except for JSON files with local names.
    """
    files = pushed_files(folder)
    base = base_model or known_base(folder)
    with tempfile.TemporaryDirectory(prefix="cephalo-push-") as name:
        aside = Path(name)
        for file in files:
            target = aside / file
            target.parent.mkdir(parents=True, exist_ok=True)
            if (cleaned := clean(folder, file, base)) is None:
                target.symlink_to((folder / file).resolve())
            else:
                target.write_text(cleaned, encoding="utf-8")
        yield aside, files


def known_base(folder: Path) -> str | None:
    """Return the Hub id of an adapter's base, from the folder or that of the base, or None."""
    named = read_json(folder / "adapter_config.json").get(BASE)
    if named and (base := hub_id(named)):
        return base
    bases = read_facts(folder).base_models
    return bases[0] if bases else None


def clean(folder: Path, name: str, base: str | None) -> str | None:
    """Return the text of a file without local paths, or None if it needs no change.

    `name` is the file's path in the folder, `base` the Hub id of an adapter's base. Raises
    CephaloError for a path that cannot be removed.
    """
    path = folder / name
    if path.suffix not in TEXTS or name in VOCABULARIES:
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    found = read_json(path) if path.suffix == ".json" else {}
    kept = with_hub_names(path, found, base)
    near = [f"{one}/" for one in (Path.home(), folder.absolute().parent) if len(one.parts) > 1]
    for value in strings(kept or text):
        shown = next((value[value.index(one) :] for one in near if one in value), None)
        if shown or LOCAL_PATH.fullmatch(value):
            shown = (shown or value).splitlines()[0][:80]
            raise CephaloError(
                f"{path} contains a local path, {shown!r}; remove it, then push again"
            )
    return None if kept == found else json.dumps(kept, indent=2, ensure_ascii=False) + "\n"


def with_hub_names(path: Path, found: dict[str, Json], base: str | None) -> dict[str, Json]:
    """Return the JSON of a file with the Hub id `base` of an adapter's base, and without
    provenance.

    Raises CephaloError if the base is a local folder and `base` is None.
    """
    kept = {
        key: value for key, value in found.items() if key not in PROVENANCE or not is_local(value)
    }
    if path.name == "adapter_config.json":
        if base is None:
            raise CephaloError(
                f"{path}: the Hub id of its base is unknown, {found.get(BASE)}; push that first, "
                "or give --base-model NAMESPACE/NAME"
            )
        kept[BASE] = base
    return kept


def is_local(value: object) -> bool:
    """Return whether a value names a local file or folder."""
    return isinstance(value, str) and bool(LOCAL_PATH.fullmatch(value) or Path(value).is_dir())


def check_base(api: HfApi, folder: Path) -> None:
    """Raise CephaloError if the base of an adapter is not on the Hub."""
    base = read_json(folder / "adapter_config.json").get(BASE)
    try:
        known = base is None or api.repo_exists(base)
    except httpx2.HTTPError as error:
        raise refusal(error, api.endpoint, str(base)) from error
    if not known:
        raise CephaloError(
            f"no model {base} on {api.endpoint} that this token may read, and the adapter "
            "needs it; push it first, or give --base-model NAMESPACE/NAME"
        )


def add_to_collection(api: HfApi, title: str, repo_id: str, private: bool) -> str:
    """Add a model to a collection of its namespace, created if missing; return its address."""
    try:
        made = api.create_collection(
            title, namespace=repo_id.split("/")[0], private=private, exists_ok=True
        )
        return api.add_collection_item(made.slug, repo_id, "model", exists_ok=True).url
    except httpx2.HTTPError as error:
        raise refusal(error, api.endpoint, repo_id) from error
