"""The page of `trm serve` as a folder of files, which solves in the browser: see `build_site`."""

from trm.site.build import build_site

__all__ = ["build_site"]
