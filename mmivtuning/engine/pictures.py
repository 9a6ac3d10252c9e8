"""Panels of a pair and its labels: numpy and OpenCV only.

Every function takes and returns ``uint8 (H, W, 3)`` RGB pictures.
"""

from typing import Optional, Sequence, Tuple

import cv2
import numpy as np

# How many pixels of white separate the panels of one picture.
GAP = 6
CAPTION_HEIGHT = 26

Colour = Tuple[int, int, int]


def split_pair(image: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Split a pair into two RGB pictures.

    Args:
        image (np.ndarray): Pair, uint8 (H, W, 4) in the order B, G, R,
            infrared.

    Returns:
        tuple[np.ndarray, np.ndarray]: The visible image and the infrared
        one, the latter repeated, both uint8 (H, W, 3) RGB.
    """
    visible = np.ascontiguousarray(image[..., 2::-1])
    infrared = np.repeat(image[..., 3:], 3, axis=2)
    return visible, infrared


def overlay_labels(picture: np.ndarray,
                   labels: np.ndarray,
                   palette: Sequence[Colour],
                   ignore_index: int = 255,
                   opacity: float = 0.6,
                   background: Optional[int] = 0) -> np.ndarray:
    """Tint every labelled pixel but those of the background.

    Args:
        picture (np.ndarray): uint8 (H, W, 3).
        labels (np.ndarray): Class ids, integer (H, W); ids without a colour
            in the palette are left untinted.
        palette (Sequence[tuple]): RGB of each class.
        ignore_index (int): Id that is not drawn.
        opacity (float): Weight of the tint, from 0 to 1.
        background (int, optional): Id that is left untinted.

    Raises:
        ValueError: If the sizes differ.
    """
    if labels.shape != picture.shape[:2]:
        raise ValueError(f'labels of size {labels.shape} do not fit a '
                         f'picture of size {picture.shape[:2]}')
    colours = np.asarray(palette, dtype=np.float32).reshape(-1, 3)
    drawn = (labels != ignore_index) & (labels >= 0) & (labels < len(palette))
    if background is not None:
        drawn &= labels != background
    result = picture.astype(np.float32)
    tint = colours[labels[drawn].astype(np.int64)]
    result[drawn] = (1 - opacity) * result[drawn] + opacity * tint
    return result.round().astype(np.uint8)


def draw_map(values: np.ndarray) -> np.ndarray:
    """Draw a map of 0 to 1 in grey, uint8 (H, W, 3).

    Args:
        values (np.ndarray): Any real dtype, (H, W); values outside are
            clipped.
    """
    grey = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def draw_boxes(picture: np.ndarray,
               boxes: np.ndarray,
               labels: Sequence[int],
               classes: Sequence[str],
               palette: Sequence[Colour],
               scores: Optional[Sequence[float]] = None) -> np.ndarray:
    """Draw boxes with the names of their classes.

    Args:
        picture (np.ndarray): uint8 (H, W, 3).
        boxes (np.ndarray): Corners x1, y1, x2, y2 in pixels, (N, 4); one that
            is not finite is left out.
        labels (Sequence[int]): Class of each box.
        classes (Sequence[str]): Name of each class; a class without one is
            called by its number.
        palette (Sequence[tuple]): RGB of the classes, in turn.
        scores (Sequence[float], optional): Score of each box, 0 to 1.
    """
    result = picture.copy()
    thickness = max(1, round(min(picture.shape[:2]) / 300))
    scale = 0.4 * thickness
    # OpenCV takes 32-bit corners only.
    sides = np.array(picture.shape[1::-1] * 2)
    for index, (box, label) in enumerate(zip(boxes, labels)):
        if not np.isfinite(box).all():
            continue
        colour = tuple(int(value) for value in palette[label % len(palette)])
        left, top, right, bottom = np.rint(
            np.clip(box, -sides, 2 * sides)).astype(int).tolist()
        cv2.rectangle(result, (left, top), (right, bottom), colour, thickness)
        text = classes[label] if label < len(classes) else str(label)
        if scores is not None:
            text += f' {float(scores[index]):.2f}'
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX,
                                             scale, thickness)
        baseline = top - 2 if top > height + 4 else top + height + 4
        cv2.rectangle(result, (left, baseline - height - 2),
                      (left + width + 2, baseline + 2), colour, -1)
        ink = (0, 0, 0) if sum(colour) > 382 else (255, 255, 255)
        cv2.putText(result, text, (left + 1, baseline),
                    cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness,
                    cv2.LINE_AA)
    return result


def side_by_side(panels: Sequence[np.ndarray],
                 captions: Sequence[str]) -> np.ndarray:
    """Join panels of one size into one captioned picture.

    Args:
        panels (Sequence[np.ndarray]): uint8 (H, W, 3), all of one size.
        captions (Sequence[str]): A caption for each.

    Returns:
        np.ndarray: uint8 (H + caption, N * W + gaps, 3).

    Raises:
        ValueError: If the sizes differ or a caption is missing.
    """
    sizes = {panel.shape for panel in panels}
    if len(sizes) != 1 or len(captions) != len(panels):
        raise ValueError(
            f'expected one caption a panel and panels of one size, found '
            f'{len(captions)} captions and the sizes {sorted(sizes)}')
    height, width, _ = panels[0].shape
    canvas = np.full((height + CAPTION_HEIGHT,
                      len(panels) * (width + GAP) - GAP, 3), 255, np.uint8)
    for index, (panel, caption) in enumerate(zip(panels, captions)):
        left = index * (width + GAP)
        canvas[CAPTION_HEIGHT:, left:left + width] = panel
        _write(canvas[:CAPTION_HEIGHT, left:left + width], caption)
    return canvas


def _write(strip: np.ndarray, text: str) -> None:
    """Write into a strip above a panel: smaller, then cut, if it is narrow.

    Args:
        strip (np.ndarray): uint8 (H, W, 3), changed in place.
        text (str): What to write.
    """
    (needed, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    scale = 0.5 * min(1., (strip.shape[1] - 4) / max(needed, 1))
    # OpenCV draws on a copy of a part of an array.
    drawn = np.ascontiguousarray(strip)
    cv2.putText(drawn, text, (2, CAPTION_HEIGHT - 8),
                cv2.FONT_HERSHEY_SIMPLEX, max(scale, 0.3), (0, 0, 0), 1,
                cv2.LINE_AA)
    strip[:] = drawn


def stack_rows(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Stack pictures below each other, scaled to the first one's width."""
    width = rows[0].shape[1]
    scaled = [
        row if row.shape[1] == width else cv2.resize(
            row, (width, round(row.shape[0] * width / row.shape[1])),
            interpolation=cv2.INTER_AREA) for row in rows
    ]
    return np.concatenate(scaled, axis=0)
