"""Reports of a check: text, JSON, a picture of histograms, a contact sheet."""

import json
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from .checking import Report, SplitReport
from .layout import atomic_file
from .reading import read_pair
from .registration import Misalignment
from .tree import FoundPair

_WHITE, _BLACK, _GREY = (255, 255, 255), (0, 0, 0), (150, 150, 150)
# B, G, R of the curves of red, green, blue, infrared.
_CURVES = (('red', (60, 60, 220)), ('green', (60, 160, 60)),
           ('blue', (220, 100, 60)), ('infrared', (0, 0, 0)))
_THUMBNAIL = 300
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def write_atomically(path: Path, content: bytes,
                     clear: bool = True) -> None:
    """Write a file, all of it or nothing; makes the folder.

    Args:
        path (Path): The file.
        content (bytes): All of it.
        clear (bool): Whether what killed processes left of this file is
            looked for, which lists the folder. Default: True.
    """
    with atomic_file(path, clear) as partial:
        partial.write_bytes(content)


def as_json(report: Report) -> str:
    """The report as JSON: the same text for the same files."""
    worst = report.worst_aligned()
    content = dict(
        root=str(report.tree.root),
        pairs=len(report.records),
        errors=len(report.errors),
        warnings=len(report.problems) - len(report.errors),
        classes=list(report.classes),
        problems=[problem._asdict() for problem in report.problems],
        splits={
            name: dict(
                pairs=split.pairs,
                sizes=split.sizes,
                formats=split.formats,
                statistics=split.statistics(),
                counts=split.counts,
                present=split.present)
            for name, split in report.splits.items()
        },
        misalignment=[
            dict(split=pair.split, stem=pair.stem,
                 **Misalignment(*found)._asdict()) for pair, found in worst
        ])
    return json.dumps(content, indent=2, ensure_ascii=False) + '\n'


def summary_line(report: Report) -> str:
    """The whole result in one line."""
    splits = ', '.join(f'{split.pairs} {name}'
                       for name, split in report.splits.items())
    errors = len(report.errors)
    warnings = len(report.problems) - errors
    verdict = 'ok' if not errors else 'BAD'
    kinds: Dict[str, int] = {}
    for problem in report.problems:
        kinds[problem.kind] = kinds.get(problem.kind, 0) + 1
    told = ', '.join(f'{count} {kind}' for kind, count in kinds.items())
    return (f'{verdict}: {report.tree.root}: {len(report.records)} pairs '
            f'({splits}), {errors} error(s), {warnings} warning(s)' +
            (f': {told}' if told else ''))


def as_text(report: Report, worst: int = 5) -> str:
    """Problems, statistics to paste, class frequencies, worst alignment."""
    lines = [problem.line() for problem in report.problems]
    for name, split in report.splits.items():
        lines += _split_text(name, split, report.classes)
    aligned = report.worst_aligned()
    if aligned:
        lengths = [found[0] for _, found in aligned]
        lines.append(f'misalignment, estimated: median '
                     f'{np.median(lengths):.1f} pixels; the worst:')
        for pair, found in aligned[:worst]:
            x, y = found[1]
            lines.append(f'  {found[0]:6.1f}  {pair.visible}  (median shift '
                         f'{x:+g}, {y:+g}; correlation {found[2]:.2f})')
    lines.append(summary_line(report))
    return '\n'.join(lines)


def _split_text(name: str, split: SplitReport,
                classes: Sequence[str]) -> List[str]:
    """The lines of one split."""
    sizes = sorted(split.sizes.items(), key=lambda entry: -entry[1])
    shown = ', '.join(f'{size} ({count})' for size, count in sizes[:3])
    more = f' and {len(sizes) - 3} other sizes' if len(sizes) > 3 else ''
    lines = [f'{name}: {split.pairs} pairs of {shown or "no size"}{more}']
    statistics = split.statistics()
    if statistics is not None:
        lines += [
            '  # R, G, B, infrared', f"  mean = {statistics['mean']}",
            f"  std = {statistics['std']}"
        ]
    total = sum(split.counts.values())
    for key, count in sorted(split.counts.items(), key=_numeric):
        label = key
        if key.isdigit() and int(key) < len(classes):
            label = f'{key} {classes[int(key)]}'
        lines.append(f'  {label}: {count} ({count / total:.2%}), in '
                     f'{split.present[key]} pair(s)')
    return lines


def _numeric(entry: Tuple[str, int]) -> tuple:
    """Order ids as numbers, names as text."""
    key = entry[0]
    return (0, int(key), '') if key.isdigit() else (1, 0, key)


def histogram_picture(report: Report) -> np.ndarray:
    """Draw the share of pixels of each value, one panel a split.

    Returns:
        np.ndarray: uint8 (H, W, 3), B, G, R.
    """
    panels = [
        _histogram_panel(name, split)
        for name, split in report.splits.items()
        if split.histograms.sum()
    ]
    return np.vstack(panels) if panels else np.full((1, 1, 3), 255, np.uint8)


def _histogram_panel(name: str, split: SplitReport) -> np.ndarray:
    """Draw the histograms of one split."""
    height, left, top, bottom = 260, 20, 34, 24
    width = 2 * left + 2 * 256
    panel = np.full((height, width, 3), 255, np.uint8)
    shares = split.histograms / split.histograms.sum(1, keepdims=True)
    # Black or saturated pixels would flatten all the rest.
    peak = max(float(shares[:, 1:-1].max()), 1e-9)
    statistics = split.statistics()
    _text(panel, f'{name}: {split.pairs} pairs', (left, 14))
    for place, (label, colour) in enumerate(_CURVES):
        heights = np.clip(shares[place] / peak, 0, 1) * (
            height - top - bottom)
        points = np.stack(
            [left + 2 * np.arange(256), height - bottom - heights], 1)
        cv2.polylines(panel, [np.round(points).astype(np.int32)], False,
                      colour, 1, cv2.LINE_AA)
        mean, std = (statistics[key][place] for key in ('mean', 'std'))
        _text(panel, f'{label} {mean:.1f} +- {std:.1f}',
              (left + 130 * place, 30), colour)
    cv2.line(panel, (left, height - bottom), (width - left, height - bottom),
             _GREY)
    for value in (0, 64, 128, 192, 255):
        _text(panel, str(value), (left + 2 * value - 8, height - 8), _GREY)
    return panel


def _text(picture: np.ndarray, text: str, place: Tuple[int, int],
          colour: Tuple[int, int, int] = _BLACK) -> None:
    """Write small text."""
    cv2.putText(picture, text, place, _FONT, 0.38, colour, 1, cv2.LINE_AA)


def contact_sheet(report: Report, count: int = 12,
                  infrared_range: Optional[Tuple[float, float]] = None
                  ) -> Optional[np.ndarray]:
    """Show the pairs of the largest estimated misalignment.

    A row is a pair: visible, infrared, and the edges of the infrared image
    in red over the visible one.

    Args:
        report (Report): The check.
        count (int): Number of pairs. Default: 12.
        infrared_range (Tuple[float, float], optional): As for reading.

    Returns:
        np.ndarray, optional: uint8 (H, W, 3), B, G, R; None without pairs.
    """
    rows = [
        _contact_row(report.tree.root, pair, found, infrared_range)
        for pair, found in report.worst_aligned()[:count]
    ]
    if not rows:
        return None
    width = max(row.shape[1] for row in rows)
    rows = [
        cv2.copyMakeBorder(row, 0, 6, 0, width - row.shape[1],
                           cv2.BORDER_CONSTANT, value=_WHITE) for row in rows
    ]
    return np.vstack(rows)


def _contact_row(root: Path, pair: FoundPair, found: Sequence,
                 infrared_range: Optional[Tuple[float, float]]
                 ) -> np.ndarray:
    """Show one pair."""
    infrared_path = None if pair.infrared is None else root / pair.infrared
    image = read_pair(str(root / pair.visible), infrared_path,
                      infrared_range)
    scale = _THUMBNAIL / image.shape[1]
    size = (_THUMBNAIL, max(round(image.shape[0] * scale), 1))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    visible = np.ascontiguousarray(image[..., :3])
    infrared = np.ascontiguousarray(image[..., 3])
    overlay = cv2.cvtColor(
        cv2.cvtColor(visible, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    overlay[cv2.Canny(infrared, 60, 120) > 0] = (0, 0, 255)
    row = np.hstack([
        visible,
        cv2.cvtColor(infrared, cv2.COLOR_GRAY2BGR), overlay
    ])
    title = np.full((18, row.shape[1], 3), 255, np.uint8)
    _text(title, f'{pair.visible}: {found[0]:.1f} pixels, median shift '
          f'{found[1][0]:+g} {found[1][1]:+g}, correlation {found[2]:.2f}',
          (4, 13))
    return np.vstack([title, row])


def encode_png(image: np.ndarray) -> bytes:
    """An image as PNG."""
    done, data = cv2.imencode('.png', image)
    if not done:
        raise OSError('a picture could not be encoded as PNG')
    return data.tobytes()
