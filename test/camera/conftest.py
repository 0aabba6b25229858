"""Sources to read from: a folder, a video, a camera on the network, each made for the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from mastra_ros.config import CameraConfig, build

VIDEO_FRAMES = 12
VIDEO_RATE_HZ = 25
VIDEO_HEIGHT, VIDEO_WIDTH, WRITTEN_RATE_HZ = 64, 96, 20


@pytest.fixture(scope="session")
def camera_config() -> Callable[..., CameraConfig]:
    """Makes a checked config of a source and other parameters."""

    def make(source: str = "synthetic:pcb", **values: object) -> CameraConfig:
        return build(CameraConfig, {"source": source, **values})

    return make


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for a condition, and fails the test when it does not come within 20 s."""

    def wait(condition: Callable[[], object], what: str = "the condition") -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come within 60 s"
            time.sleep(0.002)

    return wait


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Three images: board2 (gray 20), board10 (gray 100) and last.png (colour)."""
    folder = tmp_path / "images"
    folder.mkdir()
    cv2.imwrite(str(folder / "board10.png"), np.full((24, 32), 100, np.uint8))
    cv2.imwrite(str(folder / "board2.png"), np.full((24, 32), 20, np.uint8))
    cv2.imwrite(str(folder / "last.png"), np.full((24, 32, 3), (10, 120, 240), np.uint8))
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture(scope="session")
def video_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 frames of 64x48 px at 25 frames/s, frame n of gray level 20 n."""
    av = pytest.importorskip("av", reason="PyAV is not installed")
    path = tmp_path_factory.mktemp("video") / "steps.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=VIDEO_RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.bit_rate = 4_000_000
        for n in range(VIDEO_FRAMES):
            image = np.full((48, 64, 3), 20 * n, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


class MjpegCamera:
    """A camera that serves motion JPEG on loopback, as many do; it can be told to fall silent."""

    def __init__(self) -> None:
        self.silent = threading.Event()
        self.hang_up = threading.Event()
        self.visits = 0
        self.whole_frames = True  # or every second one is cut short, with an end mark
        self._stop = threading.Event()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.visits += 1
                if self.path == "/auth":
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", "Basic")
                    self.end_headers()
                    return
                self.send_response(200)
                if self.path == "/snap":
                    jpeg = camera.picture(7)
                    self.send_header("Content-Type", "image/jpeg")
                    self.send_header("Content-Length", str(len(jpeg)))
                    self.end_headers()
                    self.wfile.write(jpeg)
                    return
                self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
                self.end_headers()
                try:
                    camera._serve(self)
                except OSError:
                    self.close_connection = True  # the client has gone

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{self.base}/stream"

    def picture(self, n: int) -> bytes:
        """Noise of about the gray level n."""
        noise = np.random.default_rng(n).integers(0, 60, (48, 64, 3), np.uint8) + n % 190
        jpeg = cv2.imencode(".jpg", noise.astype(np.uint8))[1].tobytes()
        if self.whole_frames or n % 2 == 0:
            return jpeg
        half = (jpeg.index(b"\xff\xda") + len(jpeg)) // 2
        return jpeg[:half].rstrip(b"\xff") + b"\xff\xd9"

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        n = 0
        while not self._stop.is_set() and not self.hang_up.is_set():
            if not self.silent.is_set():
                jpeg = self.picture(n)
                length = "" if handler.path == "/nolen" else f"Content-Length: {len(jpeg)}\r\n"
                head = f"--frame\r\nContent-Type: image/jpeg\r\n{length}\r\n"
                handler.wfile.write(head.encode() + jpeg + b"\r\n")
                n += 1
            self._stop.wait(0.01)

    def close(self) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def mjpeg_camera() -> Iterator[MjpegCamera]:
    """A camera on the network, switched on."""
    pytest.importorskip("av", reason="PyAV is not installed")
    camera = MjpegCamera()
    yield camera
    camera.close()


def _corners(level: int = 0) -> np.ndarray:
    """Gray, with a white corner at the top left and a black one at the top right."""
    image = np.full((VIDEO_HEIGHT, VIDEO_WIDTH, 3), 60 + level, np.uint8)
    image[:32, :32], image[:32, -32:] = 250, 5
    return image


def _write_video(
    path: Path,
    frames: int = 40,
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    times_ms: Sequence[int] | None = None,
    rate_hz: int = WRITTEN_RATE_HZ,
    noise: bool = False,
    **options: str,
) -> Path:
    """Frame n is brighter by n, or noise; at n / 20 s, or at the times given."""
    import av

    rng = np.random.default_rng(1)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate_hz)
        stream.width, stream.height, stream.pix_fmt = VIDEO_WIDTH, VIDEO_HEIGHT, pixels
        if times_ms is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for n in range(frames):
            image = (
                rng.integers(0, 256, (VIDEO_HEIGHT, VIDEO_WIDTH, 3), np.uint8)
                if noise
                else _corners(n)
            )
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[n], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _write_with_sound(path: Path, codec: str, sound: str, seconds: float, first: int = 0) -> Path:
    """40 frames from frame `first` on, and silence of so many seconds."""
    import av

    rng = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        picture = container.add_stream(codec, rate=WRITTEN_RATE_HZ)
        picture.width, picture.height, picture.pix_fmt = VIDEO_WIDTH, VIDEO_HEIGHT, "yuv420p"
        silence = container.add_stream(sound, rate=44_100)
        silence.layout = "mono"
        for n in range(40):
            image = rng.integers(0, 256, (VIDEO_HEIGHT, VIDEO_WIDTH, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = first + n, Fraction(1, WRITTEN_RATE_HZ)
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        for at in range(0, int(seconds * 44_100), 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 44_100, at
            container.mux(silence.encode(frame))
        container.mux(silence.encode())
    return path


@pytest.fixture(scope="session")
def write_video() -> Callable[..., Path]:
    """Writes a video of 96x64 px at 20 frames/s; see `_write_video`."""
    pytest.importorskip("av", reason="PyAV is not installed")
    return _write_video


@pytest.fixture(scope="session")
def write_with_sound() -> Callable[..., Path]:
    """Writes a video with sound; see `_write_with_sound`."""
    pytest.importorskip("av", reason="PyAV is not installed")
    return _write_with_sound
