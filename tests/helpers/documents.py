"""A document as a comparison leaves it: eleven rows, two seeds, one failed, one does not apply, hostile text."""

from recbole_llmfashion.study.report.document import (
    Column,
    Document,
    Figure,
    ReportTable,
    Series,
    TableRow,
    Value,
)

HOSTILE = r"""<script>alert("1")</script> | **a** _b_ `c` & 50% $x$ #1 {y} ~z ^w \end{tabular} &amp; [d](e)"""
FAILED = "seed 2027: RuntimeError: expected a mask of 4 dimensions, found (512, 50) at item_seq <tr> & 1 more"
SEEDS = [2026, 2027]
MODELS = (
    "GRU4Rec", "SASRec", "BERT4Rec", "NextItNet", "CORE", "Recformer", "Recformer w/ query", "LLMFashionRec",
    "Popularity", "SeqKNN", "QueryMemory",
)  # fmt: skip
METRICS = [
    Column("recall@10", "Recall@10"),
    Column("ndcg@10", "NDCG@10"),
    Column("mrr@10", "MRR@10"),
    Column("mrr", "MRR"),
]
COST = [
    Column("epochs", "epochs", "text"),
    Column("minutes", "minutes", "number"),
    Column("memory", "peak MB", "count"),
]
GENERATION = {
    "format_rate": 0.998, "valid_id_rate": 1.0, "fallback_rate": 0.002, "in_prompt_rate": 0.4125,
    "no_id_list_rate": 0.0, "no_title_list_rate": 0.002, "memory_list_rate": 0.001, "popularity_list_rate": 0.001,
    "title_pairs": "queries", "clip": "trained on the log", "quantized_layers": 16, "prompts": 12800,
    "perplexity": {"before": 812.4, "after_uniform": 3.21, "after_hard": 3.02}, "prompts_truncated": 1204,
}  # fmt: skip


def _entry(name: str, position: int, seed: int) -> dict:
    if name == "BERT4Rec" and seed == 2027:
        return {"seed": seed, "status": f"failed: {FAILED.split(': ', 1)[1]}"}
    entry = {"seed": seed, "status": "ok", "ndcg@10": 0.05 + position / 100, "valid": {"ndcg@10": 0.06}}
    entry |= {"seconds": {f"train_{name}": 61.23 + position, "total": 64.5}, "peak_memory_mb": 1210.4 + position}
    entry["stages_reused"] = [f"train_{name}"] if position % 2 else []
    if name == "LLMFashionRec":
        entry["seconds"] = {
            "title": 31.5, "train_CORE": 88.1, "clip": 60.2, "untrained": 1.4, "codes": 900.0, "adapter": 640.0,
            "responses": 244.0, "total": 1800.7,
        }  # fmt: skip
        entry["stages_reused"] = ["title", "train_CORE"]
        entry["generation"] = GENERATION
        entry["lists"] = {"id": {"ndcg@10": 0.1456}, "title": {"ndcg@10": 0.1301}}
        entry["mixup_validation"] = {str(m): {"ndcg@10": 0.16 - m / 1000} for m in (1, 2, 3)}
    return entry


def _row(name: str, position: int) -> TableRow:
    if name == "BERT4Rec":
        return TableRow(name, reason=FAILED)
    if name == "Recformer w/ query":
        return TableRow(name, reason="does not apply: this log has no queries")
    cells = {c.key: Value(0.04123 + position / 100 + i / 50, 0.0012 + i / 1e4) for i, c in enumerate(METRICS)}
    cells |= {"epochs": "20 of 20", "minutes": 1.0205 + position * 31, "memory": 1210 + position}
    return TableRow(name, cells)


def sample() -> Document:
    """Every kind of column, row and figure."""
    rows = [_row(name, position) for position, name in enumerate(MODELS)]
    rows.append(TableRow(HOSTILE, {"recall@10": Value(0.9), "epochs": HOSTILE}, ranked=False))
    shown = [row for row in rows if not row.reason]
    labels = [row.label for row in shown]
    means = [[row.cells[key].mean if key in row.cells else None for row in shown] for key in ("recall@10", "ndcg@10")]
    shares = [1, 5, 20, 100]
    ours = MODELS[:3] + MODELS[7:8]
    lines = [
        Series(
            name,
            shares,
            [None if (i, x) == (1, 5) else 0.01 * (i + 1) * x**0.3 for x in shares],
            [0.01 * (i + 1) * x**0.3 - 0.004 for x in shares],
            [0.01 * (i + 1) * x**0.3 + 0.004 for x in shares],
        )
        for i, name in enumerate(ours)
    ]
    heat = [Series(name, ["cold", "warm", "hot"], [0.01 * i, None, 0.1 + 0.02 * i]) for i, name in enumerate(MODELS)]
    return Document(
        study="compare",
        title="Comparison on footwear (the paper's Table 2)",
        dataset="footwear",
        data={"footwear": {"sha256": "0123456789abcdef" * 4, "users": 1200, "items": 640, "log": "<b>"}},
        seeds=SEEDS,
        command="recbole-llmfashion study compare --dataset=footwear --seeds=2 --config_files='a.yaml b.yaml' `x`",
        versions={"python": "3.11.9", "recbole_llmfashion": "0.1.0", "recbole": "1.2.1", "torch": "2.15.0+cu130"},
        settings={"tuned": True, "epochs": 20, "topk": [1, 5, 10], "lora": {"r": 8, "lr": 0.0003}, "note": HOSTILE},
        tables=[
            ReportTable(
                "table2", "Test metrics", [*METRICS, *COST], rows, ["minutes: all stages when they were made."]
            ),
            ReportTable(
                "shares",
                "What is left, 100% is ours",
                [Column("share", "of ours", "share"), Column("p", "p, Holm", "number")],
                [TableRow("CORE", {"share": 0.4321, "p": 0.00312}), TableRow("SASRec", {"share": 1.0, "p": 1e-7})],
                [HOSTILE],
                label="against",
            ),
        ],
        figures=[
            Figure("metrics", f"Test metrics {HOSTILE}", "bars", "", "test metric", [
                Series("Recall@10", labels, means[0]), Series("NDCG@10", labels, means[1]),
            ]),
            Figure("low_resource", "By the share of users", "lines", "training users, %", "NDCG@10", lines, True),
            Figure("buckets", "By how often the item was bought", "heat", "item", "NDCG@10", heat),
        ],
        models={name: [_entry(name, i, seed) for seed in SEEDS] for i, name in enumerate(MODELS) if i != 6},
        notes=["Test rows: the final purchase of each user among all items.", HOSTILE],
    )  # fmt: skip
