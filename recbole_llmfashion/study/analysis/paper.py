"""What section 3 and Table 1 of the paper print: the reference for a pattern, for its data are private."""

from recbole_llmfashion.study.analysis.counts import Counts

TABLE_1 = {
    "luggage_bags": Counts(10_611, 61_550, 131_647),
    "footwear": Counts(63_273, 380_385, 714_628),
    "accessories_jewelry": Counts(106_104, 524_433, 1_376_999),
    "clothing": Counts(274_285, 1_386_910, 3_635_414),
}
CONTRASTS = ("electronics", "toys")
# Amazon's fashion as a whole, divided by the contrast
NEW_ITEMS = {"electronics": 3.6, "toys": 6.7}
LENGTH = {"electronics": 1.55, "toys": 1.81}
UNIQUE_QUERIES = {"electronics": 2.63, "toys": 2.38}
