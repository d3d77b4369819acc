"""A MediaWiki on loopback: its REST page HTML, api.php and files, with faults on demand.

Shapes of the answers as in https://www.mediawiki.org/wiki/API:REST_API/Reference,
https://www.mediawiki.org/wiki/API:Categorymembers and https://www.mediawiki.org/wiki/API:Imageinfo.
"""

import io
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import numpy as np
from PIL import Image

LICENSE = "https://creativecommons.org/licenses/by-sa/4.0/deed.en"
STEPS = (120, 250, 330, 500, 960, 1920)  # widths that the wiki renders, as Wikimedia's do
MEMBERS = 2  # of a category in one answer


def picture(width: int, height: int, seed: int = 0, kind: str = "PNG") -> bytes:
    """A smooth picture that no other seed gives."""
    small = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(out, kind)
    return out.getvalue()


@dataclass
class WikiFile:
    """A file of the wiki. `data` is the original; the wiki renders other widths of `rendered`."""

    data: bytes
    mime: str = "image/png"
    license: str | None = "CC BY-SA 3.0"
    artist: str | None = '<a href="//x.org/wiki/User:Jane"><b>Jane</b> Doe</a>'
    rendered: bytes | None = None

    def size(self) -> tuple[int, int]:
        """Pixels of the original, or of what stands for it."""
        return Image.open(io.BytesIO(self.rendered or self.data)).size


@dataclass
class MediaWiki:
    """`pages`: title → HTML. `log`: (seconds, path, User-Agent) of every request.

    `faults`: part of a path → what the next requests for it meet, one each: "429", "503", "500",
    "maxlag", "truncate", "unbounded" (2 MB of unknown length), "redirect" (without end).
    """

    pages: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, WikiFile] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    log: list[tuple[float, str, str]] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> "MediaWiki":
        handler = type("Handler", (_Handler,), {"wiki": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def paths(self) -> list[str]:
        """The paths of all requests so far."""
        return [path for _, path, _ in self.log]

    def fault(self, path: str) -> str | None:
        """The fault that a request for `path` meets, used up by it."""
        for part, kinds in self.faults.items():
            if part in path and kinds:
                return kinds.pop(0)
        return None

    def rest_page(self, title: str) -> dict[str, Any]:
        """The answer of /w/rest.php/v1/page/TITLE/with_html."""
        return {
            "id": 100 + len(title),
            "key": title.replace(" ", "_"),
            "title": title,
            "latest": {"id": 1000 + len(title), "timestamp": "2026-01-01T00:00:00Z"},
            "content_model": "wikitext",
            "license": {"url": LICENSE, "title": "Creative Commons Attribution-Share Alike 4.0"},
            "html": self.pages[title],
        }

    def category(self, query: dict[str, str]) -> dict[str, Any]:
        """The answer of list=categorymembers, continued after MEMBERS of them."""
        members = self.categories.get(query["cmtitle"], [])
        start = int(query.get("cmcontinue", 0))
        answer: dict[str, Any] = {
            "query": {
                "categorymembers": [
                    {"pageid": 100 + len(title), "ns": 0, "title": title}
                    for title in members[start : start + MEMBERS]
                ]
            }
        }
        if start + MEMBERS < len(members):
            answer["continue"] = {"cmcontinue": str(start + MEMBERS), "continue": "-||"}
        else:
            answer["batchcomplete"] = True
        return answer

    def imageinfo(self, query: dict[str, str]) -> dict[str, Any]:
        """The answer of prop=imageinfo."""
        pages, normalized = [], []
        for asked_title in query["titles"].split("|"):
            title = "File:" + asked_title[5].upper() + asked_title[6:]
            if title != asked_title:
                normalized.append({"fromencoded": False, "from": asked_title, "to": title})
            page: dict[str, Any] = {"ns": 6, "title": title}
            file = self.files.get(title.removeprefix("File:"))
            if file is None:
                pages.append({**page, "missing": True})
                continue
            width, height = file.size()
            asked = int(query["iiurlwidth"])
            step = next(step for step in STEPS if step >= asked)
            name = quote(title.removeprefix("File:").replace(" ", "_"))
            told = {"LicenseShortName": file.license, "Artist": file.artist}
            info = {
                "size": len(file.data),
                "width": width,
                "height": height,
                "thumburl": f"{self.url}/images/thumb/{name}/{min(step, width)}px-{name}",
                "thumbwidth": min(asked, width),
                "url": f"{self.url}/images/{name}",
                "descriptionurl": f"{self.url}/wiki/File:{name}",
                "mime": file.mime,
                "extmetadata": {
                    key: {"value": value, "source": "commons-desc-page"}
                    for key, value in told.items()
                    if value is not None
                },
            }
            # As for a file of Commons that is shown on another wiki.
            shared = {"missing": True, "known": True, "imagerepository": "shared"}
            pages.append({**page, **shared, "imageinfo": [info]})
        return {"batchcomplete": True, "query": {"normalized": normalized, "pages": pages}}


class _Handler(BaseHTTPRequestHandler):
    wiki: MediaWiki

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""

    def answer(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def json(self, answer: Any, status: int = 200, **headers: str) -> None:
        """Send JSON."""
        self.answer(status, json.dumps(answer).encode(), "application/json", **headers)

    def do_GET(self) -> None:
        """Answer a request, or fail it."""
        wiki, parts = self.wiki, urlsplit(self.path)
        wiki.log.append((time.monotonic(), self.path, self.headers["User-Agent"]))
        fault = wiki.fault(self.path)
        if fault == "429":
            return self.answer(429, b"too many requests", "text/plain", Retry_After="1")
        if fault in ("500", "503"):
            return self.answer(int(fault), b"busy", "text/plain", Retry_After="0")
        if fault == "maxlag":
            error = {"code": "maxlag", "info": "Waiting for db1: 7 seconds lagged", "lag": 7}
            return self.json({"error": error}, Retry_After="0")
        if fault == "redirect":
            return self.answer(302, b"", "text/plain", Location=self.path)
        if fault == "truncate":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"only this")
            return None
        if fault == "unbounded":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(bytes(2 << 20))
            return None
        if parts.path == "/w/api.php":
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            return self.json(wiki.imageinfo(query) if "prop" in query else wiki.category(query))
        if parts.path.startswith("/w/rest.php/v1/page/"):
            return self.page(unquote(parts.path.split("/")[5]).replace("_", " "))
        return self.image(unquote(parts.path).replace("_", " "))

    def page(self, title: str) -> None:
        """A page, or where its redirect leads, as the REST API answers both."""
        if title in self.wiki.redirects:
            target = quote(self.wiki.redirects[title].replace(" ", "_"), safe="")
            location = f"/w/rest.php/v1/page/{target}/with_html"
            return self.answer(307, b"", "text/plain", Location=location)
        if title not in self.wiki.pages:
            error = {"errorKey": "rest-nonexistent-title", "httpCode": 404}
            return self.json(error, status=404)
        return self.json(self.wiki.rest_page(title))

    def image(self, path: str) -> None:
        """An original, or the thumbnail that the wiki renders of it."""
        name = path.rpartition("/")[2] if "/thumb/" not in path else path.split("/")[3]
        file = self.wiki.files.get(name)
        if not file or not path.startswith("/images/"):
            return self.answer(404, b"no such file", "text/plain")
        if "/thumb/" not in path:
            return self.answer(200, file.data, file.mime)
        width = int(path.rpartition("/")[2].partition("px-")[0])
        image = Image.open(io.BytesIO(file.rendered or file.data))
        out = io.BytesIO()
        image.resize((width, round(image.height * width / image.width))).save(out, "PNG")
        return self.answer(200, out.getvalue(), "image/png")
