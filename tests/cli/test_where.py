"""`--where`: conditions on columns, what they may say, and the errors that name the columns."""

import pickle
import time
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from cephalo.cli.errors import CephaloError
from cephalo.cli.where import INTEGER, REAL, TEXT, Where, types_of

TYPES = {"kind": TEXT, "license": TEXT, "caption": TEXT, "panels": TEXT, "page": INTEGER}
TYPES |= {"score": REAL}
ROW = {
    "kind": "figure",
    "license": "CC-BY-4.0",
    "caption": "It's nacre \ud800, in \u4e2d\u6587.",
    "panels": [{"letter": "a", "bbox": [1, 2, 3, 4]}, {"letter": "\u4e2d\u6587 \ud800"}],
    "page": 12,
    "score": 0.5,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind = 'figure' and license like 'CC-BY%'", True),
        ("kind = 'table' or page in (3, 4)", False),
        ("page > 9 and page > '9'", True),  # as numbers
        ("page between 1 and 11", False),
        ("score >= 0.5 and not kind = 'table'", True),
        ("caption = 'x' or caption like 'It''s%'", True),
        ("caption like '%\u4e2d\u6587%'", True),
        ('panels like \'%"letter": "a"%\'', True),
        ("panels like '%\u4e2d\u6587%'", True),
        ("kind = 'fig)ure' or page = 12 /* ' ) select */", True),
        ("length(caption) > 5 and lower(kind) = upper('figure')", False),
        ("coalesce(license, 'none') = 'none'", False),
        ("license is null", False),
        ("\"kind\" = 'figure' and [page] = 12 and `page` = 12", True),
        ("KIND = 'figure' -- as they say", True),
        ("case when page > 5 then 1 else 0 end", True),
        ("kind like null", False),
        ("kind", False),  # a text is no truth
    ],
)
def test_conditions(text, expected):
    where = Where(text, TYPES, "figures")
    assert where(ROW) is expected
    assert pickle.loads(pickle.dumps(where))(ROW) is expected


def test_columns_that_a_row_lacks_are_null():
    where = Where("kind = 'figure' and page is null", TYPES, "figures")
    assert where.columns == ["kind", "page"]
    assert where({"kind": "figure"}) and not where({})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "knd = 'figure'",
            "no column 'knd'; did you mean 'kind'\\? the columns of figures are kind,",
        ),
        ("kind = figure", "no column 'figure'; .*put strings in single quotes"),
        ('kind = "figure"', "no column 'figure'"),
        ("kind = [figure] or kind = `x`", "no column 'figure'"),
        ("row.knd = 1", "no column 'knd'"),
        ("rowid = 1", "names no column"),
        ("1", "names no column"),
        ("", "--where is empty"),
        ("kind =", "cannot be read: .*syntax error; the columns of figures are"),
        ("kind = ?", "cannot be read"),
        ("kind = 'x') or (page", "closes a parenthesis that it does not open"),
        ("kind = 'x') is true, (1", "closes a parenthesis"),
        ("kind = 'x') from row /*", "closes a parenthesis"),
        ("page = 1 or /* ' */ exists (select 1) /* ' */", "not a query"),
        ("page = 1 or -- '\n exists (select 1) -- '", "not a query"),
        ("kind = '\ud800'", "cannot be read"),
        ("kind = 'a\0b'", "cannot be read"),
        ("(" * 500 + "page" + ")" * 500, "cannot be read"),
        (" or ".join(["page = 1"] * 500), "cannot be read"),
        ("page = 1 " * 2000, "18,000 characters"),
        ("page in (select page from row)", "a condition on columns, not a query"),
        ("1) from row where (1", "closes a parenthesis"),
        ("page); drop table row; --", "not a query"),
        ("page; attach 'x' as y", "not a query"),
        ("page in (values (1))", "not a query"),
        ("readfile(kind) = 1", "uses the function readfile; it takes comparisons"),
        ("load_extension(kind)", "uses the function load_extension"),
        ("length(randomblob(1000000000)) = page", "uses the function randomblob"),
        ("printf('%1000000000d', page) = 1", "uses the function printf"),
        ("count(page) > 1", "uses the function count"),
        ("page over () > 0", "cannot be read"),
        ("kind regexp '(a+)+'", "uses the function"),
        ("kind match 'x'", "uses the function match"),
    ],
)
def test_what_it_may_not_say(text, words):
    with pytest.raises(CephaloError, match=words) as error:
        Where(text, TYPES, "figures")
    assert "\n" not in str(error.value)


def test_texts_that_are_put_together_are_bounded():
    where = Where("length(" + "||".join(["caption"] * 90) + ") > 1", TYPES, "figures")
    assert where(ROW)
    with pytest.raises(CephaloError, match="too big") as error:
        where({"caption": "a" * 1_000_000})
    assert len(str(error.value)) < 400  # of an expression of 800 characters


def test_times_and_decimal_numbers():
    schema = pa.schema(
        [("day", pa.date32()), ("at", pa.timestamp("s")), ("cost", pa.decimal128(6, 2))]
    )
    types = types_of([*schema, pa.field("image", pa.struct([("bytes", pa.binary())]))])
    assert types == {"day": TEXT, "at": TEXT, "cost": REAL}
    row = {"day": date(2026, 5, 4), "at": datetime(2026, 5, 4, 12), "cost": Decimal("10.50")}
    for text in ("day = '2026-05-04'", "at < '2026-05-04 12:00:01'", "cost > 9 and cost = 10.5"):
        assert Where(text, types, "rows")(row), text


@pytest.mark.parametrize("types", [{"kind": TEXT, "Kind": TEXT}, {}])
def test_columns_that_sqlite_does_not_take_are_told(types):
    with pytest.raises(CephaloError, match="rows has columns that SQLite cannot distinguish"):
        Where("kind = 'x'", types, "rows")


def test_no_file_is_touched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in ("page; vacuum into 'x'", "page and writefile('x', kind)", "page; attach 'x' as y"):
        with pytest.raises(CephaloError):
            Where(text, TYPES, "figures")
    assert [*tmp_path.iterdir()] == []


def test_ten_thousand_rows_take_a_moment():
    where = Where("kind = 'figure' and license like 'CC-BY%'", TYPES, "figures")
    start = time.process_time()
    assert all(where(ROW) for _ in range(10_000))
    assert time.process_time() - start < 2
