"""A network that loses answers."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Self


class Answers(Enum):
    """What becomes of them. Whatever is sent arrives."""

    ARRIVE = auto()
    ARE_HELD = auto()
    ARE_LOST = auto()


class BadLine:
    """A line to the service, by which answers come or not."""

    def __init__(self, port: int) -> None:
        self.answers = Answers.ARRIVE
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._clients):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()
        return thread

    def _listen(self) -> None:
        with suppress(OSError):  # that it was shut down
            while True:
                self._clients.append(self._listener.accept()[0])
                self._start(self._connect, self._clients[-1])

    def _connect(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as service:
            back = threading.Thread(target=self._carry, args=(service, client, lambda: self.answers))
            back.start()
            self._carry(client, service, lambda: Answers.ARRIVE)
            back.join()

    def _carry(self, source: socket.socket, target: socket.socket, what: Callable[[], Answers]) -> None:
        with suppress(OSError):
            while (data := source.recv(65536)) and what() is not Answers.ARE_LOST:
                if what() is Answers.ARRIVE:
                    target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
