"""An answer as it comes: a question asked on a thread of its own, and what is heard of it in between. Knows no page."""

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

Result = TypeVar("Result")
Hear = Callable[[str], None]


class Finished(Generic[Result]):
    """The end of a question: its result."""

    def __init__(self, result: Result) -> None:
        self.result = result


def follow(ask: Callable[[Hear], Result]) -> Iterator[str | Finished[Result]]:
    """The texts that `ask` tells while it works, then its result; of texts that came together, the last alone.

    Raises:
        whatever `ask` raises.
    """
    heard: SimpleQueue[str | Finished[Result] | BaseException] = SimpleQueue()

    def work() -> None:
        try:
            heard.put(Finished(ask(heard.put)))
        except BaseException as error:  # it belongs to whoever reads, not to this thread
            heard.put(error)

    Thread(target=work, daemon=True).start()
    while True:
        told, text = heard.get(), None
        while isinstance(told, str):
            text = told
            if heard.empty():
                break
            told = heard.get()
        if text is not None:
            yield text
        if isinstance(told, BaseException):
            raise told
        if isinstance(told, Finished):
            yield told
            return
