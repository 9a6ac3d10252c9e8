"""What the inferencers of all tasks share."""

import pickle
import warnings
from abc import abstractmethod
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import numpy as np
from mmcv.transforms import LoadAnnotations
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose, pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, TRANSFORMS, init_default_scope
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer
from rich.progress import track
from torch import nn

from mmivtuning.engine.adapter import load_adapter, read_header
from mmivtuning.engine.data_root import pipeline_of, wrapped
from mmivtuning.engine.sample_pictures import draw_sample
from mmivtuning.engine.weights import load_weights, require_pairs
from mmivtuning.models.backbones.loading import weights_in
from mmivtuning.models.paired_inputs import MODALITY_PLANES
from mmivtuning.pairs import PairError
from mmivtuning.pairs.grouping import alike
from mmivtuning.pairs.reporting import encode_png, write_atomically
from mmivtuning.transforms import LoadPairedImage

from .autocast import AutocastBackbone
from .inputs import (
    PairLoader,
    PairRequest,
    check_apart,
    is_single,
    open_inputs,
)

ADAPTER_SUFFIX = '.safetensors'
# What the last transform of a test pipeline packs beside what is asked for.
_TRUTH = ('gt_instances', 'ignored_instances', 'gt_sem_seg')


class LoadedPair(NamedTuple):
    """A pair that was read.

    Attributes:
        request (PairRequest): What was asked for.
        image (np.ndarray): uint8 (H, W, 4), B, G, R, infrared, before any
            transform but loading.
        packed (dict): What the test pipeline made of it.
    """

    request: PairRequest
    image: np.ndarray
    packed: dict


class PairedInferencer(BaseInferencer):
    """Predict on visible-infrared pairs.

    Called as the inferencers of mmseg and mmdet are; an input is a pair
    where theirs is an image::

        >>> inferencer = PairedSegInferencer(
        ...     'config.py', 'iter_2000.pth')  # doctest: +SKIP
        >>> inferencer(('visible.jpg', 'infrared.png'))  # doctest: +SKIP
        >>> inferencer((visible, infrared))  # arrays  # doctest: +SKIP
        >>> inferencer([pair, pair], batch_size=2)  # doctest: +SKIP
        >>> inferencer(('visible/', 'infrared/'))  # doctest: +SKIP
        >>> inferencer(('visible.mp4', 'infrared.mp4'))  # doctest: +SKIP
        >>> inferencer('four_channels.png')  # doctest: +SKIP

    Visible arrays are uint8 or uint16, B, G, R, (H, W, 3); infrared ones of
    any real type, (H, W) or (H, W, 3). What becomes of their values is said
    by the loading transform of the config's test pipeline, as for files.

    Args:
        model (str | Path | Config, optional): Config; None takes the one in
            a full checkpoint. Default: None.
        weights (str | Path, optional): A full checkpoint (trusted: it is a
            pickle), or an adapter, ``*.safetensors``. Default: None.
        device (str, optional): Default: None, a GPU if there is one.
        scope (str, optional): Default: None, that of the task's toolbox.
        adapter (str | Path, optional): An adapter, put on the checkpoint, or
            on the pretrained backbone of the config. Default: None.
        missing (str, optional): ``'visible'`` or ``'infrared'``: predict
            without that modality. Default: None.
        amp (bool): Whether the backbone runs in 16 bits. Default: False.
        classes (Sequence[str], optional): Names. Default: None, those of the
            checkpoint, else of the config's test set.
        palette (Sequence, optional): RGB of each class. Default: None,
            likewise.
        show_progress (bool): Whether to show a progress bar. Default: True.

    Raises:
        FileNotFoundError: If a file does not exist.
        RuntimeError: If weights do not fit the model, or are not finite.
        ValueError: If the config cannot be used on pairs.
    """

    # The toolbox of the task.
    toolbox = ''
    # Whether the prediction of a single pair comes without a list around it.
    unlist_single = True

    visualize_kwargs: set = {
        'return_vis', 'show', 'wait_time', 'img_out_dir', 'pred_score_thr'
    }
    postprocess_kwargs: set = {'pred_out_dir', 'print_result'}

    def __init__(self,
                 model: Optional[Union[str, Path, Config, dict]] = None,
                 weights: Optional[Union[str, Path]] = None,
                 device: Optional[str] = None,
                 scope: Optional[str] = None,
                 adapter: Optional[Union[str, Path]] = None,
                 missing: Optional[str] = None,
                 amp: bool = False,
                 classes: Optional[Sequence[str]] = None,
                 palette: Optional[Sequence] = None,
                 show_progress: bool = True) -> None:
        if missing is not None and missing not in MODALITY_PLANES:
            raise ValueError("missing must be None, 'visible' or 'infrared', "
                             f'got {missing!r}')
        if isinstance(model, (str, Path)):
            model = str(model)
            if not Path(model).is_file():
                raise FileNotFoundError(f"no such config: '{model}'")
        weights, adapter = (None if path is None else str(path)
                            for path in (weights, adapter))
        if weights is not None and weights.endswith(ADAPTER_SUFFIX):
            if adapter is not None:
                raise ValueError(f'{weights} and {adapter} are both adapters: '
                                 'expected one, or a checkpoint and one')
            weights, adapter = None, weights
        if adapter is not None:
            # Says what is wrong with the file before the model is built.
            read_header(adapter)
            if model is None:
                raise ValueError(
                    f'adapter {adapter} needs a config: the text in its '
                    'header is not run')
        self.weights = weights
        self.adapter = adapter
        self.missing = missing
        self.named = dict(classes=classes, palette=palette)
        scope = scope or self.toolbox
        init_default_scope(scope)
        super().__init__(
            model=model, weights=weights, device=device, scope=scope)
        self.show_progress = show_progress
        self.model = revert_sync_batchnorm(self.model)
        if amp:
            self.model.backbone = AutocastBackbone(
                self.model.backbone,
                next(self.model.parameters()).device)

    # ------------------------------------------------------------- set up

    def _init_model(self,
                    cfg: Union[Config, ConfigDict],
                    weights: Optional[str],
                    device: str = 'cpu') -> nn.Module:
        """Build the model as the stock class does; name an unusable file."""
        try:
            return super()._init_model(cfg, weights, device)
        except FileNotFoundError:
            raise
        except (pickle.UnpicklingError, EOFError, OSError) as error:
            raise RuntimeError(f'{weights} cannot be read as a checkpoint, '
                               f'is it truncated? {error}') from error
        except RuntimeError as error:
            if 'PytorchStreamReader' not in str(error):
                raise
            raise RuntimeError(f'{weights} cannot be read as a checkpoint, '
                               f'is it truncated? {error}') from error

    def _load_weights_to_model(self, model: nn.Module,
                               checkpoint: Optional[dict],
                               cfg: Union[Config, ConfigDict]) -> None:
        """Load strictly; predictions of random weights are never silent.

        Raises:
            RuntimeError: If a key is missing or has no place, a shape
                differs, or a value is not finite.
            ValueError: If the model is not made for pairs.
        """
        require_pairs(model, self.missing)
        if checkpoint is not None:
            load_weights(model, weights_in(checkpoint, self.weights),
                         self.weights)
        elif self.adapter is None:
            warnings.warn(
                'no weights are given: predictions are those of a model that '
                'was not trained',
                stacklevel=2)
        else:
            model.init_weights()
        if self.adapter is not None:
            load_adapter(model, self.adapter)
        model.dataset_meta = self._dataset_meta(checkpoint, cfg)

    def _dataset_meta(self, checkpoint: Optional[dict],
                      cfg: Union[Config, ConfigDict]) -> Dict[str, Any]:
        """Return classes and palette: given, of the checkpoint, the config."""
        dataset = dict(_test_dataset(cfg), lazy_init=True)
        sources = [
            self.named,
            (checkpoint or {}).get('meta', {}).get('dataset_meta') or {},
            DATASETS.build(dataset).metainfo
        ]
        return {
            key: next((source[key] for source in sources
                       if source.get(key) is not None
                       and len(source[key]) > 0), ())
            for key in ('classes', 'palette')
        }

    def _init_pipeline(self, cfg: Union[Config, ConfigDict]) -> Compose:
        """Take the test pipeline apart: what loads a pair, and the rest.

        Returns:
            Compose: All transforms that load nothing.

        Raises:
            ValueError: If the pipeline does not load pairs.
        """
        steps = [
            TRANSFORMS.build(dict(step))
            for step in _test_dataset(cfg)['pipeline']
        ]
        loaders = [x for x in steps if isinstance(x, LoadPairedImage)]
        if len(loaders) != 1:
            raise ValueError(
                'the test pipeline must load with mmivtuning.LoadPairedImage '
                f'once, found {[type(step).__name__ for step in steps]}')
        self.loader = PairLoader(loaders[0])
        return Compose([
            step for step in steps
            if not isinstance(step, (LoadPairedImage, LoadAnnotations))
        ])

    def _init_collate(self, cfg: Union[Config, ConfigDict]) -> Callable:
        """Collate as the config says; the stock class warns if it does not."""
        if cfg.test_dataloader.get('collate_fn') is None:
            return pseudo_collate
        return super()._init_collate(cfg)

    def _init_visualizer(self, cfg: Union[Config, ConfigDict]) -> Visualizer:
        """A visualizer that shows; pictures are drawn without it."""
        visualizer = Visualizer()
        visualizer.dataset_meta = self.model.dataset_meta
        return visualizer

    # ---------------------------------------------------------------- run

    def __call__(self,
                 inputs: Any,
                 return_datasamples: bool = False,
                 batch_size: int = 1,
                 return_vis: bool = False,
                 show: bool = False,
                 wait_time: float = 0,
                 out_dir: str = '',
                 img_out_dir: str = 'vis',
                 pred_out_dir: str = 'pred',
                 no_save_vis: bool = False,
                 no_save_pred: bool = False,
                 **kwargs) -> dict:
        """Predict.

        Args:
            inputs: See :func:`mmivtuning.apis.inputs.open_inputs`.
            return_datasamples (bool): Whether predictions are the data
                samples of the toolbox. Default: False.
            batch_size (int): Pairs of one size that follow each other share
                a batch of up to so many. Default: 1.
            return_vis (bool): Whether to return pictures. Default: False.
            show (bool): Whether to show them in a window. Default: False.
            wait_time (float): Seconds that a window stays. Default: 0, until
                it is closed.
            out_dir (str): Folder to save in; empty saves nothing.
                Default: ''.
            img_out_dir (str): Folder of pictures in it. Default: 'vis'.
            pred_out_dir (str): Folder of predictions in it. Default: 'pred'.
            no_save_vis (bool): Save no pictures. Default: False.
            no_save_pred (bool): Save no predictions. Default: False.
            kwargs: What :meth:`visualize`, :meth:`postprocess` and
                :meth:`encode` take: ``pred_score_thr``, ``print_result``, and
                those of the task.

        Returns:
            dict: ``predictions``, and ``visualization``, a list of uint8
            (H, W, 3) RGB pictures, empty without ``return_vis``.

        Raises:
            FileNotFoundError: If a file does not exist.
            PairError: If a pair is unusable; the message names it.
            ValueError: If results would lie among the images, or on them.
        """
        preprocessing, forward, drawing, packing = self._dispatch_kwargs(
            **kwargs)
        if out_dir and not no_save_vis:
            drawing['img_out_dir'] = str(Path(out_dir, img_out_dir))
        if out_dir and not no_save_pred:
            packing['pred_out_dir'] = str(Path(out_dir, pred_out_dir))
        check_apart(inputs, [
            Path(folder) for folder in (drawing.get('img_out_dir'),
                                        packing.get('pred_out_dir')) if folder
        ])
        results: Dict[str, list] = dict(predictions=[], visualization=[])
        names: List[str] = []
        requests: Iterable[PairRequest] = self._inputs_to_list(inputs)
        if self.show_progress:
            requests = track(
                requests, description='Inference', total=len(requests))
        for loaded, data in self.preprocess(requests, batch_size,
                                            **preprocessing):
            samples = self.forward(data, **forward)
            pictures = self.visualize(
                loaded,
                samples,
                return_vis=return_vis,
                show=show,
                wait_time=wait_time,
                **drawing)
            part = self.postprocess(
                samples,
                pictures,
                return_datasamples,
                loaded=loaded,
                **packing)
            names += [pair.request.name for pair in loaded]
            for key, values in part.items():
                results[key].extend(values)
        if out_dir and not no_save_pred:
            self.finish(Path(out_dir), Path(out_dir, pred_out_dir), names)
        if self.unlist_single and is_single(inputs):
            results['predictions'] = results['predictions'][0]
            if return_vis:
                results['visualization'] = results['visualization'][0]
        return results

    def _inputs_to_list(self, inputs: Any) -> Any:
        """Find the pairs that inputs stand for; has a length."""
        return open_inputs(inputs)

    def preprocess(self,
                   inputs: Iterable[PairRequest],
                   batch_size: int = 1,
                   on_error: Optional[Callable] = None
                   ) -> Iterator[Tuple[List[LoadedPair], dict]]:
        """Load pairs and make batches.

        A batch has pairs of one size only: mmseg takes no others, and mmdet
        would pad, so that a result would depend on its neighbours.

        Args:
            inputs (Iterable[PairRequest]): What is asked for.
            batch_size (int): Largest batch. Default: 1.
            on_error (callable, optional): Takes the request and the error of
                a pair that is unusable, which is left out. Default: None,
                such an error ends the call.

        Yields:
            tuple: The pairs of a batch, and the batch.

        Raises:
            FileNotFoundError: If a file does not exist.
            PairError: If a pair is unusable.
            ValueError: If ``batch_size`` is not positive.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got '
                             f'{batch_size}')
        for batch in alike(
                self._loaded(inputs, on_error), batch_size,
                lambda pair: pair.packed['inputs'].shape):
            yield batch, self.collate_fn([pair.packed for pair in batch])

    def _loaded(self, inputs: Iterable[PairRequest],
                on_error: Optional[Callable]) -> Iterator[LoadedPair]:
        """Load pair by pair; see :meth:`preprocess`."""
        for request in inputs:
            try:
                pair = self._load(request)
            except (PairError, FileNotFoundError) as error:
                if on_error is None:
                    raise
                on_error(request, error)
            else:
                yield pair

    def _load(self, request: PairRequest) -> LoadedPair:
        """Load and prepare one pair.

        Raises:
            FileNotFoundError: If a file does not exist.
            PairError: If it is unusable, whatever the reason.
        """
        try:
            results = self.loader(request)
            # Transforms may change it in place.
            image = results['img'].astype(np.uint8)
            return LoadedPair(request, image, self.pipeline(results))
        except (PairError, FileNotFoundError):
            raise
        except Exception as error:
            raise PairError(
                f"'{request.labels[0]}' and '{request.labels[1]}' cannot be "
                f'prepared: {type(error).__name__}: {error}') from error

    def forward(self, inputs: dict, **kwargs) -> List[BaseDataElement]:
        """Feed a batch to the model.

        Returns:
            list: A data sample a pair, without the empty truth of the
            pipeline.
        """
        samples = super().forward(inputs, **kwargs)
        for sample in samples:
            for key in _TRUTH:
                if key in sample:
                    delattr(sample, key)
        return samples

    def visualize(self,
                  inputs: List[LoadedPair],
                  preds: List[BaseDataElement],
                  return_vis: bool = False,
                  show: bool = False,
                  wait_time: float = 0,
                  img_out_dir: str = '',
                  pred_score_thr: float = 0.3) -> List[np.ndarray]:
        """Draw visible | infrared | prediction.

        Args:
            inputs (list[LoadedPair]): The pairs.
            preds (list): Their data samples.
            return_vis (bool): Whether to return the pictures.
                Default: False.
            show (bool): Whether to show them. Default: False.
            wait_time (float): Seconds that a window stays. Default: 0.
            img_out_dir (str): Folder to save them in. Default: ''.
            pred_score_thr (float): Boxes with a lower score are not drawn.
                Default: 0.3.

        Returns:
            list[np.ndarray]: uint8 (H, W, 3) RGB; empty if they are not to be
            returned.
        """
        if not (return_vis or show or img_out_dir):
            return []
        pictures = []
        for pair, sample in zip(inputs, preds):
            picture = self.draw(pair, sample, pred_score_thr)
            if show:
                self.visualizer.show(
                    picture, win_name=pair.request.name, wait_time=wait_time)
            if img_out_dir:
                write_atomically(
                    Path(img_out_dir, f'{pair.request.name}.png'),
                    encode_png(picture[..., ::-1]),
                    clear=False)
            pictures.append(picture)
        return pictures if return_vis else []

    def draw(self,
             pair: LoadedPair,
             sample: BaseDataElement,
             score_thr: float = 0.3) -> np.ndarray:
        """Draw one pair, uint8 (H, W, 3) RGB."""
        return draw_sample(pair.image, sample, self.model.dataset_meta,
                           score_thr)

    def postprocess(self,
                    preds: List[BaseDataElement],
                    visualization: List[np.ndarray],
                    return_datasamples: bool = False,
                    loaded: Sequence[LoadedPair] = (),
                    pred_out_dir: str = '',
                    print_result: bool = False,
                    **options) -> dict:
        """Bring predictions to their form and save them.

        Args:
            preds (list): Data samples.
            visualization (list[np.ndarray]): Pictures.
            return_datasamples (bool): Whether to leave them as they are (on
                the CPU). Default: False.
            loaded (Sequence[LoadedPair]): The pairs. Default: ().
            pred_out_dir (str): Folder to save them in. Default: ''.
            print_result (bool): Whether to print them. Default: False.
            options: What :meth:`encode` takes.

        Returns:
            dict: ``predictions`` and ``visualization``, lists.
        """
        predictions = [self.to_prediction(sample) for sample in preds]
        if pred_out_dir:
            for pair, prediction in zip(loaded, predictions):
                for suffix, content in self.encode(pair, prediction,
                                                   **options).items():
                    write_atomically(
                        Path(pred_out_dir, f'{pair.request.name}{suffix}'),
                        content,
                        clear=False)
        if return_datasamples:
            predictions = [sample.cpu() for sample in preds]
        if print_result:
            print(predictions)  # noqa: T201
        return dict(predictions=predictions, visualization=visualization)

    # ----------------------------------------------------- of each task

    @abstractmethod
    def to_prediction(self, sample: BaseDataElement) -> Any:
        """Take the prediction out of a data sample."""

    @abstractmethod
    def encode(self, pair: LoadedPair, prediction: Any,
               **options) -> Dict[str, bytes]:
        """Make the files of a prediction.

        Returns:
            dict[str, bytes]: Content of each, by what follows the name.
        """

    def finish(self, out_dir: Path, pred_out_dir: Path,
               names: Sequence[str]) -> None:
        """Write what belongs to all pairs together: here, nothing.

        Args:
            out_dir (Path): Where it goes.
            pred_out_dir (Path): Where the files of the pairs are.
            names (Sequence[str]): The pairs.
        """


def _test_dataset(cfg: Union[Config, ConfigDict]) -> dict:
    """Return the config of the test set, out of its wrappers.

    Raises:
        ValueError: If there is none, or it has no pipeline.
    """
    loader = cfg.get('test_dataloader')
    if not loader:
        raise ValueError('the config has no test_dataloader: pairs are '
                         'prepared by the pipeline of its data set')
    pipeline = pipeline_of(loader['dataset'])
    if not pipeline:
        raise ValueError("the config's test set has no pipeline")
    *_, dataset = wrapped(loader['dataset'])
    return dict(dataset, pipeline=pipeline)
