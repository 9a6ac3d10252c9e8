r"""Export a segmentation or saliency model to ONNX.

    python tools/export_onnx.py CONFIG work_dirs/RUN/iter_2000.pth model.onnx

The file is compared with PyTorch before it is left. See docs/export.md.
"""

import argparse
import sys

from mmivtuning.export import command

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    command.add_arguments(parser)
    sys.exit(command.run(parser.parse_args()))
