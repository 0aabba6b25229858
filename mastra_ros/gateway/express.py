"""Small requests of `/v2/models/…/infer`, answered without a task, a thread or a framework.

Only what is sound goes this way: whatever is wrong with a request, whatever there is no room for
at the moment, and every token that has not been looked at, is left untouched, and the ordinary way
(`v2.py`) finds it out and says so.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

from ..errors import LinkError, MastraError, ModelError, ProtocolError
from ..protocol.checks import printable
from .answering import Answering
from .auth import Gatekeeper
from .door.ordinary import Ordinary
from .group import PX_MAX
from .memory import Account, Picture, Pool
from .openinference.exchange import (
    BINARY_HEADER,
    InferAnswer,
    InferRequest,
    check_outputs,
    read_request,
    write_answer,
)
from .servables import Servable
from .v2 import header_bytes_of, memory_of, refused

Reply = Callable[[bytes], None]

_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_HEADER = BINARY_HEADER.encode()
DECODED_BYTES_MAX = 3 * PX_MAX // 4
"""Larger pictures are decoded by other threads than that of the event loop."""


class Express:
    """Takes requests in, and says which it has taken."""

    def __init__(self, answering: Answering, gatekeeper: Gatekeeper, bodies: Pool) -> None:
        self._answering = answering
        self._gatekeeper = gatekeeper
        self._bodies = bodies

    def take(self, asked: Ordinary, admit: Callable[[], None], reply: Reply) -> bool:
        """Answer by `reply(response)`, once; False, and nothing has happened, where it does not.

        `admit` is called for a request that is taken.
        """
        path = _PATH.fullmatch(asked.path)
        device = self._gatekeeper.known(asked.headers.get(b"authorization", b"")) if path else ""
        if not path or not device or _wants_coding(asked):
            return False
        held = _Held(self._gatekeeper, self._bodies, device)
        try:
            work = self._prepare(path[1], path[2] or "", asked, held)
            future = work.model.put(work.prepared)
        except (MastraError, MemoryError):
            held.give()
            return False  # what is wrong is said on the ordinary way
        except BaseException:
            held.give()
            raise
        admit()
        future.add_done_callback(lambda done: reply(self._answer(work, done)))
        return True

    def _prepare(self, name: str, version: str, asked: Ordinary, held: _Held) -> _Work:
        """A request that is sound, with all that it takes in `held`. Raises what is wrong."""
        model = self._answering.find(name, version)
        held.count()
        held.body.hold(len(asked.body))
        given = asked.headers.get(_HEADER)
        header_bytes = header_bytes_of(
            None if given is None else given.decode("ascii"), len(asked.body)
        )
        memory = self._hold(memory_of(asked.body, header_bytes), held)
        request = read_request(asked.body, header_bytes, model.known())
        check_outputs([spec.name for spec in model.outputs], request.outputs)
        more_bytes = model.decoded_bytes(request.inputs)
        if more_bytes > DECODED_BYTES_MAX:
            raise MemoryError("not decoded here")
        memory.shrink(request.nbytes)
        if more_bytes:
            self._hold(more_bytes, held)
        return _Work(model, request, model.prepare(request.inputs), held)

    def _hold(self, size: int, held: _Held) -> Picture:
        memory = self._answering.memory.small_picture(held.device, size)
        if memory is None:
            raise MemoryError("no room at once")
        held.pictures.append(memory)
        return memory

    def _answer(self, work: _Work, done: asyncio.Future[Any]) -> bytes:
        """The whole response."""
        try:
            error = LinkError("the model is being closed") if done.cancelled() else done.exception()
            if error is not None:
                work.model.statistics.failed((time.perf_counter() - work.began_s) * 1e3)
                raise error
            outputs = work.model.read(done.result())
            missing = [spec.name for spec in work.model.outputs if spec.name not in outputs]
            if missing:
                raise ModelError(f"{work.model.name}: gave no {', '.join(missing)}")
            answer = InferAnswer(work.model.name, work.model.version, outputs)
            content, json_bytes = write_answer(work.request, answer)
        except LinkError as error:
            return _response(503, refused(str(error)), "application/json")
        except ProtocolError as error:
            return _response(400, refused(printable(str(error))), "application/json")
        except Exception as error:  # what one request brings about must cost no other
            text = str(error) if isinstance(error, MastraError) else type(error).__name__
            return _response(500, refused(text), "application/json")
        finally:
            work.held.give()
        if json_bytes:
            extra = b"%s: %d\r\n" % (_HEADER, json_bytes)
            return _response(200, content, "application/octet-stream", extra)
        return _response(200, content, "application/json")


class _Held:
    """What one request takes from others until it is answered."""

    def __init__(self, gatekeeper: Gatekeeper, bodies: Pool, device: str) -> None:
        self._gatekeeper = gatekeeper
        self._counted = False
        self.device = device
        self.body = Account(bodies, device)
        self.pictures: list[Picture] = []

    def count(self) -> None:
        """Be one of the requests in work. Raises LinkError where there are too many."""
        self._gatekeeper.begin(self.device)
        self._counted = True

    def give(self) -> None:
        """Give it back."""
        for picture in self.pictures:
            picture.ended()
        self.body.give(self.body.held_bytes)
        if self._counted:
            self._gatekeeper.end(self.device)


class _Work:
    """One request on its way."""

    def __init__(self, model: Servable, request: InferRequest, prepared: Any, held: _Held) -> None:
        self.model = model
        self.request = request
        self.prepared = prepared
        self.began_s = time.perf_counter()
        self.held = held


def _wants_coding(asked: Ordinary) -> bool:
    codings = asked.headers.get(b"accept-encoding", b"").lower()
    return b"gzip" in codings or b"deflate" in codings


def _response(status: int, content: bytes, kind: str, extra: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %d \r\ncontent-length: %d\r\ncontent-type: %s\r\n%s\r\n"
    return head % (status, len(content), kind.encode(), extra) + content
