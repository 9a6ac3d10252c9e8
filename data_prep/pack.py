"""Pack a prepared data set into one zip file or LMDB.

Many small files are slow on network file systems. Both are read without
being unpacked; see docs/data.md.

Example:
    python data_prep/pack.py data/msrs data/msrs.lmdb
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Optional, Sequence

from rich.console import Console
from rich.progress import track

from mmivtuning.pairs.packing import pack


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Pack; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n\n')[0],
        epilog='In the config: data_root=OUT, and '
        "backend_args=dict(backend='mmivtuning.lmdb') or 'mmivtuning.zip' in "
        'the data set and in its loading transforms.')
    parser.add_argument('folder', type=Path, help='of a data set')
    parser.add_argument('out', type=Path, help='a .zip or .lmdb to make')
    parser.add_argument(
        '--force', action='store_true', help='replace an existing OUT')
    args = parser.parse_args(argv)
    bar = partial(
        track, description=f'Packing {args.folder}',
        console=Console(stderr=True))
    try:
        count = pack(args.folder, args.out, args.force, bar)
    except (OSError, ValueError, ImportError) as error:
        print(f'error: {error}', file=sys.stderr)
        print('nothing was written', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted, nothing was written', file=sys.stderr)
        return 130
    print(f'{args.out}: {count} files')
    return 0


if __name__ == '__main__':
    sys.exit(main())
