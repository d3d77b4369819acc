"""Resolve names of repositories on the Hub to commits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cephalo.cli.errors import CephaloError, hub_failure

if TYPE_CHECKING:
    from huggingface_hub import DatasetInfo, ModelInfo, SpaceInfo

# The Hub's grammar of a name: letters, digits, "-", "_", "."; no "--" or ".."; at most 96.
NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")


def check_repo_id(repo_id: str) -> str:
    """Return `repo_id` if it is a NAMESPACE/NAME of the Hub.

    Raises CephaloError otherwise.
    """
    parts = repo_id.split("/")
    if len(parts) != 2 or not all(NAME.fullmatch(part) for part in parts):
        raise CephaloError(
            f"{repo_id!r} is not NAMESPACE/NAME of the Hub; give one such as my-lab/nacre-figures"
        )
    return repo_id


def split_revision(name: str) -> tuple[str, str | None]:
    """Split NAME@REVISION; a local folder is a name as a whole."""
    if Path(name).is_dir():
        return name, None
    repo_id, _, revision = name.partition("@")
    return repo_id, revision or None


def resolve(
    name: str, revision: str | None = None, repo_type: str = "model", mend: str = ""
) -> ModelInfo | DatasetInfo | SpaceInfo:
    """Return the Hub's information about a repository, including its commit `sha`.

    Args:
        name: NAMESPACE/NAME.
        revision: Commit, branch or tag; by default main.
        repo_type: "model" or "dataset".
        mend: Advice for the user if there is no such repository.

    Raises:
        CephaloError: If there is no such repository or revision that the token may read, or the Hub
            does not answer.
    """
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    api = HfApi()
    try:
        found = api.repo_info(name, revision=revision, repo_type=repo_type)
        # Never a kernel, which is another type.
        return cast("ModelInfo | DatasetInfo | SpaceInfo", found)
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        at = f"{name}@{revision}" if revision else name
        raise CephaloError(
            f"no folder and no {repo_type} {at} on {api.endpoint} that this token may read"
            + (f"; {mend}" if mend else "")
        ) from error
    except (httpx2.HTTPError, ConnectionError, ValueError) as error:
        raise hub_failure(error, api.endpoint, name) from error
