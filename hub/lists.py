"""The lists of repos, filtered by their cards and names."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cephalo.hub.info import Info, describe, expanded, flag, number
from cephalo.hub.names import RepoName, check_repo
from cephalo.hub.store import NotThere
from cephalo.hub.web import HubError, base_url, caller, hub_of, only, run_costly

PAGE = 1000
ASKED = ("author", "search", "filter", "pipeline_tag", "gated")
SHOWN = ("full", "cardData", "expand", "sort", "direction", "limit", "cursor")
SORTED_BY = ("createdAt", "lastModified")  # downloads and likes are not counted here


async def list_repos(request: Request) -> Response:
    """GET /api/KINDs: the repos that the caller may read, in alphabetical order or as requested."""
    return await run_costly(request, _list_repos, request)


def _list_repos(request: Request) -> Response:
    kind = request.path_params["kind"].removesuffix("s")
    check_repo(kind, "any", "any")
    query, user = request.query_params, caller(request)
    only(query, *ASKED, *SHOWN)
    limit, start = number(request, "limit", PAGE), number(request, "cursor", 0)
    order, first = query.get("sort"), query.get("direction", "-1")
    if order not in (None, *SORTED_BY) or first not in ("1", "-1"):
        raise HubError(400, f"This hub sorts by {' or '.join(SORTED_BY)}, direction -1 or 1")
    found = []
    for repo in hub_of(request).store.names(kind):
        if named(request, repo) and (described := _listed(request, repo, user)) is not None:
            found.append(described)
    if order is not None:
        found.sort(key=lambda described: described[order], reverse=first == "-1")
    headers = {}
    if start + limit < len(found):
        following = request.url.include_query_params(cursor=start + limit).query
        headers["Link"] = f'<{base_url(request)}/api/{kind}s?{following}>; rel="next"'
    shown = [_shown(request, described) for described in found[start : start + limit]]
    return JSONResponse(shown, headers=headers)


def named(request: Request, repo: RepoName) -> bool:
    """Return whether the name of a repo matches the query."""
    query = request.query_params
    return query.get("author", repo.namespace) == repo.namespace and all(
        part.lower() in repo.id.lower() for part in query.getlist("search")
    )


def _listed(request: Request, repo: RepoName, user: str | None) -> Info | None:
    hub, query = hub_of(request), request.query_params
    try:
        state = hub.store.load(repo)
        if state.private and user != repo.namespace:
            return None
        described = describe(hub, repo, state, state.resolve("main"))
    except NotThere:
        return None  # deleted since its name was read
    if query.get("pipeline_tag", described["pipeline_tag"]) != described["pipeline_tag"]:
        return None
    if flag(request, "gated") or not set(query.getlist("filter")).issubset(described["tags"]):
        return None  # nothing here is gated
    return described


def _shown(request: Request, described: Info) -> Info:
    described = expanded(request, described)
    if request.query_params.getlist("expand") or flag(request, "full"):
        return described
    left_out = {"siblings"} if flag(request, "cardData") else {"siblings", "cardData"}
    return {name: value for name, value in described.items() if name not in left_out}


ROUTES = [Route("/api/{kind}", list_repos)]
