"""Every model of the gateway as the Open Inference Protocol sees it: a detector, or raw tensors."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import numpy as np

from ..errors import FrameError, ModelError, ProtocolError
from ..pictures.still import decode_still_file, still_size
from ..types import MAX_SIDE_PX, Frame, FrameKey
from .models import ServedModel
from .openinference.datatypes import BYTES, Array, TensorSpec
from .openinference.exchange import check_shapes
from .openinference.statistics import Statistics
from .tensors.served import ServedTensors

IMAGE = "image"
PICTURE_INPUTS = (TensorSpec(IMAGE, "UINT8", (-1, -1, 3)),)
PICTURE_KNOWN: Mapping[str, Collection[str]] = {IMAGE: ("UINT8", BYTES)}
PICTURE_OUTPUTS = (
    TensorSpec("boxes", "FP32", (-1, 4)),
    TensorSpec("scores", "FP32", (-1,)),
    TensorSpec("classes", "INT32", (-1,)),
)


class Servable(Protocol):
    """A model and version under its name."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def platform(self) -> str:
        """What runs it, in words that begin with its name."""
        ...

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def parameters(self) -> dict[str, Any]: ...

    @property
    def batch_size_max(self) -> int: ...

    @property
    def silent_s(self) -> float: ...

    @property
    def ready(self) -> bool: ...

    @property
    def statistics(self) -> Statistics: ...

    def known(self) -> Mapping[str, Collection[str]]:
        """The datatypes that each input may have."""
        ...

    def decoded_bytes(self, inputs: Mapping[str, Array]) -> int:
        """What has to be held beside the inputs for them to be decoded. Raises ProtocolError."""
        ...

    def prepare(self, inputs: Mapping[str, Array]) -> Any:
        """What the model is fed; work for a thread. Raises ProtocolError."""
        ...

    def put(self, prepared: Any) -> asyncio.Future[Any]:
        """What `read` makes outputs of, for small requests that nobody waits for as a task.

        Raises LinkError at once.
        """
        ...

    def read(self, given: Any) -> dict[str, Array]:
        """The outputs."""
        ...

    async def infer(self, prepared: Any) -> dict[str, Array]:
        """The outputs. Raises LinkError or ModelError."""
        ...


class Pictures:
    """A detector: one picture in, as pixels or as the bytes of a file; boxes out."""

    batch_size_max = 0
    inputs, outputs = PICTURE_INPUTS, PICTURE_OUTPUTS
    ready = True

    def __init__(self, model: ServedModel[Frame], pixels_max: int) -> None:
        self._model = model
        self._pixels_max = pixels_max

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def version(self) -> str:
        return self._model.detector.version

    @property
    def platform(self) -> str:
        return self._model.engine

    @property
    def parameters(self) -> dict[str, Any]:
        return {"labels": list(self._model.detector.labels), "engine": self._model.engine}

    @property
    def silent_s(self) -> float:
        return self._model.silent_s

    @property
    def statistics(self) -> Statistics:
        return self._model.statistics

    def known(self) -> Mapping[str, Collection[str]]:
        return PICTURE_KNOWN

    def decoded_bytes(self, inputs: Mapping[str, Array]) -> int:
        image = inputs[IMAGE]
        if image.dtype != np.object_:
            return 0
        width, height = self._size(_file_of(image))
        return width * height * 3

    def prepare(self, inputs: Mapping[str, Array]) -> Frame:
        image = inputs[IMAGE]
        if image.dtype == np.object_:
            image = self._decoded(_file_of(image))
        elif not (
            all(0 < side <= MAX_SIDE_PX for side in image.shape)
            and (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3))
        ):
            got = list(image.shape)
            raise ProtocolError(
                f"image: expected the shape [height, width, 3] or [height, width], got {got}"
            )
        try:
            return Frame(FrameKey("v2", 0), image, "mono8" if image.ndim == 2 else "bgr8")
        except FrameError as error:
            raise ProtocolError(str(error)) from error

    async def infer(self, prepared: Frame) -> dict[str, Array]:
        began = time.perf_counter()
        try:
            return self.read(await self._model.infer(prepared))
        except Exception:
            self.statistics.failed((time.perf_counter() - began) * 1e3)
            raise

    def put(self, prepared: Frame) -> asyncio.Future[Any]:
        return self._model.put_small(prepared)

    def read(self, given: Any) -> dict[str, Array]:
        found = given.detections
        return {
            "boxes": np.asarray(found.boxes, np.float32),
            "scores": np.asarray(found.scores, np.float32),
            "classes": np.asarray(found.classes, np.int32),
        }

    def _size(self, data: bytes) -> tuple[int, int]:
        try:
            width, height = still_size(data)
        except (FrameError, IndexError) as error:
            raise ProtocolError(f"image: {error}") from error
        if not 0 < width * height <= self._pixels_max:
            raise ProtocolError(
                f"image: expected at most {self._pixels_max} px, got {width}x{height}"
            )
        return width, height

    def _decoded(self, data: bytes) -> Array:
        try:
            image = decode_still_file(data)
        except FrameError as error:
            raise ProtocolError(f"image: {error}") from error
        if image.dtype != np.uint8:
            raise ProtocolError(f"image: expected 8 bits a value, got {image.dtype}")
        return image


class RawTensors:
    """A model's own inputs and outputs."""

    def __init__(self, model: ServedTensors) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    @property
    def parameters(self) -> dict[str, Any]:
        return {"engine": self._model.platform}

    def known(self) -> Mapping[str, Collection[str]]:
        return {spec.name: (spec.datatype,) for spec in self._model.inputs}

    def decoded_bytes(self, _: Mapping[str, Array]) -> int:
        return 0

    def prepare(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        check_shapes(self._model.inputs, inputs)
        return inputs

    def read(self, given: Any) -> dict[str, Array]:
        outputs: dict[str, Array] = given
        return outputs


def versioned(
    candidates: Collection[Servable], name: str, version: str, names: Callable[[], Collection[str]]
) -> Servable:
    """The model of this name and version, the first one without a version. Raises ModelError."""
    found = [one for one in candidates if one.name == name]
    if not found:
        raise ModelError(f"model {name!r} is not served, {', '.join(dict.fromkeys(names()))} are")
    if not version:
        return found[0]
    for one in found:
        if one.version == version:
            return one
    known = ", ".join(one.version for one in found)
    raise ModelError(f"version {version} is not served, {known} is")


def _file_of(image: Array) -> bytes:
    """The bytes of the one file, which JSON can only hold as base64."""
    if image.size != 1:
        raise ProtocolError(f"image: expected one file in BYTES, got {image.size}")
    data: bytes = image.ravel()[0]
    if data[:4].isalnum() or data[:4] == b"/9j/":
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            return data
    return data
