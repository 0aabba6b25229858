"""Sources to read from: a folder, a video, a camera on the network, each made for the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from mastra_ros.config import CameraConfig, build

VIDEO_FRAMES = 12
VIDEO_RATE_HZ = 25


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
