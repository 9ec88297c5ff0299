"""The secret that signs and checks tokens in the local profile."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from core.errors import MisconfiguredError
from core.settings import Settings, StreamerSettings

KEY = "streamer.key"


def resolve_settings(settings: Settings) -> StreamerSettings:
    """Returns the streamer's settings; in the local profile with a secret, created once and readable by its
    owner only.

    Raises MisconfiguredError in the production profile without an identity provider.
    """
    chosen = settings.streamer
    if settings.profile == "production" and chosen.jwks_url is None:
        raise MisconfiguredError(
            "in the production profile tokens come from an identity provider", "set jwks_url in [streamer]"
        )
    if settings.profile != "local" or chosen.jwt_secret is not None or chosen.jwks_url is not None:
        return chosen
    return chosen.model_copy(update={"jwt_secret": SecretStr(_key(settings.home / KEY))})


def _key(file: Path) -> str:
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as created:
            created.write(secrets.token_urlsafe(48))
    return file.read_text()
