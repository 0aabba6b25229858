"""Train a detector: python -m train.fit --config device|gateway --data DIR --out DIR [--resume].

With `--weights FILE` it goes on from an exported network (ONNX, or the int8 TFLite) in place of
random weights; with `--teacher FILE.onnx` it also learns from the scores of an exported gateway
network (distillation).
Writes OUT/last.pt (to resume from) and OUT/best.pt (averaged weights with the highest F on the
held-out slice of train.txt). Runs on a CPU; bfloat16 where the processor computes with it.
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train.augment import random_crop
from train.data import Sample, letterbox, read_ids, read_sample, split_train, synthetic_sample
from train.decode import Found, best_threshold, decode, mistakes
from train.loss import cell_centres, detection_loss, targets, teacher_loss
from train.network import CLASSES, STRIDE_PX, Detector, build
from train.unfold import unfold

FRAME_SIZES = ((640, 640), (640, 640), (640, 480), (1280, 720))

# The index of a board, and a place on it: x, y in px.
Spot = tuple[int, float, float]

log = logging.getLogger("train.fit")


@dataclass(frozen=True)
class Recipe:
    """How to train. The schedule ends at `steps` or after `minutes`, whichever comes first."""

    steps: int = 16000
    minutes: float = 1e9
    batch: int = 8
    crop_px: int = 320
    peak_rate: float = 2e-3
    decay: float = 0.05
    warmup_steps: int = 300
    average: float = 0.998
    synthetic_share: float = 0.22
    synthetic_boards: int = 400
    hard_share: float = 0.4
    hard_boards: int = 160
    check_minutes: float = 5.0
    seed: int = 7


def rate_at(progress: float, step: int, recipe: Recipe) -> float:
    """Linear warm-up, then half a cosine down to a hundredth of the peak; progress in 0..1."""
    warm = min(1.0, (step + 1) / recipe.warmup_steps)
    return recipe.peak_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def draw(rng: np.random.Generator) -> Sample:
    """A synthetic board of one of FRAME_SIZES, letterboxed; half of them with links."""
    width, height = FRAME_SIZES[int(rng.integers(len(FRAME_SIZES)))]
    return letterbox(synthetic_sample(rng, width, height, links=bool(rng.random() < 0.5)))


def make_batch(
    rng: np.random.Generator,
    real: list[Sample],
    drawn: list[Sample],
    hard: list[Spot],
    recipe: Recipe,
) -> tuple[Tensor, Tensor, Tensor]:
    """Images (N, 1, S, S) float32, classes (N, A) int64, distances (N, A, 4) float32."""
    centres = cell_centres(recipe.crop_px // STRIDE_PX)
    images, classes, distances = [], [], []
    for _ in range(recipe.batch):
        spot = None
        if rng.random() < recipe.synthetic_share:
            sample, scales = drawn[int(rng.integers(len(drawn)))], (0.55, 1.25)
        elif hard and rng.random() < recipe.hard_share:
            index, x, y = hard[int(rng.integers(len(hard)))]
            sample, scales, spot = real[index], (0.85, 1.15), (x, y)
        else:
            sample, scales = real[int(rng.integers(len(real)))], (0.7, 1.35)
        crop = random_crop(rng, sample, recipe.crop_px, scales=scales, spot=spot)
        label, sides = targets(crop, centres)
        images.append(crop.image)
        classes.append(label)
        distances.append(sides)
    return (
        torch.from_numpy(np.stack(images)[:, None]),
        torch.from_numpy(np.stack(classes)),
        torch.from_numpy(np.stack(distances)),
    )


def find(model: Detector, samples: list[Sample]) -> list[Found]:
    """Detections of the network in float on whole images of 640x640."""
    model.eval()
    found = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=_has_bfloat16()):
        for sample in samples:
            image = torch.from_numpy(sample.image.astype(np.float32) / 255)[None, None]
            scores, boxes = model(image.contiguous(memory_format=torch.channels_last))
            found.append(decode(scores[0].float().numpy(), boxes[0].float().numpy()))
    return found


def hard_spots(
    rng: np.random.Generator, model: Detector, real: list[Sample], recipe: Recipe
) -> list[Spot]:
    """Where the network errs on some of the boards that it is trained on."""
    chosen = [int(i) for i in rng.permutation(len(real))[: recipe.hard_boards]]
    spots: list[Spot] = []
    for index, one in zip(chosen, find(model, [real[i] for i in chosen]), strict=True):
        wrong = mistakes(one.above(0.35), real[index].boxes, real[index].labels)
        spots += [(index, float(x), float(y)) for x, y in wrong]
    return spots


def held_out_score(model: Detector, samples: list[Sample]) -> tuple[float, float]:
    """The best score threshold on `samples`, and F there."""
    truth = [(s.boxes, s.labels) for s in samples]
    return best_threshold(find(model, samples), truth, CLASSES)


def fit(
    config: str,
    data: Path,
    out: Path,
    recipe: Recipe,
    *,
    resume: bool,
    weights_from: Path | None = None,
    teacher_from: Path | None = None,
) -> None:
    """Train until the schedule ends."""
    out.mkdir(parents=True, exist_ok=True)
    train_ids, held_ids = split_train(read_ids(data, "train.txt"))
    real = [read_sample(data, name) for name in train_ids]
    held = [read_sample(data, name) for name in held_ids]
    rng = np.random.default_rng(recipe.seed)
    torch.manual_seed(recipe.seed)
    drawn = [draw(rng) for _ in range(recipe.synthetic_boards)]

    def network(name: str, weights: Path | None) -> Detector:
        made = build(name)
        if weights:
            statistics = replace(recipe, batch=48)
            unfold(made, weights, make_batch(rng, real, drawn, [], statistics)[0])
        result: Detector = made.to(memory_format=torch.channels_last)
        return result

    model = network(config, weights_from)
    teacher = None
    if teacher_from:
        teacher = network("gateway", teacher_from).eval().requires_grad_(False)
    average = copy.deepcopy(model)
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": recipe.decay}, {"params": others}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.peak_rate, weight_decay=0.0)
    step, spent, best = 0, 0.0, 0.0
    if resume and (out / "last.pt").exists():
        state = torch.load(out / "last.pt", weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent, best = state["step"], state["minutes"], state["best"]
        rng = np.random.default_rng([recipe.seed, step])
    log.info("%s: %d parameters", config, sum(p.numel() for p in model.parameters()))
    log.info("%d real boards, %d held out, %d drawn", len(real), len(held), len(drawn))
    start = time.monotonic() - 60 * spent
    checked, sums = spent, np.zeros(3)
    hard = hard_spots(rng, average, real, recipe) if step else []
    while True:
        spent = (time.monotonic() - start) / 60
        progress = min(1.0, max(step / recipe.steps, spent / recipe.minutes))
        for group in optimiser.param_groups:
            group["lr"] = rate_at(progress, step, recipe)
        images, classes, distances = make_batch(rng, real, drawn, hard, recipe)
        images = images.contiguous(memory_format=torch.channels_last)
        model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=_has_bfloat16()):
            scores, boxes = model(images)
            opinion = teacher(images)[0] if teacher else None
        score_loss, box_loss = detection_loss(scores, boxes, classes, distances)
        if opinion is not None:
            score_loss = score_loss + teacher_loss(scores, opinion, classes)
        optimiser.zero_grad()
        (score_loss + box_loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        step += 1
        _follow(average, model, min(recipe.average, (1 + step) / (10 + step)))
        if step % 4 == 0:
            drawn[step // 4 % len(drawn)] = draw(rng)
        sums += (score_loss.item(), box_loss.item(), 1)
        if step % 100 == 0:
            log.info(
                "step %d, %.1f min, rate %.5f, score loss %.3f, box loss %.3f",
                step,
                spent,
                rate_at(progress, step, recipe),
                *(sums[:2] / sums[2]),
            )
            sums[:] = 0
        if spent - checked >= recipe.check_minutes or progress >= 1:
            checked = spent
            threshold, f_score = held_out_score(average, held)
            log.info("step %d: held-out F %.4f at threshold %.2f", step, f_score, threshold)
            if f_score >= best:
                best = f_score
                _save(
                    out / "best.pt",
                    {
                        "config": config,
                        "average": average.state_dict(),
                        "threshold": threshold,
                        "f_score": f_score,
                        "step": step,
                    },
                )
            _save(
                out / "last.pt",
                {
                    "config": config,
                    "model": model.state_dict(),
                    "average": average.state_dict(),
                    "best": best,
                    "step": step,
                    "optimiser": optimiser.state_dict(),
                    "minutes": spent,
                },
            )
            if progress >= 1:
                return
            hard = [*hard, *hard_spots(rng, average, real, recipe)][-600:]
            log.info("step %d: %d hard spots", step, len(hard))


def _follow(average: Detector, model: Detector, keep: float) -> None:
    """Exponential moving average of weights and of the normalisation's statistics."""
    with torch.no_grad():
        for mean, value in zip(
            average.state_dict().values(), model.state_dict().values(), strict=True
        ):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - keep)
            else:
                mean.copy_(value)


def _save(path: Path, state: dict[str, object]) -> None:
    """Replace the file at once, so that it is never half written."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _has_bfloat16() -> bool:
    return bool(torch.backends.cpu.get_cpu_capability() == "AVX512") and (
        torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", choices=("device", "gateway"), required=True)
    parser.add_argument("--data", type=Path, required=True, help="the folder deeppcb")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--minutes", type=float, default=Recipe.minutes)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--rate", type=float, default=Recipe.peak_rate, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--weights", type=Path, help="a file of train.export to go on from")
    parser.add_argument("--teacher", type=Path, help="the gateway's ONNX file, to learn from")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    recipe = Recipe(
        minutes=options.minutes, steps=options.steps, peak_rate=options.rate, seed=options.seed
    )
    fit(
        options.config,
        options.data,
        options.out,
        recipe,
        resume=options.resume,
        weights_from=options.weights,
        teacher_from=options.teacher,
    )


if __name__ == "__main__":
    main()
