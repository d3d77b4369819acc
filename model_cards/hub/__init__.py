"""The embedded hub: a small Hugging Face Hub that serves plain files from one folder.

Read in this order: `disk` (files that are whole or absent), `names` (what may be called what),
`store` (repos, commits, refs, contents), `cards` (the metadata in README.md), `access` (users and
signed tickets), `web` (what every route shares); then the routes: `repos`, `info`, `refs`,
`files`, `commits`, `lfs`, `cas` with the formats in `xet`, and `pages`. `server` puts them
together.
"""
