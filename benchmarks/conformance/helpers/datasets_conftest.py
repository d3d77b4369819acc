from .fixtures.hub import *  # noqa: F403
