"""A camera that speaks RTSP (RFC 2326) on loopback, its MPEG-TS interleaved in the connection."""

from __future__ import annotations

import io
import socketserver
import struct
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from mastra_ros.camera import open_source

av = pytest.importorskip("av", reason="PyAV is not installed")

TS_PACKETS_BYTES = 7 * 188
SDP = "\r\n".join(
    [
        *("v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=test", "t=0 0"),
        *("m=video 0 RTP/AVP 33", "a=control:video", ""),
    ]
)


def transport_stream() -> bytes:
    """50 frames of 64x48 px, frame n of gray level 4 n, as MPEG-TS."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(50):
            image = np.full((48, 64, 3), 4 * n, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return buffer.getvalue()


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while (line := self.rfile.readline()).strip():
            method = line.split()[0].decode()
            headers = {}
            while field := self.rfile.readline().decode().strip():
                name, _, value = field.partition(":")
                headers[name.strip().lower()] = value.strip()
            self.server.methods.append(method)
            self._answer(method, headers)
            if method == "PLAY":
                self._play()
            if method == "TEARDOWN":
                return

    def _answer(self, method: str, headers: dict[str, str]) -> None:
        body = SDP if method == "DESCRIBE" else ""
        lines = [
            "RTSP/1.0 200 OK",
            f"CSeq: {headers['cseq']}",
            "Session: 7",
            "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN",
        ]
        if method == "SETUP":
            lines.append(f"Transport: {headers['transport']}")
        if body:
            lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def _play(self) -> None:
        data = self.server.stream
        for sequence, at in enumerate(range(0, len(data), TS_PACKETS_BYTES)):
            chunk = data[at : at + TS_PACKETS_BYTES]
            head = struct.pack(">BBHII", 0x80, 33, sequence, sequence * 3600, 1)
            self.wfile.write(b"$\x00" + struct.pack(">H", len(head) + len(chunk)) + head + chunk)
            if self.server.stop.wait(0.005):
                return


@pytest.fixture
def rtsp_camera() -> Iterator[socketserver.ThreadingTCPServer]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.stream = transport_stream()
    server.methods = []
    server.stop = threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.stop.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_frames_come_over_rtsp(camera_config, rtsp_camera) -> None:
    url = f"rtsp://127.0.0.1:{rtsp_camera.server_address[1]}/live"
    source = open_source(camera_config(url, stall_timeout_s=10.0))
    frames = [source.read(10.0) for _ in range(5)]
    source.close()
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    levels = [float(frame.image.mean()) for frame in frames]
    assert levels == sorted(levels)
    assert levels[-1] > levels[0]
    assert {"DESCRIBE", "SETUP", "PLAY"} <= set(rtsp_camera.methods)
