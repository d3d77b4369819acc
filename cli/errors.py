"""The one exception for errors that the user can fix."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class CephaloError(Exception):
    """Bad input. The message is one line: what is wrong, where, and what to do.

    `cephalo` prints it after "cephalo: error:" and exits with 1, without a traceback.
    """


def fault_of(fault: "ErrorDetails") -> str:
    """Return what is wrong, from an entry of `ValidationError.errors()` of pydantic."""
    return fault["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")


def hub_failure(error: Exception, endpoint: str, name: str) -> CephaloError:
    """Return the error for a failed request about `name`, with or without an answer of the Hub."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if status in (401, 403):
        return CephaloError(
            f"{endpoint} denies this token access to {name} (it answered {status}); run "
            "`hf auth login` or set HF_TOKEN to one that may read it"
        )
    if status is not None and status >= 500:
        return CephaloError(f"{endpoint} answered {status} for {name}; try again later")
    if status is not None:
        return CephaloError(
            f"{endpoint} answered {status} for {name}; is it a Hub? correct HF_ENDPOINT"
        )
    if isinstance(error, ValueError):
        return CephaloError(
            f"{endpoint} gave no valid answer for {name} ({said}); is it a Hub? correct HF_ENDPOINT"
        )
    return CephaloError(
        f"{endpoint} cannot be reached for {name} ({said}); check the network and HF_ENDPOINT"
    )
