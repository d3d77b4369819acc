"""The embedded hub: a small Hugging Face Hub that serves plain files from one folder.

Read in this order: `disk` (files that are whole or absent), `names` (what may be called what),
`store` (repos, commits, refs, contents), `cards` and `tensors` (what README.md and weights say
about themselves), `access` (users and signed tickets), `mirror` (what is fetched from another
Hub), `web` (what every route shares); then the routes: `repos`, `collection`, `usage`, `lists`,
`info`, `weights`, `refs`, `pulls`, `files`, `commits` with `gitignore`, `lfs`, `cas` with the
formats in `xet`, `pages`, and `absent` (what this hub has not). `connections` bounds what clients
send, `upkeep` frees and mends what is on disk, and `server` puts all together.
"""
