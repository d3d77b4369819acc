"""Licence and DOI as papers state them."""

import time

import pytest

from cephalo.dataset_scripts.pdf.metadata import _xmp_values, find_doi
from cephalo.model_cards.licenses import find_license


@pytest.mark.parametrize(
    ("text", "license"),
    [
        ("(http://creativecommons.org/licenses/by/4.0/)", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by-nc-nd/3.0/", "CC-BY-NC-ND-3.0"),
        ("creativecommons.org/licenses/by/", "CC-BY"),
        ("http://creativecommons.org/ licenses/by-sa/4.0", "CC-BY-SA-4.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("This article is licensed under CC BY-NC 4.0.", "CC-BY-NC-4.0"),
        ("a Creative Commons Attribution 4.0 International License", "CC-BY-4.0"),
        ("Creative Commons Attribution-NonCommercial 3.0 Unported Licence", "CC-BY-NC-3.0"),
        ("under the Creative Commons Attribution License, which permits", "CC-BY"),
        ("Copyright 2020 by the publisher. All rights reserved.", None),
        ("", None),
    ],
)
def test_licences(text, license):
    assert find_license(text) == license


@pytest.mark.parametrize(
    ("text", "doi"),
    [
        ("https://doi.org/10.1038/srep19235 Received", "10.1038/srep19235"),
        ("DOI: 10.1103/PhysRevB.1.2.", "10.1103/physrevb.1.2"),
        ("see 10.1000/other in the text", None),
        ("no identifier", None),
    ],
)
def test_dois(text, doi):
    assert find_doi(text) == doi


def test_xmp_values_are_read_in_linear_time():
    xmp = (
        "<dc:creator><rdf:Seq><rdf:li>A B</rdf:li><rdf:li>C &amp; D</rdf:li></rdf:Seq></dc:creator>"
    )
    assert _xmp_values(f"{xmp}<prism:doi> 10.1/x </prism:doi>", "dc:creator", "prism:doi") == [
        *("A B", "C & D", "10.1/x")
    ]
    started = time.process_time()
    for part in ("<dc:creator>", "<dc:creator><rdf:li ", "<rdf:li"):
        assert _xmp_values(part * 100_000, "dc:creator") == []
    assert time.process_time() - started < 2
