"""The embedded hub: a small Hugging Face Hub that serves plain files from one folder.

Suggested reading order: `disk` (atomic files), `names` (grammar of names), `store` (repos, commits,
refs, contents), `cards` and `tensors` (metadata in README.md and weights), `access` (users and
signed tickets), `mirror` (files fetched from another Hub), `web` (shared by all routes); then the
routes: `repos`, `collection`, `usage`, `lists`, `info`, `weights`, `refs`, `pulls`, `files`,
`commits` with `gitignore`, `lfs`, `cas` with the formats in `xet`, `pages`, and `absent`
(unsupported features). `connections` limits what clients send, `upkeep` collects garbage and
repairs, and `server` assembles everything.
"""
