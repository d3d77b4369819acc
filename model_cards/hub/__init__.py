"""The embedded hub: a small Hugging Face Hub that serves plain files from one folder.

Read in this order: `disk` (files that are whole or absent), `names` (what may be called what),
`store` (repos, commits, refs, objects), `access` (users and signed tickets), `web` (what every
route shares), then the routes: `repos`, `files`, `commits`, `lfs`, `xet` with `cas`, `pages`;
`server` puts them together.
"""
