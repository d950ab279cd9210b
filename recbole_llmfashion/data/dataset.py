"""RecBole's SequentialDataset with this package's file reader, item ids and split (docs/method.md).

Six methods of RecBole's class are overridden: `_load_data` reads the files without changing any text and applies
RecBole's filters of rows, which `_data_filtering` therefore does not,
`_get_remap_list` makes internal item ids follow `.item`, `data_augmentation` adds to each row the length of its user's
history, `join` cuts a row's sequence out when the row is read, and `_split_index_by_leave_one_out` applies the split.
"""

from collections.abc import Iterator, Mapping, Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.config import Config
from recbole.data.dataset import SequentialDataset
from recbole.data.interaction import Interaction
from recbole.utils.enum_type import FeatureSource, FeatureType

from recbole_llmfashion import compat
from recbole_llmfashion.data import split
from recbole_llmfashion.data.atomic.field_names import FIELD_KEYS, FieldNames
from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean, item_columns, read_folder
from recbole_llmfashion.data.catalogue import TEXT_ATTRIBUTES, Catalogue, attributes_of, check_attributes
from recbole_llmfashion.data.location import find_dataset
from recbole_llmfashion.data.row_filters import RowFilters
from recbole_llmfashion.data.search_log import SearchLog
from recbole_llmfashion.data.sequences import Sequences, row_ends
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.data.timeline import ORDER_ONLY_BELOW, Timeline
from recbole_llmfashion.errors import UserError

HISTORY_LENGTH = "history_length"  # number of events in the user's timeline before the row's target
TARGET_PURCHASE = "target_purchase"  # 1 if the row's target is a purchase
RECOMMEND_TIME = "recommend_time"  # whole seconds, int64: RecBole's own timestamp is a float32
SPLIT_CODE = "split_code"  # the row's part of the split: TRAIN, VALID, .. of data/split.py
HISTORY_END = "history_end"  # index of the row's target in the log
# Keys that name columns of `.item` whose texts a model reads -> what else they may name.
ATTRIBUTE_KEYS: dict[str, tuple[str, ...]] = {"prompt_attributes": (), "recformer_attributes": ("title",)}


def selected_features(config: Config, columns: Mapping[str, str]) -> list[str]:
    """The item attributes that a model embeds, [] for most models.

    Args:
        config: RecBole's.
        columns: of the dataset's `.item` file -> RecBole type.

    Raises:
        UserError: the key `selected_features` names a column that is not there, or is no text.
    """
    names = config["selected_features"]
    if names is None:
        return []
    of_rows = {"item_id", *(config[key] for key in FIELD_KEYS.values())}  # names of columns that RecBole's rows have
    texts = [name for name, kind in columns.items() if kind == "token" and name not in of_rows]
    if not isinstance(names, list) or not names:
        raise UserError(f"selected_features: expected a list of {', '.join(texts)}, found '{names}'")
    for name in names:
        if name not in texts:
            raise UserError(f"selected_features: no text column '{name}' in .item; choose from {', '.join(texts)}")
    return list(dict.fromkeys(names))


def check_load_col(config: Config) -> None:
    """Checks the columns of `.item` that the key `load_col` names, by the file's header.

    Raises:
        UserError: there is no such column.
    """
    named = (config["load_col"] or {}).get("item")
    if not isinstance(named, list):
        return
    names = FieldNames.of(config)
    in_package = item_columns(Path(config["data_path"]), config["dataset"], names)
    columns = [names.file_column(column) if column == "item_id" else column for column in in_package]
    for column in named:
        if column not in columns:
            raise UserError(f"load_col: .item has no column '{column}'; leave it out")


def check_in_header(names: Sequence[str], config: Config, key: str) -> None:
    """Checks by the header of `.item` alone that a model can read these attributes of a config's dataset.

    Args:
        names: the value of the key, of this config or of the run whose model reads them.
        config: names the dataset.
        key: of ATTRIBUTE_KEYS.

    Raises:
        UserError: `.item` lacks one of them.
    """
    named = [name for name in names if name not in ATTRIBUTE_KEYS[key]]
    if set(named) - set(TEXT_ATTRIBUTES):
        folder = find_dataset(Path(config["data_path"]), config["dataset"])
        columns = item_columns(folder, config["dataset"], FieldNames.of(config))
        check_attributes(named, columns, config["dataset"], key)


def attributes_read(config: Config, folder: AtomicFolder) -> list[str]:
    """The item attributes whose texts a model reads, [] for most models.

    A model class with `texts_of()` shares the text stages of that model's row, so its attributes are those of that row.

    Raises:
        UserError: a key of ATTRIBUTE_KEYS names a column that is not there.
    """
    if config["source_dataset"]:
        return attributes_of(folder.item_types)  # the source's keys name those that its models read
    if (other := getattr(config.model_class, "texts_of", None)) is not None:
        config = config.sibling(other())
    found: list[str] = []
    for key, others in ATTRIBUTE_KEYS.items():
        names = [name for name in config[key] or [] if name not in others]
        check_attributes(names, folder.item_types, folder.name, key)
        found += names
    return found


class LLMFashionRecDataset(SequentialDataset):
    """The dataset of every model in a run, so that all models share their (user, target) rows.

    Attributes:
        catalogue: the items.
        timeline: every user's events.
        search_log: every user's searches.
        left_out: reason -> number of users that were left out for it.
        rows_filtered: number of item actions that RecBole's filters of rows left out.
        has_dates: False if timestamps only give an order.
    """

    catalogue: Catalogue
    timeline: Timeline
    search_log: SearchLog

    def _load_data(self, token: str, dataset_path: str) -> None:
        names = FieldNames.of(self.config)
        folder = read_folder(Path(dataset_path), token, names=names)
        check_clean(folder)
        in_files = len(folder.interactions)
        folder = RowFilters.of(self.config).apply(folder)
        self.rows_filtered = in_files - len(folder.interactions)
        self._searches = folder.searches
        self.catalogue = Catalogue.from_frame(folder.items, attributes_read(self.config, folder))
        self._warn_of_empty_attributes()
        self._events = self._usable(folder)
        self.has_dates = bool(len(self._events)) and float(self._events["timestamp"].min()) >= ORDER_ONLY_BELOW
        # RecBole's own frames have the names of the files
        self.inter_feat = self._events[[*FIELD_KEYS]].rename(columns=names.file_column)
        features = selected_features(self.config, folder.item_types)
        self.item_feat = folder.items[["item_id", *features]].rename(columns={"item_id": self.iid_field})
        for name in features:  # RecBole gives the padding id to a cell that it does not find
            self.item_feat[name] = folder.items[name].where(folder.items[name] != "")
        self.user_feat = None
        for field, kind, source in (
            (self.uid_field, FeatureType.TOKEN, FeatureSource.USER_ID),
            (self.iid_field, FeatureType.TOKEN, FeatureSource.ITEM_ID),
            (self.time_field, FeatureType.FLOAT, FeatureSource.INTERACTION),
            *((name, FeatureType.TOKEN, FeatureSource.ITEM) for name in features),
        ):
            self.set_field_property(field, kind, source, 1)
        self.field2bucketnum[self.time_field] = 2

    def _warn_of_empty_attributes(self) -> None:
        """The four attributes of every `.item` are no news: the defaults name them, and many logs lack some."""
        empty = [name for name in self.catalogue.empty_attributes() if name not in TEXT_ATTRIBUTES]
        if empty and not self.config["source_dataset"]:
            getLogger(__name__).warning(f"{self.dataset_name}.item: no item has a value in {', '.join(empty)}")

    def _data_filtering(self) -> None:
        """Nothing: `_load_data` filters, so that the timeline and the prompts have the rows that RecBole has."""

    def _fill_nan(self) -> None:
        with compat.chained_fillna_hidden():
            super()._fill_nan()

    def _usable(self, folder: AtomicFolder) -> pd.DataFrame:
        """The item actions after the click filter; users with fewer than two are counted and left out."""
        events = folder.interactions
        users = pd.factorize(events["user_id"])[0]
        purchase = (events["action"] == "purchase").to_numpy()
        items = self.catalogue.positions(events["item_id"]).to_numpy()
        codes = self._split(users, purchase, events["timestamp"].to_numpy(np.float64))
        keep = split.click_filter_keep(users, items, purchase, codes, self.config["click_filter"])
        short = np.bincount(users[keep], minlength=users.max(initial=-1) + 1) < 2
        self.left_out = {"fewer than two item actions after the click filter": int(short.sum())}
        self.clicks_filtered = int((~keep).sum())
        events = events[keep & ~short[users]].reset_index(drop=True)
        if not len(events):
            raise UserError(f"{folder.path}: no user has two item actions and a purchase; nothing to train on")
        return events

    def _split(self, users: np.ndarray, purchase: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Split code of each item action, by the key `split_by`."""
        by, shares = self.config["split_by"], self.config["time_split"]
        if by == "time" and (below := int((times < ORDER_ONLY_BELOW).sum())):
            found, advice = "an order only", "use user"
            if below < len(times):
                found = f"{below:,} of {len(times):,} before 1973"
                advice = "correct or remove these rows, or use user"
            raise UserError(
                f"split_by: expected timestamps that are dates, found {found} in {self.dataset_path}; {advice}"
            )
        leave_out = self.config["eval_args"]["split"]["LS"]
        return split.codes_by(users, purchase, times, by, (shares[0], shares[1]), leave_out)

    def _get_remap_list(self, field_list: np.ndarray) -> list[Any]:
        """RecBole's list with `.item` first, so that internal item id = catalogue position + 1."""
        remap = super()._get_remap_list(field_list)
        return sorted(remap, key=lambda entry: entry[0] is not self.item_feat)

    def data_augmentation(self) -> None:
        """RecBole's rows with history length, target type, time and split code added to each."""
        self._build_timeline()
        self._aug_presets()
        self.sort(by=[self.uid_field, self.time_field], ascending=True)
        log: Any = self.inter_feat
        if not np.array_equal(log[self.iid_field].numpy(), self._items + 1):
            raise AssertionError("RecBole's rows are not in the order of .inter")
        suffix = self.config["LIST_SUFFIX"]
        lists = {f"{name}{suffix}": log[name] for name in log.columns if name != self.uid_field}
        self._sequences = Sequences(lists, self.max_item_list_len)
        rows, lengths = row_ends(log[self.uid_field].numpy(), self.max_item_list_len)
        seconds = np.floor(self._events["timestamp"].to_numpy(np.float64)).astype(np.int64)
        columns = {
            self.item_list_length_field: lengths,
            HISTORY_END: rows,
            HISTORY_LENGTH: self.timeline.length_before[rows],
            TARGET_PURCHASE: self._purchase[rows].astype(np.int64),
            RECOMMEND_TIME: seconds[rows],
            SPLIT_CODE: self._codes[rows].astype(np.int64),
        }
        index = torch.from_numpy(rows)
        own = {name: log[name][index] for name in log.columns}
        self.inter_feat = Interaction(own | {name: torch.from_numpy(column) for name, column in columns.items()})

    def join(self, df: Interaction) -> Interaction:
        """RecBole's method, with the rows' sequences added."""
        if HISTORY_END in df:
            df.update(Interaction(self._sequences.cut(df[HISTORY_END], df[self.item_list_length_field])))
        return super().join(df)

    def model_inputs(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (column name, values) of everything a model reads from the rows, sequences included, sorted by name.

        The item attributes of a model with `selected_features` follow.
        """
        feat: Any = self.inter_feat
        for name in sorted({*feat.columns, *self._sequences.names} - {HISTORY_END}):
            if name in feat:
                yield name, feat[name].numpy()
            else:
                yield name, self._sequences.column(name, feat[HISTORY_END], feat[self.item_list_length_field]).numpy()
        for name in sorted({*self.item_feat.columns} - {self.iid_field}):
            yield name, self.item_feat[name].numpy()

    def with_sequences(self) -> "LLMFashionRecDataset":
        """A copy whose rows hold their sequences, for a model that reads other rows than those of its batch."""
        feat: Any = self.inter_feat
        cut = self._sequences.cut(feat[HISTORY_END], feat[self.item_list_length_field])
        other: LLMFashionRecDataset = self.copy(Interaction({name: feat[name] for name in feat.columns} | cut))
        return other

    def replace_items(self, replacement: torch.Tensor) -> "LLMFashionRecDataset":
        """A copy of the dataset in which every item i, in histories and as target, is replaced.

        Args:
            replacement: [items] int64, internal id -> internal id.
        """
        feat: Any = self.inter_feat
        columns = {name: feat[name] for name in feat.columns}
        columns[self.iid_field] = replacement[columns[self.iid_field]]
        other: LLMFashionRecDataset = self.copy(Interaction(columns))
        other._sequences = self._sequences.renamed({f"{self.iid_field}{self.config['LIST_SUFFIX']}": replacement})
        return other

    def _build_timeline(self) -> None:
        events = self._events
        user_ids = {token: i for i, token in enumerate(self.field2id_token[self.uid_field]) if i}
        users = events["user_id"].map(user_ids).to_numpy(np.int64)
        times = events["timestamp"].to_numpy(np.float64)
        self._items = self.catalogue.positions(events["item_id"]).to_numpy(np.int64)
        self._purchase = (events["action"] == "purchase").to_numpy()
        self._codes = self._split(users, self._purchase, times)
        whole = self._in_training(users)
        self.never_repeats = split.never_repeats(users[whole], self._items[whole])
        share = self.config["train_share"]
        if share < 1:
            tokens = self.field2id_token[self.uid_field]
            self._codes = split.keep_share(users, self._codes, tie_rank([str(token) for token in tokens]), share)
        train = self._codes == split.TRAIN
        last_time = np.full(self.user_num, -np.inf)
        np.maximum.at(last_time, users[train], times[train])
        self.search_log = SearchLog.from_frame(self._searches, user_ids, self.catalogue, last_time)
        self.timeline = Timeline(users, self._items, self._purchase, times, self.search_log, self.user_num)
        window = float(self.config["search_attribution_hours"]) * 3600
        searches = self.search_log.attribute(users, times, window)
        self.training_actions = pd.DataFrame(
            {"user": users, "item": self._items, "purchase": self._purchase, "search": searches}
        )[self._in_training(users)]

    def _in_training(self, users: np.ndarray) -> np.ndarray:
        """Whether each action is in the training log; a user's first one is, as the prefix of their training rows."""
        train = self._codes == split.TRAIN
        return train | ((self._codes == split.NO_ROW) & np.isin(users, users[train]))

    def _split_index_by_leave_one_out(self, grouped_index: Any, leave_one_num: int) -> list[np.ndarray]:
        """Row indices of train, valid and test by the split of docs/method.md, in RecBole's order of rows."""
        codes = self.inter_feat[SPLIT_CODE].numpy()
        is_purchase = self.inter_feat[TARGET_PURCHASE].numpy()
        rows = np.concatenate([np.zeros(0, np.int64), *grouped_index])
        row_codes = codes[rows]
        if self.config["train_targets"] == "purchase":
            row_codes = np.where((row_codes == split.TRAIN) & (is_purchase[rows] == 0), split.DROPPED, row_codes)
        parts = [rows[row_codes == part] for part in (split.TRAIN, split.VALID, split.TEST)]
        only = split.ONE_PART.get(self.config["eval_args"]["split"]["LS"])
        self.rows_dropped = len(codes) - sum(map(len, parts))
        if not len(parts[split.TRAIN]):
            raise UserError(
                f"{self.dataset_path}: no training rows (a user needs three item actions, or four where all actions "
                "are purchases); add data"
            )
        if not len(parts[split.TEST]) and only != split.VALID:
            raise UserError(f"{self.dataset_path}: no test rows; change time_split or add data")
        clicks = 1 - is_purchase[parts[split.TRAIN]].mean()
        getLogger(__name__).info(
            f"rows for {self.config['model']}: train {len(parts[0])} ({clicks:.1%} click targets), "
            f"valid {len(parts[1])}, test {len(parts[2])}; "
            f"between valid and test {self.rows_dropped} dropped; users left out: {self.left_out}"
        )
        # RecBole adds the empty part of valid_only and test_only itself
        return parts if only is None else [part for part in parts if len(part)]

    def popularity(self) -> np.ndarray:
        """[N] number of training actions of each item, by catalogue position."""
        return np.bincount(self.training_actions["item"].to_numpy(), minlength=len(self.catalogue))
