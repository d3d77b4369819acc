"""Load the images of a dataset that is excluded from publication, such as a benchmark."""

import re
from collections.abc import Iterator
from pathlib import Path

import fsspec
from datasets import (
    Features,
    Image,
    IterableDataset,
    get_dataset_config_names,
    get_dataset_split_names,
    load_dataset,
)
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.logs import no_bars

# NAME, NAME:CONFIG, NAME@REVISION, NAME:CONFIG@REVISION
SPEC = re.compile(r"(?P<name>[^:@]+)(?::(?P<config>[^@]+))?(?:@(?P<revision>.+))?")


def images_of(spec: str, token: str | None = None) -> Iterator[tuple[bytes, str]]:
    """Stream the encoded images of all splits of a dataset, each with its place for error messages.

    `spec` is a folder or a Hub name, optionally with ":config" (default: all configs) and
    "@revision". Raises CephaloError if it cannot be loaded or has no images.
    """
    match = SPEC.fullmatch(spec)
    if Path(spec).is_dir():
        name, config, where = spec, None, {}
    elif match:
        name, config = match["name"], match["config"]
        where = {"revision": match["revision"], "token": token}
    else:
        raise CephaloError(f"--exclude {spec!r}: give a folder or NAMESPACE/NAME[:CONFIG]")
    found = False
    try:
        configs = [config] if config else get_dataset_config_names(name, **where)
        for config in configs:
            for split in get_dataset_split_names(name, config, **where):
                rows = load_dataset(name, config, split=split, streaming=True, **where)
                for number, data in enumerate(encoded_images(rows, f"{spec} {config} {split}")):
                    found = True
                    yield data, f"--exclude {spec}: image {number} of {split}"
    except CephaloError:
        raise
    # The loaders raise almost anything if they cannot find or read something.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CephaloError(f"--exclude {spec} cannot be loaded: {reason}") from error
    if not found:
        raise CephaloError(f"--exclude {spec} contains no images; check its name and config")


def encoded_images(rows: IterableDataset, told: str) -> Iterator[bytes]:
    """Yield the encoded bytes of every image in every column of a streamed dataset."""
    features = rows.features or Features()
    columns = [name for name, feature in features.items() if holds_image(feature)]
    if not columns:
        return
    rows = rows.select_columns(columns).decode(False)
    for row in tqdm(rows, desc=told, unit=" rows", disable=no_bars()):
        for column in columns:
            yield from find_bytes(row[column])


def holds_image(feature: object) -> bool:
    """Return whether a feature is an image or contains one."""
    if isinstance(feature, dict):
        return any(map(holds_image, feature.values()))
    return isinstance(feature, Image) or holds_image(getattr(feature, "feature", {}))


def find_bytes(value: object) -> Iterator[bytes]:
    """Yield the bytes of all undecoded images, {"bytes", "path"}, in a value."""
    if isinstance(value, dict):
        if set(value) == {"bytes", "path"} and value["bytes"] is None:
            filesystem, path = fsspec.url_to_fs(value["path"])
            yield filesystem.cat_file(path)
        elif set(value) == {"bytes", "path"}:
            yield value["bytes"]
        else:
            for part in value.values():
                yield from find_bytes(part)
    elif isinstance(value, list):
        for part in value:
            yield from find_bytes(part)
