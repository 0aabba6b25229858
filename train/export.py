"""Export a trained detector: python -m train.export --checkpoint FILE --data DIR --bundle DIR.

A `device` checkpoint becomes BUNDLE/local.tflite (full-integer int8, calibrated on boards of
train.txt and drawn ones), a `gateway` checkpoint BUNDLE/cloud.onnx (float32, any batch size). The
score threshold is chosen with the exported file itself on the held-out slice of train.txt, for each
number of views.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from train.augment import camera_look
from train.bundle import add_part
from train.data import read_ids, read_sample, split_train, synthetic_sample
from train.decode import CELLS, best_threshold, decode
from train.network import CLASSES, Detector, build
from train.runner import open_runner

log = logging.getLogger("train.export")

CALIBRATION_BOARDS = 96


class ChannelsLast(nn.Module):
    """The detector with its input as (1, 640, 640, 1)."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        result: tuple[Tensor, Tensor] = self.detector(image.permute(0, 3, 1, 2))
        return result


def load(checkpoint: Path) -> tuple[str, Detector]:
    """The configuration's name, and the averaged network with its normalisation folded in."""
    state = torch.load(checkpoint, weights_only=True)
    model = build(state["config"])
    model.load_state_dict(state["average"])
    model.eval()
    for module in list(model.modules()):
        if isinstance(module, nn.Sequential) and len(module) == 3:
            conv, norm = module[0], module[1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[0], module[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return state["config"], model


def export_onnx(model: Detector, path: Path) -> None:
    """Write float32 ONNX: `image` (N, 1, 640, 640) -> `scores` (N, 6400, 6), `boxes`."""
    torch.onnx.export(
        model,
        (torch.zeros(2, 1, 640, 640),),
        str(path),
        input_names=["image"],
        output_names=["scores", "boxes"],
        dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}, "boxes": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    # The exporter leaves sizes unnamed that are fixed: cells and channels.
    written = onnx.load(str(path))
    for output, channels in zip(written.graph.output, (CLASSES, 4), strict=True):
        for at, size in ((1, CELLS * CELLS), (2, channels)):
            output.type.tensor_type.shape.dim[at].dim_value = size
    onnx.checker.check_model(written)
    onnx.save(written, str(path))


def calibration_images(data: Path) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Boards (1, 640, 640, 1) in 0..1 that span what the camera may show; none of val.txt."""
    rng = np.random.default_rng(11)
    names = split_train(read_ids(data, "train.txt"))[0][:CALIBRATION_BOARDS]
    samples = [read_sample(data, name) for name in names]
    samples += [synthetic_sample(rng) for _ in range(CALIBRATION_BOARDS // 3)]
    images = [camera_look(rng, s.image) for s in samples]
    for image in images:
        # Each spans 0..1, so that the input's scale becomes exactly 1/255.
        image[0, :2] = 0, 1
    return [image[None, :, :, None] for image in images]


def export_tflite(model: Detector, data: Path, path: Path, float_path: Path) -> None:
    """Write float TFLite to `float_path`, and full-integer int8 TFLite to `path`.

    Weights are quantised per channel, activations per tensor by the extremes that calibration saw.
    """
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    example = (torch.zeros(1, 640, 640, 1),)
    litert_torch.convert(ChannelsLast(model).eval(), example).export(str(float_path))
    signatures = Interpreter(str(float_path)).get_signature_list()
    key = next(iter(signatures))
    name = signatures[key]["inputs"][0]
    tool = quantizer.Quantizer(str(float_path))
    tool.load_quantization_recipe(recipe.static_wi8_ai8())
    ranges = tool.calibrate({key: [{name: image} for image in calibration_images(data)]})
    path.unlink(missing_ok=True)
    tool.quantize(ranges).export_model(str(path))


def main() -> None:
    """Read the command line, export, choose the threshold, and enter the part into the bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="best.pt of train.fit")
    parser.add_argument("--data", type=Path, required=True, help="the folder deeppcb")
    parser.add_argument("--bundle", type=Path, required=True, help="folder of bundle.yaml")
    parser.add_argument(
        "--views", type=int, choices=(1, 2), default=1, help="2: average two views (gateway only)"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config, model = load(options.checkpoint)
    options.bundle.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    if config == "device":
        if options.views > 1:
            parser.error("--views 2 is for the gateway's network")
        part, files["int8"] = "local", options.bundle / "local.tflite"
        files["float32"] = options.checkpoint.with_name("float.tflite")
        export_tflite(model, options.data, files["int8"], files["float32"])
    else:
        part, files["float32"] = "cloud", options.bundle / "cloud.onnx"
        export_onnx(model, files["float32"])
    names = split_train(read_ids(options.data, "train.txt"))[1]
    samples = [read_sample(options.data, name) for name in names]
    truth = [(s.boxes, s.labels) for s in samples]
    for kind, path in reversed(files.items()):
        thresholds = {}
        for views in range(1, options.views + 1):
            run = open_runner(path, views)
            found = [decode(*run(s.image)) for s in samples]
            thresholds[views], f_score = best_threshold(found, truth, CLASSES)
            at = f"held-out F {f_score:.4f} at threshold {thresholds[views]:.2f}"
            log.info("%s, %d views: %s", kind, views, at)
    add_part(options.bundle, part, thresholds)


if __name__ == "__main__":
    main()
