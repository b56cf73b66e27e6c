"""The part of the extension that runs in the Jupyter server: a few routes below `bigmodel-nb/`.

Every route wants the server's token (or its cookie) and answers JSON; errors are `{"message": ...}`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from ..errors import CourseError
from . import machine, overview


class CourseHandler(APIHandler):
    """Base of the routes; `root` is the folder that the server shows, None where it shows no folder."""

    auth_resource = "bigmodel_nb"
    _track_activity = False  # asked for all the time: a session that is left alone must be seen to be idle

    def initialize(self, root: Path | None, lock: asyncio.Lock) -> None:
        self.root, self.lock = root, lock

    async def answer(self, work: Callable[..., dict], *arguments: object) -> None:
        """Do the work in a thread, one at a time, and send what it returns or why it can't be done."""
        try:
            if self.root is None:
                raise CourseError("This server shows no folder of this machine, so there is no workspace in it.")
            async with self.lock:
                found = await asyncio.to_thread(work, self.root, *arguments)
        except overview.UnknownLesson as error:
            self.refuse(404, str(error))
        except CourseError as error:
            self.refuse(409, str(error))
        else:
            self.finish(json.dumps(found))

    def refuse(self, status: int, message: str) -> None:
        self.set_status(status)
        self.finish(json.dumps({"message": message}))

    def file(self) -> Any:
        """The lesson's file name, from the body of a POST."""
        try:
            body = self.get_json_body()
        except UnicodeDecodeError as error:
            raise web.HTTPError(400, "The body is not UTF-8.") from error
        return body.get("file") if isinstance(body, dict) else None


class OverviewHandler(CourseHandler):
    """GET: the lessons and the learner's progress."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        await self.answer(overview.overview)


class OpenHandler(CourseHandler):
    """POST {"file"}: make the learner's copy of a lesson where there is none."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        await self.answer(overview.open_lesson, self.file())


class ResetHandler(CourseHandler):
    """POST {"file"}: put a lesson's original in place; the learner's version gets a dated name."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        await self.answer(overview.reset_lesson, self.file())


class DifferenceHandler(CourseHandler):
    """GET ?file=: what a newer original changes."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        await self.answer(overview.difference, self.get_query_argument("file", None))


class MachineHandler(APIHandler):
    """GET ?kernel=: the machine, and the memory of this kernel, or of all without one."""

    auth_resource = "bigmodel_nb"
    _track_activity = False

    def initialize(self, probe: machine.DeviceProbe) -> None:
        self.probe = probe

    @web.authenticated
    @authorized
    async def get(self) -> None:
        asked = self.get_query_argument("kernel", None)
        running = self.kernel_manager.list_kernel_ids()
        pids = [pid for id in running if asked in (None, id) and (pid := self.pid(id))]
        figures, gpus = await asyncio.gather(
            asyncio.to_thread(partial(machine.memory_status, pids, cap=self.cap())), asyncio.to_thread(machine.gpus)
        )
        self.finish(json.dumps({**self.probe.answer(), **figures, "gpus": gpus}))

    def pid(self, kernel: str) -> int | None:
        """Process id of a kernel on this machine."""
        found = self.kernel_manager.get_kernel(kernel)
        return getattr(getattr(found, "provisioner", None), "pid", None)

    def cap(self) -> int:
        """The memory limit that jupyter-resource-usage shows, where it is installed and has one."""
        config = self.settings.get("jupyter_resource_usage_display_config")
        limit = getattr(config, "mem_limit", 0)
        return limit if isinstance(limit, int) else 0


def load(server: Any) -> None:
    """Add the routes to a Jupyter server."""
    folder = getattr(server.contents_manager, "root_dir", None)
    common = {"root": Path(folder) if folder else None, "lock": asyncio.Lock()}
    routes = [
        ("overview", OverviewHandler, common),
        ("open", OpenHandler, common),
        ("reset", ResetHandler, common),
        ("difference", DifferenceHandler, common),
        ("machine", MachineHandler, {"probe": machine.DeviceProbe()}),
    ]
    base = server.web_app.settings["base_url"]
    server.web_app.add_handlers(".*$", [(url_path_join(base, "bigmodel-nb", name), *rest) for name, *rest in routes])
