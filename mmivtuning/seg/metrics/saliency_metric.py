"""The measures of salient object detection, on PySODMetrics."""

from importlib import import_module
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from prettytable import PrettyTable

from mmivtuning.registry import METRICS

# Per image, in this order, before the curves of F and E.
SCALARS = ('Smeasure', 'wFmeasure', 'adpFm', 'adpEm', 'MAE')
THRESHOLDS = 256


def normalise(saliency: np.ndarray) -> np.ndarray:
    """Stretch a map from its smallest to its largest value.

    A map of one value is clipped to 0 to 1 instead, as in PySODMetrics.

    Args:
        saliency (np.ndarray): Float (H, W), finite.

    Returns:
        np.ndarray: float64 (H, W), 0 to 1.
    """
    saliency = np.asarray(saliency, dtype=np.float64)
    low, high = saliency.min(), saliency.max()
    if low < high:
        saliency = (saliency - low) / (high - low)
    return saliency.clip(0, 1)


def to_grey(normalised: np.ndarray) -> np.ndarray:
    """Round a map of 0 to 1 to the 8 bits of a PNG, uint8 (H, W)."""
    return np.rint(normalised * 255).astype(np.uint8)


def measure(normalised: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Measure one map with PySODMetrics.

    Args:
        normalised (np.ndarray): uint8, 0 to 255, or float, 0 to 1, (H, W).
        mask (np.ndarray): True where it is salient, bool (H, W).

    Returns:
        np.ndarray: float64 (517, ): :data:`SCALARS`, then the F-measure and
        the E-measure at 256 thresholds each.
    """
    # Slow to import, and not needed by those who segment.
    import py_sod_metrics
    f_measure = py_sod_metrics.FmeasureHandler(
        with_dynamic=True, with_adaptive=True, beta=0.3)
    measures = dict(
        sm=py_sod_metrics.Smeasure(),
        wfm=py_sod_metrics.WeightedFmeasure(),
        fm=py_sod_metrics.FmeasureV2(dict(fm=f_measure)),
        em=py_sod_metrics.Emeasure(),
        mae=py_sod_metrics.MAE())
    found: dict = {}
    as_file = normalised.dtype == np.uint8
    truth = mask.astype(np.uint8) * 255 if as_file else mask
    for one in measures.values():
        one.step(pred=normalised, gt=truth, normalize=as_file)
        found.update(one.get_results())
    scalars = (found['sm'], found['wfm'], found['fm']['adaptive'],
               found['em']['adp'], found['mae'])
    return np.concatenate(
        [scalars, found['fm']['dynamic'], found['em']['curve']])


def summarise(measured: Sequence[np.ndarray]) -> Dict[str, float]:
    """Average the measures of images; maxima are those of the mean curve.

    Args:
        measured (Sequence[np.ndarray]): From :func:`measure`.

    Returns:
        dict[str, float]: Nine measures, 0 to 1.
    """
    mean = np.mean(np.stack(measured), axis=0)
    found = dict(zip(SCALARS, mean))
    f_curve, e_curve = mean[len(SCALARS):].reshape(2, THRESHOLDS)
    found.update(
        meanFm=f_curve.mean(),
        maxFm=f_curve.max(),
        meanEm=e_curve.mean(),
        maxEm=e_curve.max())
    order = ('Smeasure', 'wFmeasure', 'adpFm', 'meanFm', 'maxFm', 'adpEm',
             'meanEm', 'maxEm', 'MAE')
    return {name: float(found[name]) for name in order}


@METRICS.register_module()
class SaliencyMetric(BaseMetric):
    """S-measure, weighted F, F and E (adaptive, mean, maximum), and MAE.

    They are those of PySODMetrics (``pip install mmivtuning[saliency]``) on
    maps at the original size, min-max normalised image by image and, as the
    field does, rounded to 8 bits: the same figures as from the saved files.

    Maps are taken from ``seg_logits``, in which mmseg's ``EncoderDecoder``
    stores the *probability* if the head has one output. Samples of several
    data sets, told apart by ``dataset_name`` in their metainfo, are averaged
    each by itself; the measures are then named ``<data set>/<measure>``. With
    one data set, or without names, they are named ``<measure>``.

    Args:
        output_dir (str, optional): Folder for the maps, saved as
            ``<data set>/<stem>.png``, grey, 8 bits. Default: None.
        keep_results (bool): For the ``--out`` of mmseg's test script: without
            it maps are not saved. Default: True.
        eight_bits (bool): Whether maps are rounded before they are measured.
            Default: True.
        collect_device (str): See mmengine. Default: 'cpu'.
        prefix (str, optional): Put before every name. Default: None, which
            is ``'saliency'``.
        collect_dir (str, optional): See mmengine. Default: None.

    Raises:
        ImportError: If PySODMetrics is not installed.
    """

    default_prefix = 'saliency'

    def __init__(self,
                 output_dir: Optional[str] = None,
                 keep_results: bool = True,
                 eight_bits: bool = True,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None,
                 collect_dir: Optional[str] = None) -> None:
        super().__init__(
            collect_device=collect_device,
            prefix=prefix,
            collect_dir=collect_dir)
        try:
            import_module('py_sod_metrics')
        except ImportError as error:
            raise ImportError('SaliencyMetric needs PySODMetrics: pip install '
                              "'mmivtuning[saliency]'") from error
        self.output_dir = Path(output_dir) if (output_dir
                                               and keep_results) else None
        self.eight_bits = eight_bits
        self._saved: Dict[Path, str] = {}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Measure a batch.

        Args:
            data_batch (dict): Unused.
            data_samples (Sequence[dict]): With ``seg_logits`` and
                ``gt_sem_seg``, both (1, H, W) at the original size;
                ``img_path`` and ``dataset_name`` if there are any.

        Raises:
            ValueError: If there is more than one output, a map holds NaN, the
                sizes differ, or the truth holds more than 0 and 1.
        """
        for sample in data_samples:
            saliency, mask = self._map_and_mask(sample)
            name = str(sample.get('dataset_name') or '')
            saliency = normalise(saliency)
            grey_map = to_grey(saliency)
            if self.output_dir is not None:
                self._save(grey_map, name, str(sample['img_path']))
            measured = measure(grey_map if self.eight_bits else saliency, mask)
            self.results.append((name, measured))

    @staticmethod
    def _map_and_mask(sample: dict) -> Tuple[np.ndarray, np.ndarray]:
        """Return the map, float (H, W), and the mask, bool (H, W)."""
        source = sample.get('img_path', 'a sample')
        logits = sample['seg_logits']['data'].detach().cpu().float().numpy()
        if logits.ndim != 3 or logits.shape[0] != 1:
            raise ValueError(
                f"'{source}': SaliencyMetric expects one map (1, H, W) in "
                f'seg_logits, got {logits.shape}; give the head '
                'num_classes=2, out_channels=1')
        if not np.isfinite(logits).all():
            raise ValueError(f"'{source}': its map holds NaN or infinity")
        if 'gt_sem_seg' not in sample:
            raise ValueError(f"'{source}' has no mask to compare with; does "
                             'the pipeline load it with '
                             'mmivtuning.LoadSaliencyMask?')
        mask = sample['gt_sem_seg']['data'].cpu().numpy().squeeze(0)
        if mask.shape != logits.shape[1:]:
            raise ValueError(
                f"'{source}': its mask is {mask.shape}, its map "
                f'{logits.shape[1:]} (height, width); measures are taken at '
                'the original size: load masks after Resize')
        if not np.isin(mask, (0, 1)).all():
            raise ValueError(
                f"'{source}': its mask holds the labels "
                f'{np.unique(mask)[:10].tolist()}, expected 0 and 1')
        return logits[0], mask == 1

    def _save(self, grey_map: np.ndarray, name: str, source: str) -> None:
        """Write a map as PNG."""
        path = self.output_dir / name / f'{Path(source).stem}.png'
        if self._saved.setdefault(path, source) != source:
            raise ValueError(
                f"'{source}' and '{self._saved[path]}' would both be saved as "
                f"'{path}'; give their data sets names of their own")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), grey_map):
            raise OSError(f"'{path}' could not be written")

    def compute_metrics(self, results: List[Tuple[str, np.ndarray]]
                        ) -> Dict[str, float]:
        """Average over each data set; logs a table.

        Args:
            results (list[tuple[str, np.ndarray]]): Name of the data set and
                measures, one an image.

        Returns:
            dict[str, float]: The measures, 0 to 1.
        """
        self._saved.clear()
        groups: Dict[str, List[np.ndarray]] = {}
        for name, measured in results:
            groups.setdefault(name, []).append(measured)
        found = {name: summarise(group) for name, group in groups.items()}

        table = PrettyTable()
        for name, measures in found.items():
            table.field_names = ['data set', 'images', *measures]
            table.add_row([
                name or '-',
                len(groups[name]),
                *(f'{value:.4f}' for value in measures.values())
            ])
        logger = MMLogger.get_current_instance()
        print_log(f'Salient objects:\n{table.get_string()}', logger=logger)

        if len(found) == 1:
            return next(iter(found.values()))
        return {
            '/'.join(filter(None, (name, key))): value
            for name, measures in found.items()
            for key, value in measures.items()
        }
