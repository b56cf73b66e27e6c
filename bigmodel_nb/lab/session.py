"""A JupyterLab session of the course: its settings hold for this session only."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from ..course import STATE_FOLDER
from ..errors import ResourceError

CONFIG = Path(__file__).parent / "config"  # Jupyter's settings of a course session
FIRST_NOTEBOOK = "00_start_here.ipynb"
PORT = 8888


def environment(folder: Path) -> dict[str, str]:
    """Environment variables of a session in the workspace `folder`.

    Lab's defaults (widget state is saved with a notebook, no news pop-up) come from a configuration
    folder put first on JUPYTER_CONFIG_PATH; nothing is written to the user's Jupyter folders.
    """
    others = os.environ.get("JUPYTER_CONFIG_PATH")
    return {
        **os.environ,
        "BIGMODEL_NB_HOME": str(folder),
        "JUPYTER_CONFIG_PATH": os.pathsep.join([str(CONFIG), others] if others else [str(CONFIG)]),
    }


def command(folder: Path, port: int, extra: list[str] | None = None) -> list[str]:
    """Command that opens JupyterLab in the workspace `folder` at the first notebook."""
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.port={port}",
        "--ServerApp.kernel_spec_manager_class=bigmodel_nb.lab.kernel.CourseKernels",
        f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}",
        f"--LabApp.workspaces_dir={folder / STATE_FOLDER / 'lab'}",
        f"--LabApp.extra_labextensions_path={Path(__file__).parent / 'labextensions'}",  # an editable install's own copy may be old
        *(["--allow-root"] if as_root else []),  # without it Jupyter refuses, for example in a container
        *(extra or []),
    ]


def free_port(wanted: int = PORT, tries: int = 50) -> int:
    """The first port from `wanted` on that nothing listens on; ResourceError where there is none."""
    for port in range(wanted, min(wanted + tries, 65536)):
        if is_free(port):
            return port
    raise ResourceError(f"Ports {wanted} to {wanted + tries - 1} are all taken. Give another: bigmodel-nb start --port 9000")


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":  # elsewhere the option would allow a port that is in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
