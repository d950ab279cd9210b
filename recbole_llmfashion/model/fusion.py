"""Fusion: every list of LLMFashionRec's `ranking: fusion` that needs no response, as a model of its own."""

from recbole_llmfashion.model.llmfashionrec import LLMFashionRec


class Fusion(LLMFashionRec):
    """LLMFashionRec with empty responses: no beams, no ID list and no title list, so the LLM adds nothing.

    What is left is the session list, the neighbors' list, the words, the pictures, the memory and what the user took
    before, with weights of their own. The gain of LLMFashionRec over this row is the LLM's.
    """
