"""Groups of a model's small pictures, worked on in a process of their own: the gateway's side.

The event loop hands over a group and hears what came of it; no thread of the gateway is in between.
Another group waits in the process while those in there are short, so that neither side waits for
the other. `group_worker.py` is the other side.

A process that ends by itself is begun again. The frames that it had are sent once more, one by one:
what it had committed is found in the database and answered as a duplicate, and the frame at which
it ends a second time, being alone there, is refused and costs no other.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import count

import msgspec

from ..config import GatewayConfig
from ..errors import LinkError, MastraError, ModelError
from ..types import Frame
from .apart import wire
from .apart.child import Child
from .fitting import FittingSize
from .group import Job, LiveListener, NobodyLooks
from .group_messages import asked, error_of, frame_of
from .references import references_bytes_max
from .sqlite_store import SqliteStore
from .store import Record

logger = logging.getLogger(__name__)

MODULE = "mastra_ros.gateway.group_worker"
START_S = 120.0
"""How long a process may take to load its model."""
PAUSE_MIN_S, PAUSE_MAX_S = 0.2, 30.0
"""Pauses before it is begun again, where it does not come up."""
GROUPS_MAX = 3
"""Groups in the process: one is kept, one run, one waits."""
QUICK_MS = 20.0
"""But where those in there take longer, the next waits here: a live frame may go before it."""


@dataclass(frozen=True)
class Desk:
    """Who hears of jobs that are done. `observe`: seconds of each decoding."""

    observe: Callable[[float], None] = lambda _: None
    finish: Callable[[Sequence[Job]], None] = lambda _: None
    live: LiveListener = NobodyLooks()  # noqa: RUF009 - it has no state


class GroupProcess:
    """The process of one model. Used from the event loop."""

    def __init__(
        self,
        name: str,
        bundle: str,
        results: SqliteStore,
        config: GatewayConfig,
        *,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_end()` hears when it has ended by itself."""
        self.desk = Desk()
        self.on_batch: Callable[[int, float, float], None] = lambda *_: None
        self._name = name
        self._begin = wire.Begin(
            bundle,
            str(results.folder),
            asdict(config),
            references_bytes_max(config),
            logging.getLogger().getEffectiveLevel(),
        )
        self._results = results
        self._on_end = on_end
        self._queue_max = config.queue_frames_max
        self._fitting = FittingSize(config.batch_run_ms, config.batch_size_max)
        self._loop = asyncio.get_running_loop()
        self._child: Child | None = None
        self._begun: asyncio.Future[str] | None = None
        self._again: asyncio.Task[None] | None = None
        self._queue: list[tuple[bool, int, float, Job]] = []  # live ones first, then the oldest
        self._numbers = count()
        self._suspects: deque[Job] = deque()
        # Groups by number, and how long they waited.
        self._in_work: dict[int, tuple[list[Job], float]] = {}
        self._since_s = math.nan  # when it answered last with groups left in work, or ended
        self._silence_s = config.model_silence_s
        self._timer: asyncio.TimerHandle | None = None
        self._looking = False
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def pid(self) -> int:
        """The process; 0 while there is none."""
        return 0 if self._child is None else self._child.pid

    @property
    def queued(self) -> int:
        """Frames that wait."""
        return len(self._queue) + len(self._suspects)

    @property
    def silent_s(self) -> float:
        """How long the group in work has taken, or the process is missing."""
        return 0.0 if math.isnan(self._since_s) else time.monotonic() - self._since_s

    async def begin(self) -> None:
        """Begin the process and wait until it has its model. Raises ModelError."""
        begun = self._begun = self._loop.create_future()
        child = self._child = Child(MODULE, self._hear, self._ended)
        child.say(wire.packed(self._begin))
        try:
            problem = await asyncio.wait_for(asyncio.shield(begun), START_S)
        except asyncio.TimeoutError:
            problem = f"it has not begun within {START_S:g} s"
        finally:
            self._begun = None
            if not begun.done() or begun.result():
                self._child = None
                child.kill()
        if problem:
            raise ModelError(f"{self._name}: its process: {problem}")
        self._since_s = math.nan
        logger.info("%s: small pictures are worked on in process %d", self._name, child.pid)
        self._look_soon()

    def put(self, job: Job) -> None:
        """Take in a job, which is given back. Raises LinkError when too many wait."""
        if self._closing:
            raise LinkError("the model is being closed")
        if self.queued >= self._queue_max:
            raise LinkError(f"overloaded: {self.queued} frames wait for the model")
        late = job.message.late
        heapq.heappush(self._queue, (late, next(self._numbers), self._loop.time(), job))
        self._look_soon()

    async def close(self, timeout_s: float | None = None) -> None:
        """Refuse those that wait, let the groups in work end, or else end them with the process."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
        self._refuse(self._take_all(), LinkError("the model is being closed"))
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except asyncio.TimeoutError:
            logger.error("%s: process %d does not answer and is killed", self._name, self.pid)
            if self._child is not None:
                self._child.kill()
        child, self._child = self._child, None
        self._refuse(self._take_groups(), LinkError("the model does not answer"))
        if child is not None:
            await child.end()

    # -- there -----------------------------------------------------------------------------

    def _look_soon(self) -> None:
        """After all that comes in this turn of the event loop."""
        if not self._looking and len(self._in_work) < GROUPS_MAX:
            self._looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        while self._child is not None and self._begun is None and self._may_have_more():
            if self._suspects:
                group, waited_s = [self._suspects.popleft()], 0.0
            elif self._queue:
                size = min(self._fitting.size, len(self._queue))
                taken = [heapq.heappop(self._queue) for _ in range(size)]
                group = [job for *_, job in taken]
                waited_s = self._loop.time() - min(since_s for _, _, since_s, _ in taken)
            else:
                return
            if not self._in_work:
                self._since_s = time.monotonic()
                self._idle.clear()
            if self._timer is None:
                self._timer = self._loop.call_later(self._silence_s, self._look_at_silence)
            number, looking = next(self._numbers), self.desk.live.wanted
            self._in_work[number] = (group, waited_s)
            frames = [asked(job, looking=looking) for job in group]
            full = len(self._queue) >= self._fitting.size
            self._child.say(wire.packed(wire.Group(number, frames, full)))

    def _may_have_more(self) -> bool:
        if not self._in_work:
            return True
        groups = [group for group, _ in self._in_work.values()]
        quick = sum(map(len, groups)) * self._fitting.frame_ms < QUICK_MS  # unknown is not quick
        if len(groups) >= GROUPS_MAX or not quick or self._suspects or groups[0][0].suspect:
            return False
        # As many as in the group before, or small ones would chase each other.
        wanted = max(map(len, groups)) if len(groups) == 1 else self._fitting.size
        return len(self._queue) >= min(wanted, self._fitting.size)

    # -- back ------------------------------------------------------------------------------

    def _hear(self, data: bytes) -> None:
        try:
            if self._begun is not None and not self._begun.done():
                self._begun.set_result(wire.read_begun(data).problem)
                return
            answer = wire.read_answer(data)
        except msgspec.MsgspecError as error:
            raise wire.WireBroken(str(error)) from None
        group, waited_s = self._in_work.get(answer.number, ([], 0.0))
        if not group or len(answer.told) != len(group):
            raise wire.WireBroken(f"an answer of {len(answer.told)} frames that nobody asked for")
        frames = self._take_in(group, answer)
        del self._in_work[answer.number]
        self._since_s = time.monotonic() if self._in_work else math.nan
        if not self._in_work:
            self._idle.set()
        self._fitting.ran(len(group), answer.run_ms)
        self._look()  # the process works on while answers are given
        self.desk.finish(group)
        for device, frame, data in frames:
            self.desk.live.offer(device, frame, data)
        self._count(group, waited_s, answer)

    def _take_in(
        self, group: Sequence[Job], answer: wire.Answered
    ) -> list[tuple[str, Frame, bytes]]:
        """What came of each; and the frames that are for who looks at live ones."""
        shown = []
        for job, told in zip(group, answer.told, strict=True):
            frame = None if told.picture is None else frame_of(job, told.picture)
            if frame is not None:
                job.decoder.remember(frame)
            if told.outcome == wire.FAILED:
                job.error = error_of(told)
                continue
            job.record = Record(job.id, told.data)
            job.duplicate = told.outcome == wire.DUPLICATE
            if frame is not None and not job.duplicate and not job.message.late:
                shown.append((job.id.device, frame, told.data))
        return shown

    def _count(self, group: Sequence[Job], waited_s: float, answer: wire.Answered) -> None:
        self.on_batch(len(group), waited_s * 1e3, answer.run_ms)
        for seconds in answer.decode_s:
            self.desk.observe(seconds)
        for results, seconds in answer.commits:
            self._results.committed_beside(results, seconds)
        if answer.problem:
            self._results.failed_beside(answer.problem)

    # -- when it ends ----------------------------------------------------------------------

    def _look_at_silence(self) -> None:
        self._timer = None
        if self._child is None or not self._in_work:
            return
        left_s = self._silence_s - self.silent_s
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look_at_silence)
        else:
            self._child.fail(f"it does not answer within {self._silence_s:g} s")

    def _ended(self, why: str) -> None:
        if self._begun is not None:
            if not self._begun.done():
                self._begun.set_result(why)
            return
        child, self._child = self._child, None
        self._on_end()
        self._since_s = time.monotonic()
        lost = self._take_groups()
        if len(lost) == 1 and lost[0].suspect:
            self._refuse(lost, ModelError("the model's process has ended at this frame"))
        else:
            for job in lost:
                job.suspect = True
            self._suspects.extendleft(reversed(lost))
        if self._closing:
            self._refuse(self._take_all(), LinkError("the model is being closed"))
        elif child is not None:
            self._again = self._loop.create_task(self._begin_again(child, why, len(lost)))

    async def _begin_again(self, child: Child, why: str, lost: int) -> None:
        how = await child.last_word()
        logger.error(
            "%s: process %d: %s (%s) with %d frames, which go to a new one",
            *(self._name, child.pid, why, how, lost),
        )
        pause_s = PAUSE_MIN_S
        while True:
            try:
                await self.begin()
                return
            except (MastraError, OSError) as error:
                logger.error("%s; it is begun again in %g s", error, pause_s)
                # Their devices have other ways, and those that come meanwhile may wait.
                self._refuse(self._take_all(), LinkError("the model's process does not begin"))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    def _take_all(self) -> list[Job]:
        """Those that wait, who do so no longer."""
        waiting = [*self._suspects, *(job for *_, job in sorted(self._queue, key=lambda w: w[:2]))]
        self._suspects.clear()
        self._queue.clear()
        return waiting

    def _take_groups(self) -> list[Job]:
        jobs = [job for group, _ in self._in_work.values() for job in group]
        self._in_work.clear()
        self._idle.set()
        return jobs

    def _refuse(self, jobs: Sequence[Job], error: MastraError) -> None:
        for job in jobs:
            job.error = error
        if jobs:
            self.desk.finish(jobs)
