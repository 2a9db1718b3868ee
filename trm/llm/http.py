"""A client for OpenAI-compatible endpoints: prompt in, reply out.

It waits for a busy server and never lets the API key into a message, a file or a request to another host.
"""

from __future__ import annotations

import email.utils
import http.client
import ipaddress
import json
import os
import random
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from trm.errors import BadInput, TrmError
from trm.version import __version__

KEY = "OPENAI_API_KEY"
PATH = "/chat/completions"
MAX_BYTES = 16 << 20  # of a reply
LONGEST_WAIT = 60.0  # seconds between attempts, unless the server asks for more
PATIENCE = 300.0  # seconds; a server that asks for a longer wait gets no further attempt
RETRIED = {408, 409, 425, 429, 529}  # HTTP statuses after which another attempt may succeed, like all from 500
GATEWAY_TIMEOUTS = {504, 524}  # the gateway stopped waiting; the model may have been at work
HOPELESS = {402, 404, 405, 407}  # HTTP statuses that other rows would almost certainly get as well


class NoReply(TrmError):
    """A row got no reply."""

    attempts, seconds = 1, 0.0  # spent on the row


class RowFailed(NoReply):
    """This row got no reply; others may."""


class EndpointFailed(NoReply):
    """No row will get a reply: the key, the address or the model is wrong."""


class ClientStopped(NoReply):
    """The client was stopped while this row waited."""


class AttemptFailed(Exception):
    """One attempt failed; another may succeed.

    Args:
        why: one line.
        wait: seconds that the server asked for.
        sent: whether the whole request was sent, so that the model may have worked on it and tokens may be charged.
        late: whether no reply came in time.
        usage: the tokens that it cost, if the server says so.
    """

    def __init__(
        self, why: str, wait: float = 0.0, sent: bool = False, late: bool = False, usage: dict[str, int] | None = None
    ) -> None:
        super().__init__(why)
        self.wait, self.sent, self.late, self.usage = wait, sent, late, usage


# The endpoint


@dataclass(frozen=True)
class Endpoint:
    """Where requests go. No text that is made from this holds the key."""

    url: str
    host: str  # with the port, for messages and records
    key: str = field(repr=False)
    local: bool  # on this machine

    def clean(self, text: str) -> str:
        """Text from the server, fit to be kept: valid Unicode, and without the key, which the server may repeat."""
        if len(self.key) > 3:  # shorter ones are placeholders for servers that need none
            text = text.replace(self.key, "***")
        return text.encode("utf-8", "replace").decode()

    def line(self, text: str) -> str:
        """Text from the server as part of a message: clean, one short line, no control characters."""
        text = "".join(c if c.isprintable() else " " for c in self.clean(text)[:4096])
        return " ".join(text.split())[:200]


def endpoint(base: str, key: str | None = None) -> Endpoint:
    """The endpoint at the base URL `base`, with `key` or else the key in the environment, if there is one.

    Raises BadInput for a malformed URL, and for a key that would be sent unencrypted to another machine.
    """
    key = (os.environ.get(KEY, "") if key is None else key).strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise BadInput(f"{KEY} holds characters that no key has; set it again")
    parts = split_url(base, key)
    host = parts.hostname or ""
    local = is_loopback(host)
    if key and parts.scheme == "http" and not local:
        raise BadInput(f"refusing to send the key unencrypted to {host}: use https, or unset {KEY} if it needs none")
    named = f"[{host}]" if ":" in host else host
    shown = named if parts.port is None else f"{named}:{parts.port}"
    path = parts.path.rstrip("/").removesuffix(PATH)
    return Endpoint(f"{parts.scheme}://{shown}{path}{PATH}", shown, key, local)


def split_url(base: str, key: str) -> urllib.parse.SplitResult:
    """The parts of a base URL. Raises BadInput, without repeating the URL: it may be a secret in the wrong place."""
    if len(key) > 3 and key in base:
        raise BadInput(f"the URL holds the key, which belongs in {KEY} only")
    if not base.isascii() or not base.isprintable() or " " in base:
        raise BadInput("the URL holds characters that no URL may hold; write it like https://api.example.com/v1")
    try:
        parts = urllib.parse.urlsplit(base)
        host, _ = parts.hostname or "", parts.port  # which raises ValueError for a port that is no number
        host.encode("idna")
    except ValueError as error:  # UnicodeError is one
        raise BadInput(f"the URL is malformed: {error}") from None
    if "@" in base:
        raise BadInput(f"the URL must not hold a name or password; the key belongs in {KEY}")
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput("the URL is no web address; write it like https://api.example.com/v1")
    if parts.query or parts.fragment:
        raise BadInput("the URL must end with a path, such as /v1, not with ? or #")
    return parts


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# The client


@dataclass(frozen=True)
class Reply:
    """What the model answered to a prompt."""

    text: str
    reasoning: str  # if the server returns it apart from the text
    finish: str | None  # stop, length, content_filter, ...
    refused: bool
    usage: dict[str, int] | None  # prompt_tokens, completion_tokens
    attempts: int = 1
    seconds: float = 0.0


class HttpResponse(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class NoRedirect(HTTPRedirectHandler):
    """Follows no redirect, since the request would carry the key to whatever host the server names."""

    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


@dataclass
class Client:
    """Asks one model. `ask` may be called from several threads; setting `stop` ends all waiting."""

    endpoint: Endpoint
    model: str
    max_tokens: int = 8192
    temperature: float | None = None  # None: the server's own
    timeout: float = 600.0  # seconds for one attempt
    retries: int = 5
    base: float = 1.0  # seconds to wait before the second attempt, doubled for each further one
    on_retry: Callable[[str], object] = lambda why: None  # called with the reason for another attempt
    # Called with a prompt and the tokens that an attempt without a reply may have cost. -> whether to try again
    on_loss: Callable[[str, int], bool] = lambda prompt, tokens: True
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        # A proxy would see the key for a local server. For other servers it is encrypted, or there is none.
        proxies = [ProxyHandler({})] if self.endpoint.local else []
        self.opener: OpenerDirector = build_opener(NoRedirect, *proxies)
        self.limit_name = "max_tokens"  # the server's name for the limit
        self.resume_at = 0.0  # time by the monotonic clock before which the server wants no request
        self.in_flight: set[str] = set()  # prompts that the server may be at work on

    def cost(self, prompt: str) -> int:
        """An upper estimate of the tokens of one attempt."""
        return len(prompt) // 2 + self.max_tokens

    def ask(self, prompt: str) -> Reply:
        """Ask, several times if need be. Raises RowFailed, EndpointFailed or ClientStopped."""
        began, attempts, late = time.perf_counter(), 0, 0
        try:
            while True:
                self.pause(0.0)
                attempts += 1
                try:
                    reply = self.attempt(prompt)
                except AttemptFailed as failure:
                    late += failure.late
                    # A model that was slower than the timeout would probably be too slow again, at the same cost.
                    self.recover(prompt, failure, attempts, last=attempts > self.retries or late > 1)
                else:
                    return replace(reply, attempts=attempts, seconds=time.perf_counter() - began)
        except NoReply as error:
            error.attempts, error.seconds = attempts, time.perf_counter() - began
            raise

    def recover(self, prompt: str, failure: AttemptFailed, attempts: int, last: bool) -> None:
        """Wait for the next attempt. Raises RowFailed if there is to be none, and ClientStopped."""
        why, affordable = str(failure), True
        if failure.sent:
            cost = self.cost(prompt) if failure.usage is None else sum(failure.usage.values())
            affordable = self.on_loss(prompt, cost)
        if failure.wait > PATIENCE:
            raise RowFailed(f"{why}, and asks to wait {failure.wait:.0f} s")
        if failure.wait:  # for all threads
            self.resume_at = max(self.resume_at, time.monotonic() + failure.wait)
        if last or not affordable:
            raise RowFailed(why)
        self.on_retry(why)
        self.pause(min(LONGEST_WAIT, self.base * 2 ** (attempts - 1)) * random.uniform(0.5, 1.0))

    def pause(self, seconds: float) -> None:
        """Wait `seconds`, or longer if the server asked for it. Raises ClientStopped."""
        until = time.monotonic() + seconds
        while not self.stop.is_set():
            if (left := max(until, self.resume_at) - time.monotonic()) <= 0:
                return
            self.stop.wait(left)
        raise ClientStopped("stopped")

    def attempt(self, prompt: str) -> Reply:
        """Send one request. Raises AttemptFailed, RowFailed or EndpointFailed."""
        limit_name = self.limit_name
        self.in_flight.add(prompt)
        try:
            response = self.send(self.request_body(prompt, limit_name))
        finally:
            self.in_flight.discard(prompt)
        if response.status == 200:
            return self.read(response.body)
        if response.status == 400 and limit_name == "max_tokens" and b"max_completion_tokens" in response.body:
            self.limit_name = "max_completion_tokens"  # OpenAI's newer name, which its newer models insist on
            return self.attempt(prompt)
        raise self.failure(response)

    def failure(self, response: HttpResponse) -> Exception:
        """What a response that holds no reply means: AttemptFailed, RowFailed or EndpointFailed."""
        status, host = response.status, self.endpoint.host
        why = f"HTTP {status}: {self.detail(response.body)}".removesuffix(": ")
        if status == 429 and b"insufficient_quota" in response.body:
            return EndpointFailed(f"{host} refuses further requests ({why})")
        if status in RETRIED or status >= 500:
            late = status in GATEWAY_TIMEOUTS
            return AttemptFailed(why, retry_after(response.headers), sent=late, late=late)
        if status in (401, 403):
            needs = "check the key in" if self.endpoint.key else "it needs a key in"
            return EndpointFailed(f"{host} refuses access: {needs} {KEY} ({why})")
        if status in HOPELESS:
            return EndpointFailed(f"{host} cannot be asked: check the URL and --model ({why})")
        if 300 <= status < 400:
            return EndpointFailed(
                f"{host} redirects to another address (HTTP {status}), where the key must not go: check the URL"
            )
        return RowFailed(why)

    def request_body(self, prompt: str, limit_name: str) -> bytes:
        asked: dict[str, Any] = {"model": self.model, "messages": [{"role": "user", "content": prompt}]}
        asked |= {limit_name: self.max_tokens, "stream": False}
        if self.temperature is not None:
            asked["temperature"] = self.temperature
        return json.dumps(asked).encode()

    def send(self, body: bytes) -> HttpResponse:
        """Raises AttemptFailed if the connection fails, EndpointFailed if it cannot succeed."""
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": f"trm/{__version__}"}
        request = Request(self.endpoint.url, body, headers, method="POST")
        if self.endpoint.key:
            request.add_unredirected_header("Authorization", f"Bearer {self.endpoint.key}")
        try:
            try:
                response = self.opener.open(request, timeout=self.timeout)
            except HTTPError as error:
                response = error
            with response:
                content = read_all(response, time.monotonic() + self.timeout)
                return HttpResponse(response.status, response.headers, content)
        except (OSError, http.client.HTTPException) as error:
            raise self.connection_failure(error) from None

    def connection_failure(self, error: Exception) -> Exception:
        """What an error of the connection means: AttemptFailed or EndpointFailed."""
        sent = not isinstance(error, URLError)  # urllib raises one for errors before the last byte is sent
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return EndpointFailed(f"{self.endpoint.host} has no valid certificate: {self.endpoint.line(str(cause))}")
        if isinstance(cause, TimeoutError):
            return AttemptFailed(f"no reply in {self.timeout:g} s", sent=sent, late=True)
        said = f"{type(cause).__name__}: {cause}" if isinstance(cause, BaseException) else str(cause)
        return AttemptFailed(self.endpoint.line(f"connection failed ({said})"), sent=sent)

    def read(self, body: bytes) -> Reply:
        """The reply in a chat completion. Raises AttemptFailed for anything else: the connection may have broken."""
        data: Any = None
        try:
            data = json.loads(body)
            choice = data["choices"][0]
            message, finish = choice["message"], choice.get("finish_reason")
            content, refusal = message.get("content"), message.get("refusal")
            reasoning = message.get("reasoning_content") or message.get("reasoning")
            if isinstance(content, list):  # of parts
                content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
            if content is not None and not isinstance(content, str):
                raise TypeError
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            usage = read_usage(data.get("usage")) if isinstance(data, dict) else None
            why = f"the reply is no chat completion: {self.detail(body)}"
            raise AttemptFailed(why, sent=True, usage=usage) from None
        refused = bool(refusal) or finish == "content_filter"
        text = content if isinstance(content, str) else refusal if isinstance(refusal, str) else ""
        return Reply(
            text=text,
            reasoning=reasoning if isinstance(reasoning, str) else "",
            finish=self.endpoint.line(finish) if isinstance(finish, str) else None,
            refused=refused,
            usage=read_usage(data.get("usage")),
        )

    def detail(self, body: bytes) -> str:
        """The server's own description of an error, in one line."""
        try:
            said: Any = json.loads(body)
            for key in ("error", "message", "detail"):
                said = said.get(key, said) if isinstance(said, dict) else said
        except (ValueError, RecursionError):
            said = body.decode("utf-8", "replace")
        return self.endpoint.line(said if isinstance(said, str) else repr(said))


# Reading responses


def read_all(response: Any, deadline: float) -> bytes:
    """The whole body. Raises OSError if it is cut short, is too long, or has not arrived by the deadline."""
    expected = response.length  # None where the server does not say
    body = bytearray()
    while (expected is None or len(body) < expected) and (part := response.read1(1 << 16)):
        body += part
        if len(body) > MAX_BYTES:
            raise OSError(f"the reply is larger than {MAX_BYTES >> 20} MB")
        if time.monotonic() > deadline:
            raise TimeoutError
    if expected is not None and len(body) < expected:
        raise ConnectionError("the reply was cut short")
    return bytes(body)


def read_usage(given: Any) -> dict[str, int] | None:
    """The tokens of a completion; None unless the server gives two whole numbers."""
    usage = {}
    for name in ("prompt_tokens", "completion_tokens"):
        count = given.get(name) if isinstance(given, dict) else None
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            return None
        usage[name] = count
    return usage


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks clients to wait; 0 if it does not, or if the header makes no sense."""
    value = str(headers.get("Retry-After", "")).strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, IndexError, OverflowError):
            return 0.0
    return max(0.0, seconds) if seconds == seconds else 0.0  # not NaN
