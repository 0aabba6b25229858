"""The parameters of the camera."""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import parameter
from .pictures import PictureConfig


@dataclass(frozen=True)
class CameraConfig(PictureConfig):
    """Parameters of the camera: where frames come from."""

    source: str = parameter(
        "synthetic:pcb?seed=1",
        "synthetic:pcb?seed=N, synthetic:crossing?seed=N, folder:DIR, file:VIDEO, "
        "v4l2:/dev/videoN or rtsp://…",
    )
    rate_hz: float = parameter(
        15.0,
        "frames a second; 0: the source's own, or as fast as it can be read",
        unit="Hz",
        minimum=0.0,
        maximum=1000.0,
    )
    width_px: int = parameter(
        0, "width to ask the source for; 0 leaves it alone", unit="px", minimum=0, maximum=16384
    )
    height_px: int = parameter(
        0, "height to ask the source for; 0 leaves it alone", unit="px", minimum=0, maximum=16384
    )
    frame_limit: int = parameter(0, "stop after so many frames; 0 never", minimum=0)
    loop: bool = parameter(False, "start a folder or file again at its end")
    stamps: str = parameter(
        "own", "stamp frames with the clock at capture or as recorded", choices=("own", "recorded")
    )
    frame_id: str = parameter(
        "camera_optical", "coordinate frame in the header: x right, y down, z forward (REP-103)"
    )
    stall_timeout_s: float = parameter(
        3.0, "reopen a live source silent for so long", unit="s", minimum=0.1, maximum=600.0
    )
    reopen_delay_max_s: float = parameter(
        10.0, "longest pause between two attempts to reopen", unit="s", minimum=0.1, maximum=600.0
    )
