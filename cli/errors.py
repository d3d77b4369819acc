"""The one error that every room raises for what the user can mend."""


class CephaloError(Exception):
    """Bad input. The message is one line: what is wrong, where, and what to do.

    `cephalo` prints it after "cephalo: error:" and exits with 1, without a traceback.
    """
