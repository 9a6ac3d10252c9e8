"""Building a model of a config and a checkpoint, without a Runner."""

import logging
import re
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmivtuning.engine.adapter import load_adapter
from mmivtuning.engine.data_root import set_data_root
from mmivtuning.models.backbones.loading import read_state_dict
from mmivtuning.models.paired_inputs import PairedInputs
from mmivtuning.pairs import list_offenders

_SPEC = re.compile(r'^(?P<config>.+?\.(?:py|json|ya?ml))(?::(?P<rest>.+))?$')


class ModelSpec(NamedTuple):
    """What the command line says of a model: ``CONFIG[:CHECKPOINT]``."""

    config: str
    checkpoint: Optional[str]


def parse_spec(text: str) -> ModelSpec:
    """Take ``CONFIG[:CHECKPOINT]`` apart.

    Args:
        text (str): The path of a config, and after a colon that of a
            checkpoint, or of an adapter (``.safetensors``).

    Raises:
        ValueError: If it names no config.
    """
    if Path(text).is_file():
        return ModelSpec(text, None)
    found = _SPEC.match(text)
    if found is None:
        raise ValueError(f'{text!r} is not CONFIG[:CHECKPOINT] with a config '
                         'that ends in .py, .json or .yaml')
    return ModelSpec(found['config'], found['rest'])


def read_config(path: str, options: Optional[Dict[str, Any]] = None) -> Config:
    """Read a config and change it; ``data_root`` moves its data sets.

    Args:
        path (str): The config.
        options (dict, optional): As of ``--cfg-options``. Defaults to None.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the config has no model.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'no such config: {path}')
    cfg = Config.fromfile(path)
    options = dict(options or {})
    data_root = options.pop('data_root', None)
    if data_root is not None:
        set_data_root(cfg, data_root)
    cfg.merge_from_dict(options)
    if 'backbone' not in (cfg.get('model') or {}):
        raise ValueError(f'{path} has no model with a backbone')
    return cfg


@contextmanager
def quiet() -> Iterator[None]:
    """Keep down what is said when a model is built and initialised.

    mmengine logs the initialisation of every parameter, and losses warn,
    which are not computed here.
    """
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', UserWarning)
            yield
    finally:
        logger.setLevel(level)


class AnalysedModel:
    """A model in evaluation mode, of which the backbone is run.

    Args:
        cfg (Config): Its config.
        checkpoint (str, optional): A checkpoint of the whole model, or an
            adapter (``.safetensors``). None: the pretrained weights that the
            config names. Defaults to None.
        device (str): Where it runs. Defaults to 'cpu'.
        missing (str, optional): A modality that is set to 0.
            Defaults to None.
        seed (int): Of what is initialised at random. Defaults to 0.

    Raises:
        FileNotFoundError: If a file does not exist.
        RuntimeError: If the checkpoint does not fit.
        ValueError: If the model takes no pairs.
    """

    def __init__(self,
                 cfg: Config,
                 checkpoint: Optional[str] = None,
                 device: str = 'cpu',
                 missing: Optional[str] = None,
                 seed: int = 0) -> None:
        self.cfg = cfg
        self.device = torch.device(device)
        init_default_scope(cfg.get('default_scope', 'mmengine'))
        torch.manual_seed(seed)
        with quiet():
            self.model = MODELS.build(cfg.model)
        preprocessor = getattr(self.model, 'data_preprocessor', None)
        if not isinstance(preprocessor, PairedInputs):
            raise ValueError(
                f'{cfg.filename}: the data preprocessor is a '
                f'{type(preprocessor).__name__}, which takes no pairs; '
                'expected mmivtuning.PairedSegDataPreprocessor or '
                'mmivtuning.PairedDetDataPreprocessor')
        if missing is not None:
            preprocessor.missing = missing
        self._load(checkpoint)
        self.model.to(self.device).eval()

    @property
    def backbone(self) -> nn.Module:
        """The backbone."""
        return self.model.backbone

    @property
    def missing(self) -> Optional[str]:
        """The modality that the model does not see, if one is set to 0."""
        return self.model.data_preprocessor.missing

    def _load(self, checkpoint: Optional[str]) -> None:
        """Load weights, strictly."""
        is_adapter = str(checkpoint).endswith('.safetensors')
        self.is_random = checkpoint is None and not _names_pretrained(
            self.cfg.model)
        with quiet():
            if checkpoint is None or is_adapter:
                self.model.init_weights()
            if is_adapter:
                load_adapter(self.model, checkpoint)
            elif checkpoint is not None:
                load_strictly(self.model, checkpoint)

    def prepare(self, images: Sequence[Any]) -> Tensor:
        """Make a batch of images of one size, as the model sees them.

        The padding of a batch is cut off: its tokens are of no image.

        Args:
            images (Sequence[np.ndarray]): (H, W, 4), B, G, R, infrared.

        Returns:
            Tensor: Normalised R, G, B, infrared, (B, 4, H, W).
        """
        height, width = images[0].shape[:2]
        inputs = [
            torch.from_numpy(image.transpose(2, 0, 1).copy())
            for image in images
        ]
        data = dict(
            inputs=inputs, data_samples=[BaseDataElement() for _ in images])
        batch = self.model.data_preprocessor(data, False)['inputs']
        return batch[..., :height, :width]

    def run(self, inputs: Tensor) -> None:
        """Run the backbone, for the hooks on its modules.

        Args:
            inputs (Tensor): From :meth:`prepare`.
        """
        with torch.no_grad():
            self.backbone(inputs)


def _names_pretrained(model: Any) -> bool:
    """Whether a model's config names a pretrained file."""
    if isinstance(model, dict):
        if model.get('checkpoint') and model.get('type') == 'Pretrained':
            return True
        return any(_names_pretrained(value) for value in model.values())
    if isinstance(model, (list, tuple)):
        return any(_names_pretrained(value) for value in model)
    return False


def load_strictly(model: nn.Module, checkpoint: str) -> None:
    """Load the checkpoint of a whole model.

    Args:
        model (nn.Module): The model, changed in place.
        checkpoint (str): Path or URI that mmengine can read.

    Raises:
        FileNotFoundError: If there is no such file.
        RuntimeError: If it does not fit.
    """
    weights = read_state_dict(checkpoint)
    problems: List[str] = [
        f'not finite: {name}' for name, value in weights.items()
        if value.is_floating_point() and not torch.isfinite(value).all()
    ]
    if not problems:
        try:
            missing, unexpected = model.load_state_dict(weights, strict=False)
            problems = [f'missing: {name}' for name in missing]
            problems += [f'unexpected: {name}' for name in unexpected]
        except RuntimeError as error:  # misshapen
            problems = [line.strip() for line in str(error).splitlines()[1:]]
    if problems:
        raise RuntimeError(
            f'{checkpoint} does not fit the {type(model).__name__} of the '
            f'config:{list_offenders(problems)}')
