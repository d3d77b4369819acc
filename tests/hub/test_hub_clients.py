"""The real clients against a real hub: every operation over Xet, over LFS, and in parts."""

import re
import subprocess
from pathlib import Path

from hub_fixture import TOKENS, HubServer, hub_in_process
from warm_python import warm_python

OPERATIONS = [
    Path(__file__).parents[1] / "samples" / name
    for name in ("hub_client_operations.py", "hub_library_operations.py")
]


def run_operations(server: HubServer, home: Path, xet: bool) -> None:
    environment = server.environment(home, xet=xet) | {"BOB_TOKEN": TOKENS["bob"]}
    options = ["-o", "addopts=", "-q", "-p", "no:cacheprovider", "--basetemp", str(home / "tmp")]
    done = subprocess.run(
        [warm_python(), "-m", "pytest", *options, *map(str, OPERATIONS)],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    code = "".join(path.read_text() for path in OPERATIONS)
    tests = len(re.findall(r"^def test_", code, re.MULTILINE))
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed >= tests > 20
    assert "skipped" not in done.stdout


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_every_operation_over_xet(tmp_path):
    server = HubServer(tmp_path / "root")
    try:
        run_operations(server.start(), tmp_path, xet=True)
    finally:
        server.stop()
    assert files_under(server.root / "store" / "alice" / "xorbs")
    assert files_under(server.root / "tmp") == []


def test_every_operation_over_lfs_whole_and_in_parts(tmp_path):
    asked = []

    def record(app):
        async def recorder(scope, receive, send):
            asked.append((scope["method"], scope["path"]))
            await app(scope, receive, send)

        return recorder

    with hub_in_process(tmp_path / "root", part_bytes=1_000_000, wrap=record) as server:
        run_operations(server, tmp_path, xet=False)
    uploads = [path.count("/") for method, path in asked if method == "PUT" and "/lfs/" in path]
    assert uploads.count(2) > 10  # /lfs/TICKET
    assert uploads.count(3) > 10  # /lfs/TICKET/PART
    assert not any("/cas/" in path for _, path in asked)
    assert not (server.root / "store" / "alice" / "xorbs").exists()
    assert files_under(server.root / "tmp") == []
