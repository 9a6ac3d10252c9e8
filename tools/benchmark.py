r"""Measure what tuning costs: IV-tuning, full, dual and frozen, interleaved.

For the backbone of each config, and each way of tuning: time of a training
step, of inference and of its first attention layer alone (forward and
backward), peak memory (GPU) and bytes kept for the backward pass, parameters,
operations, tensor operations issued (of which a GPU's host can issue so many
a second), and bytes of checkpoint and adapter. The best of some repeats
counts. Weights are random: nothing is downloaded. Writes JSON, Markdown and a
plot::

    python tools/benchmark.py CONFIG ... --size 512 512 --batch 2 \
        --dtype bfloat16 --out docs/benchmarks/gpu
    python tools/benchmark.py --quick --out work_dirs/benchmark

``--tunings visible stock`` compares full fine-tuning on the visible image
with the same by mmpretrain's own class, without a pyramid in both.
``--quick`` measures DINOv2-S on 224x294 pixels, for CPUs. ``--loader CONFIG``
measures the pairs a second of a config's loading transform and of its whole
training pipeline, in one process, against decoding the two files alone.
"""

import argparse
import gc
import inspect
import json
import platform
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmivtuning.engine.complexity import count_operations
from mmivtuning.engine.data_root import read_config, read_model_config
from mmivtuning.models import count_parameters
from mmivtuning.models.backbones.tuning import retuned
from mmivtuning.models.saved_bytes import saved_bytes
from mmivtuning.registry import MODELS

TUNINGS = ('iv', 'full', 'dual', 'frozen')
# Without maps of other strides, which no stock backbone makes.
COMPARISON = ('visible', 'stock')
# IV-tuning with compiled prompt blocks.
COMPILED = 'iv_compiled'
DINOV2_SMALL = dict(
    type='mmivtuning.IVVisionTransformer',
    arch='dinov2-small',
    img_size=518,
    patch_size=14,
    layer_scale_init_value=1e-5,
    out_indices=(2, 5, 8, 11),
    pyramid_strides=(4, 8, 16, 32))


class VisiblePlanes(nn.Module):
    """A stock backbone that gets the visible planes of pairs.

    Args:
        stock (nn.Module): The backbone.
    """

    def __init__(self, stock: nn.Module) -> None:
        super().__init__()
        self.stock = stock

    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Run the backbone on pairs (B, 4, H, W)."""
        return self.stock(x[:, :3])


def build_stock(config: Dict[str, Any]) -> nn.Module:
    """Build the backbone of mmpretrain that one of ours derives from."""
    config = dict(config)
    lineage = inspect.getmro(MODELS.get(config.pop('type')))
    stock = next(c for c in lineage if c.__module__.startswith('mmpretrain.'))
    for parent in lineage[:lineage.index(stock)]:
        for name, parameter in inspect.signature(parent).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY:
                config.pop(name, None)
    known = inspect.signature(stock).parameters
    if 'out_type' in known:
        config['out_type'] = 'featmap'
    if 'pad_small_map' in known:  # as ours does
        config.setdefault('pad_small_map', True)
    return VisiblePlanes(stock(**config))


def build(backbone: Dict[str, Any], tuning: str) -> nn.Module:
    """Build a backbone without its pretrained weights."""
    config = {
        name: value
        for name, value in backbone.items()
        if name != 'init_cfg'
    }
    if tuning in COMPARISON:
        config.pop('pyramid_strides', None)
    if tuning == 'stock':
        return build_stock(config)
    if tuning == COMPILED:
        config = retuned(config, 'iv')
        options = dict(config.get('tuning_options') or {})
        config['tuning_options'] = dict(options, compile_training=True)
        return MODELS.build(config)
    return MODELS.build(retuned(config, tuning))


class Subject:
    """A backbone under measurement.

    Args:
        model (nn.Module): The backbone.
        inputs (Tensor): A batch of pairs.
        dtype (torch.dtype): Of autocast; float32 is none.
    """

    def __init__(self, model: nn.Module, inputs: torch.Tensor,
                 dtype: torch.dtype) -> None:
        self.model = model.to(inputs.device)
        self.inputs = inputs
        self.dtype = dtype
        self.optimiser = torch.optim.AdamW(
            [p for p in model.parameters() if p.requires_grad], lr=1e-6)
        self.attention, self.tokens = self._first_attention()

    def _context(self) -> Any:
        if self.dtype is torch.float32:
            return nullcontext()
        return torch.autocast(self.inputs.device.type, self.dtype)

    def _first_attention(self) -> Tuple[nn.Module, Tuple]:
        """Find an attention layer, and what it gets."""
        layer = next(module for name, module in self.model.named_modules()
                     if name.split('.')[-1] == 'attn')
        seen: List[Tuple] = []
        handle = layer.register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs))
        self.infer()
        handle.remove()
        tokens, *rest = seen[0]
        return layer, (tokens.detach().requires_grad_(), *rest)

    def attend(self) -> None:
        """Run the attention layer alone, forward and backward."""
        with self._context():
            out = self.attention(*self.tokens)
        out.float().mean().backward()
        self.tokens[0].grad = None
        self.optimiser.zero_grad()

    def forward(self) -> torch.Tensor:
        """Run the backbone, to one value."""
        with self._context():
            outs = self.model(self.inputs)
        return sum(out.float().mean() for out in outs)

    def train(self) -> None:
        """Do a training step."""
        self.forward().backward()
        self.optimiser.step()
        self.optimiser.zero_grad()

    def infer(self) -> None:
        """Run without gradients."""
        with torch.no_grad():
            self.forward()

    def timed(self, function: Callable[[], None]) -> Tuple[float, int]:
        """Call and return seconds, and peak bytes on a GPU.

        On a CPU they are seconds of computing, summed over threads: others
        that use the machine do not count.
        """
        cuda = self.inputs.is_cuda
        clock = time.perf_counter if cuda else time.process_time
        if cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        start = clock()
        function()
        if cuda:
            torch.cuda.synchronize()
        return (clock() - start,
                torch.cuda.max_memory_allocated() if cuda else 0)


def operations(subject: Subject) -> int:
    """Count floating point operations of one forward pass."""
    subject.model.eval()  # where nothing is compiled
    try:
        return count_operations(subject.forward)
    finally:
        subject.model.train()
        gc.collect()  # counting leaves cycles that hold the graph


class IssuedOperations(TorchDispatchMode):
    """Context that counts calls of torch's operators, views excluded."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operator: Any, types: Any,
                           args: Tuple = (),
                           kwargs: Optional[Dict[str, Any]] = None) -> Any:
        """Call an operator."""
        aliases = [a.alias_info for a in operator._schema.arguments]
        view = any(alias and not alias.is_write for alias in aliases)
        self.count += not view and '_unsafe_view' not in str(operator)
        return operator(*args, **(kwargs or {}))


def issued(subject: Subject) -> Dict[str, int]:
    """Count what forward and backward pass, and inference, issue."""
    with IssuedOperations() as step:
        subject.forward().backward()
    subject.optimiser.zero_grad()
    subject.model.eval()
    with IssuedOperations() as inference:
        subject.infer()
    subject.model.train()
    return dict(issued_step=step.count, issued_inference=inference.count)


def sizes(model: nn.Module) -> Dict[str, int]:
    """Compute bytes of files from shapes, heads excluded."""
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    state = {n: v.numel() * v.element_size()
             for n, v in model.state_dict().items()}
    trained = sum(
        size for name, size in state.items() if name not in frozen
        and not name.endswith(('position_index', 'freqs_cos', 'freqs_sin')))
    return dict(checkpoint=sum(state.values()), adapter=trained)


def measure(name: str, backbone: Dict[str, Any], args: argparse.Namespace,
            size: Tuple[int, int]) -> List[Dict[str, Any]]:
    """Measure one backbone in all ways of tuning."""
    device = torch.device(args.device)
    inputs = torch.randn(args.batch, 4, *size, device=device)
    rows, times = [], {}
    for tuning in args.tunings:
        subject = Subject(
            build(backbone, tuning), inputs, getattr(torch, args.dtype))
        count = count_parameters(subject.model)
        row = dict(
            model=name, tuning=tuning, size=list(size), batch=args.batch,
            parameters=count.total, trainable=count.trainable,
            saved_bytes=saved_bytes(subject.model, subject.forward),
            flops=operations(subject), **sizes(subject.model))
        if tuning != COMPILED:  # which a counter keeps from compiling
            row.update(issued(subject))
        rows.append(row)
        if args.device != 'cpu':
            subject.model.cpu()  # one model on the GPU at a time
        seconds = dict(step=[], inference=[], attention=[])
        times[tuning] = (subject, seconds, [])
    for repeat in range(args.repeats + 1):  # the first one warms up
        for subject, seconds, peaks in times.values():
            subject.model.to(device)
            subject.model.train()
            if device.type == 'cuda':
                subject.train()
            step, peak = subject.timed(subject.train)
            attention, _ = subject.timed(subject.attend)
            subject.model.eval()
            inference, _ = subject.timed(subject.infer)
            if repeat:
                seconds['step'].append(step)
                seconds['inference'].append(inference)
                seconds['attention'].append(attention)
                peaks.append(peak)
            if device.type == 'cuda':
                subject.optimiser.state.clear()
                subject.model.cpu()
                torch.cuda.empty_cache()
    for row in rows:
        _, seconds, peaks = times[row['tuning']]
        for what, found in seconds.items():
            row.update({f'{what}_s': min(found), f'{what}s_s': found})
        row['peak_bytes'] = max(peaks)
    return rows


def loader_rate(config: str,
                data_root: Optional[str],
                pairs: int = 64) -> Dict[str, float]:
    """Compare a training pipeline with decoding its files alone."""
    import cv2
    from mmengine.registry import DATASETS, init_default_scope
    cfg = read_config(config, dict(data_root=data_root))
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    count = min(pairs, len(dataset))
    seconds = dict(decode=0., loading=0., pipeline=0.)

    def add(name: str, function: Callable[[], Any]) -> None:
        start = time.perf_counter()
        function()
        seconds[name] += time.perf_counter() - start

    load = dataset.pipeline.transforms[0]
    for index in [0, *range(count)]:  # the first one warms up
        info = dataset.get_data_info(index)
        files = {info['img_path'], info['infrared_path']}
        if index == 0:
            seconds = dict.fromkeys(seconds, 0.)
        add('decode', lambda f=files: [
            cv2.imread(file, cv2.IMREAD_UNCHANGED) for file in f])
        add('loading', lambda i=info: load(dict(i)))
        add('pipeline', lambda i=index: dataset[i])
    return {f'{k}_pairs_per_s': count / v for k, v in seconds.items()}


def versions(args: argparse.Namespace) -> Dict[str, Any]:
    """Describe the machine."""
    device = (
        torch.cuda.get_device_name() if args.device.startswith('cuda') else
        f'CPU ({platform.machine()}), {torch.get_num_threads()} threads')
    return dict(
        device=device, torch=torch.__version__, dtype=args.dtype,
        python=platform.python_version(), repeats=args.repeats)


# What each measure is compared with, of the same model and size.
RATIOS = dict(
    step_s=('full', 'dual', 'stock'),
    inference_s=('frozen', 'stock'),
    issued_step=('full', 'stock'),
    issued_inference=('frozen', 'stock'),
    attention_s=('stock', ),
    saved_bytes=('full', 'stock'))


def columns(row: Dict[str, Any], rows: List[Dict[str, Any]]) -> Dict[str, str]:
    """Write the columns of a row of the table."""
    same = {
        other['tuning']: other
        for other in rows
        if all(other[key] == row[key] for key in ('model', 'size'))
    }
    height, width = row['size']
    found = dict(
        model=row['model'], size=f'{height}×{width} ×{row["batch"]}',
        tuning=row['tuning'])

    def add(title: str, key: str, text: str) -> None:
        found[title] = text
        for other in RATIOS[key]:
            if other in same:  # every model and size has the same tunings
                base = same[other][key]
                found[f'{title} / {other}'] = (
                    f'{row[key] / base:.2f}' if base and key in row else '–')

    add('step', 'step_s', f'{row["step_s"] * 1e3:.0f} ms')
    add('inference', 'inference_s', f'{row["inference_s"] * 1e3:.0f} ms')
    for what in ('step', 'inference'):
        number = row.get(f'issued_{what}')
        add(f'issued, {what}', f'issued_{what}',
            '–' if number is None else f'{number:,}')
    add('attention', 'attention_s', f'{row["attention_s"] * 1e3:.1f} ms')
    add('kept', 'saved_bytes', f'{row["saved_bytes"] / 1e6:.0f} MB')
    if row['peak_bytes']:
        found['peak'] = f'{row["peak_bytes"] / 1e6:.0f} MB'
    found.update({
        'trainable': f'{row["trainable"]:,}',
        'GFLOPs': f'{row["flops"] / 1e9:.1f}',
        'adapter': f'{row["adapter"] / row["checkpoint"]:.1%}'
    })
    return found


def markdown(report: Dict[str, Any]) -> str:
    """Write a table."""
    table = [columns(row, report['rows']) for row in report['rows']]
    lines = [list(table[0]), ['---'] * len(table[0])]
    lines += [list(row.values()) for row in table]
    about = ', '.join(f'{k} {v}' for k, v in report['versions'].items())
    loader = ''.join(f'\n{k}: {v:.1f}\n'
                     for k, v in report.get('loader', {}).items())
    return (f'{about}\n\n`{report["command"]}`\n\n' +
            '\n'.join(f'| {" | ".join(line)} |' for line in lines) +
            f'\n{loader}')


def plot(report: Dict[str, Any], path: Path) -> None:
    """Draw step time and kept bytes against the number of pixels."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.5))
    groups: Dict[Tuple[str, str], List[Dict]] = {}
    for row in report['rows']:
        groups.setdefault((row['model'], row['tuning']), []).append(row)
    for axis, key, scale, label in (
        (axes[0], 'step_s', 1e3, 'training step, ms'),
        (axes[1], 'saved_bytes', 1e-6, 'kept for backward, MB')):
        for (model, tuning), rows in groups.items():
            axis.plot([r['size'][0] * r['size'][1] for r in rows],
                      [r[key] * scale for r in rows], 'o-',
                      label=f'{model} {tuning}')
        axis.set(xlabel='pixels', ylabel=label, ylim=(0, None))
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='*', help='config files')
    parser.add_argument('--quick', action='store_true', help='DINOv2-S')
    parser.add_argument('--out', type=Path, required=True, help='folder')
    parser.add_argument('--size', type=int, nargs='+', default=[224, 294],
                        help='height and width, several pairs for a curve')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--tunings', nargs='+', default=list(TUNINGS),
                        choices=(*TUNINGS, *COMPARISON, COMPILED))
    parser.add_argument('--dtype', default='float32',
                        choices=['float32', 'bfloat16', 'float16'])
    parser.add_argument('--loader', help='config whose pipeline is measured')
    parser.add_argument('--data-root', help='folder of its data set')
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--threads', type=int, help='of a CPU')
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if len(args.size) % 2 or not (args.configs or args.quick):
        parser.error('give configs or --quick, and --size in pairs')
    backbones = dict(dinov2_small=DINOV2_SMALL) if args.quick else {}
    for config in args.configs:
        backbones[Path(config).stem] = read_model_config(config).model.backbone
    report = dict(
        command='python ' + ' '.join(sys.argv), versions=versions(args),
        rows=[])
    for name, backbone in backbones.items():
        for size in zip(args.size[::2], args.size[1::2]):
            report['rows'] += measure(name, backbone, args, size)
    if args.loader:
        report['loader'] = loader_rate(args.loader, args.data_root)
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1)
    (args.out / 'benchmark.json').write_text(text + '\n')
    (args.out / 'benchmark.md').write_text(markdown(report))
    plot(report, args.out / 'benchmark.png')


if __name__ == '__main__':
    main()
