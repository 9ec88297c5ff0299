"""docker-compose.yml as a second local stack: its generated passwords and its endpoints."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from core.settings import (
    ClickHouseEndpoint,
    ConnectEndpoint,
    Endpoints,
    FlinkEndpoint,
    KafkaEndpoint,
    LakeEndpoint,
    MySqlServer,
    RegistryEndpoint,
    S3Endpoint,
)
from switchboard.stack import plugins, seaweedfs, services
from switchboard.stack.program import HOST
from switchboard.stack.state import new_cluster_id, new_password, write_private

FILE = Path(__file__).parents[2] / "docker-compose.yml"
ENVIRONMENT = Path(".switchboard") / "compose.env"
PASSWORDS = (
    "MYSQL_ROOT_PASSWORD",
    "MYSQL_SWITCHBOARD_PASSWORD",
    "MYSQL_CDC_PASSWORD",
    "CLICKHOUSE_PASSWORD",
    "S3_PASSWORD",
)


def environment(file: Path) -> dict[str, str]:
    """Returns the variables of the compose file from `file`; missing ones are generated and added to it,
    readable by its owner only."""
    lines = file.read_text().splitlines() if file.exists() else []
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    for name in PASSWORDS:
        values.setdefault(name, new_password())
    values.setdefault("KAFKA_CLUSTER_ID", new_cluster_id())
    write_private(file, "".join(f"{name}={value}\n" for name, value in values.items()))
    return values


def endpoints(values: dict[str, str]) -> Endpoints:
    """Returns the endpoints of ``docker compose --profile all up``, on the ports that the file publishes."""

    def secret(name: str) -> SecretStr:
        return SecretStr(values[name])

    return Endpoints(
        mysql=(
            MySqlServer(
                name="main",
                host=HOST,
                port=3306,
                user="switchboard",
                password=secret("MYSQL_SWITCHBOARD_PASSWORD"),
                connect_password="${env:" + services.CDC_PASSWORD + "}",
                keep_alive_seconds=services.KEEP_ALIVE_SECONDS,
            ),
        ),
        kafka=KafkaEndpoint(bootstrap=f"{HOST}:9092"),
        registry=RegistryEndpoint(url=f"http://{HOST}:8081"),
        connect=ConnectEndpoint(url=f"http://{HOST}:8083", value_converter=plugins.VALUE_CONVERTER),
        clickhouse=ClickHouseEndpoint(
            host=HOST,
            http_port=8123,
            tcp_port=9000,
            user="switchboard",
            password=secret("CLICKHOUSE_PASSWORD"),
        ),
        s3=S3Endpoint(
            url=f"http://{HOST}:8333", access_key=seaweedfs.ACCESS_KEY, secret_key=secret("S3_PASSWORD")
        ),
        lake=LakeEndpoint(url=f"http://{HOST}:8181", warehouse=seaweedfs.WAREHOUSE),
        flink=FlinkEndpoint(url=f"http://{HOST}:8082"),
    )


if __name__ == "__main__":
    environment(ENVIRONMENT)
    print(f"the passwords are in {ENVIRONMENT}")
