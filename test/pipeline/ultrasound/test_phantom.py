"""The drawn phantom is what it says: bodies, speckle, poses, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.pipeline.ultrasound.phantom import (
    BRIGHT,
    DARK,
    TISSUE,
    Phantom,
    PhantomConfig,
    speckle,
)
from mastra_ros.pipeline.ultrasound.phantom_shapes import BentTube, Body, Ellipsoid, Sphere

SEEDS = range(1, 11)


@pytest.mark.parametrize("body", Phantom().bodies, ids=lambda body: body.name)
def test_volume_reach_and_sign_agree(body: Body) -> None:
    rng = np.random.default_rng(0)
    half = body.reach_mm + 1.0
    points = np.array(body.centre_mm) + rng.uniform(-half, half, (300_000, 3))
    inside = body.signed(points) <= 0
    assert inside.mean() * (2 * half) ** 3 / 1000 == pytest.approx(body.volume_ml, rel=0.03)
    away = np.linalg.norm(points[inside] - body.centre_mm, axis=1)
    assert away.max() <= body.reach_mm


@pytest.mark.parametrize("body", Phantom().bodies, ids=lambda body: body.name)
def test_the_distance_is_that_to_the_nearest_point_of_the_surface(body: Body) -> None:
    rng = np.random.default_rng(0)
    points = np.array(body.centre_mm) + rng.uniform(-1, 1, (200, 3)) * (body.reach_mm + 2)
    away = body.distance_mm(points)
    for _ in range(50):  # nothing of other sign lies nearer
        step = rng.standard_normal(points.shape)
        step *= (0.999 * away / np.linalg.norm(step, axis=1))[:, None]
        assert ((body.signed(points) <= 0) == (body.signed(points + step) <= 0)).all()
    if not isinstance(body, Ellipsoid):
        assert away == pytest.approx(np.abs(body.signed(points)))


def test_on_the_surface_of_an_ellipsoid_the_distance_is_0() -> None:
    body = next(b for b in Phantom().bodies if isinstance(b, Ellipsoid))
    way = np.random.default_rng(0).standard_normal((100, 3))
    way /= np.linalg.norm(way, axis=1)[:, None]
    turn = np.array(body.turn).reshape(3, 3)
    surface = (way * body.semi_mm) @ turn.T + body.centre_mm
    assert body.distance_mm(surface).max() < 1e-9
    assert body.distance_mm(surface + (surface - body.centre_mm)).min() > 5.0
    assert body.distance_mm(np.array(body.centre_mm)) == pytest.approx(min(body.semi_mm), rel=1e-5)


def test_speckle_is_rayleigh_and_correlated_as_asked() -> None:
    pattern = speckle(np.random.default_rng(0), 512, 1024)
    assert pattern.mean() == pytest.approx(1.0, abs=1e-3)
    assert pattern.std() == pytest.approx(0.5227, abs=0.01)

    def likeness(axis: int, px: int) -> float:
        flat = (pattern - pattern.mean()) / pattern.std()
        return float((flat * np.roll(flat, px, axis)).mean())

    # The intensity of Gaussian noise that a Gaussian of s px has smoothed: exp(-d² / (2 s²)).
    assert likeness(0, 1) == pytest.approx(np.exp(-1 / (2 * 0.8**2)), abs=0.05)
    assert likeness(1, 2) == pytest.approx(np.exp(-4 / (2 * 1.6**2)), abs=0.05)


def test_a_picture_shows_the_bodies_where_its_pose_says() -> None:
    phantom = Phantom()
    seen = set()
    for number in range(30, 220, 10):
        gray = phantom.picture(number).astype(float)
        rows, columns = np.mgrid[:256, :256]
        pixels = np.stack([columns, rows, 0 * rows, 0 * rows + 1], axis=-1)
        points = (pixels @ phantom.image_pose(number).T)[..., :3]
        truth = phantom.mean_gray(points)
        for level in np.unique(truth):
            found = gray[truth == level]
            if len(found) > 1000:
                assert found.mean() == pytest.approx(min(level, 175), rel=0.08)
                seen.add(float(level))
    assert seen == {TISSUE, BRIGHT, DARK}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_body_is_swept_whole_and_none_touches_another(seed: int) -> None:
    phantom = Phantom(PhantomConfig(seed=seed))
    rng = np.random.default_rng(seed)
    inverse = np.linalg.inv([phantom.image_pose(number) for number in range(240)])
    ellipsoid, sphere, vessel = phantom.bodies
    assert (type(ellipsoid), type(sphere), type(vessel)) == (Ellipsoid, Sphere, BentTube)
    for body in phantom.bodies:
        points = np.array(body.centre_mm) + rng.uniform(-1, 1, (2_000, 3)) * body.reach_mm
        points = points[body.signed(points) <= 0]
        for other in phantom.bodies:
            if other is not body:
                assert other.distance_mm(points).min() > 1.0
        at = inverse @ np.c_[points, np.ones(len(points))].T  # (pictures, 4, points)
        nearest = np.abs(at[:, 2]).argmin(axis=0)
        x, y, off, _ = at[nearest, :, np.arange(len(points))].T  # in some picture, well inside
        assert np.abs(off).max() < 0.5
        assert min(x.min(), y.min()) >= 5
        assert max(x.max(), y.max()) <= 251


def test_pictures_are_the_same_in_any_order_and_others_with_another_seed() -> None:
    first, second = Phantom(), Phantom()
    forward = [first.picture(n) for n in (10, 20, 30)]
    backward = [second.picture(n) for n in (30, 20, 10)][::-1]
    for a, b in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (Phantom(PhantomConfig(seed=2)).picture(10) != forward[0]).mean() > 0.5


def test_lag_noise_and_drops_come_on_request() -> None:
    asked = PhantomConfig(
        frames=60, lag_ms=65.0, drop_share=0.5, pose_noise_mm=0.5, pose_noise_deg=0.5
    )
    phantom = Phantom(asked)
    frames = list(phantom.frames())
    assert len(frames) == 30
    assert frames[0].stamp_s == pytest.approx(frames[0].number / 30 + 0.065)
    truth = phantom.probe_pose(frames[0].stamp_s - 0.065) @ phantom.image_to_probe
    np.testing.assert_allclose(frames[0].pose, truth, atol=1e-9)
    poses = list(phantom.poses())
    assert poses[0].stamp_s < frames[0].stamp_s - 0.065
    assert poses[-1].stamp_s > frames[-1].stamp_s
    off = np.array([p.matrix[:3, 3] - phantom.probe_pose(p.stamp_s)[:3, 3] for p in poses])
    assert off.std(axis=0) == pytest.approx([0.5] * 3, rel=0.15)


@pytest.mark.parametrize(
    "wrong", [{"frames": 0}, {"drop_share": 1.5}, {"rate_hz": 0.0}, {"width_px": 9999}]
)
def test_a_phantom_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="phantom"):
        PhantomConfig(**wrong)  # type: ignore[arg-type]
