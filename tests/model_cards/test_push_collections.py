"""Collections of the embedded hub, with the real client."""

from collections.abc import Callable
from typing import Any

import pytest
from hub_fixture import hub_in_process, new_repo
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with hub_in_process(tmp_path_factory.mktemp("hub"), 1 << 20) as hub:
        yield hub


def refused(call: Callable[..., Any], *arguments: Any, **more: Any) -> int:
    """The status of a call that the hub refuses."""
    with pytest.raises(HfHubHTTPError) as caught:
        call(*arguments, **more)
    return caught.value.response.status_code


@pytest.fixture
def alice(hub):
    return HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])


@pytest.fixture
def bob(hub):
    return HfApi(endpoint=hub.endpoint, token=hub.tokens["bob"])


def test_collection_is_made_once_and_filled(hub, alice, bob):
    made = alice.create_collection("The Cephalo series", description="Materials")
    assert made.slug.startswith("alice/the-cephalo-series-") and made.items == []
    assert refused(alice.create_collection, "The Cephalo series") == 409
    assert alice.create_collection("The Cephalo series", exists_ok=True).slug == made.slug
    names = [new_repo(hub), new_repo(hub)]
    for name in names:
        alice.add_collection_item(made.slug, name, "model", note="tiny")
    assert refused(alice.add_collection_item, made.slug, names[0], "model") == 409
    again = alice.add_collection_item(made.slug, names[0], "model", exists_ok=True)
    assert [(item.item_id, item.note) for item in again.items] == [(one, "tiny") for one in names]
    seen = bob.get_collection(made.slug)
    assert (seen.title, seen.description, len(seen.items)) == (made.title, "Materials", 2)
    assert [one.slug for one in bob.list_collections(owner="alice")] == [made.slug]
    alice.delete_collection(made.slug)
    assert refused(alice.get_collection, made.slug) == 404


def test_what_is_private_is_seen_by_its_owner_only(hub, alice, bob):
    hidden = alice.create_collection("Not yet", private=True)
    assert refused(bob.get_collection, hidden.slug) == 404
    assert hidden.slug in [one.slug for one in alice.list_collections(owner="alice")]
    assert hidden.slug not in [one.slug for one in bob.list_collections(owner="alice")]
    shown = alice.create_collection("Some of it")
    alice.add_collection_item(shown.slug, new_repo(hub, private=True), "model")
    assert len(alice.get_collection(shown.slug).items) == 1
    assert bob.get_collection(shown.slug).items == []


@pytest.mark.parametrize(
    ("slug", "item", "status"),
    [
        (None, "alice/none", 404),
        (None, "none", 400),
        ("alice/x-0123456789abcdef01234567", "alice/none", 404),
        ("alice/x", "alice/none", 404),
        ("..%2F..%2Ftokens.json/x-0123456789abcdef01234567", "alice/none", 400),
    ],
)
def test_items_and_collections_that_are_not_there(alice, slug, item, status):
    slug = slug or alice.create_collection("Faults", exists_ok=True).slug
    assert refused(alice.add_collection_item, slug, item, "model") == status


def test_others_cannot_change_a_collection(hub, alice, bob):
    slug = alice.create_collection("Mine").slug
    assert refused(bob.add_collection_item, slug, new_repo(hub), "model") == 403
    assert refused(bob.create_collection, "Theirs", namespace="alice") == 403
    assert refused(bob.delete_collection, slug) == 403
    nobody = HfApi(endpoint=hub.endpoint, token=False)
    assert refused(nobody.create_collection, "None", namespace="alice") == 401
