"""A hook that shows both modalities beside the truth and the prediction."""

from pathlib import Path
from typing import Dict, List, Optional, Sequence

import cv2
import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

from ..registry import HOOKS, TRANSFORMS
from .sample_pictures import draw_sample, pair_of_inputs


@HOOKS.register_module()
class PairedVisualizationHook(Hook):
    """Draw visible | infrared | ground truth | prediction of a sample.

    Class maps are drawn on the visible image, boxes on both modalities;
    saliency maps, from heads with one output, beside them in grey. The
    arguments are those of mmseg's and mmdet's own hooks, so that ``--show``
    and ``--show-dir`` of the stock test scripts work. Pictures go to every
    back end of the visualizer, or to ``test_out_dir`` if it is given.

    Args:
        draw (bool): Whether to draw in validation and testing.
            Defaults to False.
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
        draw_train_interval (int, optional): In training, draw every so many
            iterations the first pair of the batch as the pipeline made it,
            with its truth, under the name ``train``; whether ``draw`` is set
            or not. Defaults to None: not at all.

    Raises:
        ValueError: If an interval is not at least 1.
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
                 loader: Optional[dict] = None,
                 draw_train_interval: Optional[int] = None) -> None:
        for name, value in (('interval', interval),
                            ('draw_train_interval', draw_train_interval)):
            if value is not None and value < 1:
                raise ValueError(f'{name} must be at least 1, found {value}')
        self.draw = draw
        self.interval = interval
        self.score_thr = score_thr
        self.show = show
        self.wait_time = wait_time
        self.test_out_dir = test_out_dir
        self.draw_train_interval = draw_train_interval
        loader = loader or dict(type='mmivtuning.LoadPairedImage')
        self.loader = TRANSFORMS.build(loader) if draw else None
        # The samples of each name: stems recur in subfolders and data sets.
        self._named: Dict[str, List[str]] = {}

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Draw what the network saw, every ``draw_train_interval``."""
        if (self.draw_train_interval is None or not data_batch
                or not is_main_process() or not self.every_n_train_iters(
                    runner, self.draw_train_interval)):
            return
        sample = data_batch['data_samples'][0]
        picture = draw_sample(
            pair_of_inputs(data_batch['inputs'][0],
                           sample.metainfo.get('img_norm_cfg')),
            sample,
            runner.visualizer.dataset_meta,
            note=Path(sample.metainfo.get('img_path', '')).stem)
        # One name for all: back ends with a slider move through the steps.
        runner.visualizer.add_image('train', picture, step=runner.iter + 1)

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
        return draw_sample(pair, sample, visualizer.dataset_meta,
                           self.score_thr)
