"""docker-compose.yml describes a stack that answers as the local one does. Skipped where no container engine is."""

from __future__ import annotations

import pytest

from core.settings import Endpoints
from switchboard.stack import health, parts
from tests.pipeline import eventually


@pytest.mark.parametrize("part", parts.BASE + parts.EXTRA)
def test_every_service_answers(containers: Endpoints, part: str) -> None:
    eventually(lambda: health.answers(part, containers), within=180)
