"""Routes for unsupported features and missing repos.

`FIRST` come before all other routes, `ROUTES` after them.
"""

import contextlib
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cephalo.hub.names import KINDS, BadName, check_repo
from cephalo.hub.web import REPO, HubError, caller, hub_of, no_repo, open_for, param

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
OF_SPACES = ("runtime", "secrets", "variables", "hardware", "sleeptime", "pause", "restart")
OF_REPOS = {
    "like": "likes",
    "likers": "likes",
    "user-access-request": "gated repos",
    "resource-group": "resource groups",
    "leaderboard": "leaderboards",
}
NOT_HERE = {
    "/api/buckets": "buckets",
    "/buckets": "buckets",
    "/api/settings/webhooks": "webhooks",
    "/api/jobs": "jobs",
    "/api/scheduled-jobs": "jobs",
    "/api/organizations": "organizations",
    "/api/users": "profiles of users",
    "/api/papers": "papers",
    "/api/daily_papers": "papers",
    "/api/kernels": "kernels",
    "/api/spaces/templates": "templates of Spaces",
    "/api/spaces/semantic-search": "search by meaning",
    "/api/models-tags-by-type": "lists of tags",
    "/api/datasets-tags-by-type": "lists of tags",
    "/oauth": "sign-in over OAuth",
}


def not_here(request: Request, what: str) -> Response:
    """Answer 501, which clients do not retry."""
    raise HubError(501, f"This hub has no {what}")


def no_route(request: Request, kind: str) -> Response:
    """Answer for a missing repo, or for an address without a route."""
    parts = request.path_params["rest"].split("/")
    if len(parts) > 2:
        with contextlib.suppress(BadName):
            open_for(hub_of(request), caller(request), check_repo(kind, parts[0], parts[1]))
            raise HubError(404, "Not found")
    raise no_repo(request, kind, parts[0])


def no_download(request: Request) -> Response:
    """Answer for a file of a model without a namespace."""
    raise no_repo(request, "model", param(request, "name"))


FIRST = [
    Route(path + rest, partial(not_here, what=what), methods=METHODS)
    for path, what in NOT_HERE.items()
    for rest in ("", "/{rest:path}")
]
ROUTES = [
    *(
        Route(
            f"/api/spaces/{{namespace}}/{{name}}/{verb}",
            partial(not_here, what=f"{verb} of Spaces: it only stores their files"),
            methods=METHODS,
        )
        for verb in (*OF_SPACES, "dev-mode", "volumes", "logs/{rest:path}")
    ),
    *(
        Route(f"{REPO}/{verb}{rest}", partial(not_here, what=what), methods=METHODS)
        for verb, what in OF_REPOS.items()
        for rest in ("", "/{rest:path}")
    ),
    *(
        Route(f"/api/{kind}s/{{rest:path}}", partial(no_route, kind=kind), methods=METHODS)
        for kind in KINDS
    ),
    *(Route(f"/{{name}}/{verb}/{{rest:path}}", no_download) for verb in ("resolve", "raw")),
]
