"""Feature rank by layer (Fig. 2 of https://arxiv.org/abs/2412.16654)."""

from typing import Dict, Iterable, List, NamedTuple, Tuple

from torch import Tensor

from .inputs import Pair, batches
from .layers import TokenHooks, find_layers
from .models import AnalysedModel
from .moments import (
    StreamingMoments,
    effective_rank,
    eigenvalues,
    explained_variance,
)

COMPONENTS = 5
# Raw features as in the paper, and z-scores of each dimension: a few
# dimensions of DINOv2 are so large that they alone make the raw figure.
FEATURES = ('raw', 'standardised')


class LayerRank(NamedTuple):
    """What is measured after one layer."""

    layer: str
    features: str  # one of FEATURES
    dims: int  # width of the tokens
    varying: int  # dimensions that are not constant
    tokens: int  # number of tokens seen
    explained: Tuple[float, ...]  # by each of the first components
    effective_rank: float

    @property
    def first_five(self) -> float:
        """Share of the variance that the first components explain."""
        return sum(self.explained)


def accumulate(model: AnalysedModel, pairs: Iterable[Pair],
               batch_size: int) -> Tuple[Dict[str, StreamingMoments],
                                         List[str]]:
    """Sum the moments of the patch tokens after each layer.

    Args:
        model (AnalysedModel): The model.
        pairs (Iterable[Pair]): Read one at a time.
        batch_size (int): How many run at once.

    Returns:
        tuple: Moments by layer, in the order of the layers, of those that
        run; and the names of the pairs.
    """
    moments: Dict[str, StreamingMoments] = {}

    def receive(name: str, tokens: Tensor) -> None:
        if name not in moments:
            moments[name] = StreamingMoments(tokens.shape[-1], tokens.device)
        try:
            moments[name].update(tokens)
        except ValueError as error:
            raise ValueError(f'after layer {name}: {error}') from error

    seen: List[str] = []
    layers = find_layers(model.backbone)
    with TokenHooks(layers, receive):
        for names, images in batches(iter(pairs), batch_size):
            model.run(model.prepare(images))
            seen += names
    ordered = {
        layer.name: moments[layer.name]
        for layer in layers if layer.name in moments
    }
    return ordered, seen


def measure(moments: Dict[str, StreamingMoments]) -> List[LayerRank]:
    """Compute explained variance and effective rank.

    Args:
        moments (dict[str, StreamingMoments]): By layer.

    Returns:
        list[LayerRank]: By layer, for each of :data:`FEATURES`.

    Raises:
        ValueError: If the features of a layer do not vary.
    """
    rows = []
    for layer, sums in moments.items():
        for features, matrix in zip(
                FEATURES, (sums.covariance(), sums.correlation())):
            try:
                values = eigenvalues(matrix)
                rows.append(
                    LayerRank(layer, features, len(sums.mean), len(matrix),
                              sums.count,
                              tuple(explained_variance(values, COMPONENTS)),
                              effective_rank(values)))
            except ValueError as error:
                raise ValueError(f'after layer {layer}: {error}') from error
    return rows
