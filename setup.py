"""Build mmivtuning; the same code serves wheels and editable installs."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent

# Python code alone does not decide which OpenMMLab is installed: the host
# stacks are extras, and a missing one is reported when it is first used.
EXTRAS = {
    'openmmlab': [
        'torch==2.1.2', 'torchvision==0.16.2', 'numpy<2',
        'opencv-python<4.12', 'mmengine==0.10.7', 'mmcv==2.1.0',
        'mmsegmentation==1.2.2', 'mmdet==3.3.0', 'mmpretrain==1.2.0', 'ftfy',
        'regex'
    ],
    'onedl': [
        'torch==2.11.0', 'torchvision==0.26.0', 'opencv-python',
        'onedl-mmengine==0.10.12', 'onedl-mmcv==2.3.6',
        'onedl-mmsegmentation==1.4.2', 'onedl-mmdetection==3.5.1',
        'onedl-mmpretrain==1.3.6', 'ftfy', 'regex'
    ],
    # What mim imports. mim itself is installed with --no-deps: its declared
    # dependencies downgrade setuptools below what torch accepts.
    'mim': [
        'setuptools<82', 'click', 'colorama', 'model-index', 'requests',
        'rich', 'tabulate', 'pandas', 'pyyaml'
    ],
    # The measures of salient object detection.
    'saliency': ['pysodmetrics'],
    # FLIR cameras' own JPEG files.
    'radiometric': ['flyr'],
    # Data sets in an LMDB.
    'archives': ['lmdb'],
    # Export to ONNX and the check of the file.
    'export': ['onnx', 'onnxruntime'],
    'docs': ['sphinx', 'myst-parser', 'furo'],
    'dev': [
        'pytest', 'pytest-timeout', 'pytest-xdist', 'hypothesis', 'ruff',
        'build', 'scikit-learn', 'tensorboard'
    ],
}


class BuildPyWithMim(build_py):
    """Add configs, tools and the model index as ``mmivtuning/.mim``.

    mim looks for them there. A wheel gets copies, an editable install
    symlinks. The decision is taken from the build command and not from
    ``sys.argv``, which says nothing under PEP 517 and PEP 660.
    """

    MIM_FILES = ('configs', 'tools', 'data_prep', 'model-index.yml')

    def run(self) -> None:
        """Build the package, then add the files of mim."""
        super().run()
        base = ROOT if self.editable_mode else Path(self.build_lib)
        folder = base / 'mmivtuning' / '.mim'
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        for name in self.MIM_FILES:
            source, target = ROOT / name, folder / name
            if self.editable_mode:
                target.symlink_to(Path('..', '..', name))
            elif source.is_dir():
                shutil.copytree(
                    source,
                    target,
                    ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy2(source, target)


def version() -> str:
    """Read the version without importing the package."""
    text = (ROOT / 'mmivtuning' / 'version.py').read_text()
    return re.search(r"__version__ = '(.+)'", text).group(1)


setup(
    name='mmivtuning',
    version=version(),
    description='IV-tuning: frozen visible backbones, tuned by prompts for '
    'infrared-visible segmentation, detection and saliency',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.8',
    packages=find_packages(include=['mmivtuning', 'mmivtuning.*']),
    install_requires=[
        'jinja2', 'matplotlib', 'numpy', 'rich', 'safetensors', 'scipy'
    ],
    extras_require=EXTRAS,
    entry_points={'console_scripts': ['mmivtuning = mmivtuning.cli:main']},
    cmdclass={'build_py': BuildPyWithMim},
    zip_safe=False,
    classifiers=[
        'Programming Language :: Python :: 3',
        'License :: OSI Approved :: Apache Software License',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ])
