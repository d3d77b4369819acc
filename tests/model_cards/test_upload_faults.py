"""Every fault that a push can meet, over Xet and over plain LFS: whole in the end, or one line."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from faulty_hub import Fault, faulty_hub
from huggingface_hub import HfApi, constants
from huggingface_hub.utils.sha import git_hash, sha_fileobj
from warm_python import kill, warm_python

from cephalo.cli.errors import CephaloError
from cephalo.model_cards import upload
from cephalo.model_cards.upload import push_folder

DATA = {"xet": ("POST", "/v1/xorbs/"), "lfs": ("PUT", "^/lfs/")}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with faulty_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(params=DATA)
def protocol(request, monkeypatch) -> str:
    """How large files travel; this process's client looks it up at each push."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", request.param == "lfs")
    return request.param


@pytest.fixture
def repo(hub, request) -> str:
    """The name of a repository of this test alone."""
    hub.faults, hub.log[:] = [], []
    return "alice/" + "".join(c if c.isalnum() else "." for c in request.node.name).strip(".")


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "folder"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("# A dataset\n")
    for number in range(2):
        (folder / "data" / f"{number}.parquet").write_bytes(os.urandom(100_000))
    return folder


@pytest.fixture
def quick(monkeypatch) -> None:
    """Our waits between attempts are not what is tested."""
    monkeypatch.setattr(upload.time, "sleep", lambda seconds: None)


def push(hub, folder: Path, repo: str, token: str = "hf_alice", **more) -> str:
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    api = HfApi(endpoint=hub.endpoint, token=token)
    more = {"repo_type": "dataset", "private": False, "delete_patterns": ["data/*"], **more}
    return push_folder(api, folder, repo, files=files, **more)


def commits(hub, repo: str) -> int:
    """The commits after the one that made the repository."""
    api = HfApi(endpoint=hub.endpoint, token="hf_alice")
    return len(api.list_repo_commits(repo, repo_type="dataset")) - 1


def remote_hashes(hub, repo: str) -> dict[str, str]:
    """The git hash of every remote file, or its sha256 under LFS and Xet."""
    api = HfApi(endpoint=hub.endpoint, token="hf_alice")
    return {
        entry.path: entry.lfs.sha256 if entry.lfs else entry.blob_id
        for entry in api.list_repo_tree(repo, repo_type="dataset", recursive=True)
        if hasattr(entry, "blob_id") and entry.path != ".gitattributes"
    }


def local_hashes(folder: Path) -> dict[str, str]:
    hashes = {}
    for path in folder.rglob("*.*"):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".parquet":
            with path.open("rb") as file:
                hashes[name] = sha_fileobj(file).hex()
        else:
            hashes[name] = git_hash(path.read_bytes())
    return hashes


PASSING = {
    "create_503": ("POST", "/api/repos/create", {"status": 503}),
    "create_429": ("POST", "/api/repos/create", {"status": 429, "retry_after": 0}),
    "preupload_503": ("POST", "/preupload/", {"status": 503}),
    "preupload_429": ("POST", "/preupload/", {"status": 429, "retry_after": 1}),
    "preupload_drop": ("POST", "/preupload/", {"status": None, "served": False}),
    "data_500": ("data", "", {"status": 500}),
    "data_drop": ("data", "", {"status": None, "served": False}),
    "commit_500": ("POST", "/commit/", {"status": 500}),
    "commit_412": ("POST", "/commit/", {"status": 412}),
    "commit_drop": ("POST", "/commit/", {"status": None, "served": False}),
    "commit_lost": ("POST", "/commit/", {"status": None}),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_ends_in_one_whole_commit(hub, folder, repo, protocol, quick, name):
    method, path, how = PASSING[name]
    if method == "data":
        method, path = DATA[protocol]
    hub.faults = [fault := Fault(method, path, **how)]
    sha = push(hub, folder, repo)
    assert fault.times == 0
    assert commits(hub, repo) == 1
    assert remote_hashes(hub, repo) == local_hashes(folder)
    assert push(hub, folder, repo) == sha and commits(hub, repo) == 1


def test_the_wait_that_the_hub_asks_for_is_kept(hub, folder, repo):
    hub.faults = [Fault("POST", "/api/repos/create", 429, retry_after=2)]
    start = time.monotonic()
    push(hub, folder, repo)
    assert 2 <= time.monotonic() - start < 60


@pytest.mark.slow  # the client tries for 77 s over Xet and 23 s over LFS
def test_data_that_never_arrives_ends_in_one_line_without_a_commit(
    hub, folder, repo, protocol, monkeypatch
):
    monkeypatch.setattr(upload, "ATTEMPTS", 1)
    hub.faults = [Fault(*DATA[protocol], status=500, times=10_000)]
    with pytest.raises(CephaloError, match="nothing is lost, try again") as refusal:
        push(hub, folder, repo)
    assert "\n" not in str(refusal.value) and "hf_alice" not in str(refusal.value)
    assert commits(hub, repo) == 0
    hub.faults = []
    push(hub, folder, repo)
    assert commits(hub, repo) == 1 and remote_hashes(hub, repo) == local_hashes(folder)


def test_a_transfer_that_hf_xet_gave_up_is_tried_once_more(folder, monkeypatch, quick):
    """The transfer is a fake: the real one takes a minute to give up."""
    tries = []

    def give_up(self, **arguments):
        tries.append(arguments)
        raise RuntimeError("transfer failed")

    monkeypatch.setattr(HfApi, "create_repo", lambda *_, **__: None)
    monkeypatch.setattr(HfApi, "repo_info", lambda *_, **__: type("Info", (), {"sha": "0"}))
    monkeypatch.setattr(HfApi, "list_repo_tree", lambda *_, **__: [])
    monkeypatch.setattr(HfApi, "list_repo_commits", lambda *_, **__: [])
    monkeypatch.setattr(HfApi, "upload_folder", give_up)
    api = HfApi(endpoint="http://127.0.0.1:9", token="hf_x")
    with pytest.raises(CephaloError, match=r"closed the connection \(RuntimeError\)"):
        push_folder(api, folder, "a/b", repo_type="dataset", private=False, files=["README.md"])
    assert len(tries) == 2


@pytest.mark.parametrize("status", [500, 412])
def test_several_commits_of_which_the_second_is_rejected(
    hub, tmp_path, repo, protocol, quick, status
):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(300):  # the client commits 256 at a time over Xet, all at once over LFS
        (folder / f"{number}.json").write_text(json.dumps({"number": number}))
    hub.faults = [Fault("POST", "/commit/", status, skip=int(protocol == "xet"), times=4)]
    sha = push(hub, folder, repo)
    assert remote_hashes(hub, repo) == local_hashes(folder)
    assert commits(hub, repo) <= 3
    assert push(hub, folder, repo) == sha


PUSHER = """
import sys
from pathlib import Path
from huggingface_hub import HfApi
from cephalo.cli.errors import CephaloError
from cephalo.model_cards.upload import push_folder
folder, repo = Path(sys.argv[1]), sys.argv[2]
files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
try:
    print(push_folder(HfApi(), folder, repo, repo_type="dataset", private=False, files=files,
                      delete_patterns=["data/*"]))
except CephaloError as error:
    sys.exit(f"error: {error}")
"""


def start(hub, code: str, *arguments: str, protocol: str, token: str = "hf_alice"):
    """Run Python in a process whose Hub is this one, as a user's is."""
    return subprocess.Popen(
        [warm_python(), "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
            "HF_ENDPOINT": hub.endpoint,
            "HF_TOKEN": token,
            "HF_HUB_DISABLE_XET": "1" if protocol == "lfs" else "0",
        },
    )


@pytest.mark.parametrize(
    ("token", "message"),
    [("hf_wrong", "does not accept the token"), ("hf_bob", "this token may not write to alice/")],
)
def test_refused_tokens_change_nothing(hub, folder, repo, protocol, token, message):
    push(hub, folder, repo)
    before = remote_hashes(hub, repo)
    (folder / "README.md").write_text("# Another\n")
    process = start(hub, PUSHER, str(folder), repo, protocol=protocol, token=token)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and token not in errors
    assert errors.splitlines()[-1].startswith("error: ") and message in errors.splitlines()[-1]
    assert remote_hashes(hub, repo) == before and commits(hub, repo) == 1


@pytest.mark.parametrize("where", ["data", "commit"])
def test_killed_push_leaves_no_commit_and_is_made_good(hub, folder, repo, protocol, where):
    method, path = DATA[protocol] if where == "data" else ("POST", "/commit/")
    hub.faults = [fault := Fault(method, path, status=None, stall=True)]
    process = start(hub, PUSHER, str(folder), repo, protocol=protocol)
    while fault.times and process.poll() is None:
        time.sleep(0.05)
    kill(process)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert fault.times == 0 and commits(hub, repo) == 0
    push(hub, folder, repo)
    assert commits(hub, repo) == 1 and remote_hashes(hub, repo) == local_hashes(folder)


def test_three_pushers_at_once_all_succeed_and_mix_nothing(hub, tmp_path, repo, protocol):
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        (folder / "data").mkdir(parents=True)
        (folder / "README.md").write_text(f"# {folder.name}\n")
        for number in range(3):
            name = f"{folder.name}-{number}.parquet"
            (folder / "data" / name).write_bytes(os.urandom(50_000))
    pushers = [start(hub, PUSHER, str(path), repo, protocol=protocol) for path in folders]
    outputs = [pusher.communicate(timeout=120)[0].split() for pusher in pushers]
    assert [pusher.returncode for pusher in pushers] == [0, 0, 0]
    assert len({output[-1] for output in outputs}) == 3
    assert commits(hub, repo) == 3
    assert remote_hashes(hub, repo) in [local_hashes(folder) for folder in folders]


READER = """
import sys
from cephalo.dataset_scripts.publication.exclude import images_of
print(len(list(images_of(sys.argv[1]))))
"""


def test_download_that_meets_a_503_recovers(hub, tmp_path, repo, protocol):
    from datasets import Dataset, Features
    from datasets import Image as ImageFeature
    from PIL import Image

    (tmp_path / "data").mkdir()
    images = [Image.radial_gradient("L").rotate(angle) for angle in (0, 30)]
    rows = Dataset.from_dict({"image": images}, features=Features({"image": ImageFeature()}))
    rows.to_parquet(tmp_path / "data" / "test.parquet")
    push(hub, tmp_path, repo)
    hub.faults = [fault := Fault("GET", "/resolve/.*parquet", 503)]
    process = start(hub, READER, repo, protocol=protocol)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert output.split()[-1] == "2" and fault.times == 0
