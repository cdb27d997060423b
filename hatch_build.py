"""Puts plans and examples into the wheel, and the part in C, where there is a C compiler.

Without one the package is complete all the same: ``deduplab.bound.native`` says what takes the
place of that part. ``CC`` names a compiler, ``CFLAGS`` further options; ``DEDUPLAB_NATIVE=0``
builds without.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("src/deduplab/bound")
BUILT = FOLDER / "_native.so"
OPTIONS = ["-std=c11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden"]
DEADLINE_S = 120
# What the help and the README name, so that it works from any directory (deduplab.cli.shipped).
SHIPPED = ("plans", "examples")


class WheelHook(BuildHookInterface[Any]):
    """Compiles beside the source, for wheels and for editable installations."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and tell the wheel what it holds; one without the part in C runs anywhere."""
        if self.target_name != "wheel":
            return
        if version != "editable":  # there the checkout has them
            build_data["force_include"] |= {name: f"deduplab/{name}" for name in SHIPPED}
        reason = compile_in(Path(self.root))
        if reason:
            self.app.display_warning(f"deduplab is built without its part in C: {reason}")
            return
        build_data["artifacts"].append(BUILT.as_posix())
        build_data["pure_python"] = False
        # It uses nothing of Python, so one wheel serves all versions of it.
        build_data["tag"] = f"py3-none-{platform_tag()}"


def compile_in(root: Path) -> str:
    """Compile, and return the reason in a few words if that can't be done, else nothing.

    What was built before goes, whatever comes of it.
    """
    built = root / BUILT
    built.unlink(missing_ok=True)
    if os.environ.get("DEDUPLAB_NATIVE") == "0":
        return "DEDUPLAB_NATIVE is 0"
    compiler = (
        shlex.split(os.environ.get("CC", ""))
        or [name for name in ("cc", "gcc", "clang") if shutil.which(name)][:1]
    )
    if not compiler:
        return "there is no C compiler (cc, gcc or clang)"
    # Aside and then renamed: another process may be loading it.
    aside = built.with_name(f"{built.name}.{os.getpid()}")
    sources = [str(source) for source in sorted((root / FOLDER).glob("*.c"))]
    command = [*compiler, *OPTIONS, *shlex.split(os.environ.get("CFLAGS", ""))]
    try:
        subprocess.run(
            [*command, "-o", str(aside), *sources],
            check=True,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        aside.replace(built)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        return f"{compiler[0]} can't compile it: {said[0] if said else 'without a word'}"
    finally:
        aside.unlink(missing_ok=True)
    return ""


def platform_tag() -> str:
    """Return the platform as a wheel names it; of a universal macOS, the architecture at hand."""
    tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return tag.replace("universal2", platform.machine())
