"""The documentation as a site: `make docs`. The pages are the Markdown files of this folder; README.md is the first."""

from __future__ import annotations

import re

from trm.version import __version__

project = "trm"
author = "the trm contributors"
release = __version__
copyright = "the trm contributors"

extensions = ["myst_parser"]
root_doc = "README"
myst_heading_anchors = 4  # links to headings, as on GitHub
smartquotes = False  # they would turn --option into a dash
html_theme = "furo"
html_title = "trm"
html_theme_options = {"navigation_with_keys": True}

# The tree on the left. It is here because GitHub, which shows README.md too, would print it as it is.
GROUPS = {
    "Tutorial": ["quickstart"],
    "How to": [
        *("reproduce", "change", "deploy", "custom", "examples", "adapt"),
        *("training", "evaluation", "export", "serve", "site", "tools"),
    ],
    "Reference": ["commands", "settings", "reference", "tasks", "results"],
    "Explanation": ["concepts", "paper", "ablations", "design", "notes/README"],
}


def prepare(app: object, page: str, source: list[str]) -> None:
    """Add the tree, and name the Markdown files outside this folder instead of linking to them."""
    source[0] = re.sub(r"\[[^\]]+\]\((?:\.\./)+([^)]+\.md)\)", r"`\1`", source[0])
    if page == root_doc:
        for title, pages in GROUPS.items():
            body = "\n".join(pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{body}\n```\n"
    if page == "notes/README":
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"


def setup(app: object) -> None:
    app.connect("source-read", prepare)  # type: ignore[attr-defined]
