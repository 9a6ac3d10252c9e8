"""Test-time augmentation of models with one output."""

from typing import List

import torch
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel
from mmseg.utils import SampleList

from mmivtuning.registry import MODELS


@MODELS.register_module()
class SaliencyTTAModel(SegTTAModel):
    """Average the maps of all views of an image.

    The stock class takes the sigmoid of what is a probability already when
    the head has one output, and keeps the map of the last view only.
    """

    def merge_preds(self,
                    data_samples_list: List[SampleList]) -> SampleList:
        """Merge the predictions of each image.

        Args:
            data_samples_list (list[list[SegDataSample]]): The views of each
                image, with ``seg_logits``, probabilities (1, H, W), flipped
                back and at the original size.

        Returns:
            list[SegDataSample]: The first view of each image, with the mean
            map as ``seg_logits`` and the thresholded one as
            ``pred_sem_seg``.
        """
        merged = []
        for views in data_samples_list:
            maps = [view.seg_logits.data for view in views]
            mean = torch.stack(maps).mean(dim=0)
            salient = mean > self.module.decode_head.threshold
            sample = views[0]
            sample.set_data(
                dict(
                    seg_logits=PixelData(data=mean),
                    pred_sem_seg=PixelData(data=salient.to(mean))))
            merged.append(sample)
        return merged
