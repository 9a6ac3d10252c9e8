"""Matching and splitting one's own folders."""

import hashlib
import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from .errors import MissingPartnerError, PairError, list_offenders
from .matching import image_stem

# How names end before the extension, visible and infrared. A rule is used
# if it is the only one that finds pairs.
SUFFIX_RULES: Tuple[Tuple[str, str], ...] = (
    ('', ''), ('_RGB', '_PreviewData'), ('_co', '_ir'), ('_rgb', '_ir'),
    ('_RGB', '_IR'), ('_rgb', '_thermal'), ('_RGB', '_T'), ('_rgb', '_th'),
    ('_rgb', '_t'), ('_vis', '_ir'), ('_VIS', '_IR'), ('_vi', '_ir'),
    ('_visible', '_infrared'), ('_visible', '_thermal'), ('_vis', '_lwir'),
    ('_visible', '_lwir'), ('_v', '_i'), ('-rgb', '-ir'), ('-vis', '-ir'),
    ('_color', '_thermal'), ('_W', '_T'), ('', '_ir'), ('', '_thermal'),
    ('', '_infrared'))
LABEL_RULES = ('', '_mask', '_label', '_labels', '_gt', '_seg', '_annotation',
               '_labelIds', '_L')
# At least so many sequences are split, so that shares can be met.
MIN_SEQUENCES = 10


class Match(NamedTuple):
    """Files that were matched.

    Attributes:
        rule (Tuple[str, str]): How names end before the extension.
        stems (Dict[str, Tuple[str, str]]): Visible and infrared name of each
            stem.
    """

    rule: Tuple[str, str]
    stems: Dict[str, Tuple[str, str]]


def strip_suffix(names: Iterable[str], suffix: str,
                 folder: str) -> Dict[str, str]:
    """Map stems without a suffix to names.

    Args:
        names (Iterable[str]): Names relative to a folder; those that do not
            end in the suffix and an extension of images are passed over.
        suffix (str): Before the extension, for example ``'_co'``.
        folder (str): For messages.

    Raises:
        PairError: If two names share their stem.
    """
    index: Dict[str, str] = {}
    for name in sorted(names):
        stem = image_stem(name)
        if not stem or not stem.endswith(suffix):
            continue
        stem = stem[:len(stem) - len(suffix)]
        if not stem or stem.endswith('/'):
            continue
        if stem in index:
            raise PairError(f"'{folder}': {index[stem]} and {name} share the "
                            f"stem '{stem}'")
        index[stem] = name
    return index


def match_folders(visible: Sequence[str], infrared: Sequence[str],
                  folders: Tuple[str, str],
                  rule: Optional[Tuple[str, str]] = None) -> Match:
    """Pair two lists of names by one rule.

    Args:
        visible (Sequence[str]): Names of visible files.
        infrared (Sequence[str]): Names of infrared files.
        folders (Tuple[str, str]): For messages; equal if one folder holds
            both.
        rule (Tuple[str, str], optional): Suffixes. None: the one of
            :data:`SUFFIX_RULES` that pairs most files.

    Raises:
        MissingPartnerError: If a file that the rule covers has no partner.
        PairError: If no rule pairs anything, or two pair equally many.
    """
    same = folders[0] == folders[1]
    rules = [rule] if rule else [
        r for r in SUFFIX_RULES if not same or '' not in r
    ]
    tried = []
    for candidate in rules:
        indices = [
            strip_suffix(names, suffix, folder) for names, suffix, folder in
            zip((visible, infrared), candidate, folders)
        ]
        count = len(set(indices[0]) & set(indices[1]))
        if count:
            tried.append((count, candidate, indices))
    if not tried:
        known = ', '.join(f'{a or "nothing"}/{b or "nothing"}'
                          for a, b in rules)
        raise PairError(
            f"no names of '{folders[0]}' and '{folders[1]}' match; names end "
            f'(visible/infrared), before the extension, in {known}. For '
            'example ' + ', '.join([*visible[:2], *infrared[:2]]) +
            '. Give --visible-suffix and --infrared-suffix')
    best = max(count for count, _, _ in tried)
    winners = [entry for entry in tried if entry[0] == best]
    if len(winners) > 1:
        raise PairError(
            f"names of '{folders[0]}' and '{folders[1]}' match by several "
            f'rules: {", ".join(str(entry[1]) for entry in winners)}; give '
            '--visible-suffix and --infrared-suffix')
    _, chosen, (first, second) = winners[0]
    lonely = [f'{folders[0]}/{first[s]}' for s in first if s not in second]
    lonely += [f'{folders[1]}/{second[s]}' for s in second if s not in first]
    if lonely:
        raise MissingPartnerError(
            f'{len(lonely)} file(s) without a partner (names end in '
            f'{chosen[0]!r} and {chosen[1]!r}):{list_offenders(lonely)}')
    return Match(chosen, {s: (first[s], second[s]) for s in first})


def match_labels(stems: Sequence[str], names: Sequence[str], folder: str,
                 rule: Tuple[str, str], every: bool = True) -> Dict[str, str]:
    """Find the label map of each stem.

    The suffix is one of :data:`LABEL_RULES` or of the images themselves.

    Args:
        stems (Sequence[str]): Of the pairs.
        names (Sequence[str]): Of the label maps.
        folder (str): Of the label maps, for messages.
        rule (tuple[str, str]): The suffixes of the images.
        every (bool): Whether every stem must have one; else one of them must.
            Default: True.

    Raises:
        MissingPartnerError: If a stem that must have one has none; the best
            rule is told.
    """
    best: Tuple[int, str, Dict[str, str]] = (-1, '', {})
    for suffix in dict.fromkeys((*LABEL_RULES, *rule)):
        index = strip_suffix(names, suffix, folder)
        count = sum(stem in index for stem in stems)
        if count > best[0]:
            best = (count, suffix, index)
    missing = [stem for stem in stems if stem not in best[2]]
    if missing and (every or len(missing) == len(stems)):
        raise MissingPartnerError(
            f"{len(missing)} pair(s) without a label map in '{folder}' "
            f'(names end in {best[1]!r}):{list_offenders(missing)}')
    return {stem: best[2][stem] for stem in stems if stem in best[2]}


def sequences(stems: Sequence[str], pattern: Optional[str] = None,
              gap: int = 50) -> List[List[str]]:
    """Group frames that may be neighbours in time.

    Without a pattern: frames of one folder whose names are equal up to their
    last number, cut where the number jumps by more than ``gap``. If that
    gives fewer than ten groups, the longest are halved, in order, until there
    are ten: only frames beside such a cut can leak.

    Args:
        stems (Sequence[str]): Names without extension, with folders.
        pattern (str, optional): Regular expression; what its first group
            finds, or all that it matches, names the sequence.
        gap (int): See above. Default: 50.

    Raises:
        PairError: If the pattern does not match a stem.
    """
    groups: Dict[str, List[Tuple[int, str]]] = {}
    for stem in stems:
        key, number = stem.rpartition('/')[0], 0
        if pattern is not None:
            match = re.search(pattern, stem)
            if match is None:
                raise PairError(
                    f"--sequence '{pattern}' does not match '{stem}'")
            key = match.group(1) if match.re.groups else match.group(0)
        else:
            digits = re.search(r'(\d+)\D*$', stem)
            if digits:
                key = stem[:digits.start()] + '#' + stem[digits.end(1):]
                number = int(digits.group(1))
        groups.setdefault(key, []).append((number, stem))
    result: List[List[str]] = []
    for key in sorted(groups):
        previous = None
        for number, stem in sorted(groups[key]):
            if previous is None or (pattern is None
                                    and number - previous > gap):
                result.append([])
            result[-1].append(stem)
            previous = number
    while pattern is None and len(result) < min(MIN_SEQUENCES, len(stems)):
        longest = max(range(len(result)), key=lambda n: len(result[n]))
        whole = result[longest]
        half = len(whole) // 2
        result[longest:longest + 1] = [whole[:half], whole[half:]]
    return result


def draw_splits(groups: Sequence[Sequence[str]], shares: Dict[str, float],
                seed: int) -> Dict[str, List[str]]:
    """Give whole sequences to splits.

    Sequences are ranked by a hash of the seed and their first frame, so that
    the result depends neither on the machine nor on library versions.

    Args:
        groups (Sequence[Sequence[str]]): From :func:`sequences`.
        shares (Dict[str, float]): Of every split but ``train``, which gets
            the rest.
        seed (int): Seed of the draw.

    Returns:
        Dict[str, List[str]]: Sorted stems; ``train`` first.

    Raises:
        PairError: If there are fewer sequences than splits.
    """
    wanted = {name: share for name, share in shares.items() if share > 0}
    if len(groups) <= len(wanted):
        raise PairError(f'{len(groups)} sequence(s) cannot be split into '
                        f'train, {", ".join(wanted)}; give --sequence or '
                        '--list')
    total = sum(map(len, groups))
    left = sorted(
        groups,
        key=lambda g: hashlib.sha256(f'{seed}:{g[0]}'.encode()).digest())
    splits: Dict[str, List[str]] = {'train': []}
    for name, share in wanted.items():
        chosen: List[str] = []
        for group in list(left):
            if not chosen or len(chosen) + len(group) <= share * total:
                chosen += group
                left.remove(group)
            if len(chosen) >= share * total:
                break
        splits[name] = sorted(chosen)
    splits['train'] = sorted(stem for group in left for stem in group)
    return splits
