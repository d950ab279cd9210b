"""RecBole's keys that a run reads: a value other than the default, and what it changes on the way."""

from typing import Any

TRAINING = "training"  # the losses of the epochs
SAME = "same"  # nothing that a result shows: names of columns, devices, workers
ROWS = "rows"  # the rows of the run
RESULT = "result"  # the figures, with the same training
OWN = "own"  # has a test of its own, in the module named beside it

# key -> (value, what it changes, further keys of both runs)
READ: dict[str, tuple[Any, str, dict[str, Any]]] = {
    # environment
    "gpu_id": (1, OWN, {}),  # tests/quick_start/test_recbole_keys.py
    "worker": (1, SAME, {}),
    "use_gpu": (False, SAME, {}),
    "seed": (7, TRAINING, {}),
    "state": ("INFO", OWN, {}),  # tests/cli/test_train.py
    "reproducibility": (False, SAME, {}),
    "data_path": ("", OWN, {}),  # every test of a run
    "checkpoint_dir": ("", OWN, {}),  # every test of a run
    "show_progress": (True, OWN, {}),  # tests/quick_start/test_recbole_keys.py
    "log_wandb": (True, OWN, {}),  # tests/quick_start/test_run_tracker.py
    "wandb_project": ("shop", OWN, {}),  # tests/quick_start/test_run_tracker.py
    "shuffle": (False, TRAINING, {}),
    "model": ("GRU4Rec", SAME, {}),
    "dataset": ("shoes", SAME, {}),
    # training
    "epochs": (1, TRAINING, {}),
    "train_batch_size": (8, TRAINING, {}),
    "learner": ("sgd", TRAINING, {}),
    "learning_rate": (0.05, TRAINING, {}),
    "train_neg_sample_args": ({"sample_num": 3}, TRAINING, {"loss_type": "BPR"}),
    "eval_step": (2, OWN, {}),  # tests/quick_start/test_recbole_keys.py
    "stopping_step": (0, OWN, {}),  # tests/quick_start/test_recbole_keys.py
    "clip_grad_norm": ({"max_norm": 1e-5}, TRAINING, {"learner": "sgd", "learning_rate": 1.0}),
    "weight_decay": (0.5, TRAINING, {}),
    "loss_decimal_place": (7, SAME, {}),  # of RecBole's log
    "enable_amp": (True, OWN, {}),  # tests/quick_start/test_recbole_keys.py
    "enable_scaler": (True, SAME, {}),
    "transform": ("mask_itemseq", OWN, {}),  # tests/config/test_recbole_keys.py
    # evaluation
    "eval_args": ({"split": {"LS": "test_only"}}, ROWS, {}),
    "repeatable": (True, OWN, {}),  # has one value, which tests/config/test_values.py checks
    "metrics": (["Hit"], RESULT, {"valid_metric": "Hit@10", "metrics": ["Hit", "NDCG"]}),
    "topk": ([10, 20], RESULT, {}),
    "valid_metric": ("Recall@10", OWN, {}),  # tests/quick_start/test_recbole_keys.py
    "valid_metric_bigger": (True, SAME, {}),
    "eval_batch_size": (4, SAME, {}),
    "metric_decimal_place": (2, RESULT, {}),
    "tail_ratio": (0.5, RESULT, {"metrics": ["NDCG", "TailPercentage"]}),
    # columns and rows
    "USER_ID_FIELD": ("uid", OWN, {}),  # tests/data/test_own_fields.py
    "ITEM_ID_FIELD": ("iid", OWN, {}),  # tests/data/test_own_fields.py
    "TIME_FIELD": ("time", OWN, {}),  # tests/data/test_own_fields.py
    "LABEL_FIELD": ("clicked", SAME, {"loss_type": "BPR"}),
    "NEG_PREFIX": ("no_", SAME, {"loss_type": "BPR"}),
    "ITEM_LIST_LENGTH_FIELD": ("how_long", SAME, {}),
    "LIST_SUFFIX": ("_sequence", SAME, {}),
    "POSITION_FIELD": ("place", SAME, {}),
    "MAX_ITEM_LIST_LENGTH": (3, TRAINING, {}),
    "load_col": ({"inter": ["user_id", "item_id", "timestamp"]}, SAME, {}),
    "rm_dup_inter": ("first", ROWS, {}),
    "val_interval": ({"action": ["purchase"]}, ROWS, {}),
    "user_inter_num_interval": ("[8,inf)", ROWS, {}),
    "item_inter_num_interval": ("[3,inf)", ROWS, {}),
}
