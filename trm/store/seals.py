"""The digest that an exported file holds of itself: nothing else there tells damaged numbers. Imports no torch."""

from __future__ import annotations

import hashlib
import re

UNSEALED = "0" * 64  # stands for the digest while it is computed
PLACE = re.compile(rb'"file_sha256": "([0-9a-f]{64})"')  # in the metadata


def sealed(content: bytes) -> bytes:
    """The content of a file whose digest is still UNSEALED, with the digest."""
    return with_digest(content, hashlib.sha256(content).hexdigest().encode())


def is_whole(content: bytes) -> bool:
    """Whether a file is as it was written. Those of older versions hold no digest, and are taken for whole."""
    found = PLACE.search(content)
    return found is None or hashlib.sha256(with_digest(content, UNSEALED.encode())).hexdigest().encode() == found[1]


def with_digest(content: bytes, digest: bytes) -> bytes:
    found = PLACE.search(content)
    assert found is not None
    return content[: found.start(1)] + digest + content[found.end(1) :]
