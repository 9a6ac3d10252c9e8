"""DroneVehicle."""

from mmivtuning.registry import DATASETS

from .paired import PairedDetDataset, detection_metainfo


@DATASETS.register_module()
class DroneVehicleDataset(PairedDetDataset):
    """DroneVehicle (Sun et al., 2022): from the air, 512 x 640, upright boxes.

    The layout is that of ``data_prep/drone_vehicle.py``.
    """

    METAINFO = detection_metainfo('drone_vehicle')
