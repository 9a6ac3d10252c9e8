"""The hook that writes and loads adapters."""

from pathlib import Path
from typing import Any, Dict, Optional

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import BaseLoop

from mmivtuning.registry import HOOKS

from .adapter import load_adapter, save_adapter


@HOOKS.register_module()
class AdapterHook(Hook):
    """Write what trains, and load it for training, validation and test.

    Next to full checkpoints, or instead of them with
    ``default_hooks = dict(checkpoint=None)``; only full ones can be resumed.
    A config's ``load_adapter='FILE'`` is loaded after the pretrained weights
    of ``init_cfg``, which must be those the adapter was made with.

    Args:
        interval (int): Iterations, or epochs, between two files; the last
            state is written in any case. Defaults to -1: that one alone.
        by_epoch (bool): Whether epochs are counted. Defaults to True.
        load_from (str, optional): An adapter to load; None takes the
            config's ``load_adapter``. Defaults to None.

    Examples:
        >>> custom_hooks = [dict(type='mmivtuning.AdapterHook')]
        >>> load_adapter = 'work_dirs/mine/adapter.safetensors'
    """

    priority = 'VERY_LOW'

    def __init__(self,
                 interval: int = -1,
                 by_epoch: bool = True,
                 load_from: Optional[str] = None) -> None:
        self.interval = interval
        self.by_epoch = by_epoch
        self.load_from = load_from

    def before_train(self, runner: Any) -> None:
        """Load, unless the run was resumed."""
        if runner.iter == 0:
            self._load(runner)

    def before_val(self, runner: Any) -> None:
        """Load, if nothing is trained in this run."""
        self.before_test(runner)

    def before_test(self, runner: Any) -> None:
        """Load, if nothing was trained in this run."""
        # the loop is a config until training begins
        if not isinstance(runner._train_loop, BaseLoop):
            self._load(runner)

    def after_train_iter(self,
                         runner: Any,
                         batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[Dict] = None) -> None:
        """Write every ``interval`` iterations."""
        if not self.by_epoch and self.every_n_train_iters(
                runner, self.interval):
            self._save(runner, f'adapter_iter_{runner.iter + 1}')

    def after_train_epoch(self, runner: Any) -> None:
        """Write every ``interval`` epochs."""
        if self.by_epoch and self.every_n_epochs(runner, self.interval):
            self._save(runner, f'adapter_epoch_{runner.epoch + 1}')

    def after_train(self, runner: Any) -> None:
        """Write the last state."""
        self._save(runner, 'adapter')

    def _load(self, runner: Any) -> None:
        path = self.load_from or runner.cfg.get('load_adapter')
        if path is None:
            return
        # a test does not initialise: pretrained weights are loaded here
        model = getattr(runner.model, 'module', runner.model)
        if not model.is_init and runner.cfg.get('load_from') is None:
            model.init_weights()
        load_adapter(model, path)
        print_log(f'loaded the adapter {path}', 'current')

    def _save(self, runner: Any, name: str) -> None:
        if is_main_process():
            save_adapter(
                runner.model,
                Path(runner.work_dir, f'{name}.safetensors'),
                runner.cfg.pretty_text,
                iterations=runner.iter,
                epochs=runner.epoch)
