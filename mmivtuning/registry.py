"""The package's registries: children of mmengine's roots.

A type is written with its scope, ``type='mmivtuning.IVSwinTransformer'``;
mmengine then imports this package by itself, whatever the ``default_scope``
of the host. mmengine imports *every* location of a registry, so that the
parts that need mmseg or mmdet are listed only where these are installed.
"""

from importlib.util import find_spec
from typing import Any, List, Optional

try:
    from mmengine import registry as mmengine_registry
except ImportError as error:
    raise ImportError(
        'mmivtuning builds on OpenMMLab, and mmengine cannot be imported. '
        "Install one of the stacks: pip install 'mmivtuning[openmmlab]' or "
        "pip install 'mmivtuning[onedl]' (mmcv is compiled, see the "
        'README)') from error

# What each task package is built on: the module, and the distributions that
# provide it, of the openmmlab stack and of the onedl stack.
TOOLBOXES = {
    'mmivtuning.seg': ('mmseg', 'mmsegmentation', 'onedl-mmsegmentation'),
    'mmivtuning.det': ('mmdet', 'mmdet', 'onedl-mmdetection'),
}


def _absent_toolboxes() -> List[str]:
    """Return the task packages whose toolbox is not installed."""
    return [
        task for task, (module, *_) in TOOLBOXES.items()
        if find_spec(module) is None
    ]


def _with_tasks(*locations: str) -> List[str]:
    """Add the task packages whose toolbox is installed."""
    absent = _absent_toolboxes()
    return [*locations, *(task for task in TOOLBOXES if task not in absent)]


class Registry(mmengine_registry.Registry):
    """mmengine's registry, naming the toolbox that an absent type needs."""

    def get(self, key: str) -> Optional[Any]:
        """Return the type of that name, or None.

        Raises:
            ImportError: If the name is unknown here and a toolbox that
                could provide it is not installed.
        """
        found = super().get(key)
        scope, name = self.split_scope_key(key)
        absent = _absent_toolboxes()
        if found is None and absent and scope in (None, self.scope):
            needs = '; '.join(
                f'those of {task} need {TOOLBOXES[task][0]}: '
                f'pip install {TOOLBOXES[task][1]} (or '
                f'{TOOLBOXES[task][2]})' for task in absent)
            raise ImportError(
                f'mmivtuning.{name} is not among the types of mmivtuning that '
                f'can be imported here ({needs})')
        return found


# manage backbones, data preprocessors, heads and losses
MODELS = Registry(
    'model',
    parent=mmengine_registry.MODELS,
    scope='mmivtuning',
    locations=_with_tasks('mmivtuning.models'))
# manage loading and per-modality transforms
TRANSFORMS = Registry(
    'transform',
    parent=mmengine_registry.TRANSFORMS,
    scope='mmivtuning',
    locations=_with_tasks('mmivtuning.transforms'))
# manage paired data sets
DATASETS = Registry(
    'dataset',
    parent=mmengine_registry.DATASETS,
    scope='mmivtuning',
    locations=_with_tasks())
# manage metrics
METRICS = Registry(
    'metric',
    parent=mmengine_registry.METRICS,
    scope='mmivtuning',
    locations=_with_tasks())
# manage hooks like the paired visualisation
HOOKS = Registry(
    'hook',
    parent=mmengine_registry.HOOKS,
    scope='mmivtuning',
    locations=['mmivtuning.engine'])
