"""The command ``mmivtuning spectrum``: frequencies of both modalities."""

import argparse
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from mmivtuning.engine.data_root import read_model_config

from .command_line import (
    add_common_arguments,
    folders_of,
    new_figure,
    note,
    show,
    write_csv,
    write_figure,
)
from .inputs import PairSource, batches
from .models import AnalysedModel, parse_spec
from .spectrum import (
    BAND_EDGES,
    BANDS,
    MODALITIES,
    STAGES,
    SpectrumStudy,
    check_backbone,
    image_maps,
    token_maps,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        'model', nargs='?', metavar='CONFIG[:CHECKPOINT]',
        help='measure its token maps too; without it, the images alone, as '
        'they are in --visible and --infrared')
    parser.add_argument(
        '--bands', nargs=2, type=float, default=BAND_EDGES,
        metavar=('LOW', 'HIGH'), help='where the low and the middle band '
        'end, in fractions of the Nyquist frequency (default: 0.25 0.5)')
    add_common_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure images and token maps and write the result; returns 0."""
    study = SpectrumStudy(tuple(args.bands))
    cfg = model = None
    if args.model is not None:
        spec = parse_spec(args.model)
        cfg = read_model_config(spec.config, args.cfg_options)
    source = PairSource(cfg, folders_of(args), args.max_pairs)
    if cfg is not None:
        model = AnalysedModel(cfg, spec.checkpoint, args.device, args.missing,
                              args.seed)
        lacks = check_backbone(model.backbone)
        if lacks:
            note(lacks)
        if spec.checkpoint is None and not lacks:
            note('without a checkpoint the prompts, and so what is measured '
                 'after the shared norm, are random')
    elif args.missing:
        raise ValueError('--missing needs a model: it changes what a model '
                         'sees, not the images')
    for _, images in batches(iter(source), args.batch_size):
        for image in images:
            for modality, plane in image_maps(image):
                study.update(modality, 'image', plane)
        if model is not None:
            inputs = model.prepare(images)
            with torch.no_grad():
                for modality, stage, maps in token_maps(
                        model.backbone, inputs):
                    if modality != model.missing:
                        study.update(modality, stage, maps)
    _write(study, args.out)
    show(_table(study, len(source)))
    return 0


def _write(study: SpectrumStudy, out: Path) -> None:
    """Write the tables and the figure."""
    write_csv(
        out / 'spectrum.csv',
        ('modality', 'stage', 'images', 'blank_images', 'channels', 'energy',
         *(f'{band}_{kind}' for kind in ('mean', 'std') for band in BANDS),
         'low_ends', 'mid_ends'),
        ((*row[:6], *row.mean, *row.std, *map(float, study.edges))
         for row in study.rows()))
    write_csv(
        out / 'spectrum_radial.csv',
        ('modality', 'stage', 'frequency', 'images', 'log10_amplitude_mean',
         'log10_amplitude_std'),
        ((*key, float(frequency), int(count), float(mean), float(std))
         for key, spectrum in study.spectra.items()
         for frequency, count, mean, std in zip(
             spectrum.centres, spectrum.radial.counts, spectrum.radial.mean,
             spectrum.radial.std)))
    stages = study.stages()
    figure, axes = new_figure(2, len(stages), (3.2 * len(stages) + 1, 6))
    for column, stage in enumerate(stages):
        _draw_radial(axes[0, column], study, stage)
        _draw_shares(axes[1, column], study, stage)
    axes[0, 0].set_ylabel('log10 of the amplitude')
    axes[1, 0].set_ylabel('share of the energy')
    axes[0, 0].legend(fontsize=8)
    axes[1, 0].legend(fontsize=8)
    write_figure(out / 'spectrum.png', figure)


def _draw_radial(axis: Any, study: SpectrumStudy, stage: str) -> None:
    """Draw mean and deviation of the radial average."""
    for place, modality in enumerate(MODALITIES):
        spectrum = study.spectra.get((modality, stage))
        if spectrum is None:
            continue
        mean, std = spectrum.radial.mean, spectrum.radial.std
        axis.plot(spectrum.centres, mean, color=f'C{place}', label=modality)
        axis.fill_between(spectrum.centres, mean - std, mean + std,
                          color=f'C{place}', alpha=0.2, linewidth=0)
    for edge in study.edges:
        axis.axvline(edge, color='grey', linewidth=0.6)
    axis.set(title=stage, xlim=(0, 1), xlabel='frequency / Nyquist')
    axis.grid(alpha=0.3)


def _draw_shares(axis: Any, study: SpectrumStudy, stage: str) -> None:
    """Draw the shares of the three bands as bars, with deviations."""
    for place, modality in enumerate(MODALITIES):
        spectrum = study.spectra.get((modality, stage))
        if spectrum is None:
            continue
        axis.bar([band - 0.2 + 0.4 * place for band in range(3)],
                 spectrum.shares.mean, 0.4, yerr=spectrum.shares.std,
                 color=f'C{place}', label=modality,
                 error_kw=dict(linewidth=0.8))
    axis.set(ylim=(0, 1.05))
    axis.set_xticks(range(3), BANDS)
    axis.grid(alpha=0.3, axis='y')


def _table(study: SpectrumStudy, pairs: int) -> Table:
    """Make the table that is printed."""
    low, high = study.edges
    table = Table(
        title=f'Share of the energy by frequency on {pairs} pairs, mean and '
        f'standard deviation over images; low ends at {low:g} and mid at '
        f'{high:g} of Nyquist')
    for head in ('stage', 'modality'):
        table.add_column(head, no_wrap=True)
    for head in (*(f'{band} %' for band in BANDS), 'energy', 'images'):
        table.add_column(head, justify='right', no_wrap=True)
    last = None
    for row in study.rows():
        if last is not None and row.stage != last:
            table.add_section()
        shares = ('-', ) * 3
        if row.images:
            shares = tuple(
                f'{100 * mean:.1f}' +
                (f' ± {100 * std:.1f}' if row.images > 1 else '')
                for mean, std in zip(row.mean, row.std))
        table.add_row('' if row.stage == last else row.stage, row.modality,
                      *shares, f'{row.energy:.3g}' if row.images else '-',
                      str(row.images))
        last = row.stage
    described = '\n'.join(f'{stage}: {STAGES[stage]}'
                          for stage in study.stages())
    table.caption = described
    table.caption_justify = 'left'
    return table
