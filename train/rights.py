"""Decide whether a model may be made public, by the licences and visibility of its datasets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import yaml
from huggingface_hub import DatasetCard, HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from cephalo.cli.errors import CephaloError, hub_failure
from cephalo.model_cards.hub_names import resolve
from cephalo.model_cards.licenses import is_non_commercial

if TYPE_CHECKING:
    from huggingface_hub import CardData

    from cephalo.train.arguments import CephaloArguments, TrainingSettings


OWN = "apache-2.0"  # the licence of a model whose data requires no other


@dataclass(frozen=True)
class Rights:
    """Licences and visibility of a dataset; `licenses` are Hub identifiers, empty without any."""

    name: str
    private: bool
    licenses: tuple[str, ...]

    @property
    def known(self) -> bool:
        """Whether the licences of all rows are known."""
        return bool(self.licenses) and not {"unknown", "other"} & set(self.licenses)


def read_rights(script_args: "CephaloArguments") -> list[Rights]:
    """Return the rights of the datasets of a run. Raises CephaloError if the Hub does not
    answer."""
    return [
        rights_of(name)
        for name in (script_args.dataset_name, script_args.text_dataset_name)
        if name
    ]


def rights_of(name: str) -> Rights:
    """Read the rights in the card of a dataset, on the Hub or in a folder."""
    folder = Path(name)
    if folder.exists():
        card = folder / "README.md"
        try:
            data = DatasetCard.load(card).data if card.is_file() else None
        except (ValueError, yaml.YAMLError):  # not a card that the Hub would accept
            data = None
        return Rights(folder.resolve().name, False, as_licenses(data))
    info = resolve(name, repo_type="dataset")
    return Rights(name, bool(info.private), as_licenses(info.card_data))


def as_licenses(data: "CardData | None") -> tuple[str, ...]:
    """Return the licences in the front matter of a card, which names one or several."""
    found = getattr(data, "license", None) or ()
    return (found,) if isinstance(found, str) else tuple(map(str, found))


def check_publishable(
    api: HfApi, rights: Sequence[Rights], training_args: "TrainingSettings"
) -> None:
    """Raise CephaloError if a public model would be made from data that is private or has unknown
    licences, unless `hub_private_repo` is set."""
    name = training_args.hub_model_id
    if training_args.hub_private_repo is not None or is_private(api, name):
        return
    for one in rights:
        if one.private or not one.known:
            what = "is private" if one.private else "has rows without a known licence"
            raise CephaloError(
                f"dataset {one.name} {what}, and the model {name} would be public; give "
                "--hub_private_repo true, or false if you may publish it"
            )


def is_private(api: HfApi, name: str) -> bool:
    """Return whether a model is already on the Hub, and private."""
    try:
        return bool(api.model_info(name).private)
    except RepositoryNotFoundError:
        return False
    except (httpx2.HTTPError, ConnectionError, ValueError) as error:
        raise hub_failure(error, api.endpoint, name) from error


def model_license(rights: Sequence[Rights]) -> str:
    """Return the licence for the model card: "unknown" if that of a dataset is, else that of
    non-commercial data, else the project's own."""
    if not all(one.known for one in rights):
        return "unknown"
    bound = sorted(
        {name for one in rights for name in one.licenses if is_non_commercial(name.upper())}
    )
    return bound[0] if bound else OWN
