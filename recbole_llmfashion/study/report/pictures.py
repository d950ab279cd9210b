"""The pictures of a report: those of the items with most actions."""

from pathlib import Path

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.data.images import item_images
from recbole_llmfashion.study.report.document import ItemPicture

MOST = 12


def item_pictures(place: Path, dataset: str, rows: AtomicFolder) -> list[ItemPicture]:
    """The pictures of the items with most actions; none where the dataset has no pictures.

    Args:
        place: the folder of the dataset.
        dataset: its name.
        rows: of its files.
    """
    images = item_images(place, dataset)
    if images is None:
        return []
    titles = dict(zip(rows.items["item_id"], rows.items["title"], strict=True))
    counts = rows.interactions["item_id"].value_counts()
    ranked = sorted(counts.index, key=lambda item: (-counts[item], item))
    shown = [ItemPicture(item, titles[item], images.data_uri(item)) for item in ranked[: 2 * MOST]]
    return [picture for picture in shown if picture.data][:MOST]
