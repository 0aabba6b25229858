"""Parameter files are read as ROS reads them, and every mistake in them is named at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mastra_ros.config import OWN_FILES, STAGES, NodeConfig, SchedulingConfig, parameters_of
from mastra_ros.config.files import (
    apply_sets,
    check,
    load_parameters,
    of_rclpy,
    to_markdown,
    to_yaml,
)
from mastra_ros.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def error_of(action: object, *arguments: object) -> str:
    with pytest.raises(ConfigError) as caught:
        action(*arguments)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "pattern", ["camera", "/camera", "/**/camera", "/line1/camera", "/*/camera", '"/**/camera"']
)
def test_a_node_is_known_in_any_namespace(pattern: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"{pattern}:\n  ros__parameters:\n    rate_hz: 5.0\n")
    assert load_parameters(path) == {"camera": {"rate_hz": 5.0}}


def test_namespaces_may_be_nested(tmp_path: Path) -> None:
    path = written(tmp_path, "line1:\n  camera:\n    ros__parameters: {loop: true}\n")
    assert load_parameters(path) == {"camera": {"loop": True}}


@pytest.mark.parametrize("pattern", ["/**", "/*", "/line1/**"])
def test_a_wildcard_means_every_node(pattern: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"{pattern}:\n  ros__parameters:\n    silence_warning_s: 9.0\n")
    assert load_parameters(path) == {stage: {"silence_warning_s": 9.0} for stage in STAGES}


def test_the_later_block_wins(tmp_path: Path) -> None:
    blocks = (
        "camera:\n  ros__parameters: {rate_hz: 5.0, loop: true}\n",
        "/**/camera:\n  ros__parameters: {rate_hz: 6.0}\n",
    )
    both = load_parameters(written(tmp_path, "".join(blocks)))
    assert both == {"camera": {"rate_hz": 6.0, "loop": True}}
    turned = load_parameters(written(tmp_path, "".join(reversed(blocks))))
    assert turned == {"camera": {"rate_hz": 5.0, "loop": True}}


def test_nested_names_are_joined_and_those_of_rclpy_pass(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        camera:
          ros__parameters:
            use_sim_time: true
            qos_overrides:
              /image_raw:
                publisher: {depth: 4}
        """,
    )
    values = load_parameters(path)["camera"]
    assert values == {"use_sim_time": True, "qos_overrides./image_raw.publisher.depth": 4}
    assert all(of_rclpy(name) for name in values)
    assert check({"camera": values})["camera"] == STAGES["camera"]()


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load_parameters(written(tmp_path, "# nothing\n")) == {}


def test_numbers_are_read_as_ros_reads_them(tmp_path: Path) -> None:
    path = written(tmp_path, "bridge:\n  ros__parameters: {spool_age_max_s: 1e6}\n")
    assert check(load_parameters(path))["bridge"].spool_age_max_s == 1e6


def test_every_mistake_in_a_file_is_named_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        camra:
          ros__parameters: {rate_hz: 5.0}
        camera:
          ros__parameters: {rate_hz: 5000.0, sauce: x}
        scheduling:
          ros__parameters: {policy: best, deadline_ms: soon}
        bridge: 5
        pipeline:
          ros__parameters: 6
        """,
    )
    said = error_of(load_parameters, path)
    for part in (
        f"{path}: ",
        "/camra: unknown stage, known are camera, inference",
        "camera.rate_hz: expected 0 to 1000 Hz, got 5000.0",
        "camera.sauce: unknown parameter, known are",
        "scheduling.policy: expected one of dta",
        "scheduling.deadline_ms: expected float, got str 'soon'",
        "/bridge: expected a mapping, got int",
        "/pipeline: expected a mapping below ros__parameters, got 6",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("camera: [", "not YAML"),
        ("- camera", "expected a mapping, got list"),
        ("5", "expected a mapping, got int"),
        ("camera:\n", "/camera: expected a mapping, got NoneType"),
        ("a: !!python/object/apply:os.getcwd []", "not YAML"),
    ],
)
def test_what_is_no_parameter_file_is_one_clear_error(text: str, says: str, tmp_path: Path) -> None:
    assert says in error_of(load_parameters, written(tmp_path, text))


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    assert "cannot be read" in error_of(load_parameters, tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"camera: \xff")
    assert "cannot be read" in error_of(load_parameters, tmp_path / "latin.yaml")


def test_single_values_can_be_set() -> None:
    before = {"camera": {"rate_hz": 5.0}}
    after = apply_sets(
        before,
        [
            "scheduling.deadline_ms=200",
            "camera.source=synthetic:pcb?seed=3&boards=2",
            "bridge.device=5",
            "bridge.gateway=",
            "gateway.allow=[10.0.0.0/8, '::1/128']",
            "camera.loop=true",
        ],
    )
    assert before == {"camera": {"rate_hz": 5.0}}
    configs = check(after)
    assert configs["scheduling"] == SchedulingConfig(deadline_ms=200.0)
    assert configs["camera"].rate_hz == 5.0
    assert configs["camera"].source == "synthetic:pcb?seed=3&boards=2"
    assert configs["bridge"].device == "5"
    assert configs["bridge"].gateway == ""
    assert configs["gateway"].allow == ("10.0.0.0/8", "::1/128")
    assert configs["camera"].loop is True


def test_every_mistake_in_settings_is_named_at_once() -> None:
    said = error_of(
        apply_sets,
        {"inference": {"threads": 0}},
        ["x.y=1", "camera", "camera.=1", "camera.rate_hz=-1", "camera.nope=1", "camera.loop=["],
    )
    for part in (
        "inference.threads: expected 1 to 64, got 0",
        "x: unknown stage, known are camera",
        "expected stage.parameter=value, got 'camera'",
        "expected stage.parameter=value, got 'camera.=1'",
        "camera.rate_hz: expected 0 to 1000 Hz, got -1",
        "camera.nope: unknown parameter",
        "camera.loop: expected a YAML value, got '['",
    ):
        assert part in said


def test_an_unknown_stage_is_named() -> None:
    assert "moon: unknown stage" in error_of(check, {"moon": {}})


def test_the_printed_file_has_everything_and_can_be_read_again(tmp_path: Path) -> None:
    values = {"camera": {"rate_hz": 5, "use_sim_time": True}, "bridge": {"device": "yes"}}
    text = to_yaml(values)
    again = load_parameters(written(tmp_path, text))
    assert check(again) == check(values)
    assert again["camera"]["use_sim_time"] is True
    for stage, config_class in STAGES.items():
        assert set(parameters_of(config_class)) <= set(again[stage])
        for parameter in parameters_of(config_class).values():
            assert parameter.doc in text


def test_the_table_has_a_row_for_every_parameter() -> None:
    rows = [line for line in to_markdown().splitlines() if line.startswith("| `")]
    common = len(parameters_of(NodeConfig))  # these stand in a table of their own
    own = sum(len(parameters_of(config)) - common for config in STAGES.values())
    files = sum(len(parameters_of(file.config)) for file in OWN_FILES.values())
    assert len(rows) == common + own + files
    assert all(row.count("|") == 7 for row in rows)


def test_the_printed_file_is_yaml_for_strict_readers() -> None:
    assert set(yaml.safe_load(to_yaml({}))) == {f"/**/{stage}" for stage in STAGES}


def test_what_pictures_mean_may_be_said_once_for_all_nodes(tmp_path: Path) -> None:
    path = written(
        tmp_path, "/**:\n  ros__parameters: {bit_depth: 12, image_transport: compressed}\n"
    )
    values = load_parameters(path)
    for stage in ("inference", "compression", "pipeline"):
        assert values[stage] == {"bit_depth": 12, "image_transport": "compressed"}
    assert values["camera"] == {"bit_depth": 12}
    assert not values.get("scheduling")
    assert not values.get("gateway")


def test_a_stage_without_pictures_does_not_take_what_is_said_to_it_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "scheduling:\n  ros__parameters: {bit_depth: 12}\n")
    assert "scheduling.bit_depth: unknown parameter" in error_of(load_parameters, path)


@pytest.mark.parametrize(
    ("name", "value"), [("bit_depth", 12), ("float_max", 40.0), ("float_min", -1.0)]
)
def test_nodes_that_hear_the_same_pictures_must_take_them_alike(name: str, value: float) -> None:
    said = error_of(check, {"inference": {name: value}})
    assert said.startswith(f"{name}: inference has {value}, compression has ")
    assert "set it below /** for all" in said
    alike = {stage: {name: value} for stage in ("inference", "compression", "pipeline")}
    assert getattr(check(alike)["pipeline"], name) == value
    check({"camera": {name: value}})  # its frames have the full scale for all the others
