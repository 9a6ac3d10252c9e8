"""COCO metric whose categories follow the names of the classes."""

from typing import Dict, List, Optional, Sequence

from mmdet.evaluation import CocoMetric

from mmivtuning.registry import METRICS

from .categories import category_ids


@METRICS.register_module()
class PairedCocoMetric(CocoMetric):
    """:class:`mmdet.evaluation.CocoMetric`, right for any order of the json.

    The stock metric gives label k the k-th category *of the json*: with
    :class:`PairedDetDataset`, whose labels follow the names of the classes,
    a json in another order would be evaluated with swapped classes. Results
    files keep the category ids of the json.

    Args:
        ann_file (str, optional): COCO json. Default: None.
        kwargs: What the stock class takes.
    """

    def __init__(self, ann_file: Optional[str] = None, **kwargs) -> None:
        super().__init__(ann_file=ann_file, **kwargs)
        self.ann_file = ann_file
        self._ids_by_label: Optional[List[int]] = None

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Compute the metrics as the stock class does."""
        if self._coco_api is not None and self._ids_by_label is None:
            self._ids_by_label = category_ids(
                self._coco_api, self.dataset_meta['classes'], self.ann_file)
            # COCOeval sorts by id; the table of single classes reads its
            # result in the order of cat_ids.
            self.cat_ids = sorted(self._ids_by_label)
        return super().compute_metrics(results)

    def results2json(self, results: Sequence[dict],
                     outfile_prefix: str) -> dict:
        """Write the results, label k as the category of class k."""
        if self._ids_by_label is None:
            return super().results2json(results, outfile_prefix)
        sorted_ids, self.cat_ids = self.cat_ids, self._ids_by_label
        try:
            return super().results2json(results, outfile_prefix)
        finally:
            self.cat_ids = sorted_ids
