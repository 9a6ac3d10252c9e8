"""The package's registries: children of mmengine's roots.

A type is written with its scope, ``type='mmivtuning.IVSwinTransformer'``;
mmengine then imports this package by itself, whatever the ``default_scope``
of the host. mmengine imports *every* location of a registry, so that the
parts that need mmseg or mmdet are listed only where these are installed.
"""

from importlib.util import find_spec
from typing import List

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import Registry

# The toolbox that each of our task packages is built on.
TOOLBOXES = {'mmivtuning.seg': 'mmseg', 'mmivtuning.det': 'mmdet'}


def _with_tasks(*locations: str) -> List[str]:
    """Add the task packages whose toolbox is installed."""
    tasks = [
        task for task, toolbox in TOOLBOXES.items()
        if find_spec(toolbox) is not None
    ]
    return [*locations, *tasks]


# manage backbones, data preprocessors, heads and losses
MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    scope='mmivtuning',
    locations=_with_tasks('mmivtuning.models'))
# manage loading and per-modality transforms
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope='mmivtuning',
    locations=['mmivtuning.transforms'])
# manage paired data sets
DATASETS = Registry(
    'dataset',
    parent=MMENGINE_DATASETS,
    scope='mmivtuning',
    locations=_with_tasks())
# manage metrics
METRICS = Registry(
    'metric',
    parent=MMENGINE_METRICS,
    scope='mmivtuning',
    locations=_with_tasks())
# manage hooks like the paired visualisation
HOOKS = Registry(
    'hook',
    parent=MMENGINE_HOOKS,
    scope='mmivtuning',
    locations=['mmivtuning.engine'])
# manage visualizers
VISUALIZERS = Registry(
    'visualizer',
    parent=MMENGINE_VISUALIZERS,
    scope='mmivtuning',
    locations=['mmivtuning.engine'])
