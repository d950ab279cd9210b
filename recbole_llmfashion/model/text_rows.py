"""The row whose text stages are shared by the models that read titles or queries without an LLM."""


def llmfashionrec() -> type:
    """The class LLMFashionRec; imported when it is needed, as its libraries take seconds that a baseline does not."""
    from recbole_llmfashion.model.llmfashionrec import LLMFashionRec

    return LLMFashionRec
