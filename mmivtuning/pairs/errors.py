"""The error of a bad pair."""

from typing import Iterable


class PairError(ValueError):
    """A file of a pair, or the pair, is not usable; the message names it.

    A missing file is a :class:`FileNotFoundError` instead.
    """


class MissingPartnerError(PairError, FileNotFoundError):
    """A file of a pair, or its labels, does not exist."""


def list_offenders(offenders: Iterable[str], shown: int = 10) -> str:
    """Format names for a message: the first few, and how many follow.

    Args:
        offenders (Iterable[str]): What is wrong, one entry a line.
        shown (int): How many are written out. Default: 10.
    """
    offenders = list(offenders)
    lines = [f'\n  {offender}' for offender in offenders[:shown]]
    if len(offenders) > shown:
        lines.append(f'\n  ... and {len(offenders) - shown} more')
    return ''.join(lines)
