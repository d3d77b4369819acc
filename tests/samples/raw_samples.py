"""PDF files of one page, written object by object."""

from pathlib import Path


def stream(text: str) -> str:
    """A stream object."""
    return f"<< /Length {len(text)} >> stream\n{text}\nendstream"


def write_pdf(path: Path, content: str, font: list[str], more: str = "", page: str = "") -> None:
    """A file of one page; `more` are entries of its fonts, `page` entries of the page."""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R {page or '/MediaBox [0 0 612 792]'} /Contents 4 0 R "
        f"/Resources << /Font << /F 5 0 R {more} >> >> >>",
        stream(content),
        *font,
    ]
    data, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += f"{number} 0 obj {body} endobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    count = len(objects) + 1
    data += f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer << /Size {count} /Root 1 0 R >>"
    data += f"\nstartxref\n{data.index('xref')}\n%%EOF"
    path.write_text(data)
