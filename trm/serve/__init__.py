"""The web page and its JSON API: `create_app` makes the ASGI application, `load_solvers` the models it needs."""

from trm.serve.app import create_app
from trm.serve.limits import Limits
from trm.serve.offers import load_solvers
from trm.serve.server import listen, one_heap, server

__all__ = ["Limits", "create_app", "listen", "load_solvers", "one_heap", "server"]
