"""Uploads: one commit per folder, with retries, verified after arrival."""

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
TRANSFER_ATTEMPTS = 2  # hf_xet itself has tried for over a minute when it gives up
# By itself hf_xet reads 8 files at once and holds many blocks of 64 MB: 1.3 GB of memory for a
# dataset of 1.7 GB. It reads these when a process first uploads; what the user has set counts.
XET_LIMITS = {
    "HF_XET_DATA_MAX_CONCURRENT_FILE_INGESTION": "1",
    "HF_XET_CLIENT_AC_MAX_UPLOAD_CONCURRENCY": "4",
}
LONGEST_WAIT = 300  # seconds between two attempts, whatever the Hub asks for


def hub_api(token: str | None = None) -> HfApi:
    """A client that can write, with `token`, `HF_TOKEN` or the token of `hf auth login`.

    Raises CephaloError if there is no token.
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

    That is the sha of this push, whatever others push meanwhile, or that of the branch if the files
    are there already.

    More than 256 files go in several commits, the client's choice. The repository is made where it
    is missing, and the branch `revision` too. Remote files that match `delete_patterns` and are not
    in the folder go in the same commit. After an error that leaves the outcome in doubt the remote
    files are compared before trying again, so a commit whose answer was lost is not made twice, and
    pushing the same files again makes no commit.

    Raises CephaloError, before anything is sent, for a credential in one of the files; and for a
    refused token or namespace, an unreachable Hub, and a private push to a public repository.
    """
    from cephalo.model_cards.credentials import refuse_credentials  # slow to import

    refuse_credentials(folder, files, api.token if isinstance(api.token, str) else get_token())
    for name, value in XET_LIMITS.items():
        os.environ.setdefault(name, value)
    parents: list[str] = []  # of the commits whose fate is not known
    for attempt in range(1, ATTEMPTS + 1):
        try:
            api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True)
            if revision:
                api.create_branch(repo_id, repo_type=repo_type, branch=revision, exist_ok=True)
            info = api.repo_info(repo_id, repo_type=repo_type, revision=revision)
            assert info.sha  # a repository begins with a commit
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
                # The client repeats a commit whose answer was lost; this makes the Hub refuse
                # the second, and the comparison of the next attempt find the first.
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
    """The commits that may be those made on `parents`, and last the branch's `head`."""
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
    """Whether the remote files of a revision are those of the folder, by size and hash."""
    try:
        remote = remote_files(api, repo_id, repo_type, revision)
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return False
    stale = set(filter_repo_objects(remote, allow_patterns=delete_patterns or [])) - set(files)
    return not stale and not differing(folder, files, remote)


def remote_files(
    api: HfApi, repo_id: str, repo_type: str, revision: str | None
) -> dict[str, RepoFile]:
    """Every file of a repository at a revision, by its path."""
    return {
        entry.path: entry
        for entry in api.list_repo_tree(
            repo_id, repo_type=repo_type, recursive=True, revision=revision
        )
        if isinstance(entry, RepoFile)
    }


def differing(folder: Path, files: list[str], remote: dict[str, RepoFile]) -> list[str]:
    """The files that are missing among the remote ones, or are of another size or hash there."""
    return [
        name
        for name in tqdm(files, desc="comparing", delay=2, disable=no_bars())
        if name not in remote or not same_content(folder / name, remote[name])
    ]


def same_content(path: Path, entry: RepoFile) -> bool:
    """Whether a local file has the bytes of a remote one (git blob hash, or sha256 under LFS)."""
    if path.stat().st_size != entry.size:
        return False
    if entry.lfs is None:
        return git_hash(path.read_bytes()) == entry.blob_id
    with path.open("rb") as file:
        return sha_fileobj(file).hex() == entry.lfs.sha256


def worth_retrying(error: Exception) -> bool:
    """Whether trying again can help: a busy or broken server, a conflict, a lost connection."""
    response = getattr(error, "response", None)
    return response is None or response.status_code in RETRIED_STATUS


def wait_seconds(error: Exception, attempt: int) -> float:
    """How long to wait after a failed attempt, the first being 1: as the Hub asks, or longer and
    longer, and never quite as long as another pusher that met the same conflict."""
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after", "") if response is not None else ""
    if asked.isdecimal():
        return min(int(asked), LONGEST_WAIT)
    return 2 ** (attempt - 1) * random.uniform(0.5, 1.5)


def refusal(error: Exception, endpoint: str, repo_id: str) -> CephaloError:
    """What the Hub's refusal means for the user, in one line."""
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
