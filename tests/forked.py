"""Processes of the service that begin where all of it is imported, which is most of what a start costs."""

import multiprocessing
import os
import signal
from collections.abc import Mapping
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "leadintake.entrypoints.commands.serve",
        "leadintake.entrypoints.commands.worker",
        "leadintake.entrypoints.http.redis_counts",
        "leadintake.adapters.files.object_store",
        "leadintake.adapters.mail.smtp",
        "leadintake.adapters.sql.bell",
        "leadintake.adapters.sql.postgres",
    ]
)


class Forked:
    """What a subprocess.Popen of a command is, but forked from a process that has imported it and done nothing else.

    It has memory, files, signals and an end of its own. That a start imports what it needs, test_serve.py sees.
    """

    def __init__(self, command: str, cwd: Path, env: Mapping[str, str], output: Path) -> None:
        self._process = CONTEXT.Process(target=_run, args=(command, cwd, env, output))
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, when it has ended."""
        self._process.join(timeout)
        code = self.poll()
        assert code is not None, "it has not ended"
        return code

    def send_signal(self, by: signal.Signals) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, by)


def _run(command: str, cwd: Path, env: Mapping[str, str], output: Path) -> None:
    """Become the command."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    with output.open("ab") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)

    from leadintake.entrypoints.cli import main  # noqa: PLC0415 - by whoever starts one it is not needed

    main([command])
