"""Lines of a source that cannot be used: counted by reason, and an error above a stated share.

Knows how many lines were seen and what was said about them. Does NOT read files.
"""

from collections import Counter

from recbole_llmfashion.errors import UserError

MAX_BROKEN = 0.01
# a file of another kind is refused here, not after its last gigabyte
_HOPELESS = 10_000


class BrokenLines:
    """The account of one file.

    Args:
        file: its name; max_share: of all lines, from 0 to 1, above which `finish` refuses the file.
    """

    def __init__(self, file: str, max_share: float = MAX_BROKEN) -> None:
        self.file, self.max_share = file, max_share
        self.model_inputs = 0
        self.reasons: Counter[str] = Counter()
        self._first: tuple[int, str] | None = None

    @property
    def count(self) -> int:
        return self.reasons.total()

    def add(self, reason: str, line: int | None = None, n: int = 1) -> None:
        """n lines are broken; `line`: the number of the first of them, where it is known.

        Raises:
            UserError: if the first lines are all broken.
        """
        if self._first is None and line is not None:
            self._first = line, reason
        self.reasons[reason] += n
        if self.count >= _HOPELESS and self.count >= self.model_inputs:
            raise UserError(f"{self.file}: none of the first {self.model_inputs:,} lines can be used: {self._why()}")

    def finish(self) -> list[str]:
        """The counts as text; nothing where no line was broken.

        Raises:
            UserError: if the share of broken lines is above `max_share`, or the file has no lines.
        """
        if not self.model_inputs:
            raise UserError(f"{self.file}: no lines; is this the file?")
        if self.count > self.max_share * self.model_inputs:
            raise UserError(
                f"{self.file}: {self.count:,} of {self.model_inputs:,} lines are broken, more than --max-broken"
                f" {self.max_share:g} allows: {self._why()}; mend the file or allow more"
            )
        return [f"{self.file}: {n:,} lines left out: {reason}" for reason, n in self.reasons.items()]

    def _why(self) -> str:
        if self._first is not None:
            return f"line {self._first[0]:,} is the first: {self._first[1]}"
        return next(iter(self.reasons), "")
