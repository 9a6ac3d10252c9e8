"""Finding an image again that was resized or compressed anew.

The difference hash: whether each of 16 x 16 cells is darker than its right
neighbour. It is a few lines of numpy; the libraries that have it (imagehash,
the contrib build of OpenCV) would be one more dependency of the wheel for
them.
"""

from typing import Iterator, List, Sequence, Tuple

import cv2
import numpy as np

SIDE = 16
BITS = SIDE * SIDE
_BLOCK = 512


def difference_hash(plane: np.ndarray) -> np.ndarray:
    """Hash a grey image.

    Args:
        plane (np.ndarray): uint8 (H, W).

    Returns:
        np.ndarray: bool (256, ).
    """
    small = cv2.resize(
        plane, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA)
    return (small[:, 1:] > small[:, :-1]).reshape(-1)


def to_text(bits: np.ndarray) -> str:
    """A hash as hexadecimal digits."""
    return np.packbits(bits).tobytes().hex()


def from_text(text: str) -> np.ndarray:
    """The inverse of :func:`to_text`."""
    return np.unpackbits(
        np.frombuffer(bytes.fromhex(text), np.uint8)).astype(bool)


def near_pairs(first: Sequence[str], second: Sequence[str],
               distance: float) -> Iterator[Tuple[int, int, float]]:
    """Find hashes of two lists that nearly agree.

    Args:
        first (Sequence[str]): Hashes, from :func:`to_text`.
        second (Sequence[str]): Likewise.
        distance (float): Largest share of differing bits, 0 to 1.

    Yields:
        Tuple[int, int, float]: Places in the lists, and the share.
    """
    if not first or not second:
        return
    others = _signs(second)
    for start in range(0, len(first), _BLOCK):
        products = _signs(first[start:start + _BLOCK]) @ others.T
        shares = (1 - products / others.shape[1]) / 2
        for row, column in np.argwhere(shares <= distance + 1e-6):
            yield (start + int(row), int(column),
                   float(shares[row, column]))


def _signs(hashes: Sequence[str]) -> np.ndarray:
    """Hashes as rows of -1 and 1, so that a product counts agreement."""
    rows: List[np.ndarray] = [from_text(text) for text in hashes]
    return np.stack(rows).astype(np.float32) * 2 - 1
