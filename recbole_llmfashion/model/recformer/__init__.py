"""Recformer (Li et al., KDD 2023, arXiv 2305.13731), the text-only sequential model that the paper compares with.

    flatten   items, queries and histories -> token ids
    encoder   token ids -> vectors, by the stock Longformer
    scorer    vectors -> cosines with every item
    pretrain  item-item contrast and masked language modelling
    finetune  the two stages
    model     the RecBole-facing classes

Written from the Recformer paper. Nothing here but `model` knows RecBole, and nothing but it sees a config.
"""
