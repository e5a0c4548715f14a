"""The documents as a site, English and Chinese: `./scripts/docs`.

`mkdocs` builds `docs/` by `mkdocs.yml` and `docs/zh/` by `mkdocs.zh.yml`. What it lacks is here: `edition` says which
pages an edition has and where a link of one leads, `hooks` tells mkdocs.
"""
