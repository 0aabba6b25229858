"""The capture loop: pace, stamps, events, reopening, stopping."""

from __future__ import annotations

import threading

import pytest

from mastra_ros.camera import CameraEvent, CaptureLoop, FakeSource, Stamper
from mastra_ros.camera.loop import BAD_FRAMES_MAX
from mastra_ros.camera.pacing import GAP_MAX_S, Backoff, Pacer, Timeline
from mastra_ros.config import CameraConfig
from mastra_ros.errors import (
    ConfigError,
    DependencyError,
    FrameError,
    SourceEnded,
    SourceError,
    SourceStalled,
)
from mastra_ros.types import FRAME_ID, Frame

NS = 1_000_000_000


class Clock:
    """Time that passes only while the loop waits, or when a test says so."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * NS
        self.waited_s: list[float] = []

    def __call__(self) -> int:
        return self.now_ns

    def wait(self, seconds: float) -> bool:
        self.waited_s.append(seconds)
        self.now_ns += round(seconds * NS)
        return False


class Bench:
    """A loop over scripted sources, in simulated time, run in the test's own thread."""

    def __init__(self, config, *scripts, live: bool = False, rate_hz: float | None = None) -> None:
        self.clock = Clock()
        self.frames: list = []
        self.times_ns: list[int] = []
        self.events: list = []
        self.opened: list[FakeSource] = []
        self._scripts = list(scripts)
        self._live = live
        self._rate_hz = rate_hz
        self._due: list[int] = []
        self.loop = CaptureLoop(
            config,
            self._on_frame,
            self.events.append,
            stamp_ns=self.clock,
            clock_ns=self.clock,
            wait_s=self.clock.wait,
            opener=self._open,
        )

    def _on_frame(self, frame) -> None:
        self.frames.append(frame)
        self.times_ns.append(self.clock.now_ns)

    def _open(self, config, stream, *, stamper, reader):
        script = self._scripts.pop(0)
        if isinstance(script, Exception):
            raise script
        source = FakeSource(
            script,
            stream=stream,
            stamper=stamper,
            live=self._live,
            rate_hz=self._rate_hz,
            due=self._due,
        )
        self.opened.append(source)
        return source

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def test_frames_come_at_the_rate_asked_for_without_drift(camera_config) -> None:
    bench = Bench(camera_config(rate_hz=30.0), [8] * 301)
    bench.loop.run()
    assert len(bench.frames) == 301
    assert bench.times_ns[-1] - bench.times_ns[0] == pytest.approx(10 * NS, abs=1000)
    assert bench.kinds == ["opened", "ended"]


def test_a_late_frame_is_followed_by_no_burst_and_the_grid_stays(camera_config) -> None:
    bench = Bench(camera_config(rate_hz=10.0), [8] * 10)
    plain = bench._on_frame

    def slow_at_the_third(frame) -> None:
        plain(frame)
        if len(bench.frames) == 3:
            bench.clock.now_ns += 450_000_000

    bench.loop._on_frame = slow_at_the_third
    bench.loop.run()
    start = bench.times_ns[0]
    offsets = [round((t - start) / 1e8, 3) for t in bench.times_ns]
    assert offsets == [0, 1, 2, 6.5, 7, 8, 9, 10, 11, 12]


@pytest.mark.parametrize(("live", "spacing_s"), [(False, 0.2), (True, 0.0)])
def test_a_rate_of_zero_follows_a_finite_source_and_takes_a_live_one_as_it_comes(
    camera_config, live: bool, spacing_s: float
) -> None:
    config = camera_config(rate_hz=0.0, frame_limit=4)
    bench = Bench(config, [8] * 9, rate_hz=5.0, live=live)
    bench.loop.run()
    assert (bench.times_ns[3] - bench.times_ns[0]) / NS == pytest.approx(3 * spacing_s)


def test_the_loop_ends_at_the_limit_of_frames(camera_config) -> None:
    bench = Bench(camera_config(frame_limit=3), [8] * 9)
    bench.loop.run()
    assert bench.loop.frames == len(bench.frames) == 3
    assert (bench.kinds[-1], bench.events[-1].severity) == ("ended", "info")
    assert "limit of 3 frames" in str(bench.events[-1])


def test_bad_frames_and_changes_of_size_are_reported_and_the_rest_goes_on(camera_config) -> None:
    bench = Bench(camera_config(), [8, FrameError("odd"), 8, 9, 9])
    bench.loop.run()
    assert bench.kinds == ["opened", "bad_frame", "size_changed", "ended"]
    assert bench.events[2].message == "8x8 px mono8 before, 9x9 px mono8 now"
    assert (bench.loop.frames, bench.loop.bad_frames) == (4, 1)


def test_a_finite_source_that_breaks_has_failed(camera_config) -> None:
    bench = Bench(camera_config(), [8, SourceError("disk gone"), 8])
    bench.loop.run()
    assert bench.kinds == ["opened", "failed"]
    assert bench.events[-1].severity == "error"
    assert len(bench.frames) == 1
    assert bench.opened[0].closed.is_set()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SourceStalled("silent"), "stalled"),
        (SourceError("unplugged"), "broken"),
        (SourceEnded("hung up"), "broken"),
    ],
)
def test_a_live_source_is_opened_again(camera_config, error, kind) -> None:
    bench = Bench(
        camera_config("v4l2:/dev/video0", frame_limit=4), [8, 8, error], [8] * 5, live=True
    )
    bench.loop.run()
    assert bench.kinds == ["opened", kind, "reopened", "ended"]
    assert bench.loop.reopened == 1
    stamps = [frame.key.stamp_ns for frame in bench.frames]
    assert stamps == sorted(set(stamps))
    assert all(source.closed.is_set() for source in bench.opened)


def test_a_live_source_that_cannot_be_opened_is_tried_with_growing_pauses(camera_config) -> None:
    config = camera_config("rtsp://camera/1", rate_hz=0.0, reopen_delay_max_s=4.0, frame_limit=1)
    bench = Bench(config, *[SourceError("refused")] * 7, [8], live=True)
    bench.loop.run()
    assert bench.kinds == ["broken"] * 7 + ["opened", "ended"]
    for waited, full in zip(bench.clock.waited_s, [0.25, 0.5, 1, 2, 4, 4, 4], strict=True):
        assert 0.75 * full <= waited <= full


def test_only_rubbish_from_a_live_source_counts_as_broken(camera_config) -> None:
    config = camera_config("v4l2:/dev/video0", frame_limit=1)
    bench = Bench(config, [FrameError("odd")] * (BAD_FRAMES_MAX + 1), [8], live=True)
    bench.loop.run()
    assert bench.kinds == ["opened", *["bad_frame"] * BAD_FRAMES_MAX, "broken", "reopened", "ended"]


@pytest.mark.parametrize("error", [DependencyError("pip install av"), ConfigError("fourcc")])
def test_what_trying_again_cannot_mend_has_failed(camera_config, error) -> None:
    bench = Bench(camera_config("rtsp://camera/1"), error)
    bench.loop.run()
    assert bench.kinds == ["failed"]


def test_a_name_that_makes_no_sense_is_refused_at_birth(camera_config) -> None:
    for name in ("webcam", "synthetic:pcb?seed=x"):
        with pytest.raises(ConfigError):
            CaptureLoop(camera_config(name), lambda frame: None)


def test_a_missing_file_has_failed_with_one_clear_line(camera_config, tmp_path) -> None:
    events: list = []
    loop = CaptureLoop(camera_config(f"file:{tmp_path}/no.mp4"), lambda frame: None, events.append)
    loop.run()
    assert [event.kind for event in events] == ["failed"]
    assert str(events[0]) == f"file:{tmp_path}/no.mp4: no such file"


def test_stop_returns_while_a_read_blocks_and_nothing_is_told_afterwards(camera_config) -> None:
    source = FakeSource([8], live=True)
    seen: list = []
    loop = CaptureLoop(
        camera_config("v4l2:/dev/video0", stall_timeout_s=600.0),
        seen.append,
        seen.append,
        opener=lambda config, stream, *, stamper, reader: source,
    )
    loop.start()
    assert source.reading.wait(60)
    told = len(seen)
    loop.stop()
    assert loop.join(0)
    assert len(seen) == told == 2


def test_stop_returns_while_the_loop_waits_to_reopen(camera_config) -> None:
    broken = threading.Event()
    loop = CaptureLoop(
        camera_config("http://127.0.0.1:9/x", stall_timeout_s=1.0, reopen_delay_max_s=600.0),
        lambda frame: None,
        lambda event: broken.set(),
    )
    loop._backoff = Backoff(600.0, first_s=600.0)
    loop.start()
    assert broken.wait(60)
    loop.stop()
    assert loop.join(0)


def test_stop_from_within_a_callback_and_before_the_start_is_harmless(camera_config) -> None:
    frames: list = []

    def on_frame(frame) -> None:
        frames.append(frame)
        loop.stop()

    loop = CaptureLoop(camera_config("synthetic:pcb?width=64&height=64"), on_frame)
    loop.start()
    assert loop.join(20)
    assert len(frames) == 1
    CaptureLoop(camera_config(), on_frame).stop()


def test_an_error_in_a_callback_is_told_as_a_failure(camera_config) -> None:
    bench = Bench(camera_config(), [8, 8])

    def burst(frame) -> None:
        raise RuntimeError("no space")

    bench.loop._on_frame = burst
    with pytest.raises(RuntimeError, match="no space"):
        bench.loop.run()
    assert bench.kinds == ["opened", "failed"]


def test_the_truth_of_a_frame_is_known_by_the_key_that_it_was_given(camera_config) -> None:
    frames: list = []
    config = camera_config(
        "synthetic:pcb?seed=1&width=64&height=64", rate_hz=1000.0, frame_limit=20
    )
    loop = CaptureLoop(config, frames.append)
    loop.start()
    assert loop.join(20)
    assert [loop.truth(frame.key).index for frame in frames] == list(range(20))


def test_a_camera_on_the_network_that_falls_silent_is_reopened(
    camera_config, mjpeg_camera, until
) -> None:
    frames: list = []
    events: list = []
    config = camera_config(mjpeg_camera.url, rate_hz=0.0, stall_timeout_s=0.5)
    loop = CaptureLoop(config, frames.append, events.append)
    loop.start()
    until(lambda: len(frames) >= 5, "the first frames")
    mjpeg_camera.silent.set()
    until(lambda: any(e.kind in ("stalled", "broken") for e in events), "the stall")
    mjpeg_camera.silent.clear()
    before = len(frames)
    until(lambda: any(e.kind == "reopened" for e in events), "the reopening")
    until(lambda: len(frames) >= before + 5, "frames again")
    loop.stop()
    assert loop.join(5)
    stamps = [frame.key.stamp_ns for frame in frames]
    assert stamps == sorted(set(stamps))


def test_pauses_double_up_to_the_longest_and_start_small_after_success() -> None:
    backoff = Backoff(3.0, first_s=1.0, seed=0)
    assert [round(backoff.next_s() + 0.12) for _ in range(3)] == [1, 2, 3]
    assert all(backoff.next_s() <= 3.0 for _ in range(20))
    backoff.reset()
    assert backoff.next_s() <= 1.0


def test_a_pacer_without_rate_never_waits() -> None:
    pacer = Pacer(0.0)
    assert [pacer.wait_s(now) for now in (5, 5, 6)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("backwards", [0, -5000])
def test_a_recording_whose_clock_jumps_neither_hangs_nor_bursts(backwards: int) -> None:
    timeline, now_ns, waits = Timeline(), 7 * NS, []
    for due_s in (100, 101, 102, 90_000 + backwards, 90_001 + backwards, 50, 51):
        wait_s = timeline.wait_s(now_ns, due_s * NS)
        while wait_s > 0:
            now_ns += round(wait_s * NS)
            waits.append(wait_s)
            wait_s = timeline.wait_s(now_ns, due_s * NS)
    assert waits == pytest.approx([1, 1, GAP_MAX_S, 1, 1])


def test_a_frame_that_is_late_moves_those_that_follow() -> None:
    timeline = Timeline()
    assert timeline.wait_s(0, 0) == 0
    assert timeline.wait_s(0, NS) == pytest.approx(1)
    assert timeline.wait_s(4 * NS, NS) == 0  # three seconds late
    assert timeline.wait_s(4 * NS, 2 * NS) == pytest.approx(1)
    assert timeline.wait_s(5 * NS + NS // 10, 2 * NS) == 0  # a little late
    assert timeline.wait_s(5 * NS + NS // 10, 3 * NS) == pytest.approx(0.9)


def test_a_source_with_times_of_its_own_is_played_at_them(camera_config) -> None:
    bench = Bench(camera_config(rate_hz=0.0), [8] * 4)
    bench._due = [0, 100_000_000, 900_000_000, 1_000_000_000]
    bench.loop.run()
    offsets = [(t - bench.times_ns[0]) / 1e9 for t in bench.times_ns]
    assert offsets == pytest.approx([0, 0.1, 0.9, 1.0])


def test_every_frame_has_an_id_of_its_own_also_over_runs_with_the_same_stamps(
    camera_config,
) -> None:
    ids = []
    for _ in range(2):
        bench = Bench(camera_config(), [8] * 5)
        bench.loop.run()
        ids += [frame.key.id for frame in bench.frames]
    assert len(set(ids)) == 10
    assert all(FRAME_ID.fullmatch(each) and each for each in ids)


def test_what_a_frame_shows_is_found_by_its_whole_key() -> None:
    frames: list[Frame] = []
    config = CameraConfig(source="synthetic:pcb?seed=1", width_px=64, height_px=64, frame_limit=2)
    loop = CaptureLoop(config, frames.append)
    loop.run()
    assert all(loop.truth(frame.key) is not None for frame in frames)


def test_stamps_follow_a_clock_that_jumps_back_and_a_warning_says_so(camera_config) -> None:
    times = iter([100 * NS, 101 * NS, 102 * NS, 100 * NS, 101 * NS, 100 * NS])
    frames: list[Frame] = []
    events: list[CameraEvent] = []
    loop = CaptureLoop(
        camera_config(rate_hz=0.0),
        frames.append,
        events.append,
        stamp_ns=lambda: next(times),
        opener=lambda config, stream, *, stamper, reader: FakeSource([8] * 6, stamper=stamper),
    )
    loop.run()
    seconds = [frame.key.stamp_ns // NS for frame in frames]
    assert seconds == [100, 101, 102, 100, 101, 100]
    backs = [event for event in events if event.kind == "clock_back"]
    assert [event.severity for event in backs] == ["warning"] * 2
    assert "the clock went back by 2.000 s: stamps follow" in str(backs[0])


def test_a_clock_that_stands_or_trembles_leaves_stamps_growing(camera_config) -> None:
    times = iter([NS, NS, NS - 50_000_000, NS + 1])
    stamper = Stamper("own", lambda: next(times))
    stamps = [stamper.stamp() for _ in range(4)]
    assert stamps == [NS, NS + 1, NS + 2, NS + 3]
    assert stamper.take_back_ns() == 0
