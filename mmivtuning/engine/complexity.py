"""Parameters and operations of a paired model, part by part.

Operations are those that PyTorch executes, seen by its own
``FlopCounterMode``: a trace, on which mmengine's and the stock
``get_flops.py`` rely, does not look into the autograd functions that prompt
blocks consist of, and skips fused attention.
"""

from typing import (
    Any,
    Callable,
    Dict,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils import flop_counter
from torch.utils.flop_counter import FlopCounterMode

from ..models.backbones.iv_tuning import IVTuningBackbone
from ..models.modules import ModalPromptAlpha, ModalPromptBeta
from .data_root import pipeline_of

STOCK = 'backbone, stock'
INFRARED_EMBEDDING = 'infrared embedding'
PROMPT_NORM = 'prompt norm'
ALPHA = 'prompts, MP-alpha'
BETA = 'prompts, MP-beta'
# What belongs to no part: the model's own.
REST = 'other'
# Parts of the backbone come first, in this order.
ORDER = (STOCK, INFRARED_EMBEDDING, PROMPT_NORM, ALPHA, BETA)


class Part(NamedTuple):
    """A part of a model and what it has."""

    name: str
    in_backbone: bool
    parameters: int
    trainable: int
    # Floating point operations of one image; None: not counted.
    operations: Optional[int] = None


class Complexity(NamedTuple):
    """What a model has and costs.

    ``size`` is the height and width of the image whose operations were
    counted, or None.
    """

    parts: Tuple[Part, ...]
    size: Optional[Tuple[int, int]] = None

    def sum(self, field: str, backbone: bool = False) -> Optional[int]:
        """Add up a field over all parts, or over those of the backbone."""
        values = [
            getattr(part, field) for part in self.parts
            if part.in_backbone or not backbone
        ]
        return None if None in values else sum(values)

    @property
    def stock_parameters(self) -> int:
        """Parameters of the stock backbone."""
        return sum(p.parameters for p in self.parts if p.name == STOCK)

    @property
    def share_of_stock(self) -> float:
        """What trains in the backbone, as a share of the stock one."""
        return _share(
            self.sum('trainable', backbone=True), self.stock_parameters)

    @property
    def share_of_backbone(self) -> float:
        """What trains in the backbone, as a share of all that is in it."""
        return _share(
            self.sum('trainable', backbone=True),
            self.sum('parameters', backbone=True))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.


def build_model(cfg: Config) -> nn.Module:
    """Build the model of a config, in evaluation, without its weights.

    Args:
        cfg (Config): The config.

    Raises:
        ValueError: If the config has no model.
    """
    if cfg.get('model') is None:
        raise ValueError(f'{cfg.filename} has no model')
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    return revert_sync_batchnorm(MODELS.build(cfg.model)).eval()


def _parts(model: nn.Module) -> Dict[str, Tuple[str, bool]]:
    """Name the part that begins at a module, and whether it is a backbone's.

    Returns:
        dict[str, tuple[str, bool]]: By path of the module.
    """
    begins: Dict[str, Tuple[str, bool]] = {}
    if isinstance(getattr(model, 'backbone', None), nn.Module):
        for name, _ in model.named_children():
            begins[name] = (STOCK, True) if name == 'backbone' else (name,
                                                                     False)
    else:  # a backbone by itself
        begins[''] = (STOCK, True)
    for path, module in model.named_modules():
        if isinstance(module, IVTuningBackbone):
            for name, part in (('infrared_embed', INFRARED_EMBEDDING),
                               ('prompt_norm', PROMPT_NORM)):
                if hasattr(module, name):
                    begins[f'{path}.{name}'.lstrip('.')] = (part, True)
        elif isinstance(module, ModalPromptAlpha):
            begins[path] = (ALPHA, True)
        elif isinstance(module, ModalPromptBeta):
            begins[path] = (BETA, True)
        elif hasattr(module, 'tuned_parameters') and path not in begins:
            own = module.tuned_parameters()
            # A layer that took over stock parameters is not all new.
            begun = {''} if len(own) == len(list(module.parameters())) else {
                f'.{name.partition(".")[0]}' for name in own}
            for name in begun:
                begins[path + name] = (type(module).__name__, True)
    return begins


def _owner(path: str, begins: Dict[str, Tuple[str, bool]]) -> Tuple[str, bool]:
    """Find the part that a module or a parameter belongs to."""
    while path not in begins:
        if not path:
            return REST, False
        path = path.rpartition('.')[0]
    return begins[path]


def count_parts(model: nn.Module) -> Complexity:
    """Count the parameters of a model by part; a shared one counts once.

    Args:
        model (nn.Module): A segmentor, a detector, or a backbone.

    Returns:
        Complexity: Parts of the backbone, then the others in the order in
        which the model has them.
    """
    begins = _parts(model)
    found: Dict[Tuple[str, bool], List[int]] = {
        part: [0, 0] for part in begins.values()}
    for name, parameter in model.named_parameters():
        count = found.setdefault(_owner(name, begins), [0, 0])
        count[0] += parameter.numel()
        count[1] += parameter.numel() if parameter.requires_grad else 0
    # some never have any, like the data preprocessor
    parts = [Part(*part, *count) for part, count in found.items() if count[0]]

    def place(part: Part) -> Tuple[bool, int]:
        known = part.name in ORDER
        return (not part.in_backbone,
                ORDER.index(part.name) if known else len(ORDER))

    return Complexity(tuple(sorted(parts, key=place)))


def _attention(query: Sequence[int], key: Sequence[int],
               value: Sequence[int], *_: Any, **__: Any) -> int:
    """Count the two products of attention, of shapes (B, heads, N, C)."""
    batch, heads, tokens, channels = query
    return 2 * batch * heads * tokens * key[2] * (channels + value[3])


def _counter() -> FlopCounterMode:
    """Make torch's counter, which forgets the fused attention of CPUs."""
    fused = getattr(torch.ops.aten,
                    '_scaled_dot_product_flash_attention_for_cpu', None)
    known = getattr(flop_counter, 'flop_registry', None)
    known = flop_counter.flop_mapping if known is None else known
    mapping = {}
    if fused is not None and fused not in known:
        mapping[fused] = _attention
    return FlopCounterMode(display=False, custom_mapping=mapping)


def count_operations(function: Callable[[], Any]) -> int:
    """Count floating point operations of a function, gradients excluded.

    Matrix products, convolutions and attention, fused or not; a
    multiplication and an addition are two operations.

    Args:
        function (Callable): What to run.

    Returns:
        int: The number.
    """
    with _counter() as counter, torch.no_grad():
        function()
    return counter.get_total_flops()


def count_operations_by_part(
        model: nn.Module, function: Callable[[], Any]) -> Dict[str, int]:
    """Count operations of a function by the part of a model that does them.

    Args:
        model (nn.Module): The model that the function runs.
        function (Callable): What to run.

    Returns:
        dict[str, int]: Operations by name of the part; ``REST`` for what
        no part does.
    """
    begins = _parts(model)
    counts: Dict[str, int] = {}
    active, handles, seen = [REST], [], 0

    def charge() -> None:
        nonlocal seen
        total = counter.get_total_flops()
        counts[active[-1]] = counts.get(active[-1], 0) + total - seen
        seen = total

    def entering(part: str) -> Callable:

        def enter(*_: Any) -> None:
            charge()
            active.append(part)

        return enter

    def leaving(*_: Any) -> None:
        charge()
        active.pop()

    counter = _counter()
    try:
        # Every module, for some heads are run through methods of their own.
        for path, module in model.named_modules():
            part, _ = _owner(path, begins)
            if part == REST:
                continue
            handles += [
                module.register_forward_pre_hook(entering(part)),
                module.register_forward_hook(leaving)
            ]
        with counter, torch.no_grad():
            function()
        charge()
    finally:
        for handle in handles:
            handle.remove()
    return counts


def predict_once(model: nn.Module, size: Sequence[int]) -> None:
    """Predict on one pair of noise, through the data preprocessor.

    Args:
        model (nn.Module): A segmentor, a detector, or a backbone.
        size (Sequence[int]): Height and width.
    """
    height, width = size
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(
        0, 256, (4, height, width), generator=generator, dtype=torch.uint8)
    if not hasattr(model, 'data_preprocessor'):
        model(image[None].float() / 255)
        return
    sample = BaseDataElement(
        metainfo=dict(
            img_path='noise', img_id=0, ori_shape=(height, width),
            img_shape=(height, width), pad_shape=(height, width),
            scale_factor=(1., 1.), flip=False, flip_direction=None))
    data = model.data_preprocessor(
        dict(inputs=[image], data_samples=[sample]), False)
    model(**data, mode='predict')


def measure(model: nn.Module, size: Sequence[int]) -> Complexity:
    """Count parameters, and operations for one image, by part.

    The image goes through the data preprocessor and all of prediction, so
    that sliding windows and the proposals of a detector count as often as
    they are computed. How many proposals there are depends on image and
    weights; the image is noise.

    Args:
        model (nn.Module): From :func:`build_model`.
        size (Sequence[int]): Height and width of the image.

    Returns:
        Complexity: With operations.

    Raises:
        ValueError: If the size is not positive.
    """
    size = tuple(size)
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f'expected a height and a width, found {size}')
    counts = count_operations_by_part(model,
                                      lambda: predict_once(model, size))
    parts = [
        part._replace(operations=counts.pop(part.name, 0))
        for part in count_parts(model).parts
    ]
    rest = sum(counts.values())
    if rest:
        parts.append(Part(REST, False, 0, 0, rest))
    return Complexity(tuple(parts), size)


def test_size(cfg: Config) -> Tuple[int, int]:
    """Find the height and width of images that a config tests on.

    Args:
        cfg (Config): With a ``crop_size``, or a ``Resize`` in the pipeline of
            its test.

    Raises:
        ValueError: If it tells neither.
    """
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    for transform in pipeline_of(dataset) or cfg.get('test_pipeline') or ():
        scale = transform.get('scale')
        if transform.get('type') == 'Resize' and isinstance(
                scale, (tuple, list)):
            return int(scale[1]), int(scale[0])
    crop = cfg.get('crop_size')
    if isinstance(crop, (tuple, list)):
        return int(crop[0]), int(crop[1])
    raise ValueError(f'{cfg.filename} tells no size of its test images: give '
                     'one with --size HEIGHT WIDTH')


def describe(complexity: Complexity) -> Dict[str, Any]:
    """Describe in numbers and texts, for JSON.

    Returns:
        dict: ``size``, ``parts``, ``total``, ``backbone``.
    """
    backbone = dict(
        parameters=complexity.sum('parameters', backbone=True),
        trainable=complexity.sum('trainable', backbone=True),
        stock_parameters=complexity.stock_parameters,
        trainable_share_of_stock=complexity.share_of_stock,
        trainable_share_of_backbone=complexity.share_of_backbone)
    fields = ('parameters', 'trainable', 'operations')
    return dict(
        size=complexity.size and list(complexity.size),
        parts=[part._asdict() for part in complexity.parts],
        total={field: complexity.sum(field) for field in fields},
        backbone=backbone)


def as_rows(complexity: Complexity) -> List[Tuple[str, ...]]:
    """Lay out a table: a row of titles, the parts, two rows of sums."""
    titles = ['part', 'parameters', 'trainable', 'trainable / backbone']
    counted = complexity.size is not None
    whole = complexity.sum('parameters', backbone=True)

    def row(name: str, values: Sequence[Optional[int]],
            in_backbone: bool) -> Tuple[str, ...]:
        parameters, trainable, operations = values
        cells = [
            name, f'{parameters:,}', f'{trainable:,}',
            f'{_share(trainable, whole):.2%}' if in_backbone else ''
        ]
        if counted:
            cells.append(f'{operations / 1e9:,.3f}')
        return tuple(cells)

    fields = ('parameters', 'trainable', 'operations')
    rows = [tuple(titles + ['GFLOPs'] * counted)]
    rows += [row(p.name, p[2:], p.in_backbone) for p in complexity.parts]
    rows.append(
        row('backbone in all', [
            complexity.sum(field, backbone=True) for field in fields
        ], True))
    rows.append(
        row('model in all', [complexity.sum(field) for field in fields],
            False))
    return rows


def summary(complexity: Complexity) -> List[str]:
    """Say in sentences what the table cannot."""
    lines = [
        f"trainable in the backbone (#TP): "
        f"{complexity.sum('trainable', backbone=True):,}, "
        f'{complexity.share_of_stock:.2%} of the stock backbone, '
        f'{complexity.share_of_backbone:.2%} of all that is in it'
    ]
    if complexity.size is not None:
        height, width = complexity.size
        lines.append(
            f'operations of one pair of {height} x {width} (height x width): '
            'matrix products, convolutions and attention, a multiplication '
            'and an addition are two; get_flops.py counts them as one')
    return lines
