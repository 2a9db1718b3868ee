"""Asking an OpenAI-compatible endpoint: a prompt in, a reply out. Patient with a busy server, careful with the key."""

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
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from trm.errors import BadInput, TrmError
from trm.version import __version__

KEY = "OPENAI_API_KEY"
PATH = "/chat/completions"
MAX_BYTES = 16 << 20  # of a reply
LONGEST_WAIT = 60.0  # seconds between attempts, unless the server asks for more
PATIENCE = 300.0  # the longest that a server may ask us to wait
AGAIN = {408, 409, 425, 429, 529}  # worth another attempt, as is every status from 500
LATE = {504, 524}  # a gateway no longer waits for the model, which may have been at work
NO_USE = {402, 404, 405, 407}  # as good as certain to be the answer to the other rows too


class NoReply(TrmError):
    """A row got none, in so many attempts and seconds."""

    attempts, seconds = 1, 0.0


class Failed(NoReply):
    """One row got no reply; others may."""


class Fatal(NoReply):
    """No row will get a reply: the key, the address or the model is wrong."""


class Stopped(NoReply):
    """The client was told to stop while this row waited."""


class Again(Exception):
    """This attempt failed and another may not.

    Args:
        why: one line.
        wait: seconds that the server asked for.
        sent: the whole request was, so that the model may have been at work on it, for money.
        late: nothing came in time.
        usage: what it cost, where the server says so.
    """

    def __init__(
        self, why: str, wait: float = 0.0, sent: bool = False, late: bool = False, usage: dict[str, int] | None = None
    ) -> None:
        super().__init__(why)
        self.wait, self.sent, self.late, self.usage = wait, sent, late, usage


# The endpoint


@dataclass(frozen=True)
class Endpoint:
    """Where to ask. The key is in no text made of this."""

    url: str
    host: str  # with the port, for people and records
    key: str = field(repr=False)
    local: bool  # nothing leaves this machine

    def clean(self, text: str) -> str:
        """Text of the server, fit to be kept: without the key, if it sent that back, and valid Unicode."""
        if len(self.key) > 3:  # shorter ones are placeholders for servers that want none
            text = text.replace(self.key, "***")
        return text.encode("utf-8", "replace").decode()

    def line(self, text: str) -> str:
        """The same for a message: one short line without control characters."""
        text = "".join(c if c.isprintable() else " " for c in self.clean(text)[:4096])
        return " ".join(text.split())[:200]


def endpoint(base: str, key: str | None = None) -> Endpoint:
    """The endpoint at base URL `base`; the key is `key`, or else the environment's, or else none.

    Raises BadInput for what is no such URL, and for a key that would travel unencrypted to another machine.
    """
    key = (os.environ.get(KEY, "") if key is None else key).strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise BadInput(f"{KEY} holds characters that no key has; set it again")
    if len(key) > 3 and key in base:
        raise BadInput(f"--llm holds the key, which belongs in {KEY} only")
    if not base.isascii() or not base.isprintable() or " " in base:
        raise BadInput("--llm holds characters that no URL has; write it like https://api.example.com/v1")
    try:
        parts = urllib.parse.urlsplit(base)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError as error:  # UnicodeError is one
        raise BadInput(f"--llm is no URL: {error}") from None
    # What it holds is not repeated in messages: it may be a secret in the wrong place.
    if "@" in base:
        raise BadInput(f"--llm must not hold a name or password; the key belongs in {KEY}")
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput("--llm is no web address; write it like https://api.example.com/v1")
    if parts.query or parts.fragment:
        raise BadInput("--llm must end with a path, such as /v1, not with ? or #")
    local = is_loopback(host)
    if key and parts.scheme == "http" and not local:
        raise BadInput(f"refusing to send the key unencrypted to {host}: use https, or unset {KEY} if it needs none")
    named = f"[{host}]" if ":" in host else host
    shown = named if port is None else f"{named}:{port}"
    path = parts.path.rstrip("/").removesuffix(PATH)
    return Endpoint(f"{parts.scheme}://{shown}{path}{PATH}", shown, key, local)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# The client


@dataclass(frozen=True)
class Reply:
    """What the model said to one prompt."""

    text: str
    reasoning: str  # where the server gives it apart from the text
    finish: str | None  # stop, length, content_filter, ...
    refused: bool
    usage: dict[str, int] | None  # prompt_tokens, completion_tokens
    attempts: int = 1
    seconds: float = 0.0


class NoRedirect(HTTPRedirectHandler):
    """A redirected request would carry the key to whatever host the server names."""

    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


@dataclass
class Client:
    """Asks one model. `ask` may be called from several threads; `stop` ends all waiting."""

    endpoint: Endpoint
    model: str
    max_tokens: int = 8192
    temperature: float | None = None  # None: the server's own
    timeout: float = 600.0  # seconds for one attempt
    retries: int = 5
    base: float = 1.0  # seconds to wait before the second attempt, doubled for each one after
    say: Callable[[str], object] = lambda why: None  # told why there is another attempt
    # Told of a prompt what an attempt without a reply may have cost, in tokens. -> whether there may be another
    lose: Callable[[str, int], bool] = lambda prompt, tokens: True
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        # A proxy would see a local server's key; those elsewhere have it encrypted, or there is none.
        proxies = [ProxyHandler({})] if self.endpoint.local else []
        self.opener: OpenerDirector = build_opener(NoRedirect, *proxies)
        self.limit = "max_tokens"  # what the server calls it
        self.resting = 0.0  # when the server wants to be asked again, by the monotonic clock
        self.asking: set[str] = set()  # prompts that the server may be at work on

    def cost(self, prompt: str) -> int:
        """The tokens of an attempt, at most: a guess on the high side."""
        return len(prompt) // 2 + self.max_tokens

    def ask(self, prompt: str) -> Reply:
        """Raises Failed, Fatal or Stopped."""
        began, attempts, late = time.perf_counter(), 0, 0
        try:
            while True:
                self.pause(0.0)
                attempts += 1
                try:
                    reply = self.attempt(prompt)
                except Again as again:
                    late += again.late
                    # A model slower than the timeout is so the next time too, and costs as much each time.
                    self.recover(prompt, again, attempts, last=attempts > self.retries or late > 1)
                else:
                    return replace(reply, attempts=attempts, seconds=time.perf_counter() - began)
        except NoReply as error:
            error.attempts, error.seconds = attempts, time.perf_counter() - began
            raise

    def recover(self, prompt: str, again: Again, attempts: int, last: bool) -> None:
        """Get over an attempt that failed, and wait for the next. Raises Failed where there is none, and Stopped."""
        why, affordable = str(again), True
        if again.sent:
            affordable = self.lose(prompt, self.cost(prompt) if again.usage is None else sum(again.usage.values()))
        if again.wait > PATIENCE:
            raise Failed(f"{why}, and asks to wait {again.wait:.0f} s")
        if again.wait:  # the other threads wait too
            self.resting = max(self.resting, time.monotonic() + again.wait)
        if last or not affordable:
            raise Failed(why)
        self.say(why)
        self.pause(min(LONGEST_WAIT, self.base * 2 ** (attempts - 1)) * random.uniform(0.5, 1.0))

    def pause(self, seconds: float) -> None:
        """Wait `seconds`, and as long as the server asked for. Raises Stopped."""
        until = time.monotonic() + seconds
        while not self.stop.is_set():
            if (left := max(until, self.resting) - time.monotonic()) <= 0:
                return
            self.stop.wait(left)
        raise Stopped("stopped")

    def attempt(self, prompt: str) -> Reply:
        """One request. Raises Again, Failed or Fatal."""
        limit = self.limit
        self.asking.add(prompt)
        try:
            status, headers, body = self.send(self.body(prompt, limit))
        finally:
            self.asking.discard(prompt)
        if status == 200:
            return self.read(body)
        why = f"HTTP {status}: {self.detail(body)}".removesuffix(": ")
        if status == 429 and b"insufficient_quota" in body:
            raise Fatal(f"{self.endpoint.host} refuses further requests ({why})")
        if status in AGAIN or status >= 500:
            raise Again(why, retry_after(headers), sent=status in LATE, late=status in LATE)
        if status == 400 and limit == "max_tokens" and b"max_completion_tokens" in body:
            self.limit = "max_completion_tokens"  # OpenAI's newer name, which its newer models insist on
            return self.attempt(prompt)
        if status in (401, 403):
            needs = "check the key in" if self.endpoint.key else "it needs a key in"
            raise Fatal(f"{self.endpoint.host} does not let us in: {needs} {KEY} ({why})")
        if status in NO_USE:
            raise Fatal(f"{self.endpoint.host} cannot be asked: check --llm and --model ({why})")
        if 300 <= status < 400:
            raise Fatal(
                f"{self.endpoint.host} sends us elsewhere (HTTP {status}), and the key may not follow: check --llm"
            )
        raise Failed(why)

    def body(self, prompt: str, limit: str) -> bytes:
        asked: dict[str, Any] = {"model": self.model, "messages": [{"role": "user", "content": prompt}]}
        asked |= {limit: self.max_tokens, "stream": False}
        if self.temperature is not None:
            asked["temperature"] = self.temperature
        return json.dumps(asked).encode()

    def send(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """-> status, headers, body. Raises Again where the connection fails, Fatal where it cannot succeed."""
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
                return response.status, response.headers, read_all(response, time.monotonic() + self.timeout)
        except (OSError, http.client.HTTPException) as error:
            sent = not isinstance(error, URLError)  # which urllib makes of what goes wrong before the last byte is out
            cause = error.reason if isinstance(error, URLError) else error
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise Fatal(
                    f"{self.endpoint.host} has no valid certificate: {self.endpoint.line(str(cause))}"
                ) from None
            if isinstance(cause, TimeoutError):
                raise Again(f"no reply in {self.timeout:g} s", sent=sent, late=True) from None
            said = f"{type(cause).__name__}: {cause}" if isinstance(cause, BaseException) else str(cause)
            raise Again(self.endpoint.line(f"connection failed ({said})"), sent=sent) from None

    def read(self, body: bytes) -> Reply:
        """The reply in a chat completion. Raises Again for anything else, which a broken connection may have left."""
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
            raise Again(f"the reply is no chat completion: {self.detail(body)}", sent=True, usage=usage) from None
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
        """What the server says went wrong, in one line."""
        try:
            said: Any = json.loads(body)
            for key in ("error", "message", "detail"):
                said = said.get(key, said) if isinstance(said, dict) else said
        except (ValueError, RecursionError):
            said = body.decode("utf-8", "replace")
        return self.endpoint.line(said if isinstance(said, str) else repr(said))


def read_all(response: Any, deadline: float) -> bytes:
    """The whole body. Raises OSError if it is cut short, too long, or not there by the deadline."""
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
    """The tokens of a completion, where the server counts them sensibly."""
    usage = {}
    for name in ("prompt_tokens", "completion_tokens"):
        count = given.get(name) if isinstance(given, dict) else None
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            return None
        usage[name] = count
    return usage


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks us to wait; 0 where it does not, or not in a way that makes sense."""
    value = str(headers.get("Retry-After", "")).strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, IndexError, OverflowError):
            return 0.0
    return max(0.0, seconds) if seconds == seconds else 0.0  # not NaN
