"""Streams the intermediate texts of a function that runs in another thread, followed by its result."""

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

Result = TypeVar("Result")
OnText = Callable[[str], None]


class Finished(Generic[Result]):
    """The last element of a stream: the result of the function."""

    def __init__(self, result: Result) -> None:
        self.result = result


def follow(function: Callable[[OnText], Result]) -> Iterator[str | Finished[Result]]:
    """Yields the texts that a function passes to its callback, then its result.

    If several texts are waiting, only the latest is yielded.

    Args:
        function: runs in a new thread; takes the callback.

    Raises:
        BaseException: whatever `function` raised.
    """
    messages: SimpleQueue[str | Finished[Result] | BaseException] = SimpleQueue()

    def work() -> None:
        try:
            messages.put(Finished(function(messages.put)))
        except BaseException as error:  # raised again in the reading thread
            messages.put(error)

    Thread(target=work, daemon=True).start()
    while True:
        message, text = messages.get(), None
        while isinstance(message, str):
            text = message
            if messages.empty():
                break
            message = messages.get()
        if text is not None:
            yield text
        if isinstance(message, BaseException):
            raise message
        if isinstance(message, Finished):
            yield message
            return
