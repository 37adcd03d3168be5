"""with_ids: a data set that also yields which sample it gives."""

from collections.abc import Mapping

from torch.utils.data import Dataset, IterableDataset, Subset

from learnability.errors import InputError

SAMPLE_ID = "sample_id"


class WithIds(Dataset):
    """A map-style data set whose samples say which they are."""

    def __init__(self, dataset: Dataset):
        if isinstance(dataset, IterableDataset) or not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
            raise InputError(
                f"with_ids({type(dataset).__name__}): expected a data set with rows, dataset[i]; a stream has none. Let it yield a key "
                "with each sample and give those to recorder.update."
            )
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int):
        item, sample_id = self.dataset[index], self.row(index)
        if isinstance(item, Mapping):
            return {**item, SAMPLE_ID: sample_id}
        return (sample_id, *item) if isinstance(item, tuple | list) else (sample_id, item)

    def row(self, index: int) -> int:
        """The row of the data set at the bottom: a Subset (as random_split makes) counts those of what it is a part of."""
        below, row = self.dataset, int(index)
        if row < 0:
            row += len(self)
        while isinstance(below, Subset):
            below, row = below.dataset, int(below.indices[row])
        return row


def with_ids(dataset: Dataset) -> WithIds:
    """The same data set with its row number in front: `(id, image, label)` instead of `(image, label)`.

    A dict gets the entry `sample_id` instead. In a part of a data set (torch.utils.data.Subset, random_split) the id is the row of the
    whole. InputError for a stream, which has no rows.
    """
    return WithIds(dataset)
