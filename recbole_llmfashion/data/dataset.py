"""The rows of every model (docs/method.md): RecBole's SequentialDataset with our reading, our ids and our split.

Five things differ from RecBole's class, each by one hook: the files are read as text that survives (`_load_data`),
internal item ids follow `.item` (`_get_remap_list`), each row learns how much of its user's timeline lies before it
(`data_augmentation`), its sequence is cut out when it is read (`join`), and the split is our own
(`_split_index_by_leave_one_out`). It knows no prompt and no model.
"""

from collections.abc import Iterator
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.dataset import SequentialDataset
from recbole.data.interaction import Interaction
from recbole.utils.enum_type import FeatureSource, FeatureType

from recbole_llmfashion.data import split
from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean, read_folder
from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.data.search_log import SearchLog
from recbole_llmfashion.data.sequences import Sequences, row_ends
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.data.timeline import Timeline
from recbole_llmfashion.errors import UserError

HISTORY_LENGTH = "history_length"  # events of the user's timeline before the row's target
TARGET_PURCHASE = "target_purchase"  # 1 where the row's target is a purchase
RECOMMEND_TIME = "recommend_time"  # whole seconds, int64: RecBole's own timestamp is a float32
SPLIT_CODE = "split_code"  # the row's part, as data/split.py names them
HISTORY_END = "history_end"  # where the row's target stands in the log
ORDER_ONLY_BELOW = 1e8  # timestamps below 1973 are an order, not a date


class LLMFashionRecDataset(SequentialDataset):
    """The dataset of every model in a run, so that all share their (user, target) rows.

    Attributes:
        catalogue, timeline, search_log: what the prompts are made of.
        left_out: users that could not be used, by reason.
        has_dates: False where timestamps only give an order.
    """

    catalogue: Catalogue
    timeline: Timeline
    search_log: SearchLog

    def _load_data(self, token: str, dataset_path: str) -> None:
        folder = read_folder(Path(dataset_path), token)
        check_clean(folder)
        self._searches = folder.searches
        self.catalogue = Catalogue.from_frame(folder.items)
        self._events = self._usable(folder)
        self.has_dates = bool(len(self._events)) and float(self._events["timestamp"].min()) >= ORDER_ONLY_BELOW
        self.inter_feat = self._events[[self.uid_field, self.iid_field, self.time_field]].copy()
        self.item_feat = folder.items[[self.iid_field]].copy()
        self.user_feat = None
        for field, kind, source in (
            (self.uid_field, FeatureType.TOKEN, FeatureSource.USER_ID),
            (self.iid_field, FeatureType.TOKEN, FeatureSource.ITEM_ID),
            (self.time_field, FeatureType.FLOAT, FeatureSource.INTERACTION),
        ):
            self.set_field_property(field, kind, source, 1)
        self.field2bucketnum[self.time_field] = 2

    def _usable(self, folder: AtomicFolder) -> pd.DataFrame:
        """The item actions that stay after the click filter; users with fewer than two are counted and left out."""
        events = folder.interactions
        users = pd.factorize(events["user_id"])[0]
        purchase = (events["action"] == "purchase").to_numpy()
        mode = self.config["click_filter"]
        if mode == "none":
            keep = np.ones(len(events), bool)
        elif mode in ("paper", "train"):
            codes = self._split(users, purchase, events["timestamp"].to_numpy(np.float64))
            counts = np.ones(len(events), bool) if mode == "paper" else np.isin(codes, (split.TRAIN, split.NO_ROW))
            items = self.catalogue.positions(events["item_id"]).to_numpy()
            keep = split.click_filter_mask(users, items, purchase, counts)
        else:
            raise UserError(f"click_filter: expected paper, train or none, found '{mode}'")
        short = np.bincount(users[keep], minlength=users.max(initial=-1) + 1) < 2
        self.left_out = {"fewer than two item actions after the click filter": int(short.sum())}
        self.clicks_filtered = int((~keep).sum())
        events = events[keep & ~short[users]].reset_index(drop=True)
        if not len(events):
            raise UserError(f"{folder.path}: no user with two item actions and a purchase is left; nothing to train on")
        return events

    def _split(self, users: np.ndarray, purchase: np.ndarray, times: np.ndarray) -> np.ndarray:
        """The part of each row, by split_by."""
        split_by = self.config["split_by"]
        if split_by == "user":
            return split.split_codes(users, purchase)
        if split_by != "time":
            raise UserError(f"split_by: expected user or time, found '{split_by}'")
        shares = self.config["time_split"]
        if len(shares) != 2 or not 0 < shares[0] < shares[1] < 1:
            raise UserError(f"time_split: expected two shares, 0 < first < second < 1, found {shares}")
        if len(times) and float(times.min()) < ORDER_ONLY_BELOW:
            raise UserError(f"split_by: {self.dataset_path} knows an order and no dates; a time split needs dates")
        return split.time_split_codes(users, purchase, times, (shares[0], shares[1]))

    def _get_remap_list(self, field_list: np.ndarray) -> list[Any]:
        """`.item` first, so that internal item id = catalogue position + 1 for every model."""
        remap = super()._get_remap_list(field_list)
        return sorted(remap, key=lambda entry: entry[0] is not self.item_feat)

    def data_augmentation(self) -> None:
        """RecBole's rows, and for each what the prompt builder may know: the length of the history before it."""
        self._build_timeline()
        self._aug_presets()
        self.sort(by=[self.uid_field, self.time_field], ascending=True)
        log: Any = self.inter_feat
        if not np.array_equal(log[self.iid_field].numpy(), self._items + 1):
            raise AssertionError("RecBole's rows are not in the order of .inter")
        suffix = self.config["LIST_SUFFIX"]
        listed = {f"{name}{suffix}": log[name] for name in log.columns if name != self.uid_field}
        self._sequences = Sequences(listed, self.max_item_list_len)
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
        at = torch.from_numpy(rows)
        kept = {name: log[name][at] for name in log.columns}
        self.inter_feat = Interaction(kept | {name: torch.from_numpy(column) for name, column in columns.items()})

    def join(self, df: Interaction) -> Interaction:
        """RecBole's, with the rows' sequences."""
        if HISTORY_END in df:
            df.update(Interaction(self._sequences.cut(df[HISTORY_END], df[self.item_list_length_field])))
        return super().join(df)

    def model_inputs(self) -> Iterator[tuple[str, np.ndarray]]:
        """What a model sees of the rows, one column after the other by name, the sequences among them."""
        feat: Any = self.inter_feat
        for name in sorted({*feat.columns, *self._sequences.names} - {HISTORY_END}):
            if name in feat:
                yield name, feat[name].numpy()
            else:
                yield name, self._sequences.column(name, feat[HISTORY_END], feat[self.item_list_length_field]).numpy()

    def replace_items(self, stands_for: torch.Tensor) -> "LLMFashionRecDataset":
        """The same rows with each item i, in histories and as target, become stands_for[i]; int64 [items]."""
        feat: Any = self.inter_feat
        columns = {name: feat[name] for name in feat.columns}
        columns[self.iid_field] = stands_for[columns[self.iid_field]]
        other: LLMFashionRecDataset = self.copy(Interaction(columns))
        other._sequences = self._sequences.renamed({f"{self.iid_field}{self.config['LIST_SUFFIX']}": stands_for})
        return other

    def _build_timeline(self) -> None:
        events = self._events
        user_ids = {token: i for i, token in enumerate(self.field2id_token[self.uid_field]) if i}
        users = events["user_id"].map(user_ids).to_numpy(np.int64)
        times = events["timestamp"].to_numpy(np.float64)
        self._items = self.catalogue.positions(events["item_id"]).to_numpy(np.int64)
        self._purchase = (events["action"] == "purchase").to_numpy()
        self._codes = self._split(users, self._purchase, times)
        share = self.config["train_share"]
        if not 0 < share <= 1:
            raise UserError(f"train_share: expected a number above 0, up to 1, found {share}")
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
        # a row's prefix is part of the training log too, so a user's first action counts where the user trains at all
        in_training = train | ((self._codes == split.NO_ROW) & (last_time[users] > -np.inf))
        self.training_actions = pd.DataFrame(
            {"user": users, "item": self._items, "purchase": self._purchase, "search": searches}
        )[in_training]

    def _split_index_by_leave_one_out(self, grouped_index: Any, leave_one_num: int) -> list[np.ndarray]:
        """Train, valid, test as docs/method.md has them, in RecBole's own order of rows."""
        codes = self.inter_feat[SPLIT_CODE].numpy()
        bought = self.inter_feat[TARGET_PURCHASE].numpy()
        rows = np.concatenate([np.zeros(0, np.int64), *grouped_index])
        taken = codes[rows]
        if self.config["train_targets"] == "purchase":
            taken = np.where((taken == split.TRAIN) & (bought[rows] == 0), split.DROPPED, taken)
        parts = [rows[taken == part] for part in (split.TRAIN, split.VALID, split.TEST)]
        self.rows_dropped = len(codes) - sum(map(len, parts))
        if not len(parts[split.TRAIN]):
            raise UserError(f"{self.dataset_path}: no training row is left (users need three item actions); add data")
        if not len(parts[split.TEST]):
            raise UserError(f"{self.dataset_path}: no user has a test row; move time_split or add data")
        clicks = 1 - bought[parts[split.TRAIN]].mean()
        getLogger(__name__).info(
            f"rows for {self.config['model']}: train {len(parts[0])} ({clicks:.1%} click targets), "
            f"valid {len(parts[1])}, test {len(parts[2])}; "
            f"between valid and test {self.rows_dropped} dropped; users left out: {self.left_out}"
        )
        return parts

    def popularity(self) -> np.ndarray:
        """[N] actions of the training part by catalogue position."""
        return np.bincount(self.training_actions["item"].to_numpy(), minlength=len(self.catalogue))
