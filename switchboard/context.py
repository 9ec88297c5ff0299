"""Settings from ``switchboard.toml`` and the environment, resolved once for the command that runs."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from core.errors import MisconfiguredError
from core.settings import Context, Endpoints, Settings

FILE = "SWITCHBOARD_SETTINGS"


class _Resolved(Settings, BaseSettings):
    """Environment variables override the file: ``SWITCHBOARD_LANDING__BATCH_ROWS=5000``."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="SWITCHBOARD_", env_nested_delimiter="__"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (env_settings, init_settings)


def load() -> Context:
    """Loads the settings. Raises MisconfiguredError that names every invalid one."""
    file = Path(os.environ.get(FILE, "switchboard.toml"))
    try:
        values = tomllib.loads(file.read_text()) if file.exists() else {}
        settings: Settings = _Resolved(**values)
    except tomllib.TOMLDecodeError as error:
        raise MisconfiguredError(f"{file}: {error}", "correct the file") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise MisconfiguredError(
            f"settings: {faults}", f"correct {file} or the SWITCHBOARD_ variables"
        ) from None
    return Context(settings, lambda: _endpoints(settings))


def _endpoints(settings: Settings) -> Endpoints:
    if settings.endpoints is not None:
        return settings.endpoints
    if settings.profile == "production":
        raise MisconfiguredError(
            "the production profile has no endpoints", "add [endpoints] to switchboard.toml"
        )
    from switchboard import stack

    return stack.endpoints(settings.home)
