"""Resume with the random numbers that an uninterrupted run would draw."""

import random
from typing import Any, Dict, Optional

import numpy as np
import torch
from mmengine.hooks import Hook

from mmivtuning.registry import HOOKS

_KEY = 'mmivtuning_random_state'


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Keep the state of random number generators in checkpoints.

    mmengine restores weights, optimiser, schedulers and the place in the
    data, but dropout and stochastic depth start again from the seed. With
    this hook, an iteration-based run with a fixed ``randomness.seed`` is the
    same, bit for bit, whether it was interrupted or not. Run by epochs,
    mmengine shuffles alike, but augmentations of workers differ: their seed
    is drawn once an epoch, from the state before the resumption. The mmengine
    of the onedl stack skips data at the sampler when it resumes, so that
    augmentations in workers differ there in either case.

    In distributed training the state is that of the first process: right as
    long as all draw alike, which they do unless ``diff_rank_seed`` is set or
    their batches differ in shape.
    """

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self._state: Optional[Dict[str, Any]] = None

    def before_save_checkpoint(self, runner: Any,
                               checkpoint: Dict[str, Any]) -> None:
        """Add the state to a checkpoint."""
        checkpoint[_KEY] = dict(
            python=random.getstate(),
            numpy=np.random.get_state(),
            torch=torch.get_rng_state(),
            cuda=torch.cuda.get_rng_state()
            if torch.cuda.is_available() else None)

    def after_load_checkpoint(self, runner: Any,
                              checkpoint: Dict[str, Any]) -> None:
        """Remember the state of a checkpoint that training resumes from."""
        if runner._resume:
            self._state = checkpoint.get(_KEY)

    def before_train_iter(self,
                          runner: Any,
                          batch_idx: int,
                          data_batch: Any = None) -> None:
        """Set the state, once the data loader has drawn what it needs."""
        if self._state is None:
            return
        state, self._state = self._state, None
        random.setstate(state['python'])
        np.random.set_state(state['numpy'])
        torch.set_rng_state(state['torch'].cpu())
        if state['cuda'] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state['cuda'].cpu())
