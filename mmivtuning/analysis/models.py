"""Building a model of a config and a checkpoint, without a Runner."""

import logging
import re
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Optional, Sequence

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmivtuning.engine.adapter import load_adapter
from mmivtuning.engine.weights import load_weights, require_pairs
from mmivtuning.models.backbones.loading import read_state_dict

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
        require_pairs(self.model, missing)
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
                load_weights(self.model, read_state_dict(checkpoint),
                             checkpoint)

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
