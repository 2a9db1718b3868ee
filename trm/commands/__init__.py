"""The subcommands, a file for each group of them. Importing this registers them all."""

from trm.commands import train, use, adapt, serve, measure, tools, files  # noqa: I001  (their order in the help)
from trm.commands.base import app

__all__ = ["adapt", "app", "files", "measure", "serve", "tools", "train", "use"]
