"""Categories of a COCO json, found by the names of the classes.

pycocotools returns category ids in the order of the json whatever the order
of the names that it is asked for, so that a data set (and a metric) whose
classes are listed in another order swaps them silently.
"""

from typing import List, Sequence

from mmdet.datasets.api_wrappers import COCO


def category_ids(coco: COCO, classes: Sequence[str], name: str) -> List[int]:
    """Return the category id of each class, in the order of the classes.

    Args:
        coco (COCO): The loaded json.
        classes (Sequence[str]): Names of the classes.
        name (str): The json, for messages.

    Raises:
        ValueError: If there are no classes, a class is not in the json, a
            name stands there twice, or an annotation has an unknown category.
    """
    if not classes:
        raise ValueError(f"no classes to look for in '{name}': give "
                         'metainfo=dict(classes=(...)) to the data set')
    categories = coco.dataset.get('categories', [])
    names = [category['name'] for category in categories]
    missing = [repr(label) for label in classes if label not in names]
    if missing:
        raise ValueError(f"'{name}' has no category {', '.join(missing)}; it "
                         f'has {names}')
    repeated = sorted({label for label in classes if names.count(label) > 1})
    if repeated:
        raise ValueError(f"'{name}' lists the categories {repeated} twice")
    known = {category['id'] for category in categories}
    if len(known) < len(categories):
        raise ValueError(f"'{name}' uses a category id twice: {categories}")
    strangers = sorted(set(coco.catToImgs) - known)
    if strangers:
        raise ValueError(f"'{name}' has annotations of the category ids "
                         f'{strangers} that it does not define')
    ids = {category['name']: category['id'] for category in categories}
    return [ids[label] for label in classes]


class NamedCOCO(COCO):
    """:class:`mmdet.datasets.api_wrappers.COCO`, category ids by name."""

    def __init__(self, annotation_file: str) -> None:
        super().__init__(annotation_file)
        self.annotation_file = annotation_file

    def get_cat_ids(self, cat_names=(), sup_names=(), cat_ids=()):
        """Return category ids, those of names in the order of the names."""
        if sup_names or cat_ids:
            return super().get_cat_ids(cat_names, sup_names, cat_ids)
        return category_ids(self, cat_names, self.annotation_file)
