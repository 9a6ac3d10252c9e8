"""Pairs of visible and infrared files: matching, reading, describing.

Needs numpy and OpenCV only. Data sets, converters, checkers and inferencers
build on it.
"""

from .decoding import (
                       check_complete,
                       decode_image,
                       exif_orientation,
                       read_bytes,
)
from .describing import ImageFacts, PairFacts, describe_image, describe_pair
from .errors import MissingPartnerError, PairError, list_offenders
from .matching import (
                       IMAGE_SUFFIXES,
                       PairNames,
                       find_pairs,
                       image_stem,
                       index_stems,
                       list_names,
                       match_stems,
                       unpaired,
)
from .reading import (
                       combine_planes,
                       decode_pair,
                       is_coloured,
                       read_pair,
                       split_pair_file,
                       stack_pair,
                       stretch,
                       to_grey,
                       to_infrared,
                       to_visible,
)

__all__ = [
    'IMAGE_SUFFIXES', 'ImageFacts', 'MissingPartnerError', 'PairError',
    'PairFacts', 'PairNames', 'check_complete', 'combine_planes',
    'decode_image', 'decode_pair', 'describe_image', 'describe_pair',
    'exif_orientation', 'find_pairs', 'image_stem', 'index_stems',
    'is_coloured', 'list_names', 'list_offenders', 'match_stems', 'read_bytes',
    'read_pair', 'split_pair_file', 'stack_pair', 'stretch', 'to_grey',
    'to_infrared', 'to_visible', 'unpaired'
]
