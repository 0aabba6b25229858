"""The services that rclpy itself gives every node, made safe: anybody may ask for anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node

REASON_CHARS_MAX = 300


def guard_services(node: Node, tell: Callable[[str, Exception], None]) -> None:
    """Let no request end the process: rclpy raises, for one, at a parameter of an unknown type.

    A request that makes no sense is refused in its answer and told to `tell`, by the service's
    name; the executor goes on.
    """
    for service in node.services:
        service.callback = _guarded(service.callback, service.service_name, tell)


def _guarded(
    callback: Callable[[Any, Any], Any], name: str, tell: Callable[[str, Exception], None]
) -> Callable[[Any, Any], Any]:
    @wraps(callback)
    def answer(request: Any, response: Any) -> Any:
        try:
            return callback(request, response)
        except Exception as error:
            tell(name, error)
            return _refusal(request, type(response)(), f"{type(error).__name__}: {error}")

    return answer


def _refusal(request: Any, response: Any, reason: str) -> Any:
    """The response, saying no where it has a place for it."""
    refused = SetParametersResult(successful=False, reason=reason[:REASON_CHARS_MAX])
    if hasattr(response, "results"):
        response.results = [refused] * len(request.parameters)
    elif hasattr(response, "result"):
        response.result = refused
    elif hasattr(response, "success"):
        response.success = False
    return response
