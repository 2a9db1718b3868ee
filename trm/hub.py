"""Files from and to the Hugging Face hub, with its own library."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Literal

from trm.errors import TrmError

Kind = Literal["dataset", "model"]
LOG_IN = "the hub does not know you, or it is not yours: log in with `hf auth login`, or set HF_TOKEN"


def fetch(repo: str, file: str, kind: Kind = "dataset", revision: str | None = None) -> Path:
    """The path of a repository's file in the local cache. It is downloaded if it is missing or out of date.

    The environment variables HF_ENDPOINT and HF_HUB_CACHE have their usual meaning.

    Args:
        repo: OWNER/NAME.
        file: the file's path in the repository.
        kind: the kind of repository.
        revision: a commit, branch or tag [default: the newest commit].

    Raises:
        TrmError: huggingface_hub is not installed, or the file cannot be downloaded.
    """
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            EntryNotFoundError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError:
        raise TrmError("downloading from the hub needs huggingface_hub: pip install 'trm[hub]'") from None
    # Given explicitly, since the library reads these variables only when it is imported.
    endpoint, cache = os.environ.get("HF_ENDPOINT"), os.environ.get("HF_HUB_CACHE")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its warnings of retries; what fails is said below
    try:
        found = hf_hub_download(repo, file, repo_type=kind, revision=revision, endpoint=endpoint, cache_dir=cache)
        return Path(found)
    except LocalEntryNotFoundError as error:
        cause = error.__cause__ or error
        reason = f"{endpoint or 'the hub'} cannot be reached and the file is not in the cache ({first_line(cause)})"
    except EntryNotFoundError:
        reason = "there is no such file in it"
    except RevisionNotFoundError:
        reason = f"it has no revision {revision}"
    except RepositoryNotFoundError:
        reason = f"there is no such {kind}, or it is private"
    except Exception as error:  # the kind depends on the version of huggingface_hub
        reason = first_line(error)
    raise TrmError(f"cannot download {file} of {kind} {repo}: {reason}")


def upload(repo: str, files: dict[str, bytes], private: bool = False) -> str:
    """Write files to a model's repository in one commit. -> the address of the commit

    Args:
        repo: OWNER/NAME; it is made if it does not exist.
        files: name -> content.
        private: whether a new repository is private.

    Raises:
        TrmError: huggingface_hub is not installed, or the hub does not take the files.
    """
    try:
        from huggingface_hub import CommitOperationAdd, HfApi
        from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError
    except ImportError:
        raise TrmError("writing to the hub needs huggingface_hub: pip install 'trm[hub]'") from None
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        added = [CommitOperationAdd(name, content) for name, content in files.items()]
        return str(api.create_commit(repo, added, commit_message="Model written by trm push").commit_url)
    except LocalTokenNotFoundError:
        reason = LOG_IN
    except HfHubHTTPError as error:
        reason = LOG_IN if error.response.status_code in (401, 403) else first_line(error)
    except Exception as error:  # the kind depends on the version of huggingface_hub
        reason = first_line(error)
    raise TrmError(f"cannot write to model {repo}: {reason}")


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
