"""Fashion attributes that a CLIP model reads from a picture, zero-shot (Radford et al. 2021, arXiv 2103.00020).

Each attribute has labels with a phrase each. A picture gets the label with the highest probability, the softmax of
scale * cosine over the attribute's phrases, if it is ahead of the second by the least margin; else no label. The empty
label is for pictures to which the attribute does not apply.
"""

import numpy as np

MARGIN = 0.2  # least difference of the probabilities of the best and the second label
TEMPLATE = "a photo of {}"
ATTRIBUTES: dict[str, dict[str, str]] = {
    "pattern": {
        "plain": "a fashion product in one plain color",
        "striped": "a striped fashion product",
        "checked": "a checked or plaid fashion product",
        "dotted": "a fashion product with polka dots",
        "floral": "a fashion product with a floral pattern",
        "animal": "a fashion product with an animal print",
        "graphic": "a fashion product with a printed graphic or letters",
    },
    "material": {
        "leather": "a fashion product made of leather",
        "suede": "a fashion product made of suede",
        "denim": "a fashion product made of denim",
        "knit": "a knitted fashion product",
        "cotton": "a fashion product made of cotton",
        "silk": "a shiny fashion product made of silk or satin",
        "lace": "a fashion product made of lace",
        "fur": "a fashion product made of fur or fleece",
        "canvas": "a fashion product made of canvas or nylon",
        "metal": "a fashion product made of metal",
    },
    "sleeve": {
        "long": "a garment with long sleeves",
        "short": "a garment with short sleeves",
        "sleeveless": "a sleeveless garment",
        "": "shoes, a bag, trousers or an accessory",
    },
    "neckline": {
        "round": "a garment with a round neckline",
        "v-neck": "a garment with a V neckline",
        "collar": "a garment with a collar",
        "turtleneck": "a garment with a turtleneck",
        "off-shoulder": "an off-shoulder garment",
        "hooded": "a garment with a hood",
        "": "shoes, a bag, trousers or an accessory",
    },
    "heel": {
        "flat": "a flat shoe",
        "low": "a shoe with a low heel",
        "high": "a shoe with a high heel",
        "platform": "a shoe with a platform sole or a wedge",
        "": "clothing, a bag or an accessory",
    },
    "shape": {
        "fitted": "a fitted garment",
        "loose": "a loose, oversized garment",
        "flared": "a flared garment",
        "straight": "a straight garment",
        "": "shoes, a bag or an accessory",
    },
}


def phrases(attribute: str) -> list[str]:
    """The texts whose vectors the pictures of an attribute are compared with."""
    return [TEMPLATE.format(phrase) for phrase in ATTRIBUTES[attribute].values()]


def choose(cosines: np.ndarray, scale: float, attribute: str, margin: float) -> list[str]:
    """The label of each picture, "" for none.

    Args:
        cosines: [n, labels] of pictures and phrases.
        scale: of the model's logits.
        attribute: of ATTRIBUTES.
        margin: least difference of the two highest probabilities.

    >>> near = np.array([[0.3, 0.1, 0.1, 0.1], [0.3, 0.29, 0.1, 0.1], [0.1, 0.1, 0.1, 0.3]])
    >>> choose(near, 100.0, "sleeve", 0.5)
    ['long', '', '']
    """
    labels = list(ATTRIBUTES[attribute])
    logits = scale * (cosines - cosines.max(axis=1, keepdims=True))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    best = probabilities.argmax(axis=1)
    return [labels[at] if ahead >= margin else "" for at, ahead in zip(best, first - second, strict=True)]
