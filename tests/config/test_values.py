"""The values of keys: one table of (model, key, value, what is expected), over RecBole's keys and ours.

A row without expected words holds a value that must be taken. Each row goes through the checks of the dry run that
need no data; tests/quick_start/test_dry_run.py has those that need some.
"""

import math

import psutil
import pytest

from recbole_llmfashion.config import values
from recbole_llmfashion.config.allowed import choice, either, list_of, number, whole
from recbole_llmfashion.config.keys import properties_folder, recbole_defaults
from recbole_llmfashion.config.layers import merge_layers
from recbole_llmfashion.config.values import allowed_values
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start.registry import accepted_models, get_model, model_names

WHOLE_1, WHOLE_0, RATE = "a whole number of 1 or more", "a whole number of 0 or more", "a number above 0 and at most 10"
SIZE = "a whole number from 1 to 65536"
DROPOUT, FLAG, TEXT = "a number of 0 or more and below 1", "True or False", "a text"
DECAY, SHARE = "a number of 0 or more and at most 10", "a number of 0 or more and at most 1"
NAN, INF = math.nan, math.inf

# model, key, values that cannot be, the words that the message has
REFUSED = [
    # RecBole: environment
    ("SASRec", "seed", [-1, 2**32, 10**20, 1.5, True, "x", None, [1, 2]], "a whole number from 0 to 4294967295"),
    ("SASRec", "worker", [-1, 1000, "two"], "a whole number from 0 to 256"),
    ("SASRec", "gpu_id", [-1, [0, 1], 0.5], "a text or a whole number of 0 or more"),
    ("SASRec", "state", ["LOUD", 1], "one of DEBUG, INFO"),
    ("SASRec", "data_path", ["", None, 7], TEXT),
    ("SASRec", "checkpoint_dir", ["", None, True], TEXT),
    ("SASRec", "show_progress", ["maybe", 1, None], FLAG),
    ("SASRec", "reproducibility", ["maybe", 0], FLAG),
    ("SASRec", "use_gpu", ["cuda", 1], FLAG),
    ("SASRec", "shuffle", ["no way"], FLAG),
    ("SASRec", "enable_amp", ["bf16"], FLAG),
    ("SASRec", "log_wandb", ["yes please", 1], FLAG),
    # RecBole: training
    ("SASRec", "epochs", [0, -1, 1.5, "many", True, None, [1]], WHOLE_1),
    ("SASRec", "train_batch_size", [0, -4, 0.5, "all", False], WHOLE_1),
    ("SASRec", "learning_rate", [0, -1e-3, NAN, INF, 1e30, 10**400, "abc", True, None, [1e-3]], RATE),
    ("SASRec", "weight_decay", [-1, NAN, INF, 1e9, "a"], DECAY),
    ("SASRec", "learner", ["adamax", "sparse_adam", 1, None], "one of adam, adamw, sgd, adagrad, rmsprop"),
    ("SASRec", "eval_step", [0, -1, "x"], WHOLE_1),
    ("SASRec", "stopping_step", [-1, 2.5, "x"], WHOLE_0),
    ("SASRec", "clip_grad_norm", [5, "x", [1], {}, {"max": 5}, {"max_norm": 0}], "a dict such as {max_norm: 5"),
    ("SASRec", "transform", ["upside_down", "user_defined", 1], "mask_itemseq"),
    ("SASRec", "MAX_ITEM_LIST_LENGTH", [0, -1, 20.5, "x"], WHOLE_1),
    # RecBole: evaluation
    ("SASRec", "topk", [0, -3, [], [0], [1.5, 10], [True, 10], "ten", None, ["5"]], "whole numbers of 1 or more"),
    ("SASRec", "metrics", [[], 3, [1], [None], ""], "a list of one or more names"),
    ("SASRec", "valid_metric", [1, "", None], TEXT),
    ("SASRec", "eval_batch_size", [0, -1, "x"], WHOLE_1),
    ("SASRec", "metric_decimal_place", [-1, 21, "x"], "a whole number from 0 to 20"),
    # RecBole: models
    ("SASRec", "hidden_size", [0, -64, 6.4, "x", 10**9], SIZE),
    ("SASRec", "n_layers", [0, -1, "two"], SIZE),
    ("SASRec", "n_heads", [0, -2, "x"], SIZE),
    ("SASRec", "n_heads", [3], "3 heads do not divide hidden_size 64"),
    ("SASRec", "inner_size", [0, "x"], SIZE),
    ("SASRec", "hidden_dropout_prob", [1, 1.5, -0.1, NAN, "half"], DROPOUT),
    ("SASRec", "attn_dropout_prob", [1.0, "x", True], DROPOUT),
    ("SASRec", "hidden_act", ["leaky", 1, None], "one of gelu, relu, swish, tanh, sigmoid"),
    ("SASRec", "layer_norm_eps", [0, -1e-5, "x"], "a number above 0"),
    ("SASRec", "initializer_range", [-1, NAN, "x"], "a number of 0 or more"),
    ("SASRec", "loss_type", ["NLL", "ce", 1, None], "one of CE, BPR"),
    ("CORE", "loss_type", ["BPR", "x"], "expected CE for CORE,"),
    ("FPMC", "loss_type", ["CE"], "expected BPR for FPMC,"),
    ("CORE", "dnn_type", ["lstm"], "one of trm, ave"),
    ("CORE", "sess_dropout", [1, -1], DROPOUT),
    ("CORE", "item_dropout", [1, "x"], DROPOUT),
    ("CORE", "temperature", [0, -1, "x"], "a number above 0"),
    ("CORE", "n_heads", [7], "7 heads do not divide embedding_size 64"),
    ("BERT4Rec", "mask_ratio", [0, 1, 1.5, "x"], "a number above 0 and below 1"),
    ("BERT4Rec", "ft_ratio", [-0.1, 2], SHARE),
    ("GRU4Rec", "embedding_size", [0, "x"], SIZE),
    ("GRU4Rec", "num_layers", [0], SIZE),
    ("GRU4Rec", "dropout_prob", [1, "a lot"], DROPOUT),
    ("NextItNet", "dilations", [[], [0], 4, ["x"], [10**12]], "whole numbers from 1 to 65536"),
    ("NextItNet", "kernel_size", [0], SIZE),
    ("NextItNet", "block_num", [0, "x"], SIZE),
    ("NARM", "dropout_probs", [[0.5], 0.5, [0.5, 1]], "a list of 2 numbers"),
    ("HGN", "reg_weight", [[0.1], 0.1, ["x", "y"]], "a list of 2 numbers"),
    ("HRM", "high_order", [51], "at most MAX_ITEM_LIST_LENGTH"),
    ("Caser", "nh", [0], SIZE),
    ("STAMP", "embedding_size", [-1], SIZE),
    ("GRU4RecCPR", "n_facet", [1.5, "x"], "a whole number"),
    # every model: rows
    ("Popularity", "click_filter", ["some", None, True], "one of paper, train, none"),
    ("Popularity", "split_by", ["month"], "one of user, time"),
    ("Popularity", "time_split", [[0.9], [0.8, 0.9, 1], 0.8, [0, 0.5], [0.5, 1], ["a", "b"]], "a list of 2 numbers"),
    ("Popularity", "time_split", [[0.9, 0.8], [0.5, 0.5]], "first < second"),
    ("Popularity", "train_share", [0, 1.1, -1, "x"], "a number above 0 and at most 1"),
    ("Popularity", "train_targets", ["clicks", None], "one of all, purchase"),
    ("Popularity", "search_attribution_hours", [-1, NAN, "x"], "a number of 0 or more"),
    ("Popularity", "eval_memory_mb", [0, "x", 1.5], WHOLE_1),
    ("Popularity", "mask_history", ["x", 1], "one of auto, True, False"),
    ("Popularity", "use_tuned", ["x", 1], FLAG),
    ("Popularity", "epochs", [-1, "x"], WHOLE_1),
    ("SeqKNN", "knn_history", [0, "x"], WHOLE_1),
    # LLMFashionRec: prompts
    ("LLMFashionRec", "prompt_template", ["long", None], "one of paper, compact"),
    ("LLMFashionRec", "max_length", [0, "x", 256.0], WHOLE_1),
    ("LLMFashionRec", "max_length", [40], "max_new_tokens: expected less than max_length"),
    ("LLMFashionRec", "prompt_attributes", ["brand", [1], [""]], "a list of columns of .item"),
    ("LLMFashionRec", "prompt_item_text", ["id", 1], FLAG),
    ("LLMFashionRec", "image_list", ["auto", 1], FLAG),
    ("LLMFashionRec", "loss_on_history", ["yes!"], FLAG),
    ("LLMFashionRec", "item_tokens", ["words", True], "one of text, atomic, semantic"),
    ("LLMFashionRec", "prompt_dates", ["never", 1, None], "one of auto, True, False"),
    ("LLMFashionRec", "loss_on_title", ["never", 1, None], "one of auto, True, False"),
    ("LLMFashionRec", "llm_dropout", [1, -0.1, "no"], "llm_dropout"),
    ("LLMFashionRec", "item_embedding_init", ["random", None], "one of words, neighbors"),
    ("SASRecSampled", "similarity", ["euclid", None], "one of dot, cosine"),
    ("SASRecSampled", "softmax_temperature", [0, "x"], "softmax_temperature"),
    ("LLMFashionRec", "early_stopping_patience", [-1, 0.5, None], WHOLE_0),
    ("LLMFashionRec", "prompts_per_user", [0, "x"], WHOLE_1),
    ("LLMFashionRec", "response_events", ["click", None], "one of all, purchase"),
    ("LLMFashionRec", "memory_neighbors", [0, "x"], WHOLE_1),
    ("LLMFashionRec", "min_askers", [0, "x"], WHOLE_1),
    ("LLMFashionRec", "memory_products", [-1, "x"], WHOLE_0),
    ("LLMFashionRec", "memory_list_size", [0], WHOLE_1),
    ("LLMFashionRec", "clip_model", [None, 32], TEXT),
    ("LLMFashionRec", "clip_pretrained", [32, True], TEXT),
    ("LLMFashionRec", "clip", [3, None, {"width": 33}, {"depth": 1}, {"epochs": -1}], "clip"),
    # LLMFashionRec: training
    ("LLMFashionRec", "llm_name_or_path", [None, 7, ""], TEXT),
    ("LLMFashionRec", "quantization", ["int8", None], "one of nf4, none"),
    ("LLMFashionRec", "compute_dtype", ["bfloat16", 16], "one of auto, bf16, fp16, fp32"),
    ("LLMFashionRec", "lora_r", [0, -1, 1.5, "x", 10**6], "a whole number from 1 to 4096"),
    ("LLMFashionRec", "lora_alpha", [0, "x"], WHOLE_1),
    ("LLMFashionRec", "lora_dropout", [1, -0.1, "x", NAN], DROPOUT),
    ("LLMFashionRec", "lora_target_modules", ["all", [], [1], None], "auto or a list of one or more names"),
    ("LLMFashionRec", "llm_learning_rate", [0, NAN, INF, 1e30, "abc"], RATE),
    ("LLMFashionRec", "item_embedding_lr", [-1, NAN, "x"], DECAY),
    ("LLMFashionRec", "llm_epochs", [0, -1, 1.5], WHOLE_1),
    ("LLMFashionRec", "curriculum_share", [-0.1, 1.1, "x"], SHARE),
    ("LLMFashionRec", "curriculum_epochs", [-1, "x"], WHOLE_0),
    ("LLMFashionRec", "curriculum_choice", ["easy"], "one of perplexity, random"),
    ("LLMFashionRec", "curriculum_perplexity", ["title", None], "one of response, prompt"),
    ("LLMFashionRec", "warmup_ratio", [-0.1, 1.1, "x", NAN], SHARE),
    ("LLMFashionRec", "lr_scheduler_type", ["poly", 1], "one of linear, cosine, constant, constant_with_warmup"),
    ("LLMFashionRec", "max_grad_norm", [-1, "x", NAN], "max_grad_norm"),
    ("LLMFashionRec", "llm_batch_size", [0, "x"], WHOLE_1),
    ("LLMFashionRec", "max_targets_per_batch", [0], WHOLE_1),
    ("LLMFashionRec", "gradient_accumulation_steps", [0, "x"], WHOLE_1),
    ("LLMFashionRec", "llm_weight_decay", [-1, NAN], DECAY),
    ("LLMFashionRec", "gradient_checkpointing", ["x", 1], FLAG),
    ("LLMFashionRec", "torch_compile", ["auto", 1], FLAG),
    ("LLMFashionRec", "cuda_graphs", ["auto", 1], FLAG),
    ("LLMFashionRec", "fast_dropout", ["auto", 1], FLAG),
    ("LLMFashionRec", "save_steps", [-1, "x"], WHOLE_0),
    ("LLMFashionRec", "num_train_workers", [0, "x"], WHOLE_1),
    ("LLMFashionRec", "num_train_workers", [17], "1 to llm_batch_size (16)"),
    ("LLMFashionRec", "ray_address", [1, ["a"]], TEXT),
    ("LLMFashionRec", "decoding", ["beam"], "one of constrained, sample"),
    ("LLMFashionRec", "response_title", ["both"], "one of generated, catalogue"),
    ("LLMFashionRec", "max_new_tokens", [0, "x"], WHOLE_1),
    ("LLMFashionRec", "max_new_tokens", [256], "less than max_length (256)"),
    ("LLMFashionRec", "num_beams", [-1, "x", 10**9], "a whole number from 0 to 10000"),
    ("LLMFashionRec", "temperature", [0, -1, NAN], "a number above 0"),
    ("LLMFashionRec", "top_p", [0, 1.1, "x"], "a number above 0 and at most 1"),
    ("LLMFashionRec", "generation_batch_size", [0], WHOLE_1),
    ("LLMFashionRec", "generation_backend", ["tgi"], "one of transformers, vllm"),
    ("LLMFashionRec", "epochs", [0], WHOLE_1),
    # LLMFashionRec: ranking
    ("LLMFashionRec", "title_model", [{"epochs": 0.5}, {"margin": 0}, "x"], "title_model"),
    ("LLMFashionRec", "ranking", ["best", None], "one of beams, clip, fusion, id, mixup, title"),
    ("LLMFashionRec", "mixup_m", [-1, "two"], WHOLE_0),
    ("LLMFashionRec", "mixup_k", [0, "x"], WHOLE_1),
    ("LLMFashionRec", "mixup_title_start", ["k", 1, False], "one of m, 0"),
    ("LLMFashionRec", "ann_index", ["annoy"], "one of flat, ivf, hnsw"),
    ("LLMFashionRec", "empty_response_fallback", ["none"], "one of memory, popularity"),
    ("LLMFashionRec", "source_dataset", [7, ["a"]], TEXT),
    ("LLMFashionRec", "zero_shot_target_log", ["x"], FLAG),
    ("LLMFashionRec", "tune_report_users", [0], WHOLE_1),
    # keys of a model that this one trains or reads
    ("LLMFashionRec", "sess_dropout", [1], DROPOUT),
    ("LLMFashionRec", "dnn_type", ["x"], "one of trm, ave"),
    ("QueryMemory", "memory_neighbors", [0], WHOLE_1),
    # Recformer
    ("Recformer", "recformer_attributes", [[], "title", [1]], "a list of one or more names"),
    ("Recformer", "recformer_max_items", [0], WHOLE_1),
    ("Recformer", "recformer_max_tokens", [1, "x"], "a whole number of 2 or more"),
    ("Recformer", "recformer_name_or_path", [None, 1], TEXT),
    ("Recformer", "recformer_pretrain_epochs", [-1], WHOLE_0),
    ("Recformer", "recformer_finetune", ["x"], FLAG),
    ("Recformer", "recformer_stage1_epochs", [-1], WHOLE_0),
    ("Recformer", "recformer_batch_size", [0], WHOLE_1),
    ("Recformer", "recformer_learning_rate", [0, 1e30], RATE),
    ("Recformer", "recformer", [{"heads": 3}, {"width": 0}, {"mask_share": 2}, {"type_init": "x"}, 5], "recformer"),
    ("RecformerQuery", "recformer_batch_size", [0], WHOLE_1),
]  # fmt: skip

TAKEN = [
    ("SASRec", "seed", [0, 2**32 - 1]),
    ("SASRec", "gpu_id", ["0,1", 0, ""]),
    ("SASRec", "state", ["info", "ERROR"]),
    ("SASRec", "epochs", [1, 1000]),
    ("SASRec", "learning_rate", [1, 1e-5, 1]),
    ("SASRec", "weight_decay", [0, 0.1]),
    ("SASRec", "learner", ["Adam", "sgd"]),
    ("SASRec", "clip_grad_norm", [None, {"max_norm": 5, "norm_type": 2}]),
    ("SASRec", "topk", [1, 20, [1], [5, 10, 20]]),
    ("SASRec", "hidden_dropout_prob", [0, 0.0, 0.99]),
    ("SASRec", "initializer_range", [0, 0.5]),
    ("SASRec", "train_neg_sample_args", [None]),
    ("CORE", "dnn_type", ["ave"]),
    ("FPMC", "loss_type", ["BPR"]),
    ("GRU4RecCPR", "dropout_prob", [0.3]),
    ("NARM", "dropout_probs", [[0, 0.5]]),
    ("HGN", "reg_weight", [[1, 0.5]]),
    ("Popularity", "epochs", [0, 1]),
    ("Popularity", "time_split", [[0.5, 0.75]]),
    ("Popularity", "train_share", [1, 0.01]),
    ("Popularity", "mask_history", ["auto", True, False]),
    ("LLMFashionRec", "prompt_attributes", [[], ["brand", "size"]]),
    ("LLMFashionRec", "prompt_dates", ["auto", True, False]),
    ("LLMFashionRec", "memory_products", [0]),
    ("LLMFashionRec", "clip_pretrained", [None, "openai"]),
    ("LLMFashionRec", "lora_dropout", [0, 0.5]),
    ("LLMFashionRec", "llm_dropout", ["auto", None, 0, 0.5]),
    ("LLMFashionRec", "item_embedding_init", ["words", "neighbors"]),
    ("SASRecSampled", "similarity", ["dot", "cosine"]),
    ("LLMFashionRec", "loss_on_title", ["auto", True, False]),
    ("LLMFashionRec", "early_stopping_patience", [0, 3]),
    ("LLMFashionRec", "lora_target_modules", ["auto", ["dense"]]),
    ("LLMFashionRec", "curriculum_share", [0, 1]),
    ("LLMFashionRec", "curriculum_epochs", [0, 3]),
    ("LLMFashionRec", "num_beams", [0, 1]),
    ("LLMFashionRec", "image_list", [True, False]),
    ("LLMFashionRec", "mixup_title_start", ["m", 0]),
    ("LLMFashionRec", "title_model", [{}, {"epochs": 0}]),
    ("LLMFashionRec", "ray_address", [None, "auto"]),
    ("LLMFashionRec", "temperature", [1, 0.05]),
    ("Recformer", "recformer", [{"heads": 2, "width": 64}]),
    ("Recformer", "recformer_pretrain_epochs", [0]),
]  # fmt: skip

ROWS = [(model, key, value, words) for model, key, bad, words in REFUSED for value in bad]
ROWS += [(model, key, value, "") for model, key, good in TAKEN for value in good]


def check(model, keys):
    """What `--model=<model> --<key>=<value>` checks before RecBole is imported."""
    return merge_layers(get_model(model).lineage, "footwear", (), keys, accepted_models(model))


@pytest.mark.parametrize(("model", "key", "value", "words"), ROWS, ids=lambda cell: str(cell)[:20])
def test_a_value_is_taken_or_one_line_names_its_key(model, key, value, words):
    if not words:
        assert key in check(model, {key: value})
        return
    with pytest.raises(UserError) as raised:
        check(model, {key: value})
    line = str(raised.value)
    assert key in line and words in line and "\n" not in line and len(line) < 300


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("seed", "2020,2021", "a run has one seed, `study compare --seeds 3` runs several"),
        ("seed", [2020, 2021], "a run has one seed"),
        ("topk", "5,10", "write --topk=[5,10]"),
        ("time_split", "0.8,0.9", "write --time_split=[0.8,0.9]"),
        ("prompt_attributes", "brand,color", "write --prompt_attributes=[brand,color]"),
    ],
)
def test_a_guess_is_answered_with_the_right_form(key, value, hint):
    with pytest.raises(UserError) as raised:
        check("LLMFashionRec", {key: value})
    assert str(raised.value).endswith(hint) or f"; {hint}" in str(raised.value)


VLLM = {"generation_backend": "vllm", "item_tokens": "text", "num_beams": 0, "response_title": "generated"}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"cuda_graphs": True, "torch_compile": True}, "cuda_graphs: True needs torch_compile: False"),
        (
            {"cuda_graphs": True, "gradient_checkpointing": True},
            "cuda_graphs: True needs gradient_checkpointing: False",
        ),
        ({"item_embedding_init": "neighbors", "item_tokens": "semantic"}, "neighbors needs item_tokens: atomic"),
        (
            {"generation_backend": "vllm"},
            "generation_backend: vllm needs item_tokens: text, found item_tokens: atomic; change it, or set "
            "generation_backend: transformers$",
        ),
        ({"generation_backend": "vllm", "item_tokens": "semantic", "num_beams": 0}, "found item_tokens: semantic;"),
        (
            {"generation_backend": "vllm", "item_tokens": "text", "num_beams": 3},
            "needs num_beams: 0, found num_beams: 3;",
        ),
        ({**VLLM, "response_title": "catalogue"}, "needs response_title: generated, found response_title: catalogue;"),
        (VLLM, ""),
        (
            {"ranking": "beams", "num_beams": 0},
            "^ranking: beams needs num_beams: 1 or more, found num_beams: 0; change one of them$",
        ),
        (
            {"ranking": "beams", "decoding": "sample", "response_title": "generated"},
            "^ranking: beams needs decoding: constrained, found decoding: sample; change one of them$",
        ),
        (
            {"ranking": "beams", **VLLM},
            "^ranking: beams needs generation_backend: transformers, found generation_backend: vllm; change one",
        ),
        ({"ranking": "beams", "num_beams": 1}, ""),
        ({"ranking": "beams", "item_tokens": "text"}, ""),
        ({"cuda_graphs": True, "gradient_checkpointing": "auto"}, ""),
        ({"torch_compile": True, "gradient_checkpointing": True}, ""),
    ],
)
def test_values_that_do_not_go_together(keys, words):
    if not words:
        assert check("LLMFashionRec", keys)
        return
    with pytest.raises(UserError, match=words):
        check("LLMFashionRec", keys)


def test_the_table_is_large():
    assert len(ROWS) >= 400 and sum(not words for *_, words in ROWS) >= 60
    assert len({key for _, key, *_ in REFUSED}) >= 100


def test_a_value_of_a_file_or_of_the_dataset_is_named_by_its_file(tmp_path, monkeypatch):
    file = tmp_path / "mine.yaml"
    file.write_text("lora_r: 0\n")
    with pytest.raises(UserError, match=rf"^{file}: lora_r: expected a whole number from 1 to 4096, found '0'$"):
        merge_layers("LLMFashionRec", "x", [str(file)])
    root = tmp_path / "properties"
    (root / "dataset").mkdir(parents=True)
    (root / "overall.yaml").write_text("seed: 1\n")
    own = root / "dataset/mine.yaml"
    own.write_text("seed: -1\n")
    monkeypatch.setattr("recbole_llmfashion.config.keys.properties_folder", lambda: root)
    with pytest.raises(UserError, match=rf"^{own}: seed: expected"):
        merge_layers("SASRec", "mine")


@pytest.mark.parametrize("key", ["seed", "topk", "data_path"])
def test_a_long_value_is_cut(key):
    with pytest.raises(UserError) as raised:
        check("SASRec", {key: ["line\nbreak"] * 1000})
    assert len(str(raised.value)) < 250 and "\n" not in str(raised.value)


def test_a_batch_that_no_memory_holds_is_refused():
    have = psutil.virtual_memory().total
    for model in ("SASRec", "GRU4Rec"):
        with pytest.raises(
            UserError, match=r"^MAX_ITEM_LIST_LENGTH: .* needs at least .* GiB .* train_batch_size 1024"
        ):
            check(model, {"MAX_ITEM_LIST_LENGTH": have // (4 * 64 * 1024) + 1})
    fits = {"MAX_ITEM_LIST_LENGTH": 500}
    assert check("SASRec", fits)["MAX_ITEM_LIST_LENGTH"] == 500


@pytest.mark.parametrize(
    ("key", "value", "package"), [("log_wandb", True, "wandb"), ("log_tensorboard", "board", "tensorboard")]
)
def test_packages_of_tracking_must_be_installed(monkeypatch, key, value, package):
    monkeypatch.setattr(values, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"^command line: {key}: {package} is not installed; run `uv sync --extra"):
        check("SASRec", {key: value})
    assert check("SASRec", {key: None if package == "tensorboard" else False})["log_wandb"] is False
    monkeypatch.setattr(values, "find_spec", lambda name: object())
    assert check("SASRec", {key: value})[key] == value


def test_every_default_is_a_value():
    """Of every model that --model takes, in properties/ and in RecBole's own files."""
    for model in model_names():
        merged = recbole_defaults(model) | check(model, {})
        known = {key: value for key, value in merged.items() if key not in ("clip", "title_model", "recformer")}
        wrong = {key: value for key, value in known.items() if not allowed_values(key, value, model).holds(value)}
        assert wrong.keys() <= ({"epochs"} if merged["epochs"] == 0 else set()), (model, wrong)


def test_every_key_of_properties_has_an_entry():
    files = ["overall", *(f"model/{path.stem}" for path in (properties_folder() / "model").glob("*.yaml"))]
    keys = {key for file in files for key in read_yaml(properties_folder() / f"{file}.yaml")}
    assert (
        keys - {"clip", "title_model", "recformer"} - values.OWN_VALUES.keys() - values.RECBOLE_VALUES.keys() == set()
    )


def test_words():
    assert whole().words == "a whole number" and number().words == "a number"
    assert number(above=0, below=1).words == "a number above 0 and below 1"
    assert list_of(whole(), "whole numbers", least=2, most=3).words == "a list of 2 or more whole numbers"
    assert either(choice("auto"), whole(1)).words == "auto or a whole number of 1 or more"
    assert not choice("a", 1).holds(["a"]) and not choice("a", 1).holds(True) and not choice("a", 1).holds({})
