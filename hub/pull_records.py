"""Records of the pull requests of a repo."""

from typing import NotRequired, TypedDict


class Author(TypedDict):
    """The author of an event."""

    name: str


class Event(TypedDict):
    """An event of a pull request, of the type "comment", "title-change" or "status-change"."""

    id: str
    type: str
    createdAt: str
    data: dict[str, object]  # by type
    author: Author


class Pull(TypedDict):
    """A pull request; `base` is a full ref, `merged` a commit."""

    title: str
    author: str
    created: str
    base: NotRequired[str]
    status: NotRequired[str]
    merged: NotRequired[str]
    events: NotRequired[list[Event]]
