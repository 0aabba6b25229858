"""A folder of annotated pictures of boards, bounded."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import cv2

from mastra_ros.errors import ConfigError
from mastra_ros.pipeline.factory.inspection import Verdict
from mastra_ros.pipeline.overlay import DOUBTFUL, VERDICTS, bgr_copy, draw_boxes, with_captions
from mastra_ros.privacy import ClearedFrame
from mastra_ros.share import home_path

logger = logging.getLogger(__name__)

PATTERN = "board_*.jpg"
QUALITY = 90


class PictureFolder:
    """Keeps the newest `most` pictures, those of earlier runs included.

    ConfigError if the folder cannot be made or written to. Should a picture fail later, that is
    logged and the inspection goes on.
    """

    def __init__(self, folder: str | Path, most: int) -> None:
        self.folder = home_path(folder)
        self._most = most
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"pictures_dir: cannot make {folder}: {error.strerror}") from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise ConfigError(f"pictures_dir: expected a folder that can be written, got {folder}")

    def save(self, verdict: Verdict, cleared: ClearedFrame) -> Path | None:
        """Save the cleared picture of a verdict as board_NUMBER_VERDICT.jpg; None without room."""
        if self._most == 0:
            return None
        canvas = bgr_copy(cleared)
        left = verdict.picture_left_px
        draw_boxes(canvas, verdict.doubtful, left_px=left, colour=DOUBTFUL)
        draw_boxes(canvas, verdict.defects, left_px=left)
        text = f"board {verdict.board}: {verdict.verdict}, {verdict.reason}"
        canvas = with_captions(canvas, [(text, VERDICTS[verdict.verdict])])
        path = self.folder / f"board_{verdict.board:06d}_{verdict.verdict}.jpg"
        coded, data = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        try:
            if not coded:
                raise OSError(0, "the picture cannot be encoded")
            path.write_bytes(data.tobytes())
            self._forget_oldest()
        except OSError as error:
            logger.error("%s was not saved: %s", path, error.strerror)
            return None
        return path

    def _forget_oldest(self) -> None:
        kept = sorted(self.folder.glob(PATTERN), key=lambda p: (p.stat().st_mtime_ns, p.name))
        for path in kept[: max(0, len(kept) - self._most)]:
            path.unlink(missing_ok=True)
