"""Plain HTML pages: the public repos, and a repo's card and files."""

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cephalo.hub.names import KINDS
from cephalo.hub.web import caller, hub_of, repo_to_read, run_costly

_PAGES = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
_HEAD = """<!doctype html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}
pre{white-space:pre-wrap;background:#f6f6f6;padding:1em}td{padding:0 1em 0 0}</style>
<h1>{{ title }}</h1>
"""
_INDEX = _PAGES.from_string(
    _HEAD
    + """{% for kind, repos in kinds.items() if repos %}
<h2>{{ kind }}s</h2>
<ul>{% for repo in repos %}
<li><a href="/{{ repo.url_path }}">{{ repo.id }}</a></li>
{% endfor %}</ul>
{% else %}
<p>No public repos yet.</p>
{% endfor %}
"""
)
_REPO = _PAGES.from_string(
    _HEAD
    + """<p><a href="/">All repos</a> · commit {{ commit.sha }} · {{ commit.date }}</p>
<table>{% for path, entry in files %}
<tr><td><a href="/{{ repo.url_path }}/resolve/main/{{ path | urlencode }}">{{ path }}</a></td>
<td>{{ entry.size | filesizeformat }}</td></tr>
{% endfor %}</table>
<pre>{{ card }}</pre>
"""
)


async def index(request: Request) -> Response:
    """GET /."""
    return await run_costly(request, _index, request)


def _index(request: Request) -> Response:
    store, user = hub_of(request).store, caller(request)
    kinds = {}
    for kind in KINDS:
        readable = [
            r for r in store.names(kind) if r.namespace == user or not store.load(r).private
        ]
        kinds[kind] = readable
    return HTMLResponse(_INDEX.render(title="Cephalo hub", kinds=kinds))


def repo_page(request: Request) -> Response:
    """GET /ID, /datasets/ID and /spaces/ID."""
    repo, state = repo_to_read(request)
    hub = hub_of(request)
    commit = hub.store.commit(repo, state.resolve("main"))
    files, card = sorted(commit.tree.items()), hub.cards.text(repo.namespace, commit.tree)
    page = _REPO.render(title=repo.id, repo=repo, commit=commit, files=files, card=card)
    return HTMLResponse(page)


ROUTES = [
    Route("/", index),
    Route("/{namespace}/{name}", repo_page),
    Route("/datasets/{namespace}/{name}", repo_page),
    Route("/spaces/{namespace}/{name}", repo_page),
]
