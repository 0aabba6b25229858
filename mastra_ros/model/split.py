"""Makes a split bundle out of a whole one: head.onnx, tail.onnx, and the section `split`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..inference import Bundle, BundlePart, BundleSplit
from .graph import Model, split_graph
from .verify import COMPANIONS, read_document
from .writer import BundleWriter

WHOLE = "cloud"
HEAD_FILE, TAIL_FILE = "head.onnx", "tail.onnx"


def write_halves(writer: BundleWriter, bundle: Bundle, model: Model, split: BundleSplit) -> Bundle:
    """Put the parts of `bundle`, and the halves of the ONNX `model` at `split`, into a new one.

    The new bundle is described but not yet committed.
    """
    head, tail = split_graph(model, split.cut, split.shape, split.scale, split.zero_point)
    whole = bundle.part(split.whole)
    document = read_document(bundle.path.parent)
    parts = {name: part for name, part in document["parts"].items() if name in ("local", "cloud")}
    for name in parts:
        shutil.copyfile(bundle.part(name).path, writer.path(bundle.part(name).path.name))
    for pattern in COMPANIONS:
        for file in bundle.path.parent.glob(pattern):
            shutil.copyfile(file, writer.path(str(file.relative_to(bundle.path.parent))))
    writer.path(HEAD_FILE).write_bytes(head.SerializeToString())
    writer.path(TAIL_FILE).write_bytes(tail.SerializeToString())
    parts["head"] = _part(whole, HEAD_FILE)
    parts["tail"] = {**_part(whole, TAIL_FILE), "score_threshold": whole.score_threshold}
    return writer.describe({**document, "parts": parts, "split": _section(split)})


def _part(whole: BundlePart, file: str) -> dict[str, Any]:
    """A half answers under the name of the network that it is half of."""
    return {
        "file": file,
        "engine": "onnxruntime",
        "model": whole.model,
        "version": whole.version,
    }


def _section(split: BundleSplit) -> Mapping[str, Any]:
    return {
        "cut": split.cut,
        "shape": list(split.shape),
        "scale": split.scale,
        "zero_point": split.zero_point,
        "whole": split.whole,
        "measurements": dict(split.measurements),
    }


def split_bundle(
    bundle: Bundle, model: Model, split: BundleSplit, folder: Path, *, replace: bool
) -> Bundle:
    """Write the split bundle into `folder`, whole or not at all. Raises ModelError."""
    from ..inference import load_bundle

    with BundleWriter(folder, replace=replace) as writer:
        write_halves(writer, bundle, model, split)
        writer.commit()
    return load_bundle(str(folder.absolute()))
