"""Weights of a whole model, for whoever runs one without a Runner."""

from typing import Dict, Optional

import torch
from torch import Tensor, nn

from mmivtuning.models.paired_inputs import PairedInputs
from mmivtuning.pairs import list_offenders


def require_pairs(model: nn.Module, missing: Optional[str] = None) -> None:
    """Raise if a model is not made for pairs.

    Args:
        model (nn.Module): The model.
        missing (str, optional): A modality that it does without from now on.
            Defaults to None, as its config says.

    Raises:
        ValueError: If its data preprocessor takes no pairs.
    """
    preprocessor = getattr(model, 'data_preprocessor', None)
    if not isinstance(preprocessor, PairedInputs):
        raise ValueError(
            f'the data preprocessor is a {type(preprocessor).__name__}, which '
            'takes no pairs; expected mmivtuning.PairedSegDataPreprocessor '
            'or mmivtuning.PairedDetDataPreprocessor')
    if missing is not None:
        preprocessor.missing = missing


def load_weights(model: nn.Module, weights: Dict[str, Tensor],
                 source: str) -> None:
    """Load all weights of a model, strictly.

    Args:
        model (nn.Module): The model, changed in place.
        weights (dict[str, Tensor]): By name.
        source (str): Where they come from, for messages.

    Raises:
        RuntimeError: If a key is missing or has no place, a shape differs,
            or a value is not finite.
    """
    problems = [
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
            f'{source} does not fit the {type(model).__name__} of the '
            f'config:{list_offenders(problems)}')
