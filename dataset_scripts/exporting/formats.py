"""Writers of the export formats. Each writes a selection to a folder and returns the row count."""

import csv
import io
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from cephalo.dataset_scripts.common.pixels import compact, encode_png
from cephalo.dataset_scripts.exporting.selected import (
    Picture,
    Selected,
    Talk,
    picture_of,
    write_picture,
)
from cephalo.inference.images import open_image

TOKEN = "<image>"
SHARD_BYTES = 500_000_000  # bytes of images and texts per WebDataset tar file
FACTS = ("document", "license", "author", "title", "doi", "source_url")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters of cells that spreadsheets evaluate
PANEL = 1  # COCO category of panels
MOST_POINTS = 1e-6  # points; smaller sides are empty


def write_list(path: Path, values: Iterable[Any]) -> int:
    """Write a JSON list with one value per line. Return the number of values."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for value in values:
            file.write(",\n" if count else "\n")
            file.write(json.dumps(value, ensure_ascii=False))
            count += 1
        file.write("\n]\n")
    return count


def facts_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the attribution of a row, as far as it is known."""
    return {name: row[name] for name in FACTS if row.get(name)}


def write_llava(chosen: Selected, out: Path) -> int:
    """Write llava.json in the format of LLaVA. Several images are a list."""

    def entries() -> Iterator[dict[str, Any]]:
        for number, talk in enumerate(chosen.talks()):
            names = [write_picture(picture, out) for picture in talk.pictures]
            image = {"image": names[0] if len(names) == 1 else names} if names else {}
            yield {
                "id": f"{number:08d}",
                **image,
                "conversations": messages_of(talk, ("from", "value"), ("human", "gpt")),
                **facts_of(talk.row),
            }

    return write_list(out / "llava.json", entries())


def write_sharegpt(chosen: Selected, out: Path) -> int:
    """Write sharegpt.json, and dataset_info.json for LLaMA-Factory."""

    def entries() -> Iterator[dict[str, Any]]:
        for talk in chosen.talks():
            names = [write_picture(picture, out) for picture in talk.pictures]
            messages = messages_of(talk, ("role", "content"), ("user", "assistant"))
            yield {"messages": messages, "images": names, **facts_of(talk.row)}

    tags = {"role_tag": "role", "content_tag": "content"}
    tags |= {"user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages", "images": "images"}
    about = {"file_name": "sharegpt.json", "formatting": "sharegpt", "columns": columns}
    (out / "dataset_info.json").write_text(
        json.dumps({"cephalo": about | {"tags": tags}}, indent=2)
    )
    return write_list(out / "sharegpt.json", entries())


def messages_of(talk: Talk, names: tuple[str, str], roles: tuple[str, str]) -> list[dict[str, str]]:
    """Return the messages of a conversation. The first begins with a placeholder per image.

    A placeholder in the text itself is changed, since it would be taken for an image.
    """
    (role, content), (asker, answerer) = names, roles
    messages = []
    for number, (question, answer) in enumerate(talk.turns):
        places = f"{TOKEN}\n" * len(talk.pictures) if number == 0 else ""
        messages.append({role: asker, content: places + plain(question)})
        messages.append({role: answerer, content: plain(answer)})
    return messages


def plain(text: str) -> str:
    """Change placeholders of images in a text."""
    return text.replace(TOKEN, "< image >")


def write_coco(chosen: Selected, out: Path) -> int:
    """Write captions.json, and instances.json with the panels as boxes in pixels."""
    images, captions, panels = [], [], []
    for number, row in enumerate(chosen.figures(), 1):
        name = write_picture(picture_of(row["image"], row["document"]), out)
        size = {"width": row["width"], "height": row["height"]}
        images.append({"id": number, "file_name": name, **size, **facts_of(row)})
        if row["caption"]:
            captions.append(
                {"id": len(captions) + 1, "image_id": number, "caption": row["caption"]}
            )
        for panel in row["panels"] or []:
            box = in_pixels(panel["bbox"], row)
            if box is None:
                continue
            panels.append(
                {
                    "id": len(panels) + 1,
                    "image_id": number,
                    "category_id": PANEL,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                    "segmentation": [],
                    "letter": panel["letter"],
                    "caption": panel["caption"],
                }
            )
    whole = {"info": {"description": "Figures, by Cephalo"}, "licenses": [], "images": images}
    category = {"id": PANEL, "name": "panel", "supercategory": "figure"}
    files = {
        "captions.json": whole | {"annotations": captions},
        "instances.json": whole | {"annotations": panels, "categories": [category]},
    }
    for name, content in files.items():
        (out / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return len(images)


def in_pixels(box: list[float] | None, row: dict[str, Any]) -> list[float] | None:
    """Convert a box to [x, y, width, height] in pixels of the figure's image.

    The box is clipped to the image. Returns `None` if it is outside.
    """
    if not box or not row["bbox"]:
        return None
    left, top, right, bottom = row["bbox"]
    if right - left < MOST_POINTS or bottom - top < MOST_POINTS:
        return None
    across, down = row["width"] / (right - left), row["height"] / (bottom - top)
    x0, x1 = (min(max((x - left) * across, 0.0), row["width"]) for x in (box[0], box[2]))
    y0, y1 = (min(max((y - top) * down, 0.0), row["height"]) for y in (box[1], box[3]))
    if x1 <= x0 or y1 <= y0:
        return None
    return [round(value, 2) for value in (x0, y0, x1 - x0, y1 - y0)]


def write_webdataset(chosen: Selected, out: Path) -> int:
    """Write cephalo-1-000000.tar, ...: per conversation, images (.png), messages (.json) and text.

    The text (.txt) has the captions. `datasets` infers the columns of all samples from the first
    ones. Therefore conversations with one image, with two images, and so on are in separate tar
    files, all images are PNG, and unknown values are empty strings.
    """
    open_shards: dict[int, tarfile.TarFile] = {}
    sizes: Counter[int] = Counter()
    shards: Counter[int] = Counter()
    count = 0
    with ExitStack() as stack:
        for talk in chosen.talks():
            images = len(talk.pictures)
            if images not in open_shards or sizes[images] >= SHARD_BYTES:
                if images in open_shards:
                    open_shards[images].close()
                path = out / f"cephalo-{images}-{shards[images]:06d}.tar"
                tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
                open_shards[images] = stack.enter_context(tar)
                shards[images] += 1
                sizes[images] = 0
            for name, data in members(talk):
                entry = tarfile.TarInfo(f"{count:08d}.{name}")
                entry.size = len(data)
                open_shards[images].addfile(entry, io.BytesIO(data))
                sizes[images] += len(data)
            count += 1
    return count


def members(talk: Talk) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a sample by extension. Images after the first are numbered."""
    for number, picture in enumerate(talk.pictures):
        yield (f"{number}.png" if number else "png"), as_png(picture)
    messages = messages_of(talk, ("role", "content"), ("user", "assistant"))
    known = {name: talk.row.get(name) or "" for name in FACTS}
    facts = {"messages": messages, "task": talk.row["task"], **known}
    yield "json", json.dumps(facts, ensure_ascii=False).encode()
    yield "txt", (talk.row["orig_caption"] or "").encode()


def as_png(picture: Picture) -> bytes:
    """Return an image as PNG; unchanged if it is PNG already."""
    if picture.name.endswith(".png"):
        return picture.data
    return encode_png(compact(np.asarray(open_image(io.BytesIO(picture.data)))))


def write_csv(chosen: Selected, out: Path) -> int:
    """Write figures.csv and questions.csv, with one row per question and answer.

    Rows of one conversation have the same number. Several image names are separated by semicolons.
    Cells that a spreadsheet would evaluate are prefixed with an apostrophe.
    """
    columns = ("image", "caption", "label", "kind", "page", "panels", *FACTS)
    with (out / "figures.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in chosen.figures():
            name = write_picture(picture_of(row["image"], row["document"]), out)
            panels = json.dumps(row["panels"] or [], ensure_ascii=False)
            values = row | {"image": name, "panels": panels}
            writer.writerow([cell(values[column]) for column in columns])
    count = 0
    with (out / "questions.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("number", "image", "question", "answer", "task", *FACTS))
        for number, talk in enumerate(chosen.talks()):
            names = ";".join(write_picture(picture, out) for picture in talk.pictures)
            for turn in talk.turns:
                facts = [talk.row["task"], *(talk.row[name] for name in FACTS)]
                writer.writerow(map(cell, [number, names, *turn, *facts]))
                count += 1
    return count


def cell(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet evaluates."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


FORMATS: dict[str, Callable[[Selected, Path], int]] = {
    "llava": write_llava,
    "sharegpt": write_sharegpt,
    "coco": write_coco,
    "webdataset": write_webdataset,
    "csv": write_csv,
}
