"""Replacement for tests/utils.py of datasets."""

import importlib.util
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def needs(library: str) -> Callable[[T], T]:
    missing = importlib.util.find_spec(library) is None
    return pytest.mark.skipif(missing, reason=f"needs {library}")


require_pil = needs("PIL")
require_torchcodec = needs("torchcodec")
require_zstandard = needs("zstandard")
slow = pytest.mark.skip(reason="slow")


def for_all_test_methods(*_: object) -> Callable[[T], T]:
    """Do not ignore status 500, unlike the original, since the embedded hub must not return it."""
    return lambda cls: cls


def xfail_if_500_502_http_error(test: T) -> T:
    return test


class OfflineSimulationMode:
    """Imported by test_load.py for tests without a Hub."""

    CONNECTION_FAILS = CONNECTION_TIMES_OUT = HF_HUB_OFFLINE_SET_TO_1 = None


offline = set_current_working_directory_to_temp_dir = None
assert_arrow_memory_increases = assert_arrow_memory_doesnt_increase = None
