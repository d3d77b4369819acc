"""Replacement for tests/fixtures/hub.py of datasets: the CI Hub is the embedded hub."""

import contextlib
import itertools
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import pytest
from huggingface_hub import HfApi
from PIL import Image

CI_HUB_USER = "__DUMMY_DATASETS_USER__"
CI_HUB_USER_TOKEN = os.environ["CONFORMANCE_DATASETS_TOKEN"]
CI_HUB_ENDPOINT = os.environ["HF_ENDPOINT"]
NUMBERS = itertools.count()
IMAGE = Path(__file__).parents[1] / "features" / "data" / "test_image_rgb.jpg"
IMAGE.parent.mkdir(parents=True, exist_ok=True)
Image.new("RGB", (640, 480), "teal").save(IMAGE)
TEXT = "\n".join(f"line {number}" for number in range(10))


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_DATASETS_CACHE", "HF_MODULES_CACHE", "DOWNLOADED_DATASETS_PATH"):
        monkeypatch.setattr(datasets.config, name, tmp_path / name)
    monkeypatch.setattr(datasets.config, "EXTRACTED_DATASETS_PATH", tmp_path / "extracted")


@pytest.fixture
def ci_hub_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do nothing, since HF_ENDPOINT selects the Hub."""
    monkeypatch.setenv("HF_TOKEN", "")


@pytest.fixture
def set_ci_hub_access_token(ci_hub_config: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
    monkeypatch.setenv("HF_TOKEN", CI_HUB_USER_TOKEN)


@pytest.fixture(scope="session")
def hf_api() -> HfApi:
    return HfApi(endpoint=CI_HUB_ENDPOINT)


@pytest.fixture(scope="session")
def hf_token() -> str:
    return CI_HUB_USER_TOKEN


@pytest.fixture
def cleanup_repo(hf_api: HfApi) -> Callable[[str], None]:
    return lambda repo_id: hf_api.delete_repo(repo_id, token=CI_HUB_USER_TOKEN, repo_type="dataset")


@pytest.fixture
def temporary_repo(cleanup_repo: Callable[[str], None]) -> Callable:
    @contextlib.contextmanager
    def temporary(repo_id: str = "") -> Iterator[str]:
        name = repo_id or f"{CI_HUB_USER}/data-{next(NUMBERS)}"
        try:
            yield name
        finally:
            with contextlib.suppress(Exception):
                cleanup_repo(name)

    return temporary


def private_dataset(api: HfApi, path: str, content: bytes) -> str:
    name = f"{CI_HUB_USER}/private-{next(NUMBERS)}"
    where = {"repo_id": name, "repo_type": "dataset", "token": CI_HUB_USER_TOKEN}
    api.create_repo(private=True, **where)
    api.upload_file(path_or_fileobj=content, path_in_repo=path, **where)
    return name


@pytest.fixture
def hf_private_dataset_repo_txt_data(hf_api: HfApi, ci_hub_config: None) -> str:
    return private_dataset(hf_api, "data/text_data.txt", TEXT.encode())


def zipped(path: Path, contents: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in contents.items():
            file.writestr(name, content)
    return path.read_bytes()


@pytest.fixture
def hf_private_dataset_repo_zipped_txt_data(
    hf_api: HfApi, tmp_path: Path, ci_hub_config: None
) -> str:
    table = b"col_1,col_2\n0,1\n2,3\n"
    contents = {f"main_dir/dataset{number}.csv": table for number in range(2)}
    return private_dataset(hf_api, "data.zip", zipped(tmp_path / "data.zip", contents))


@pytest.fixture
def hf_private_dataset_repo_zipped_img_data(
    hf_api: HfApi, tmp_path: Path, ci_hub_config: None
) -> str:
    contents = {f"{number}.jpg": IMAGE.read_bytes() for number in range(2)}
    return private_dataset(hf_api, "data.zip", zipped(tmp_path / "images.zip", contents))


@pytest.fixture
def hf_gated_dataset_repo_txt_data() -> str:
    """Return a public dataset for a test that also has a case with a private one."""
    return f"{CI_HUB_USER}/none"


@pytest.fixture(scope="session")
def text_file_content() -> str:
    return TEXT


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "file.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def csv_path(tmp_path: Path) -> str:
    path = tmp_path / "dataset.csv"
    path.write_text("col_1,col_2,col_3\n0,0,0.0\n1,1,1.0\n2,2,2.0\n3,3,3.0\n")
    return str(path)
