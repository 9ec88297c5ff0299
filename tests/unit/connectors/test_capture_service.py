from __future__ import annotations

from typing import Any

import pytest

from connectors.capture_service import CaptureService
from schemas.catalog import Catalog
from tests.nowhere import ENDPOINTS


def test_waiting_for_a_snapshot_that_fails_each_time_ends_at_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control: Any = None
    service = CaptureService(ENDPOINTS, Catalog(()), control)
    monkeypatch.setattr(service._tracker, "wait", lambda _: [])
    monkeypatch.setattr(service, "retry_failed_snapshots", lambda: ["main/acc_1.calls"])
    monkeypatch.setattr(service, "record", lambda: None)
    assert service.wait_snapshots(limit=0) == ["main/acc_1.calls"]
