"""Requests and prompt tokens of `cephalo refine` with its default tasks, for the plan.

    cephalo extract ../shared/bench/real/pdf --text --out runs/real
    python tests/samples/measure_requests.py runs/real --tokenizer FOLDER

The teacher is the tests' own, which says what passes the checks: requests, prompts and the size of
what is kept are those of a real one, the length of its answers is not, nor is what it gets wrong.
Text is counted with the tokenizer in FOLDER, images as Qwen2.5-VL counts them.
"""

import argparse
import base64
import io
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from teacher_server import TeacherServer, faithful

PATCH = 28  # pixels; a token of Qwen2.5-VL stands for a square of so many (its model card)
AROUND = 2  # tokens: the start and the end of an image


def main() -> None:
    """Print, as JSON, what the refinement of a folder asked, used and wrote."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figures", type=Path, help="a folder that `cephalo extract` wrote")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of a tokenizer")
    print(json.dumps(measure(*vars(parser.parse_args()).values())))


def measure(figures: Path, tokenizer: Path) -> dict[str, float]:
    """Run `cephalo refine`; counts, seconds of processor time, memory in MB, bytes written."""
    from transformers import AutoTokenizer

    from cephalo.dataset_scripts.common.shards import count_rows

    tokens: Counter[str] = Counter()
    encode = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)

    def model(body: dict) -> str:
        tokens.update(count_tokens(body, lambda text: len(encode(text)["input_ids"])))
        said = faithful(body)
        body.clear()  # the server keeps it
        return said

    with TeacherServer(model) as server, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "cephalo.cli.main", "refine", str(figures)]
        command += ["--out", folder, "--base-url", server.url, "--model", "tests", "--no-verify"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"cephalo refine failed on {figures}")
        report = json.loads((Path(folder) / "report.json").read_text())
        shards = list((Path(folder) / "conversations").glob("*.parquet"))
        return {
            "figures": count_rows(sorted((figures / "figures").glob("*.parquet"))),
            "requests": report["run"]["requests"],
            "text_tokens": tokens["text"],
            "image_tokens": tokens["images"],
            "conversations": count_rows(shards),
            "bytes_conversations": sum(shard.stat().st_size for shard in shards),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "peak_mb": round(usage.ru_maxrss / 1024),
        }


def count_tokens(body: dict, count: Callable[[str], int]) -> dict[str, int]:
    """Tokens of the texts and of the images of a request."""
    found = {"text": 0, "images": 0}
    for message in body["messages"]:
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "text":
                found["text"] += count(part["text"])
            else:
                data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
                with Image.open(io.BytesIO(data)) as image:
                    squares = round(image.width / PATCH) * round(image.height / PATCH)
                found["images"] += squares + AROUND
    return found


if __name__ == "__main__":
    main()
