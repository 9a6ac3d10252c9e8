"""The paper's analyses of any config and checkpoint.

Feature rank (Fig. 2), spectra of both modalities (Fig. 3) and prompt maps.
Everything streams over pairs: memory does not depend on their number.
"""

from .moments import StreamingMoments, effective_rank, explained_variance
from .spectrum import band_shares, power_spectrum, radial_log_amplitude

__all__ = [
    'StreamingMoments', 'band_shares', 'effective_rank', 'explained_variance',
    'power_spectrum', 'radial_log_amplitude'
]
