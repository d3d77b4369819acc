"""Facts of many characters at once, as pdfium tells them one by one."""

import ctypes

import numpy as np
import pypdfium2.raw as pdfium
from pdf_samples import one_figure

from cephalo.dataset_scripts.pdf import pdfium as fast


def test_as_many_characters_as_wanted_are_asked_for_at_once(tmp_path):
    one_figure(tmp_path / "one.pdf")
    with (
        fast.open_document(tmp_path / "one.pdf") as document,
        fast.open_page(document, 0) as page,
        fast.open_text(page) as text,
    ):
        textpage = ctypes.cast(text, pdfium.FPDF_TEXTPAGE)
        chars = list(range(pdfium.FPDFText_CountChars(textpage)))
        assert len(chars) > 2 * fast._ROWS
        loose, ink, origins, matrices, objects = [], [], [], [], []
        for char in chars:
            rect, matrix = pdfium.FS_RECTF(), pdfium.FS_MATRIX(1, 0, 0, 1, 0, 0)
            pdfium.FPDFText_GetLooseCharBox(textpage, char, rect)
            pdfium.FPDFText_GetMatrix(textpage, char, matrix)
            sides, point = [ctypes.c_double() for _ in "lrbt"], [ctypes.c_double() for _ in "xy"]
            pdfium.FPDFText_GetCharBox(textpage, char, *sides)
            pdfium.FPDFText_GetCharOrigin(textpage, char, *point)
            loose.append([rect.left, rect.bottom, rect.right, rect.top])
            ink.append([sides[k].value for k in (0, 2, 1, 3)])
            origins.append([axis.value for axis in point])
            matrices.append([getattr(matrix, name) for name in "abcdef"])
            owner = pdfium.FPDFText_GetTextObject(textpage, char)
            objects.append(ctypes.cast(owner, ctypes.c_void_p).value or 0)
        assert np.array_equal(fast.loose_boxes(text, np.array(chars)), np.float32(loose))
        assert np.array_equal(fast.ink_boxes(text, chars), ink)
        assert np.array_equal(fast.origins(text, chars), origins)
        assert np.array_equal(fast.text_matrices(text, chars), np.float32(matrices))
        assert fast.text_objects(text, np.array(chars)).tolist() == objects
