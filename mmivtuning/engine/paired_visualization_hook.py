"""A hook that shows both modalities beside the truth and the prediction."""

from pathlib import Path
from typing import Dict, List, Optional, Sequence

import cv2
import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

from ..registry import HOOKS, TRANSFORMS
from .pictures import (
    draw_boxes,
    draw_map,
    overlay_labels,
    side_by_side,
    split_pair,
)

# Names of the class that is left untinted in pictures.
BACKGROUNDS = ('background', 'unlabeled', 'unlabelled')


@HOOKS.register_module()
class PairedVisualizationHook(Hook):
    """Draw visible | infrared | ground truth | prediction of a sample.

    Class maps are drawn on the visible image, boxes on both modalities;
    saliency maps, from heads with one output, beside them in grey. The
    arguments are those of mmseg's and mmdet's own hooks, so that ``--show``
    and ``--show-dir`` of the stock test scripts work. Pictures go to every
    back end of the visualizer, or to ``test_out_dir`` if it is given.

    Args:
        draw (bool): Whether to draw at all. Defaults to False.
        interval (int): Draw the first sample of every so many batches in
            validation; testing draws every sample. Defaults to 50.
        score_thr (float): Boxes with a lower score are not drawn, 0 to 1.
            Defaults to 0.3.
        show (bool): Whether to open a window. Defaults to False.
        wait_time (float): Seconds that a window stays. Defaults to 0.
        test_out_dir (str, optional): Folder for the pictures of a test,
            below the run's own folder. Defaults to None.
        loader (dict): The transform that reads a pair from ``img_path`` and
            ``infrared_path``; give it the options of the pipeline's loader.
            Defaults to ``dict(type='mmivtuning.LoadPairedImage')``.
    """

    # Runs after the metrics have seen the outputs.
    priority = 'LOW'

    def __init__(self,
                 draw: bool = False,
                 interval: int = 50,
                 score_thr: float = 0.3,
                 show: bool = False,
                 wait_time: float = 0.,
                 test_out_dir: Optional[str] = None,
                 loader: Optional[dict] = None) -> None:
        self.draw = draw
        self.interval = interval
        self.score_thr = score_thr
        self.show = show
        self.wait_time = wait_time
        self.test_out_dir = test_out_dir
        loader = loader or dict(type='mmivtuning.LoadPairedImage')
        self.loader = TRANSFORMS.build(loader) if draw else None
        # The samples of each name: stems recur in subfolders and data sets.
        self._named: Dict[str, List[str]] = {}

    def after_val_iter(self,
                       runner: Runner,
                       batch_idx: int,
                       data_batch: Optional[dict] = None,
                       outputs: Optional[Sequence] = None) -> None:
        """Draw the first sample of every ``interval``-th batch."""
        if self.draw and outputs and batch_idx % self.interval == 0:
            self._add(runner, outputs[0], 'val')

    def after_test_iter(self,
                        runner: Runner,
                        batch_idx: int,
                        data_batch: Optional[dict] = None,
                        outputs: Optional[Sequence] = None) -> None:
        """Draw every sample."""
        if self.draw and outputs:
            for sample in outputs:
                self._add(runner, sample, 'test')

    def _add(self, runner: Runner, sample: BaseDataElement,
             mode: str) -> None:
        """Draw one sample and hand it to where it was asked for."""
        visualizer = runner.visualizer
        picture = self.picture(sample, visualizer)
        name = self._name(mode, sample.img_path)
        if self.show:
            visualizer.show(picture, win_name=name, wait_time=self.wait_time)
        elif mode == 'test' and self.test_out_dir is not None:
            folder = Path(runner.work_dir, runner.timestamp,
                          self.test_out_dir)
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f'{name}.png'), picture[..., ::-1])
        else:
            visualizer.add_image(name, picture, step=runner.iter)

    def _name(self, mode: str, path: str) -> str:
        """Return a name that no other sample has."""
        name = f'{mode}_{Path(path).stem}'
        paths = self._named.setdefault(name, [])
        if path not in paths:
            paths.append(path)
        index = paths.index(path)
        return f'{name}_{index + 1}' if index else name

    def picture(self, sample: BaseDataElement,
                visualizer: Visualizer) -> np.ndarray:
        """Draw the panels of one sample.

        Args:
            sample (BaseDataElement): A data sample of mmseg or mmdet with
                ``img_path`` and ``infrared_path`` in its metainfo; truth
                and prediction in the coordinates of the original image.
            visualizer (Visualizer): Its ``dataset_meta`` has the classes
                and the palette.

        Returns:
            np.ndarray: uint8 (H, W, 3) RGB.

        Raises:
            KeyError: If the metainfo lacks ``infrared_path``.
        """
        if 'infrared_path' not in sample.metainfo:
            raise KeyError(
                f"{sample.img_path}: the sample carries no 'infrared_path'; "
                "add it to the `meta_keys` of the pipeline's last transform")
        pair = self.loader(
            dict(
                img_path=sample.img_path,
                infrared_path=sample.infrared_path))['img']
        visible, infrared = split_pair(pair)
        panels = [visible, infrared]
        captions = ['visible', 'infrared']
        meta = visualizer.dataset_meta or {}
        classes = meta.get('classes', ())
        palette = meta.get('palette')
        if palette is None or len(palette) == 0:
            palette = _default_palette(max(len(classes), 1))
        for key, caption in (('gt', 'ground truth'), ('pred', 'prediction')):
            if f'{key}_sem_seg' in sample:
                labels = sample.get(f'{key}_sem_seg').data
                labels = labels.squeeze(0).cpu().numpy()
                if labels.shape != visible.shape[:2]:
                    # The truth of a resized test image.
                    labels = cv2.resize(
                        labels.astype(np.float32),
                        visible.shape[1::-1],
                        interpolation=cv2.INTER_NEAREST).astype(np.int64)
                saliency = _saliency_map(sample)
                if saliency is None:
                    panels.append(
                        overlay_labels(
                            visible,
                            labels,
                            palette,
                            background=_background(classes)))
                else:
                    panels.append(
                        draw_map(labels == 1 if key == 'gt' else saliency))
                captions.append(caption)
            if f'{key}_instances' in sample:
                instances = sample.get(f'{key}_instances').cpu()
                if 'scores' in instances:
                    instances = instances[instances.scores > self.score_thr]
                boxes = instances.bboxes
                boxes = getattr(boxes, 'tensor', boxes).numpy()
                for base, where in ((visible, ''), (infrared, ', infrared')):
                    panels.append(
                        draw_boxes(base, boxes, instances.labels.tolist(),
                                   classes, palette,
                                   instances.get('scores')))
                    captions.append(caption + where)
        return side_by_side(panels, captions)


def _saliency_map(sample: BaseDataElement) -> Optional[np.ndarray]:
    """Return the map (H, W) of a head with one output, a probability."""
    if 'seg_logits' not in sample or len(sample.seg_logits.data) != 1:
        return None
    return sample.seg_logits.data[0].float().cpu().numpy()


def _background(classes: Sequence[str]) -> Optional[int]:
    """Return the id of the class that means nothing in particular."""
    for index, name in enumerate(classes):
        if name.lower() in BACKGROUNDS:
            return index
    return None


def _default_palette(num_classes: int) -> List[tuple]:
    """Return distinct colours, evenly spaced in hue."""
    if num_classes == 0:
        return []
    hsv = np.full((1, num_classes, 3), (0, 0.8, 1), dtype=np.float32)
    hsv[..., 0] = np.arange(num_classes) * 360 / num_classes
    rgb = np.rint(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0] * 255)
    return [tuple(colour) for colour in rgb.astype(int).tolist()]
