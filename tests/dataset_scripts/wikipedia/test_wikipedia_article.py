"""Figures and paragraphs out of the HTML of wiki pages."""

import time

import pytest

from cephalo.dataset_scripts.wikipedia.article import read_article, text_of
from cephalo.dataset_scripts.wikipedia.images import ImageError, image_columns
from cephalo.dataset_scripts.wikipedia.rows import contributors, image_license


def page(body: str, head: str = "") -> bytes:
    return f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>".encode()


def thumb(name: str, caption: str, kind: str = "mw:File/Thumb", **image: int) -> str:
    """A picture as Parsoid writes it."""
    sides = "".join(f' {side}="{pixels}"' for side, pixels in image.items())
    return (
        f'<figure class="mw-default-size" typeof="{kind}"><a href="./File:{name}" '
        f'class="mw-file-description"><img resource="./File:{name}" '
        f'src="//upload.example/thumb/{name}/220px-{name}"{sides} class="mw-file-element"/></a>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def gallery_item(name: str, caption: str) -> str:
    return (
        f'<li class="gallerybox"><div class="thumb"><span typeof="mw:File"><a href="./File:{name}">'
        f'<img resource="./File:{name}" src="//upload.example/{name}"/></a></span></div>'
        f'<div class="gallerytext">{caption}</div></li>'
    )


def test_a_caption_is_the_text_that_a_reader_sees():
    caption = (
        "Layers of\n CaCO<sub>3</sub> <i>in</i> nacre, 5\u00d710<sup>\u22127</sup> m thick"
        '<sup typeof="mw:Extension/ref" class="mw-ref reference"><a>[1]</a></sup>'
        '<style>.a{color:red}</style><span style="display: none">hidden</span>, '
        '<span class="mwe-math-element"><math alttext="x"><semantics><mi>E</mi><annotation '
        'encoding="application/x-tex">{\\displaystyle E=\\sigma /\\epsilon }</annotation>'
        '</semantics></math><img src="e.svg"/></span><br/>&amp; <!-- no -->more[citation needed]'
    )
    [figure] = read_article(page(thumb("Nacre_%26_shell.jpg", caption))).figures
    assert figure.caption == (
        "Layers of CaCO3 in nacre, 5\u00d710⁻⁷ m thick, $E=\\sigma /\\epsilon$ & more"
    )
    assert figure.name == "Nacre & shell.jpg"
    assert figure.source == "//upload.example/thumb/Nacre_%26_shell.jpg/220px-Nacre_%26_shell.jpg"


def test_thumbs_of_older_mediawiki():
    thumb = (
        '<p>Before.</p><div class="thumb tright"><div class="thumbinner" style="width:222px;">'
        '<a href="/wiki/File:Old_nacre.jpg" class="image"><img src="//u/220px-Old_nacre.jpg" '
        'width="220" height="165" class="thumbimage"/></a> <div class="thumbcaption"><div '
        'class="magnify"><a href="/wiki/File:Old_nacre.jpg" class="internal" title="Enlarge"><img '
        'src="/skins/magnify.png" width="15" height="11"/></a></div>{caption}</div></div></div>'
    )
    body = thumb.format(caption="Tablets of <i>nacre</i>.") + thumb.format(caption="<p>Bone.</p>")
    article = read_article(page(body))
    assert [(one.name, one.caption) for one in article.figures] == [
        ("Old nacre.jpg", "Tablets of nacre."),
        ("Old nacre.jpg", "Bone."),
    ]
    assert article.figures[0].source == "//u/220px-Old_nacre.jpg"
    assert article.paragraphs == ["Before.", "Before."]
    assert read_article(page(thumb.format(caption=""))).figures == []


def test_galleries_image_rows_and_infoboxes_have_figures_too():
    row = (
        '<div class="thumb tmulti"><div class="tsingle"><div class="thumbimage"><span '
        'typeof="mw:File"><a href="/wiki/Datei:Links.png"><img src="links.png"/></a></span></div>'
        '<div class="thumbcaption">The left one</div></div></div>'
    )
    box = (
        '<table class="infobox"><tr><td class="infobox-image"><a href="./File:Box.jpg">'
        '<img src="b.jpg"/></a><div class="infobox-caption">In the box</div></td></tr></table>'
    )
    gallery = f'<ul class="gallery">{gallery_item("G.jpg", "<p>In the gallery</p>")}</ul>'
    figures = read_article(page(box + row + gallery)).figures
    assert [(figure.name, figure.caption) for figure in figures] == [
        ("Box.jpg", "In the box"),
        ("Links.png", "The left one"),
        ("G.jpg", "In the gallery"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        thumb("Icon.png", "An icon", width=40, height=30),
        thumb("A.jpg", "Not shown under the picture", kind="mw:File/Frameless"),
        thumb("A.jpg", " "),
        thumb("A.jpg", "Film").replace("<a ", '<video src="x.webm"></video><a '),
        f'<div class="navbox" role="navigation">{thumb("A.jpg", "Of a navigation box")}</div>',
        f'<table class="ambox">{thumb("A.jpg", "Please improve this article")}</table>',
        '<figure typeof="mw:Error mw:File/Thumb"><span class="mw-broken-media">No.jpg</span>'
        "<figcaption>There is no such file</figcaption></figure>",
    ],
)
def test_what_is_no_figure_is_left_out(body):
    assert read_article(page(body)).figures == []


def test_names_that_no_wiki_has_are_not_asked_for():
    for name in ("a%7CFile:b.png", "x" * 300 + ".png", "a%0Ab.png"):
        assert read_article(page(thumb(name, "A caption"))).figures[0].name is None


def test_mentions_are_the_paragraphs_around_in_the_same_section():
    body = (
        "<p>Lead one.</p><p>Lead two.</p>"
        + thumb("A.jpg", "first")
        + "<p>Lead three.</p><p>Lead four.</p><p>Lead five.</p>"
        + '<div class="mw-heading mw-heading2"><h2>History</h2></div>'
        + thumb("B.jpg", "second")
        + "<p>History one.</p><ul><li><p>Of a list.</p></li></ul>"
        + f'<ul class="gallery">{gallery_item("C.jpg", "third")}</ul>'
        + "<section><h3>Later</h3><p>Later one.</p></section>"
    )
    article = read_article(page(body))
    assert [figure.mentions for figure in article.figures] == [
        ["Lead two.", "Lead three.", "Lead four."],
        ["History one."],
        ["History one."],
    ]
    assert article.paragraphs[-2:] == ["History one.", "Later one."]


def test_the_head_tells_title_address_revision_and_licence():
    head = (
        "<title>Nacre - Wikipedia</title>"
        '<link rel="canonical" href="https://en.wikipedia.org/wiki/Nacre"/>'
        '<link rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/deed.en"/>'
    )
    body = '<h1 id="firstHeading">Nacre</h1><a href="/w/index.php?title=Nacre&amp;oldid=1234">x</a>'
    article = read_article(page(body, head))
    assert (article.title, article.address) == ("Nacre", "https://en.wikipedia.org/wiki/Nacre")
    assert (article.revision, article.license) == ("1234", "CC-BY-SA-4.0")
    parsoid = b'<html about="https://w.example/wiki/Special:Redirect/revision/77"><p>x</p></html>'
    assert read_article(parsoid).revision == "77"
    for address in ("javascript:alert(1)", "http://[", "//"):
        assert read_article(page("", f'<link rel="canonical" href="{address}"/>')).address is None


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00\xff\xfe", b"<" * 100_000, b"<figure>" * 50_000, b"&#99999999;" * 10_000],
    ids=["empty", "binary", "brackets", "nested", "entities"],
)
def test_hostile_html_is_read_in_a_moment(data):
    start = time.process_time()
    assert read_article(data).figures == []
    assert time.process_time() - start < 5


def test_entities_of_a_file_are_not_read(tmp_path):
    (tmp_path / "secret").write_text("the secret")
    data = f'<!DOCTYPE html [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><p>A &x; b.</p>'
    assert "secret" not in " ".join(read_article(data.encode()).paragraphs).replace("&x;", "")


def test_pages_in_other_encodings():
    data = '<html><head><meta charset="iso-8859-1"></head><p>Härte in Größe</p></html>'
    assert read_article(data.encode("iso-8859-1")).paragraphs == ["Härte in Größe"]
    assert read_article("<p>Härte</p>".encode()).paragraphs == ["Härte"]


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("CC BY-SA 3.0", "CC-BY-SA-3.0"),
        ("CC BY 2.5 nl", "CC-BY-2.5"),
        ("CC0", "CC0-1.0"),
        ("Public domain", "PDM-1.0"),
        ("GFDL 1.2", "GFDL 1.2"),
        ("<b>Fair use</b>", "Fair use"),
        ("", None),
    ],
)
def test_licences_of_images(name, identifier):
    assert image_license(name) == identifier


def test_authors_are_text():
    assert text_of('<a href="//x"><b>Jane</b> Doe</a><script>x()</script> &amp; co') == (
        "Jane Doe & co"
    )
    assert contributors("https://de.wikipedia.org/wiki/Holz") == "Wikipedia contributors"
    assert contributors("https://wiki.example/wiki/Holz") == "Contributors to wiki.example"


def test_a_picture_that_fits_is_kept_and_a_wide_one_shrunk():
    from mediawiki_server import picture

    data = picture(300, 150, kind="JPEG")
    kept, small = image_columns(data, 300), image_columns(data, 220)
    assert kept["image"]["bytes"] == data
    assert (kept["width"], kept["height"]) == (300, 150)
    assert (small["width"], small["height"]) == (220, 110)
    assert small["image"]["bytes"].startswith(b"\xff\xd8")
    assert kept["image_sha256"] != small["image_sha256"]
    near = int(kept["phash"], 16) ^ int(small["phash"], 16)
    assert near.bit_count() <= 4


def test_pictures_that_are_none_have_a_reason():
    from mediawiki_server import picture

    with pytest.raises(ImageError, match="not a readable image"):
        image_columns(b"<svg onload='x()'/>", 300)
    with pytest.raises(ImageError, match="not a readable image"):
        image_columns(picture(300, 300)[:200], 300)
    with pytest.raises(ImageError, match="an icon"):
        image_columns(picture(30, 63), 300)
    # A header alone: 30000 by 30000 pixels are refused before any is decoded.
    bomb = bytearray(picture(64, 64))
    bomb[16:24] = (30_000).to_bytes(4, "big") * 2
    with pytest.raises(ImageError):
        image_columns(bytes(bomb), 300)


def test_transparent_pictures_stand_on_white_paper():
    import io

    import numpy as np
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGBA", (80, 80), (0, 0, 0, 0)).save(out, "PNG")
    row = image_columns(out.getvalue(), 300)
    assert np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))).min() == 255
