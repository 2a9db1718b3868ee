"""The subcommands, a file for each group of them. Importing this registers them all."""

from trm.commands import train, use, serve, measure, tools, files  # noqa: I001  (their order in the help)
from trm.commands.base import app

__all__ = ["app", "files", "measure", "serve", "tools", "train", "use"]
