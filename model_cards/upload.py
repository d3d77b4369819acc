"""Upload folders: one commit each, with retries, verified afterwards."""

import os
import random
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import filter_repo_objects
from huggingface_hub.utils.sha import git_hash, sha_fileobj
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.keys import check_key
from cephalo.cli.logs import no_bars

RETRIED_STATUS = {409, 412, 429, 500, 502, 503, 504}
ATTEMPTS = 5
TRANSFER_ATTEMPTS = 2  # hf_xet itself retries for over a minute before it gives up
# By default hf_xet reads 8 files at once and buffers many blocks of 64 MB: 1.3 GB of memory for a
# dataset of 1.7 GB. It reads these variables at the first upload of a process; the user's settings
# take precedence.
XET_LIMITS = {
    "HF_XET_DATA_MAX_CONCURRENT_FILE_INGESTION": "1",
    "HF_XET_CLIENT_AC_MAX_UPLOAD_CONCURRENCY": "4",
}
LONGEST_WAIT = 300  # seconds between two attempts, whatever the Hub requests


def hub_api(token: str | None = None) -> HfApi:
    """Return a client that can write, with `token`, `HF_TOKEN` or the token of `hf auth login`.

    Raises CephaloError without a token.
    """
    token = token or get_token()
    if not token:
        raise CephaloError(
            "no Hub token; run `hf auth login`, set HF_TOKEN or give --token hf_..., then try again"
        )
    return HfApi(token=check_key(token, "the Hub token"))


def push_folder(
    api: HfApi,
    folder: Path,
    repo_id: str,
    *,
    repo_type: str,
    private: bool,
    files: list[str],
    delete_patterns: list[str] | None = None,
    message: str = "Upload with Cephalo",
    revision: str | None = None,
) -> str:
    """Push `files` (paths inside `folder`, with "/") in one commit; return its sha.

    It is the sha of this push, whatever others push meanwhile, or that of the branch if the files
    are there already. More than 256 files take several commits, by the client's choice. The
    repository is created if missing, and the branch `revision` too. Remote files that match
    `delete_patterns` and are not in the folder are deleted in the same commit. After an error with
    unknown outcome the remote files are compared before a retry, so that a commit whose answer was
    lost is not repeated, and pushing the same files again makes no commit.

    Raises CephaloError, before anything is sent, for a credential in one of the files; and for a
    refused token or namespace, an unreachable Hub, and a private push to a public repository.
    """
    from cephalo.model_cards.credentials import refuse_credentials  # slow to import

    refuse_credentials(folder, files, api.token if isinstance(api.token, str) else get_token())
    for name, value in XET_LIMITS.items():
        os.environ.setdefault(name, value)
    parents: list[str] = []  # of commits with unknown outcome
    for attempt in range(1, ATTEMPTS + 1):
        try:
            api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True)
            if revision:
                api.create_branch(repo_id, repo_type=repo_type, branch=revision, exist_ok=True)
            info = api.repo_info(repo_id, repo_type=repo_type, revision=revision)
            assert info.sha  # every repository has a first commit
            if private and not info.private:
                raise CephaloError(
                    f"{repo_id} exists and is public, but --private was given; choose "
                    "another name or make it private first"
                )
            for sha in landed(api, repo_id, repo_type, info.sha, parents):
                if arrived(api, folder, repo_id, repo_type, files, delete_patterns, sha):
                    return sha
            parents.append(info.sha)
            return api.upload_folder(
                repo_id=repo_id,
                repo_type=repo_type,
                folder_path=folder,
                allow_patterns=files,
                delete_patterns=delete_patterns,
                revision=revision,
                commit_message=message,
                # The client repeats a commit whose answer was lost; with this, the Hub rejects the
                # second, and the comparison of the next attempt finds the first.
                parent_commit=info.sha,
            ).oid
        # hf_xet reports a failed transfer as RuntimeError or ConnectionError.
        except (httpx2.HTTPError, ConnectionError, RuntimeError) as error:
            last = ATTEMPTS if isinstance(error, httpx2.HTTPError) else TRANSFER_ATTEMPTS
            if attempt >= min(last, ATTEMPTS) or not worth_retrying(error):
                raise refusal(error, api.endpoint, repo_id) from error
            time.sleep(wait_seconds(error, attempt))
    raise AssertionError("unreachable")


def landed(
    api: HfApi, repo_id: str, repo_type: str, head: str, parents: list[str]
) -> Iterator[str]:
    """Yield the commits that may have been made on `parents`, and last the branch's `head`."""
    if not parents:
        return
    history = [
        commit.commit_id
        for commit in api.list_repo_commits(repo_id, repo_type=repo_type, revision=head)
    ]
    for child, parent in pairwise(history):
        if parent in parents:
            yield child
    yield head


def arrived(
    api: HfApi,
    folder: Path,
    repo_id: str,
    repo_type: str,
    files: list[str],
    delete_patterns: list[str] | None,
    revision: str,
) -> bool:
    """Return whether the remote files of a revision are those of the folder, by size and hash."""
    try:
        remote = remote_files(api, repo_id, repo_type, revision)
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return False
    stale = set(filter_repo_objects(remote, allow_patterns=delete_patterns or [])) - set(files)
    return not stale and not differing(folder, files, remote)


def remote_files(
    api: HfApi, repo_id: str, repo_type: str, revision: str | None
) -> dict[str, RepoFile]:
    """Return every file of a repository at a revision, by its path."""
    return {
        entry.path: entry
        for entry in api.list_repo_tree(
            repo_id, repo_type=repo_type, recursive=True, revision=revision
        )
        if isinstance(entry, RepoFile)
    }


def differing(folder: Path, files: list[str], remote: dict[str, RepoFile]) -> list[str]:
    """Return the files that are missing remotely, or have another size or hash there."""
    return [
        name
        for name in tqdm(files, desc="comparing", delay=2, disable=no_bars())
        if name not in remote or not same_content(folder / name, remote[name])
    ]


def same_content(path: Path, entry: RepoFile) -> bool:
    """Return whether a local file has the bytes of a remote one (git blob hash, or sha256 under
    LFS)."""
    if path.stat().st_size != entry.size:
        return False
    if entry.lfs is None:
        return git_hash(path.read_bytes()) == entry.blob_id
    with path.open("rb") as file:
        return sha_fileobj(file).hex() == entry.lfs.sha256


def worth_retrying(error: Exception) -> bool:
    """Return whether a retry can help: a busy or broken server, a conflict, a lost connection."""
    response = getattr(error, "response", None)
    return response is None or response.status_code in RETRIED_STATUS


def wait_seconds(error: Exception, attempt: int) -> float:
    """Return the seconds to wait after a failed attempt, the first being 1: as the Hub requests, or
    increasing, with a random part in case of a conflict with another push."""
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after", "") if response is not None else ""
    if asked.isdecimal():
        return min(int(asked), LONGEST_WAIT)
    return 2 ** (attempt - 1) * random.uniform(0.5, 1.5)


def refusal(error: Exception, endpoint: str, repo_id: str) -> CephaloError:
    """Return the error for a refusal of the Hub, in one line."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status == 401:
        return CephaloError(
            f"{endpoint} does not accept the token; run `hf auth login` or set HF_TOKEN to one "
            f"that may write to {repo_id}"
        )
    if status == 403:
        return CephaloError(
            f"this token may not write to {repo_id} on {endpoint}; "
            "push to your own namespace or ask its owner"
        )
    if status is None:
        return CephaloError(
            f"{endpoint} cannot be reached or closed the connection "
            f"({type(error).__name__}); nothing is lost, "
            "try again when it answers"
        )
    return CephaloError(
        f"{endpoint} answered {status} while pushing to {repo_id}; nothing is lost, try again later"
    )
